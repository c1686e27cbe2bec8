"""Which way risk must run along a feature: a small business dictionary, overrides, and what contradicts them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from automl.scorecard.bins import BinTable
from automl.scorecard.card import Scorecard
from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import percent

if TYPE_CHECKING:
    from features.definitions import FeatureDefinition
    from features.plan import FeaturePlan

__all__ = [
    "DEFAULT_RULES", "Direction", "DirectionRule", "Suggestion", "card_violations", "constraints", "data_violations",
    "given_directions", "learn_directions", "least_steps", "rises_against", "suggest_directions",
]  # fmt: skip

Direction = Literal["rising", "falling"]
"""How the bad rate runs as the value grows."""

_ORDERED: Final = frozenset(
    {
        "identity", "sum", "mean", "median", "max", "min", "first", "last", "trend",
        "any", "all", "percent_true", "longest_streak", "current_streak",
    }
)  # fmt: skip
_AGES: Final = frozenset({"time_since_last", "days_since"})
_SIGNIFICANT_Z: Final = 1.96
_LEAST_BINS: Final = 3
_OPPOSITE: Final[Mapping[Direction, Direction]] = {"rising": "falling", "falling": "rising"}


@dataclass(frozen=True)
class DirectionRule:
    """Names that give a direction.

    Parameters
    ----------
    code : str
        Stable name of the rule.
    pattern : str
        Regular expression, searched in the name of the column (of the table where rows are counted) and in the
        readable names, whatever the case.
    direction : {"rising", "falling"}
        How the bad rate runs as the value grows.
    title : mapping of str to str
        What the rule says, ``en`` and ``zh``.
    """

    code: str
    pattern: str
    direction: Direction
    title: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigurationError(
                msg("{pattern} is no regular expression: {problem}", pattern=repr(self.pattern), problem=str(error)),
                where=self.code,
            ) from error

    def matches(self, names: Sequence[str]) -> bool:
        """Whether one of `names` holds the pattern."""
        return any(re.search(self.pattern, name, re.IGNORECASE) for name in names)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON values; ``DirectionRule(**data)`` reads it back."""
        return {"code": self.code, "pattern": self.pattern, "direction": self.direction, "title": dict(self.title)}


def _read_dictionary() -> tuple[DirectionRule, ...]:
    import yaml

    entries = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return tuple(
        DirectionRule(entry["code"], "|".join(entry["words"]), entry["direction"], entry["title"]) for entry in entries
    )


DEFAULT_RULES: Final = _read_dictionary()
"""More overdue, queries, liabilities is never better; more profit, more growth of sales never worse."""


@dataclass(frozen=True)
class Suggestion:
    """The direction of one feature.

    Parameters
    ----------
    alias : str
        The feature.
    direction : {"rising", "falling"} or None
        How the bad rate must run; None where a person said it may run as it likes.
    rules : tuple of str
        Codes of the rules behind it; empty where there are none.
    is_learnt : bool, default=False
        Whether it is only what the data show, for a person to confirm.
    """

    alias: str
    direction: Direction | None
    rules: tuple[str, ...] = ()
    is_learnt: bool = False

    @property
    def reason(self) -> Message:
        """Where the direction comes from."""
        if self.is_learnt:
            return msg("the bad rate runs this way on the training rows")
        if not self.rules:
            return msg("set by hand")
        return msg("business dictionary: {rules}", rules=", ".join(self.rules))

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as JSON values."""
        return {
            "alias": self.alias,
            "direction": self.direction,
            "rules": list(self.rules),
            "is_learnt": self.is_learnt,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Suggestion":
        """Read what `to_json` wrote."""
        return cls(data["alias"], data["direction"], tuple(data["rules"]), data["is_learnt"])


def suggest_directions(
    plan: "FeaturePlan",
    rules: Sequence[DirectionRule] = DEFAULT_RULES,
    overrides: Mapping[str, Direction | None] | None = None,
) -> dict[str, Suggestion]:
    """Return the direction of each feature that has one.

    A count speaks for its table, a count of rows above a limit for the column that has it, any other number for its
    column; time since is the other way round. Deviations, numbers of different values, calendar parts, ratios, other
    conditions and aggregations of aggregations have none, nor has what rules contradict each other about.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    rules : sequence of DirectionRule
        The dictionary.
    overrides : mapping of str to {"rising", "falling"} or None
        By alias, before any rule.

    Raises
    ------
    ConfigurationError
        An override names a feature that is not in the plan, or that has no order.
    """
    overrides = overrides or {}
    _check_overrides(plan, overrides)
    found = {item.alias: _suggest(item, rules) for item in plan.definitions}
    suggestions = {alias: one for alias, one in found.items() if one is not None}
    return suggestions | {alias: Suggestion(alias, direction) for alias, direction in overrides.items()}


def given_directions(plan: "FeaturePlan", given: Mapping[str, int]) -> tuple[dict[str, Direction | None], list[str]]:
    """Return the directions a project gives, by alias, and the names that mean no feature of the plan.

    Parameters
    ----------
    plan : FeaturePlan
        The features.
    given : mapping of str to {1, -1, 0}
        By alias, by column or by ``table.column``; 1 is rising risk, -1 falling, 0 lets it run. A column speaks for
        its amounts, as the dictionary does, and time since is the other way round; an alias goes before a column.
    """
    words: dict[int, Direction | None] = {1: "rising", -1: "falling", 0: None}
    found: dict[str, Direction | None] = {}
    unused = []
    for name, sign in sorted(given.items(), key=lambda pair: pair[0] in plan.positions):
        if name in plan.positions:
            found[name] = words[sign]
            continue
        items = [item for item in plan.definitions if _is_amount(item) and name in _columns(item)]
        for item in items:
            way = words[sign]
            found[item.alias] = _OPPOSITE[way] if way and item.primitive in _AGES else way
        unused += [] if items else [name]
    return found, unused


def learn_directions(tables: Sequence[BinTable], known: Mapping[str, Suggestion]) -> dict[str, Suggestion]:
    """Return what the bad rates of numbers without a direction show: those that run one way over three bins or more.

    The smallest step must be more than two-sided chance explains at 5 %. Such a direction is a suggestion: it says how
    the training rows run, not how the business runs.
    """
    found = {}
    for table in tables:
        held = [index for index in range(table.bins.n_plain) if table.n[index]]
        steps = np.sign(np.diff(table.bad_rate[held]))
        is_clear = all(_z(table, low, high) > _SIGNIFICANT_Z for low, high in pairwise(held))
        if table.bins.kind == "category" or table.bins.alias in known or len(held) < _LEAST_BINS or not is_clear:
            continue
        if abs(steps.sum()) == len(steps):
            direction: Direction = "rising" if steps[0] > 0 else "falling"
            found[table.bins.alias] = Suggestion(table.bins.alias, direction, is_learnt=True)
    return found


def constraints(plan: "FeaturePlan", directions: Mapping[str, Suggestion]) -> list[int]:
    """Return 1 (risk rises), -1 (falls) or 0 per feature of the plan, as boosted trees take monotone constraints."""
    signs = {"rising": 1, "falling": -1, None: 0}
    return [signs[directions[alias].direction] if alias in directions else 0 for alias in plan.aliases]


def rises_against(direction: Direction, before: float, after: float) -> bool:
    """Whether a bad rate that goes from `before` to `after` as the value grows runs against `direction`."""
    return after < before if direction == "rising" else after > before


def data_violations(tables: Sequence[BinTable], directions: Mapping[str, Suggestion]) -> list[Finding]:
    """Return where bad rates of neighbouring bins run against the direction of their feature.

    A step that two-sided chance explains at 5 % (two proportions, pooled) is to know; a larger one is to look at.
    """
    return [finding for table in tables for finding in _table_violations(table, directions)]


def least_steps(card: Scorecard, alias: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest step of points, in units, from each plain bin of a number to the next.

    Of a characteristic that is crossed with others, over all bins of the others: a step that no bin turns over.
    """
    item = card.characteristic(alias)
    low = np.diff(np.array(item.units[: item.bins.n_plain], dtype=np.int64))
    high = low.copy()
    for pair in card.pairs:
        if alias in pair.aliases:
            cells = pair.cells() if alias == pair.first else pair.cells().T
            steps = np.diff(cells[: item.bins.n_plain], axis=0)
            low, high = low + steps.min(axis=1), high + steps.max(axis=1)
    return low, high


def card_violations(card: Scorecard, directions: Mapping[str, Suggestion]) -> list[Finding]:
    """Return where points of neighbouring bins run against the direction of their feature, cells of pairs included."""
    findings = [*_turned_over(card, directions)]
    for item in card.characteristics:
        direction = directions[item.alias].direction if item.alias in directions else None
        if direction is None or item.bins.kind == "category":
            continue
        for index in range(item.bins.n_plain - 1):
            risk = [-item.units[index], -item.units[index + 1]]
            if rises_against(direction, *risk):
                text = msg(
                    "the points go from {before} to {after} between {low} and {high}, against the direction "
                    "of the business",
                    before=card.points(item.units[index]),
                    after=card.points(item.units[index + 1]), low=item.bins.label(index),
                    high=item.bins.label(index + 1),
                )  # fmt: skip
                findings.append(Finding("points_against_direction", Severity.BAD, text, item.alias, _fix()))
    return findings


def _turned_over(card: Scorecard, directions: Mapping[str, Suggestion]) -> list[Finding]:
    """Tell of bins of other characteristics, crossed with it, for which a characteristic runs against its direction."""
    findings = []
    for alias in dict.fromkeys(alias for pair in card.pairs for alias in pair.aliases):
        direction = directions[alias].direction if alias in directions else None
        if direction is None or card.characteristic(alias).bins.kind == "category":
            continue
        low, high = least_steps(card, alias)
        if (high > 0).any() if direction == "rising" else (low < 0).any():
            text = msg("crossed with other characteristics, the points run against the direction of the business")
            findings.append(Finding("pair_against_direction", Severity.BAD, text, alias, _pair_fix()))
    return findings


def _pair_fix() -> Message:
    return msg("Take the pair off the card, or set the direction for the feature.")


def _table_violations(table: BinTable, directions: Mapping[str, Suggestion]) -> list[Finding]:
    bins = table.bins
    direction = directions[bins.alias].direction if bins.alias in directions else None
    if direction is None or bins.kind == "category":
        return []
    held = [index for index in range(bins.n_plain) if table.n[index]]
    findings = []
    for low, high in pairwise(held):
        rates = float(table.bad_rate[low]), float(table.bad_rate[high])
        if rises_against(direction, *rates):
            severity = Severity.WATCH if _z(table, low, high) > _SIGNIFICANT_Z else Severity.INFO
            text = msg(
                "the bad rate goes from {before} to {after} between {low} and {high}, against the direction "
                "of the business",
                before=percent(rates[0]), after=percent(rates[1]), low=bins.label(low),
                high=bins.label(high),
            )  # fmt: skip
            findings.append(Finding("bad_rate_against_direction", severity, text, bins.alias, _fix()))
    return findings


def _fix() -> Message:
    return msg("Merge these bins, set the direction for the feature, or leave the feature out.")


def _z(table: BinTable, low: int, high: int) -> float:
    """Return the pooled two-proportion statistic of two bins, without its sign."""
    n = table.n[[low, high]]
    bad = np.array(table.bad)[[low, high]]
    pooled = bad.sum() / n.sum()
    error = np.sqrt(pooled * (1 - pooled) * (1 / n).sum())
    return float(abs(bad[0] / n[0] - bad[1] / n[1]) / error) if error else 0.0


def _suggest(item: "FeatureDefinition", rules: Sequence[DirectionRule]) -> Suggestion | None:
    if not _is_amount(item):
        return None
    matched = [rule for rule in rules if rule.matches(_names(item))]
    directions = {rule.direction for rule in matched}
    if len(directions) != 1:
        return None
    direction = directions.pop()
    turned = _OPPOSITE[direction] if item.primitive in _AGES else direction
    return Suggestion(item.alias, turned, tuple(rule.code for rule in matched))


def _is_amount(item: "FeatureDefinition") -> bool:
    """Whether the feature grows with what its column or table counts."""
    is_simple = item.second is None and item.against is None and not item.stack and item.peers is None
    return item.kind != "category" and is_simple and item.primitive in _ORDERED | _AGES | {"count"}


def _columns(item: "FeatureDefinition") -> list[str]:
    """Return what a project may call the column or the table that the feature is an amount of."""
    names = _names(item)[:1]
    table = item.path[-1].table if item.path else ""
    return [*names, *(f"{table}.{name}" for name in names if item.column is not None)]


def _names(item: "FeatureDefinition") -> list[str]:
    """Return what the value is an amount of: its column with the readable names, or the table whose rows count."""
    if item.where is not None:
        is_above = item.column is None and item.where.op in (">", ">=")
        return [item.where.column] if is_above else []
    if item.column is not None:
        readable = list(item.names.values()) if not item.path else []
        return [item.column, *readable]
    return [item.path[-1].table] if item.path else []


def _check_overrides(plan: "FeaturePlan", overrides: Mapping[str, Direction | None]) -> None:
    for alias, direction in overrides.items():
        if alias not in plan.positions or plan.definition(alias).kind == "category":
            raise ConfigurationError(msg("only a number of the plan can have a direction"), where=alias)
        if direction not in ("rising", "falling", None):
            raise ConfigurationError(
                msg("a direction is rising, falling or none, not {direction}", direction=repr(direction)), where=alias
            )
