"""Stability inside training: does a feature look the same from month to month, and does it go on telling the same?"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from features.binning import psi

__all__ = ["goes_on_telling", "last_third", "month_psi", "periods"]

_LEAST_ROWS: Final = 200
_LEAST_PERIODS: Final = 3
_LEAST_OF_A_CLASS: Final = 10
_LEAST_TOLD: Final = 0.02
_SIGNIFICANCE: Final = 2.326  # one of a hundred features that tell nothing passes


def periods(cutoffs: np.ndarray) -> np.ndarray:
    """Return the period of each row, 0 the first: calendar months, run together until each has 200 rows.

    What is left at the end joins the last one.

    Parameters
    ----------
    cutoffs : ndarray of datetime64, shape (n_rows,)
        Moment of each row.
    """
    _, months = np.unique(np.asarray(cutoffs).astype("datetime64[M]"), return_inverse=True)
    counts = np.bincount(months)
    period_of_month, period, n_rows = np.zeros(len(counts), dtype=np.int64), 0, 0
    for month, n in enumerate(counts):
        period_of_month[month] = period
        n_rows += int(n)
        if n_rows >= _LEAST_ROWS and counts[month + 1 :].sum() >= _LEAST_ROWS:
            period, n_rows = period + 1, 0
    return np.asarray(period_of_month[months])


def month_psi(assigned: Mapping[str, np.ndarray], cutoffs: np.ndarray) -> dict[str, float]:
    """Return how much each feature's bins differ from month to month.

    The mean over the periods, weighted by their rows, of the PSI of the period against all rows, less what chance makes
    of rows that do not differ: (bins - 1) * (1 / rows of the period - 1 / all rows), the expectation of its chi-square
    form (Yurdakul, 2018). Never below 0.

    Parameters
    ----------
    assigned : mapping of str to ndarray of int, shape (n_rows,)
        Bin of each row, by feature.
    cutoffs : ndarray of datetime64, shape (n_rows,)
        Moment of each row.

    Returns
    -------
    dict of str to float
        Empty where the rows span fewer than 3 periods.
    """
    period = periods(cutoffs)
    sizes = np.bincount(period)
    if len(sizes) < _LEAST_PERIODS:
        return {}
    return {alias: _excess(bins, period, sizes) for alias, bins in assigned.items()}


def _excess(bins: np.ndarray, period: np.ndarray, sizes: np.ndarray) -> float:
    n_bins = int(bins.max(initial=0)) + 1
    counts = np.bincount(period * n_bins + bins, minlength=len(sizes) * n_bins).reshape(len(sizes), n_bins)
    whole = counts.sum(axis=0)
    seen = np.average([psi(whole, of_period) for of_period in counts], weights=sizes)
    chance = ((whole > 0).sum() - 1) * np.average(1 / sizes - 1 / sizes.sum(), weights=sizes)
    return max(float(seen - chance), 0.0)


def last_third(cutoffs: np.ndarray) -> np.ndarray:
    """Return which rows are of the last third by time, those of one moment together; shape (n_rows,), bool."""
    cutoffs = np.asarray(cutoffs)
    begin = np.sort(cutoffs)[2 * len(cutoffs) // 3]
    return np.asarray(cutoffs >= begin)


def goes_on_telling(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Return whether rows agree with the evidence that other rows gave.

    They do where the weight of evidence of the goods is above that of the bads, on average, by more than chance makes
    of shuffled outcomes (one-sided, 1 %), and by .02 at least: as an information value, less is held to tell nothing.

    Parameters
    ----------
    parts : sequence of (ndarray of float64, ndarray of float64), each of shape (n_rows,)
        Weights of evidence of rows, learnt from rows of which they are none, and their outcomes, 1 bad, 0 good. Parts
        that learnt from one another's rows count alike.
    """
    told, variance = np.empty(len(parts)), np.empty(len(parts))
    for part, (evidence, y) in enumerate(parts):
        n_bad, n_good = int(y.sum()), int(len(y) - y.sum())
        if min(n_bad, n_good) < _LEAST_OF_A_CLASS:
            return False
        told[part] = evidence[y == 0].mean() - evidence[y == 1].mean()
        # Of the difference of two means where rows are dealt out to goods and bads at random.
        variance[part] = evidence.var(ddof=1) * len(y) / (n_bad * n_good)
    error = np.sqrt(variance.sum()) / len(parts)
    return bool(told.mean() > max(_SIGNIFICANCE * error, _LEAST_TOLD))
