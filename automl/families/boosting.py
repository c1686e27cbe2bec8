"""What all boosted families share: when to stop, going back to a round, and numbers made fit for 32 bits."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self, cast

import numpy as np

from automl.families.encoding import CategoryEncoding, fit_encoding, with_columns
from automl.families.interface import FoldFit, Model, TrainingData
from core.errors import InputError
from core.i18n import msg

if TYPE_CHECKING:
    from automl.control import FitControl

__all__ = [
    "MOST_ROUNDS",
    "BoostedModel",
    "LossCurve",
    "as_float32",
    "boosted_fit",
    "checked_shape",
    "cut_fit",
    "float32_sets",
    "leaf_rows",
    "rows_as_float32",
]

MOST_ROUNDS = 1_500
_LEAST_ROUNDS = 30
_PATIENCE = 2.5
"""Rounds without gain before a fit stops, times the learning rate: 50 rounds at 0.05."""
_LARGEST = float(np.finfo(np.float32).max)
_BLOCK_ROWS = 20_000


class BoostedModel(Model, Protocol):
    """A model of trees in the order they were made."""

    def first(self, rounds: int) -> Self:
        """Return the model of the first `rounds` trees."""
        ...


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


def boosted_fit(
    model: "BoostedModel", data: TrainingData, test: np.ndarray, curve: LossCurve, rounds: tuple[int, int]
) -> FoldFit:
    """Return the fit that `curve` watched: `rounds` are those made and those that the model holds."""
    return FoldFit(model, model.margin(data.values[test]), *rounds, curve.is_cut_short, tuple(curve.losses))


def cut_fit(fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
    """Return `fit` with its first `rounds` trees; itself where it holds no more or has no losses to choose by."""
    if not fit.losses or rounds >= fit.best_rounds:
        return fit
    model = cast("BoostedModel", fit.model).first(rounds)
    return replace(fit, model=model, margin=model.margin(data.values[test]), best_rounds=rounds)


def float32_sets(
    data: TrainingData, train: np.ndarray, test: np.ndarray, encoded: Sequence[int], seed: int
) -> tuple[CategoryEncoding, np.ndarray, np.ndarray]:
    """Return the rows `train` and `test` in 32 bits, columns of levels `encoded` by what `train` tells of them."""
    encoding, columns = fit_encoding(data, train, encoded, seed)
    left_out = as_float32(encoding.apply(data.values[test]))
    return encoding, with_columns(rows_as_float32(data.values, train), columns), left_out


def as_float32(X: np.ndarray, largest: float = _LARGEST) -> np.ndarray:
    """Return the values in 32 bits, infinite and larger ones as the `largest`; NaN stays."""
    # Written straight into 32 bits: of many rows a second array in 64 would be the largest thing in memory.
    return np.clip(X, -largest, largest, out=np.empty(np.shape(X), dtype=np.float32))


def rows_as_float32(values: np.ndarray, rows: np.ndarray, largest: float = _LARGEST) -> np.ndarray:
    """Return some `rows` of the values as `as_float32` does, a block at a time."""
    found = np.empty((len(rows), values.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        np.clip(values[rows[block]], -largest, largest, out=found[block])
    return found


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
