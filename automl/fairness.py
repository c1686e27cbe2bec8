"""Whether a cutoff treats segments alike: approval, bad rate, separation and calibration of each, with intervals."""

from dataclasses import dataclass

import numpy as np

from automl.evaluating import jeffreys_interval
from automl.metrics import interval
from automl.predictions import Predictions
from automl.slices import Slice, level_names, slices_by_segment

__all__ = ["FOUR_FIFTHS", "SegmentTreatment", "treatment_by_segment"]

FOUR_FIFTHS = 0.8
"""Adverse impact ratio below which a difference in approval is looked at (the four-fifths rule)."""


@dataclass(frozen=True)
class SegmentTreatment:
    """How one segment fares.

    Parameters
    ----------
    slice : Slice
        Its rows, bads, AUC and calibration among the rows with an outcome.
    n_applicants, n_approved : int
        All who came, with or without an outcome, and those the cutoff approves.
    approval_rate, low, high : float
        With its 95 % Jeffreys interval.
    impact_ratio, impact_low, impact_high : float
        Approval rate over that of the segment approved most among those of at least 30 applicants, with its 95 %
        interval by bootstrap; 1 for that segment itself.
    ratio_low, ratio_high : float
        95 % bootstrap interval of bads seen over bads expected; NaN where there are none.
    """

    slice: Slice
    n_applicants: int
    n_approved: int
    approval_rate: float
    low: float
    high: float
    impact_ratio: float
    impact_low: float
    impact_high: float
    ratio_low: float
    ratio_high: float

    @property
    def is_adverse(self) -> bool:
        """Whether even the upper end of the impact ratio lies below four fifths."""
        return self.impact_high < FOUR_FIFTHS


_LEAST_REFERENCE = 30


def treatment_by_segment(
    predictions: Predictions, levels: np.ndarray, cutoff: float, *, n_draws: int = 300, seed: int = 0
) -> tuple[SegmentTreatment, ...]:
    """Return how each segment fares where probabilities up to `cutoff` are approved, the largest segment first.

    Parameters
    ----------
    predictions : Predictions
        Of all rows; those that came in the time the model did not see are judged.
    levels : ndarray of object, shape (n_rows,)
        Level of each row.
    cutoff : float
        Highest probability that is approved.
    n_draws, seed : int
        Of the bootstrap.
    """
    slices = slices_by_segment(predictions, levels, n_draws=n_draws, seed=seed)
    rows = predictions.applicants
    names = level_names(levels[rows])
    members = [rows[names == one.name] for one in slices]
    approved = [predictions.probability[part] <= cutoff for part in members]
    rates = np.array([part.mean() if len(part) else np.nan for part in approved])
    large = [i for i, part in enumerate(approved) if len(part) >= _LEAST_REFERENCE] or list(range(len(approved)))
    best = max(large, key=lambda i: rates[i])
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [rng.binomial(len(part), rate, n_draws) / len(part) for part, rate in zip(approved, rates, strict=True)]
    )
    impact = drawn / np.maximum(drawn[best], 1e-12)
    impact[best] = 1.0
    ratios = rates / rates[best] if rates[best] else np.ones(len(rates))
    return tuple(
        _treatment(one, predictions.take(members[i]), approved[i], float(ratios[i]), interval(impact[i]), rng, n_draws)
        for i, one in enumerate(slices)
    )


def _treatment(
    one: Slice,
    rows: Predictions,
    approved: np.ndarray,
    impact: float,
    bounds: np.ndarray,
    rng: np.random.Generator,
    n_draws: int,
) -> SegmentTreatment:
    n, n_approved = len(approved), int(approved.sum())
    low, high = jeffreys_interval(n_approved, n)
    known = ~np.isnan(rows.y)
    y, p = rows.y[known], rows.probability[known]
    ratios = (float("nan"), float("nan"))
    if y.sum():
        places = [rng.integers(0, len(y), len(y)) for _ in range(n_draws)]
        found = interval(np.array([y[i].sum() / p[i].sum() for i in places]))
        ratios = (float(found[0]), float(found[1]))
    return SegmentTreatment(
        one, n, n_approved, n_approved / n, low, high, impact, float(bounds[0]), float(bounds[1]), *ratios
    )
