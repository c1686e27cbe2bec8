"""One coefficient per characteristic on weights of evidence, none of which may contradict its evidence."""

from dataclasses import dataclass

import numpy as np

from automl.control import FitControl
from automl.ridge import fit_ridge
from automl.scorecard.bins import BinTable

__all__ = ["LEAST_ROWS", "Weights", "evidence", "fit_weights"]

LEAST_ROWS = 20
"""Rows below which the bin of null or of a special code says nothing: its weight is that of an average row."""


@dataclass(frozen=True)
class Weights:
    """A logistic regression on weights of evidence.

    Parameters
    ----------
    coefficients : ndarray of float, shape (n_characteristics,)
        Log-odds of good per unit of weight of evidence; 0 where left out, never negative.
    intercept : float
        Log-odds of good where all weights of evidence are 0.
    contradicting : dict of int to float
        Characteristics left out because their coefficient came out against their evidence, with that coefficient.
    """

    coefficients: np.ndarray
    intercept: float
    contradicting: dict[int, float]


def evidence(table: BinTable, least_rows: int = LEAST_ROWS) -> np.ndarray:
    """Return the weight of evidence of each bin; 0 for nulls and special codes of fewer than `least_rows` rows."""
    woe = table.woe.copy()
    is_thin = table.n < least_rows
    is_thin[: table.bins.n_plain] = False
    is_thin[table.bins.n_plain] &= table.bins.missing_as is None
    woe[is_thin] = 0.0
    return woe


def fit_weights(X: np.ndarray, y: np.ndarray, penalty: float, control: FitControl | None = None) -> Weights:
    """Fit ridge logistic regression on weights of evidence of shape (n_rows, n_characteristics).

    Evidence for good must count for good. A characteristic whose coefficient is not positive says the opposite of what
    its bins show, which correlated characteristics cause; the worst one is left out and the rest are fitted again.
    """
    control = control or FitControl()
    left = list(range(X.shape[1]))
    contradicting: dict[int, float] = {}
    while True:
        found, intercept, _ = fit_ridge(-X[:, left], np.asarray(y, dtype=np.float64), penalty, control)
        worst = int(np.argmin(found)) if left else 0
        if not left or found[worst] > 0:
            break
        contradicting[left.pop(worst)] = float(found[worst])
    coefficients = np.zeros(X.shape[1])
    coefficients[left] = found
    return Weights(coefficients, -intercept, contradicting)
