"""How well one column alone separates two classes of rows: out of fold and with an interval, so that chance is none."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.binning import fit_bins

__all__ = ["Separation", "Share", "auc_interval", "separate", "share_interval", "share_of", "spread_rows"]

_Z: Final = 1.959963984540054
_FOLDS: Final = 5
_BINS: Final = 50
_MOST_VALUES: Final = 400
_WEIGHT_OF_PRIOR: Final = 1.0
_STEPS: Final = 50


@dataclass(frozen=True)
class Separation:
    """What one column reaches alone.

    Parameters
    ----------
    auc : float
        Area under the curve on rows that were not looked at, .5 to 1: the direction is learned, never read off.
    low, high : float
        Its 95 % interval.
    """

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """How many of `n` rows are bad, with the 95 % interval of the rate."""

    n: int
    n_bad: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Bad rows over all."""
        return self.n_bad / self.n if self.n else float("nan")


def separate(x: np.ndarray, y: np.ndarray, folds: np.ndarray, *, is_category: bool = False) -> Separation:
    """Return how well `x` alone tells ``y == 1`` from ``y == 0``.

    Rows are put into bins (levels of a category; values of a number with few of them; else 50 quantiles; null is a bin
    of its own). The rows of each fold are ranked by the bad rate that the other folds have in their bin, so a value
    that comes once says nothing, however many such values there are. The AUCs of the folds are averaged by their
    numbers of pairs.

    Parameters
    ----------
    x : ndarray of shape (n_rows,)
        Numbers or level codes; NaN for null.
    y : ndarray of shape (n_rows,)
        0 or 1, both there.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row, 0 to 4.
    is_category : bool, default=False
        Whether `x` holds codes.

    Returns
    -------
    Separation
        Never below .5: a column that ranks worse than chance out of fold tells nothing.
    """
    bins, n_bins = _bins(x, is_category)
    counts = np.bincount((folds * n_bins + bins) * 2 + (y == 1), minlength=_FOLDS * n_bins * 2)
    good, bad = counts.reshape(_FOLDS, n_bins, 2).transpose(2, 0, 1).astype(np.float64)
    n_good, n_bad = good.sum(), bad.sum()
    prior = n_bad / (n_good + n_bad)
    others_bad, others = bad.sum(0) - bad, (good + bad).sum(0) - good - bad
    rates = (others_bad + _WEIGHT_OF_PRIOR * prior) / (others + _WEIGHT_OF_PRIOR)
    pairs = good.sum(1) * bad.sum(1)
    areas = [_area(rates[fold], good[fold], bad[fold]) for fold in range(_FOLDS)]
    auc = max(float(np.dot(areas, pairs) / pairs.sum()), 0.5) if pairs.sum() else 0.5
    return Separation(auc, *auc_interval(auc, int(n_bad), int(n_good)))


def auc_interval(auc: float, n_bad: int, n_good: int) -> tuple[float, float]:
    """Return the 95 % interval of an AUC: Newcombe (2006), method 5, which stays honest at an AUC of 1.

    Its ends are the values that the observed AUC lies 1.96 of *their* standard errors from (Hanley and McNeil's, with
    both class sizes replaced by their mean in the correction).

    Examples
    --------
    >>> [round(end, 3) for end in auc_interval(1.0, 27, 96)]
    [0.953, 1.0]
    """
    return _end(auc, n_bad, n_good, -1), _end(auc, n_bad, n_good, 1)


def share_interval(n_bad: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate: Wilson (1927); (0, 1) where there are no rows.

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(24, 24)]
    [0.862, 1.0]
    """
    if not n:
        return 0.0, 1.0
    rate, square = n_bad / n, _Z * _Z
    middle = (rate + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * np.sqrt(rate * (1 - rate) / n + square / (4 * n * n))
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def share_of(y: np.ndarray) -> Share:
    """Return how many of the rows of `y` are bad."""
    n, n_bad = len(y), int((y == 1).sum())
    return Share(n, n_bad, *share_interval(n_bad, n))


def spread_rows(rows: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` of `rows`, spread evenly over them."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _bins(x: np.ndarray, is_category: bool) -> tuple[np.ndarray, int]:
    known = ~np.isnan(x)
    values, codes = np.unique(x[known], return_inverse=True)
    if is_category or len(values) <= _MOST_VALUES:
        bins = np.full(len(x), len(values))
        bins[known] = codes
        return bins, len(values) + 1
    fitted = fit_bins(x, max_bins=_BINS)
    return fitted.assign(x), fitted.n_bins


def _area(scores: np.ndarray, good: np.ndarray, bad: np.ndarray) -> float:
    """Return the AUC of bins ranked by their scores, ties counted half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    good, bad = np.add.reduceat(good[order], starts), np.add.reduceat(bad[order], starts)
    if not good.sum() or not bad.sum():
        return 0.0
    below = np.cumsum(good) - good
    return float((bad * (below + good / 2)).sum() / (good.sum() * bad.sum()))


def _end(auc: float, n_bad: int, n_good: int, sign: int) -> float:
    edge = 1.0 if sign > 0 else 0.0
    if auc == edge or not n_bad or not n_good:
        return edge
    near, far = auc, edge
    for _ in range(_STEPS):
        middle = (near + far) / 2
        if abs(auc - middle) <= _Z * _error(middle, n_bad, n_good):
            near = middle
        else:
            far = middle
    return (near + far) / 2


def _error(auc: float, n_bad: int, n_good: int) -> float:
    size = (n_bad + n_good) / 2 - 1
    spread = 1 + size * (1 - auc) / (2 - auc) + size * auc / (1 + auc)
    return float(np.sqrt(auc * (1 - auc) * spread / (n_bad * n_good)))
