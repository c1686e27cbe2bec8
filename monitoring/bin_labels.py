"""What a frozen bin holds, in words a person reads."""

import math
from itertools import pairwise

from core.i18n import MessageLike, msg
from features.binning import FeatureBins

__all__ = ["bin_labels"]

_MAX_LENGTH = 60


def bin_labels(bins: FeatureBins) -> tuple[MessageLike, ...]:
    """Return one label per bin, the one for missing values last.

    Examples
    --------
    >>> [str(label) for label in bin_labels(FeatureBins("x", "number", (0.0, 5e-324, 1000.0)))]
    ['< 0', '0', '> 0, < 1,000', '≥ 1,000', 'missing']
    """
    known = _number_labels(bins.edges) if bins.kind == "number" else _level_labels(bins)
    return (*known, msg("missing"))


def _number_labels(edges: tuple[float, ...]) -> list[MessageLike]:
    if not edges:
        return [msg("any value")]
    bounds = [-math.inf, *edges, math.inf]
    return [_range(low, high) for low, high in pairwise(bounds)]


def _range(low: float, high: float) -> str:
    """Return the values from `low` (included) to `high` (excluded)."""
    if high == math.nextafter(low, math.inf):
        return _number(low)
    below, above = _just_below(low), _just_below(high)
    start = f"≥ {_number(low)}" if below is None else f"> {_number(below)}"
    end = f"< {_number(high)}" if above is None else f"≤ {_number(above)}"
    return ", ".join(text for text, bound in ((start, low), (end, high)) if math.isfinite(bound))


def _just_below(edge: float) -> float | None:
    """Return the value that `edge` closes: the binning puts an edge one step above a value that fills a bin."""
    value = math.nextafter(edge, -math.inf)
    return value if len(repr(value)) < len(repr(edge)) else None


def _number(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.6g}"
    return text.replace("-", "−")


def _level_labels(bins: FeatureBins) -> list[MessageLike]:
    return [_level_label(label) for label in bins.labels[:-1]]


def _level_label(label: str) -> MessageLike:
    if label == "other":
        return msg("other")
    named = label.removesuffix(", other")
    short = named if len(named) <= _MAX_LENGTH else f"{named[:_MAX_LENGTH].rstrip(', ')}…"
    return short if named == label else msg("{levels} and others", levels=short)
