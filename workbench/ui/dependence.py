"""A dependence cloud made into what is drawn: a smoothed curve with its band, or one bar per level."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.i18n import render
from workbench.ui.texts import language

if TYPE_CHECKING:
    from automl.explanation import Dependence
    from features.plan import FeaturePlan

__all__ = ["Curve", "levels_of", "smoothed"]

_GROUPS = 24


@dataclass(frozen=True)
class Curve:
    """Mean contribution near rising values, with the band from the 10th to the 90th percentile and the cases there."""

    values: list[float]
    means: list[float]
    low: list[float]
    high: list[float]
    counts: list[int]


def smoothed(cloud: "Dependence", n_groups: int = _GROUPS) -> Curve:
    """Return the curve of a number feature: points grouped by equal counts, equal values kept together."""
    values = np.array([np.nan if value is None else value for value in cloud.values])
    effects = np.array(cloud.contributions)
    known = ~np.isnan(values)
    values, effects = values[known], effects[known]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_groups + 1)[1:-1])) if len(values) else values
    groups = np.searchsorted(edges, values, side="left")
    parts = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    return Curve(
        values=[float(np.median(values[part])) for part in parts],
        means=[float(effects[part].mean()) for part in parts],
        low=[float(np.quantile(effects[part], 0.1)) for part in parts],
        high=[float(np.quantile(effects[part], 0.9)) for part in parts],
        counts=[len(part) for part in parts],
    )


def levels_of(
    cloud: "Dependence", plan: "FeaturePlan", missing: str, other: str
) -> tuple[list[str], list[float], list[int]]:
    """Return level names, mean contributions and case counts of a category feature."""
    levels = [render(plan.named_level(cloud.alias, level), language()) for level in plan.levels.get(cloud.alias, ())]
    effects = np.array(cloud.contributions)
    codes = np.array([-1 if value is None else int(value) for value in cloud.values])
    present = np.unique(codes)
    names = [missing if code < 0 else (str(levels[code]) if code < len(levels) else other) for code in present]
    means = [float(effects[codes == code].mean()) for code in present]
    return names, means, [int((codes == code).sum()) for code in present]
