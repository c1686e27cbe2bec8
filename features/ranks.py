"""Ranks as vectors of unit length: the rank correlation of two columns is their dot product."""

import numpy as np

__all__ = ["rank_correlation", "rank_scores"]


def rank_scores(x: np.ndarray) -> np.ndarray:
    """Return centred ranks of unit length; nulls share the lowest rank, ties the middle one; zeros for a constant."""
    _, inverse, counts = np.unique(np.where(np.isnan(x), -np.inf, x), return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    centred: np.ndarray = ranks - ranks.mean()
    length = np.sqrt((centred * centred).sum())
    return centred / length if length > 0 else centred


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation; 0 where one side is constant.

    Examples
    --------
    >>> round(rank_correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 9])), 3)
    0.8
    """
    return float(rank_scores(a) @ rank_scores(b))
