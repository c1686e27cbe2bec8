"""AUC with its variance, and two AUCs on the same rows, after DeLong, DeLong and Clarke-Pearson (1988); numpy only.

The placements come from midranks (Sun and Xu, 2014), so that the cost is a sort and not a table of all pairs. Where an
entity has several rows, their placements are summed before their spread is taken (Obuchowski, 1997).
"""

from dataclasses import dataclass
from math import erfc, isfinite, sqrt

import numpy as np

from automl.metrics import entity_codes
from core.errors import InputError
from core.i18n import msg

__all__ = ["AucEstimate", "PairedAuc", "delong", "delong_paired"]

_Z = 1.959963984540054
_LEAST_OF_A_CLASS = 2


@dataclass(frozen=True)
class AucEstimate:
    """An AUC and how far it is known.

    Parameters
    ----------
    value : float
        Area under the ROC curve; ties count half.
    variance : float
        Of the estimate.
    low, high : float
        95 % interval, within 0 and 1.
    """

    value: float
    variance: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedAuc:
    """AUC of one score minus AUC of another on the same rows.

    Parameters
    ----------
    value, low, high : float
        Difference and its 95 % interval.
    p_value : float
        Two-sided, of no difference; 1 where the scores order the rows alike.
    """

    value: float
    low: float
    high: float
    p_value: float

    @property
    def can_be_told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def delong(y: np.ndarray, scores: np.ndarray, entities: np.ndarray | None = None) -> AucEstimate:
    """Return the AUC of `scores` with its variance and 95 % interval.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1; at least two of each.
    scores : ndarray of float, shape (n_rows,)
        Higher is riskier.
    entities : ndarray, shape (n_rows,), optional
        Who each row is about, where one may have several rows. Left out, every row stands alone.

    Raises
    ------
    InputError
        Fewer than two rows of a class: there is no variance then. (Of two rows of one entity it is infinite.)

    Examples
    --------
    >>> found = delong(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> found.value, round(found.variance, 4)
    (0.75, 0.125)
    """
    areas, covariance = _areas(y, np.asarray(scores, dtype=np.float64)[None, :], entities)
    low, high = _within(areas[0], covariance[0, 0])
    return AucEstimate(float(areas[0]), float(covariance[0, 0]), low, high)


def delong_paired(
    y: np.ndarray, first: np.ndarray, second: np.ndarray, entities: np.ndarray | None = None
) -> PairedAuc:
    """Return AUC of `first` minus AUC of `second` on the same rows, its 95 % interval and p-value; see `delong`.

    Raises
    ------
    InputError
        Fewer than two rows of a class.
    """
    areas, covariance = _areas(y, np.asarray([first, second], dtype=np.float64), entities)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if not isfinite(variance):
        return PairedAuc(difference, -1.0, 1.0, 1.0)
    spread = sqrt(max(variance, 0.0))
    if spread < 1e-12:  # the same order, up to rounding: nothing to be uncertain about
        return PairedAuc(difference, difference, difference, 1.0 if abs(difference) < 1e-12 else 0.0)
    p_value = erfc(abs(difference) / spread / sqrt(2))
    return PairedAuc(difference, difference - _Z * spread, difference + _Z * spread, p_value)


def _areas(y: np.ndarray, scores: np.ndarray, entities: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return AUCs, shape (n_scores,), and their covariance, shape (n_scores, n_scores)."""
    is_bad = np.asarray(y) == 1
    n_bad, n_good = int(is_bad.sum()), int((~is_bad).sum())
    if min(n_bad, n_good) < _LEAST_OF_A_CLASS:
        raise InputError(
            msg("the interval of an AUC needs two bads and two goods, but got {n_bad} and {n_good}",
                n_bad=n_bad, n_good=n_good)
        )  # fmt: skip
    above = np.empty((len(scores), n_bad))
    below = np.empty((len(scores), n_good))
    for i, score in enumerate(scores):
        bad, good, both = _midranks(score[is_bad]), _midranks(score[~is_bad]), _midranks(score)
        above[i] = (both[is_bad] - bad) / n_good
        below[i] = 1 - (both[~is_bad] - good) / n_bad
    codes = entity_codes(entities)
    if codes is not None:
        return above.mean(axis=1), _covariance_of_entities(above, below, codes[is_bad], codes[~is_bad])
    covariance = np.atleast_2d(np.cov(above)) / n_bad + np.atleast_2d(np.cov(below)) / n_good
    return above.mean(axis=1), covariance


def _covariance_of_entities(
    above: np.ndarray, below: np.ndarray, of_bads: np.ndarray, of_goods: np.ndarray
) -> np.ndarray:
    """Return the covariance of the AUCs, shape (n_scores, n_scores), where rows of one entity go together.

    `above` and `below` are the placements of bads and goods, `of_bads` and `of_goods` their entities as numbers.
    """
    n_entities = int(max(of_bads.max(), of_goods.max())) + 1
    area = above.mean(axis=1, keepdims=True)
    bads, goods = _sums(above - area, of_bads, n_entities), _sums(below - area, of_goods, n_entities)
    n_with_bads, n_with_goods = len(np.unique(of_bads)), len(np.unique(of_goods))
    if min(n_with_bads, n_with_goods) < _LEAST_OF_A_CLASS:
        return np.diag(np.full(len(above), np.inf))  # one entity tells nothing of others
    spread = bads / of_bads.size, goods / of_goods.size
    both = spread[0] @ spread[1].T * n_entities / (n_entities - 1)
    return np.asarray(
        spread[0] @ spread[0].T * n_with_bads / (n_with_bads - 1)
        + spread[1] @ spread[1].T * n_with_goods / (n_with_goods - 1)
        + both
        + both.T
    )


def _sums(placements: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    return np.array([np.bincount(codes, row, n) for row in placements])


def _midranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    return np.asarray((last - (size - 1) / 2)[group])


def _within(area: float, variance: float) -> tuple[float, float]:
    half = _Z * sqrt(max(variance, 0.0))
    return float(max(area - half, 0.0)), float(min(area + half, 1.0))
