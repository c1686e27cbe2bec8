"""Where bins are cut: at quantiles, by frequency, or where OptBinning finds most information."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import msg

if TYPE_CHECKING:
    from features.definitions import FeatureKind

__all__ = ["frequent_groups", "optimal_splits", "quantile_edges"]

_MOST_PREBINS: Final = 20
_LEAST_ROWS_OF_A_LEVEL, _LEAST_BADS_OF_A_LEVEL = 30, 5
"""What a level must have, of the rarer outcome on average, to be sorted by its own bad rate."""


def quantile_edges(x: np.ndarray, max_bins: int) -> tuple[float, ...]:
    """Return inner edges at quantiles; a value repeated over a whole quantile gets its own bin."""
    finite = np.sort(x[np.isfinite(x)])
    if not finite.size or finite[0] == finite[-1]:
        return _own_bin(finite[0]) if finite.size else ()
    picked = finite[np.minimum((np.arange(1, max_bins) * finite.size) // max_bins, finite.size - 1)]
    values, repeats = np.unique(picked, return_counts=True)
    above = [edge for value, n in zip(values, repeats, strict=True) if n > 1 for edge in _own_bin(value)[1:]]
    below = [value for value in values if value > finite[0]]
    edges = sorted({*map(float, below), *map(float, above)})
    return tuple(edge for edge in edges if edge <= finite[-1])


def _own_bin(value: float) -> tuple[float, ...]:
    """Return the edges around `value` alone; the upper one is left out where no finite number lies above."""
    if value >= np.finfo(np.float64).max:
        return (float(value),)
    return float(value), float(np.nextafter(value, np.inf))


def frequent_groups(codes: np.ndarray, n_codes: int, min_share: float) -> list[list[int]]:
    """Return one group per level with at least `min_share` of the rows, and one for all the others."""
    counts = np.bincount(codes.astype(np.int64), minlength=n_codes)
    frequent = [code for code in range(n_codes - 1) if counts[code] and counts[code] >= min_share * codes.size]
    return [*([code] for code in frequent), [code for code in range(n_codes) if code not in frequent]]


def optimal_splits(
    x: np.ndarray, y: np.ndarray, kind: "FeatureKind", max_bins: int, min_share: float
) -> list[Any] | None:
    """Return the splits OptBinning finds, or None where there is nothing to split or it finds no solution.

    Bad rates of a number rise or fall from bin to bin, whichever explains more.
    """
    y = np.asarray(y)
    if y.shape != x.shape:
        raise InputError(msg("the outcome has {n_y} rows, the feature {n_x}", n_y=len(y), n_x=len(x)))
    known = np.isfinite(x) & np.isin(y, (0, 1))
    values, outcome = x[known], y[known].astype(np.int64)
    if np.unique(outcome).size < 2 or np.unique(values).size < 2:
        return None
    pooled, rare = (values, []) if kind == "number" else _rare_as_one(values, outcome)
    if len(np.unique(pooled)) < 2:
        return None
    from features.quiet_optbinning import OptimalBinning

    solver = OptimalBinning(
        dtype="numerical" if kind == "number" else "categorical",
        max_n_bins=max_bins,
        min_prebin_size=max(min_share, 5 / len(values)),
        monotonic_trend=_trend(values, outcome) if kind == "number" else None,
        max_n_prebins=_MOST_PREBINS,
        time_limit=10,
    )
    solver.fit(pooled if kind == "number" else pooled.astype(np.int64), outcome)
    if solver.status not in ("OPTIMAL", "FEASIBLE"):
        return None
    if not rare:
        return list(solver.splits)
    return [[*group, *rare[1:]] if rare[0] in list(group) else list(group) for group in solver.splits]


def _trend(values: np.ndarray, outcome: np.ndarray) -> str:
    """Return whether rising or falling bad rates explain more of `outcome`, on fine quantile bins.

    OptBinning's own choice, a decision tree over the shape of the rates, takes the wrong one now and then and is left
    with a single bin, where the other tells a great deal.
    """
    from scipy.optimize import isotonic_regression  # slow to import, and a service fits no bins
    from scipy.special import xlogy

    bins = np.searchsorted(np.array(quantile_edges(values, _MOST_PREBINS)), values, side="right")
    counts = np.bincount(bins)
    bad = np.bincount(bins, outcome, minlength=len(counts))[counts > 0]
    counts = counts[counts > 0]
    rising, falling = (
        isotonic_regression(bad / counts, weights=counts, increasing=is_rising).x for is_rising in (True, False)
    )
    likelihoods = [float((xlogy(bad, rates) + xlogy(counts - bad, 1 - rates)).sum()) for rates in (rising, falling)]
    return "ascending" if likelihoods[0] >= likelihoods[1] else "descending"


def _rare_as_one(codes: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the codes with rare levels made one, and these levels, the one that stands for all first.

    Sorted by their own bad rates, which chance makes, hundreds of rare levels would seem to tell a great deal.
    """
    found, counts = np.unique(codes.astype(np.int64), return_counts=True)
    rarer = min(outcome.mean(), 1 - outcome.mean())
    rare = [int(code) for code in found[counts < max(_LEAST_ROWS_OF_A_LEVEL, _LEAST_BADS_OF_A_LEVEL / rarer)]]
    if len(rare) < 2:
        return codes, []
    return np.where(np.isin(codes, rare), rare[0], codes), rare
