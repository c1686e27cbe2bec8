"""What a Brier score is made of: reliability, resolution and uncertainty (Murphy, 1973), over bins of the forecast."""

from dataclasses import dataclass

import numpy as np

__all__ = ["BrierParts", "brier_parts"]

_N_BINS = 10


@dataclass(frozen=True)
class BrierParts:
    """Brier score = reliability - resolution + uncertainty + within.

    Parameters
    ----------
    reliability : float
        How far the probabilities of the bins lie from their bad rates; 0 is best.
    resolution : float
        How far the bad rates of the bins lie from the overall one; more is better.
    uncertainty : float
        What the overall bad rate alone leaves; no model changes it.
    within : float
        What the spread of the probabilities inside the bins adds (Stephenson, Coelho and Jolliffe, 2008); 0 where
        each bin holds one probability.
    n_bins : int
        Bins of equal numbers of rows.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float
    n_bins: int

    @property
    def brier(self) -> float:
        """The Brier score that the parts sum to."""
        return self.reliability - self.resolution + self.uncertainty + self.within

    @property
    def skill(self) -> float:
        """Share of the uncertainty that the model takes away: 1 - Brier / uncertainty."""
        return 1 - self.brier / self.uncertainty if self.uncertainty > 0 else float("nan")


def brier_parts(y: np.ndarray, probability: np.ndarray, n_bins: int = _N_BINS) -> BrierParts:
    """Return the parts of the Brier score over `n_bins` bins of equal numbers of rows; equal forecasts share a bin.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    probability : ndarray of float, shape (n_rows,)
        The forecasts.
    n_bins : int, default=10
        Most bins.

    Examples
    --------
    >>> parts = brier_parts(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.5, 1.0, 1.0]))
    >>> parts.reliability, parts.resolution, parts.uncertainty, parts.brier
    (0.0, 0.0625, 0.1875, 0.125)
    """
    y, probability = np.asarray(y, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    inner = np.unique(np.quantile(probability, np.arange(1, n_bins) / n_bins, method="inverted_cdf"))
    _, group = np.unique(np.searchsorted(inner, probability, side="left"), return_inverse=True)
    size = np.bincount(group).astype(np.float64)
    share = size / len(y)
    rate = np.bincount(group, weights=y) / size
    mean = np.bincount(group, weights=probability) / size
    overall = float(y.mean())
    reliability = float((share * (mean - rate) ** 2).sum())
    resolution = float((share * (rate - overall) ** 2).sum())
    spread, shift = probability - mean[group], y - rate[group]
    within = float((spread**2).mean() - 2 * (spread * shift).mean())
    return BrierParts(reliability, resolution, overall * (1 - overall), within, len(size))
