"""What all boosted families share: when to stop, and how numbers are made fit for 32 bits."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.i18n import msg

if TYPE_CHECKING:
    from automl.control import FitControl

__all__ = ["MOST_ROUNDS", "LossCurve", "as_float32", "checked_shape", "leaf_rows"]

MOST_ROUNDS = 1_500
_LEAST_ROUNDS = 30
_PATIENCE = 2.5
"""Rounds without gain before a fit stops, times the learning rate: 50 rounds at 0.05."""
_LARGEST = float(np.finfo(np.float32).max)


@dataclass
class LossCurve:
    """How wrongly the rows left out are ordered after each round, and whether to go on.

    The rounds are chosen by order, 1 - AUC, not by log-loss: where bads are few, log-odds grow too bold long before the
    order is at its best, and boldness is what the calibration mends. A fit ends once neither has gained for a while,
    because the order of few bads is at its best by luck now and then.

    Parameters
    ----------
    learning_rate : float
        Of the fit.
    control : FitControl
        Asked at each round.
    rounds : int, optional
        Make exactly so many.
    """

    learning_rate: float
    control: "FitControl"
    rounds: int | None = None
    losses: list[float] = field(default_factory=list)
    log_losses: list[float] = field(default_factory=list)
    is_cut_short: bool = False

    @property
    def best(self) -> int:
        """Round of the best order, the first of equals."""
        return int(np.argmin(self.losses)) + 1 if self.losses else 1

    def goes_on(self, log_loss: float, auc: float) -> bool:
        """Note the figures of one more round and say whether another is wanted; may raise `StopFittingError`."""
        self.control.check()
        self.losses.append(1 - auc)
        self.log_losses.append(log_loss)
        done = len(self.losses)
        if self.rounds is not None:
            return done < self.rounds
        if done - max(self.best, int(np.argmin(self.log_losses)) + 1) >= round(_PATIENCE / self.learning_rate):
            return False
        if done >= _LEAST_ROUNDS and self.control.is_over():
            self.is_cut_short = True
            return False
        return done < MOST_ROUNDS


def as_float32(X: np.ndarray, largest: float = _LARGEST) -> np.ndarray:
    """Return the values in 32 bits, infinite and larger ones as the `largest`; NaN stays."""
    return np.ascontiguousarray(np.clip(X, -largest, largest), dtype=np.float32)


def checked_shape(X: np.ndarray, n_features: int) -> np.ndarray:
    """Return `X` as float64; raises `InputError` unless its shape is (n_rows, n_features)."""
    X = np.ascontiguousarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != n_features:
        raise InputError(msg("the model reads {n} features, but got shape {shape}", n=n_features, shape=X.shape))
    return X


def leaf_rows(n_rows: int, wanted: int) -> int:
    """Return `wanted` rows in a leaf, less where rows are few, so that a split stays possible.

    Examples
    --------
    >>> leaf_rows(100_000, 60), leaf_rows(500, 60)
    (60, 20)
    """
    return max(3, min(wanted, n_rows // 25))
