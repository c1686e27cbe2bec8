"""First bins of a card: of the features that tell most, by OptBinning, or fine ones joined where they weigh alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import CharacteristicBins
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import Direction
from automl.scorecard.joint_classing import join_alike, looked_at
from automl.scorecard.reshaping import pool_violators, round_edges
from automl.scorecard.spec import ScorecardSpec
from features.binning import FeatureBins, fit_bins, woe_table

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["fit_classing", "fit_joined_classing", "with_round_edges"]

_RANKED_ROWS, _RANKED_OF_A_CLASS = 20_000, 500
_LEAST_BINNED = 2
_FINE_BINS, _LEAST_OF_A_FINE_BIN, _BADS_PER_FINE_BIN = 32, 10, 2.5
_LOOKED_AT = 200
"""Features that the weights of all bins are fitted of together, to choose among them."""
_LARGEST = 1e38
"""Beyond it OptBinning's trees, which work in float32, refuse a number; for the fit it is cut there."""


def fit_classing(
    data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, *, start: Mapping[str, FeatureBins] | None = None,
    only: tuple[str, ...] | None = None, control: FitControl | None = None, most: int | None = None,
) -> Classing:  # fmt: skip
    """Fit the bins of the features that tell most, special codes apart, and merge what contradicts its direction.

    Quantile bins rank the features; OptBinning cuts twice as many as the card may hold, or the first `most` of these,
    or those named in `only`. Once the control is over, those cut so far are kept. For weights fitted together see
    `fit_joined_classing`.
    """
    control = control or FitControl()
    if spec.weights != "evidence":
        return fit_joined_classing(data, plan, spec, only=only, control=control)[0]
    directions = spec.suggestions(plan)
    wanted = list(only) if only is not None else _ranked(data, plan, spec, control)[: 2 * spec.max_characteristics]
    wanted = wanted[:most]
    bins: list[CharacteristicBins] = []
    for alias in wanted:
        control.check()
        if only is None and most is None and len(bins) >= _LEAST_BINNED and control.is_over():
            break
        empty = _empty(plan, alias, spec)
        found = _optimal(empty, data, spec, None if empty.specials else (start or {}).get(alias))
        direction = directions[alias].direction if alias in directions else None
        bins.append(_directed(found, direction, data))
    return Classing(tuple(bins), {alias: item for alias, item in directions.items() if alias in wanted})


def with_round_edges(
    classing: Classing, data: ClassingData, spec: ScorecardSpec, most_moved: float = 0.001
) -> Classing:
    """Return the bins cut at numbers of fewer digits where at most `most_moved` of the rows change their bin."""
    bins = tuple(round_edges(item, data.column(item.alias), most_moved) for item in classing.bins)
    if spec.weights == "evidence":
        bins = tuple(_directed(item, classing.direction(item.alias), data) for item in bins)
    return replace(classing, bins=bins)


def fit_joined_classing(
    data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, *, only: tuple[str, ...] | None = None,
    control: FitControl | None = None,
) -> tuple[Classing, int]:  # fmt: skip
    """Fit bins for weights that are fitted together, and return them with the rounds of boosting that were made.

    Numbers are cut at quantiles and levels that are not rare kept apart, without a look at the outcome; boosting weighs
    these fine bins, twice as many characteristics as the card may hold are kept, or those named in `only`, and bins
    that weigh alike are joined. Fewer rounds than `spec` says are made where the control is over before.
    """
    control = control or FitControl()
    rows = looked_at(data.y)
    n_rarer = max(float(min(data.y[rows].sum(), (1 - data.y[rows]).sum())), 1.0)
    least = max(_LEAST_OF_A_FINE_BIN / len(rows), _BADS_PER_FINE_BIN / n_rarer)
    wanted = list(only) if only is not None else _likeliest(data, plan, spec, control)
    fine = []
    for alias in wanted:
        control.check()
        empty = _empty(plan, alias, spec)
        x = _plain_values(data.column(alias)[rows], empty)
        most = int(np.clip(1 / least, 2, _FINE_BINS))
        bins = fit_bins(x, None, empty.kind, max_bins=most, min_share=least, alias=alias, levels=empty.levels)
        fine.append(replace(empty, bins=replace(bins, edges=_short_edges(bins.edges, x), labels=())))
    return join_alike(
        fine, data, {alias: way for alias, way in spec.suggestions(plan).items() if alias in wanted},
        rounds=spec.rounds, most=None if only is not None else 2 * spec.max_characteristics, max_bins=spec.max_bins,
        least_step=0.5 / spec.points_per_log_odds, control=control,
    )  # fmt: skip


def _likeliest(data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, control: FitControl) -> list[str]:
    """Return all features, or of very many the strongest."""
    aliases = [item.alias for item in plan.definitions]
    return aliases if len(aliases) <= _LOOKED_AT else _ranked(data, plan, spec, control)[:_LOOKED_AT]


def _ranked(data: ClassingData, plan: "FeaturePlan", spec: ScorecardSpec, control: FitControl) -> list[str]:
    """Return the features by falling information value on quantile bins of some rows, special codes left out."""
    rough = {}
    n_rarer = int(min(data.y.sum(), (1 - data.y).sum()))
    step = max(min(len(data.y) // _RANKED_ROWS, n_rarer // _RANKED_OF_A_CLASS), 1)
    for item in plan.definitions:
        control.check()
        x = _plain_values(data.column(item.alias)[::step], _empty(plan, item.alias, spec))
        levels = plan.levels.get(item.alias, ())
        rough[item.alias] = woe_table(fit_bins(x, kind=item.kind, levels=levels), x, data.y[::step]).information_value
    return sorted(rough, key=lambda alias: -rough[alias])


def _empty(plan: "FeaturePlan", alias: str, spec: ScorecardSpec) -> CharacteristicBins:
    """Return one plain bin, with the special codes apart."""
    item = plan.definition(alias)
    levels = plan.levels.get(alias, ())
    codes = (0,) * (len(levels) + 1) if item.kind == "category" else ()
    bins = FeatureBins(alias, item.kind, code_bins=codes)
    return CharacteristicBins(
        bins,
        spec.specials(alias, item.kind),
        levels,
        dict(item.names),
        level_names=plan.level_names.get(alias, {}),
        unit=plan.units.get(alias, ""),
    )


def _optimal(
    empty: CharacteristicBins, data: ClassingData, spec: ScorecardSpec, start: FeatureBins | None
) -> CharacteristicBins:
    if start is None or start.missing_bin > spec.max_bins:
        x = _plain_values(data.column(empty.alias), empty)
        start = fit_bins(
            x, data.y, empty.kind, max_bins=spec.max_bins, min_share=spec.min_share, alias=empty.alias,
            levels=empty.levels,
        )  # fmt: skip
        start = replace(start, edges=_short_edges(start.edges, x))
    return replace(empty, bins=replace(start, labels=()))


def _short_edges(edges: tuple[float, ...], x: np.ndarray) -> tuple[float, ...]:
    """Return edges of the fewest digits that cut the values `x` where the given ones do."""
    values = np.unique(x[np.isfinite(x)])
    positions = np.searchsorted(values, edges)
    return tuple(
        _short_number(float(values[at - 1]), float(values[at])) if 0 < at < len(values) else edge
        for at, edge in zip(positions, edges, strict=True)
    )


def _short_number(low: float, high: float) -> float:
    """Return a number of few digits above `low` and not above `high`, near their middle.

    Examples
    --------
    >>> _short_number(1 / 12, 1 / 6), _short_number(2.0, 3.0), _short_number(40_000.0, 50_000.0)
    (0.1, 2.5, 45000.0)
    """
    middle = low / 2 + high / 2
    for digits in range(1, 17):
        number = float(f"{middle:.{digits}g}")
        if low < number <= high:
            return number
    return high


def _plain_values(x: np.ndarray, bins: CharacteristicBins) -> np.ndarray:
    """Return the values with special codes made null, and cut where the fit would refuse them."""
    plain = np.where(bins.is_special(x), np.nan, x) if bins.specials else x
    return np.clip(plain, -_LARGEST, _LARGEST)


def _directed(bins: CharacteristicBins, direction: Direction | None, data: ClassingData) -> CharacteristicBins:
    return pool_violators(data.table(bins), direction) if direction and bins.kind == "number" else bins
