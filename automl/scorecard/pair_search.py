"""Which two characteristics of a card tell more together than each by itself: a test of each pair, by crossed cuts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Residuals", "interaction_score"]

_LEAST_ROWS, _LEAST_INFORMATION = 20, 2.0
"""Of a quarter that two cuts make: rows, and how much its log-odds can be told."""


@dataclass(frozen=True)
class Residuals:
    """What a card leaves unexplained, row by row.

    Parameters
    ----------
    gradient : ndarray of float, shape (n_rows,)
        Probability of bad less outcome: how log-odds of good should move.
    information : ndarray of float, shape (n_rows,)
        Probability times one less probability.
    """

    gradient: np.ndarray
    information: np.ndarray

    @classmethod
    def of(cls, margin: np.ndarray, y: np.ndarray) -> "Residuals":
        """Return the residuals of log-odds of good, `margin`, where `y` is 1 for bad.

        Examples
        --------
        >>> Residuals.of(np.zeros(2), np.array([0.0, 1.0])).gradient.tolist()
        [0.5, -0.5]
        """
        bad = 1 / (1 + np.exp(np.clip(margin, -700, 700)))
        return cls(bad - y, bad * (1 - bad))

    def tables(self, cells: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradient, information and rows per cell, each of `shape`; `cells` numbers the cell of each row."""
        n = shape[0] * shape[1]
        weights: Sequence[np.ndarray | None] = (self.gradient, self.information, None)
        first, second, third = (np.bincount(cells, w, minlength=n).reshape(shape) for w in weights)
        return first, second, third


def interaction_score(first: np.ndarray, second: np.ndarray, shape: tuple[int, int], left: Residuals) -> float:
    """Return how clearly two characteristics tell more together than apart: the largest score statistic of two cuts.

    Two cuts part the rows into four quarters; the contrast of the four log-odds that remain, squared over its variance,
    is a score test of the interaction, of one degree of freedom, whatever the two say apart. Of all cuts the clearest
    counts (compare FAST: Lou, Caruana, Gehrke and Hooker, 2013). Quarters of few rows say nothing.

    Parameters
    ----------
    first, second : ndarray of int, shape (n_rows,)
        Place of each row along each characteristic; the last place is of those that have none, such as null.
    shape : tuple of int
        Number of places of each, the last included.
    left : Residuals
        What the card leaves unexplained.
    """
    tables = left.tables(first * shape[1] + second, shape)
    gradient, information, rows = (_quarters(table[:-1, :-1]) for table in tables)
    enough = (information.min(axis=0) >= _LEAST_INFORMATION) & (rows.min(axis=0) >= _LEAST_ROWS)
    if not enough.any():
        return 0.0
    held = np.where(enough, information, 1.0)
    ratio = gradient / held
    contrast = ratio[0] - ratio[1] - ratio[2] + ratio[3]
    return float(np.where(enough, contrast**2 / (1 / held).sum(axis=0), 0.0).max())


def _quarters(table: np.ndarray) -> np.ndarray:
    """Return the sums over the four quarters of each two cuts, shape (4, n_cuts, n_cuts)."""
    whole = table.cumsum(axis=0).cumsum(axis=1)
    low = whole[:-1, :-1]
    top, side = whole[:-1, -1:] - low, whole[-1:, :-1] - low
    return np.stack([low, top, side, whole[-1, -1] - low - top - side])
