"""What a frozen bin holds, in words a person reads."""

import math
from itertools import pairwise

from core.i18n import MessageLike, Named, msg, render
from features.binning import FeatureBins
from features.plan import FeaturePlan

__all__ = ["bin_labels"]

_MAX_LENGTH = 60
_BETWEEN = {"en": ", ", "zh": "、"}
_LONGEST = 8  # digits after the point
_SHORTER = 4  # digits: neighbours of ordinary numbers differ by fewer in length


def bin_labels(bins: FeatureBins, plan: FeaturePlan | None = None) -> tuple[MessageLike, ...]:
    """Return one label per bin, the one for missing values last.

    Levels of a category are called as `plan` names them, where it does.

    Examples
    --------
    >>> [str(label) for label in bin_labels(FeatureBins("x", "number", (0.0, 5e-324, 1000.0)))]
    ['< 0', '0', '> 0, < 1,000', '≥ 1,000', 'missing']
    """
    known = _number_labels(bins.edges) if bins.kind == "number" else _level_labels(bins, plan)
    return (*known, msg("missing"))


def _number_labels(edges: tuple[float, ...]) -> list[MessageLike]:
    if not edges:
        return [msg("any value")]
    digits = _digits(edges)
    return [_range(low, high, digits) for low, high in pairwise([-math.inf, *edges, math.inf])]


def _range(low: float, high: float, digits: int) -> str:
    """Return the values from `low` (included) to `high` (excluded)."""
    if high == math.nextafter(low, math.inf):
        return _number(low, digits)
    below, above = _just_below(low), _just_below(high)
    start = f"≥ {_number(low, digits)}" if below is None else f"> {_number(below, digits)}"
    end = f"< {_number(high, digits)}" if above is None else f"≤ {_number(above, digits)}"
    return ", ".join(text for text, bound in ((start, low), (end, high)) if math.isfinite(bound))


def _just_below(edge: float) -> float | None:
    """Return the value that `edge` closes: the binning puts an edge one step above a value that fills a bin."""
    value = math.nextafter(edge, -math.inf)
    return value if value == 0 or len(repr(value)) + _SHORTER <= len(repr(edge)) else None


def _digits(edges: tuple[float, ...]) -> int:
    """Return how many significant digits tell the edges apart: three at the least."""
    shown = {edge if (value := _just_below(edge)) is None else value for edge in edges}
    enough = (digits for digits in range(3, 17) if len({_number(value, digits) for value in shown}) == len(shown))
    return next(enough, 17)


def _number(value: float, digits: int) -> str:
    magnitude = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    if not -_LONGEST < magnitude < 2 * _LONGEST:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:,.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def _level_labels(bins: FeatureBins, plan: FeaturePlan | None) -> list[MessageLike]:
    if plan is None or bins.alias not in plan.level_names:
        return [_level_label(label) for label in bins.labels[:-1]]
    return [_named_label(bins, plan, number) for number in range(bins.missing_bin)]


def _named_label(bins: FeatureBins, plan: FeaturePlan, number: int) -> MessageLike:
    """Return what the levels of one bin are called."""
    levels = plan.levels[bins.alias]
    codes = [code for code, bin_number in enumerate(bins.code_bins) if bin_number == number]
    known = [plan.named_level(bins.alias, levels[code]) for code in codes if code < len(levels)]
    if not known:
        return msg("other")
    texts = {
        language: _cut(between.join(str(render(level, language)) for level in known))
        for language, between in _BETWEEN.items()
    }
    named = Named(_cut(", ".join(levels[code] for code in codes if code < len(levels))), texts)
    return named if len(known) == len(codes) else msg("{levels} and others", levels=named)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH].rstrip(', 、')}…"


def _level_label(label: str) -> MessageLike:
    if label == "other":
        return msg("other")
    named = label.removesuffix(", other")
    short = _cut(named)
    return short if named == label else msg("{levels} and others", levels=short)
