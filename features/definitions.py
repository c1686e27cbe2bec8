"""What a feature is: a path from the root table, a column, a primitive and a window; readable without any framework."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final, Literal

from core.errors import ConfigurationError
from core.i18n import msg

__all__ = [
    "AGGREGATIONS",
    "ROW_PRIMITIVES",
    "FeatureDefinition",
    "PathStep",
    "Window",
    "make_alias",
    "parse_window",
]

FeatureKind = Literal["number", "category"]
Liveness = Literal["self", "reference", "network"]

AGGREGATIONS: Final = (
    "count", "sum", "mean", "max", "time_since_last", "num_unique", "std", "min", "last", "mode",
)  # fmt: skip
ROW_PRIMITIVES: Final = ("identity", "month", "weekday", "days_since")

_MAX_ALIAS = 120
_ALIAS = re.compile(r"[A-Za-z0-9_]+")
_WINDOW = re.compile(r"([1-9][0-9]{0,3})([dmy])")


@dataclass(frozen=True)
class Window:
    """A stretch of time that ends just before the cutoff.

    Days are 24 hours. Months are calendar months: six months before 31 August is the last day of February, at the same
    time of day (as in `dateutil.relativedelta` and Featuretools).

    Examples
    --------
    >>> parse_window("6m").months, parse_window("90d").days
    (6, 90)
    """

    days: int = 0
    months: int = 0

    @property
    def shortest_days(self) -> float:
        """Fewest days the window can span."""
        return self.days + self.months * 28.0 if self.months < 12 else self.days + self.months * 30.41

    @property
    def longest_days(self) -> float:
        """Most days the window can span."""
        return self.days + min(self.months * 31.0, self.months * 30.44 + 4)


@cache
def parse_window(text: str) -> Window:
    """Read ``"30d"``, ``"6m"`` or ``"2y"``.

    Raises
    ------
    ConfigurationError
        The text is not a number from 1 to 9999 followed by d, m or y.
    """
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            msg("a window is a number of days, months or years such as 30d, 6m or 2y, not {text}", text=repr(text))
        )
    number, unit = int(match[1]), match[2]
    if unit == "d":
        return Window(days=number)
    return Window(months=number * (12 if unit == "y" else 1))


@dataclass(frozen=True)
class PathStep:
    """One step along a relationship.

    Parameters
    ----------
    direction : {"up", "down"}
        ``"up"`` leads to the parent (many to one), ``"down"`` to the children (one to many).
    table : str
        Table the step leads to.
    child_column, parent_column : str
        The two ends of the relationship.
    """

    direction: Literal["up", "down"]
    table: str
    child_column: str
    parent_column: str


@dataclass(frozen=True)
class FeatureDefinition:
    """One feature of the root table's rows.

    Parameters
    ----------
    id : str
        Canonical text of path, column, primitive and window; the same definition always has the same id.
    alias : str
        Name for models: only ``[A-Za-z0-9_]``, at most 120 characters, unique in a plan.
    names : mapping of str to str
        Readable name per language, ``en`` and ``zh``.
    kind : {"number", "category"}
        Whether values are numbers, or codes of the levels frozen in the plan.
    path : tuple of PathStep
        From the root: steps up, then steps down. An aggregation ends with a step down.
    column : str or None
        Column of the last table; None for ``count`` and ``time_since_last``.
    primitive : str
        One of `AGGREGATIONS` where the path leads down, else of `ROW_PRIMITIVES`.
    window : str or None
        Window of event time, such as ``"6m"``; None for all of the history.
    liveness : {"self", "reference", "network"}
        Where a live score gets it from: the entity's own rows, a dated snapshot, or counterparties.
    """

    id: str
    alias: str
    names: Mapping[str, str]
    kind: FeatureKind
    path: tuple[PathStep, ...]
    column: str | None
    primitive: str
    window: str | None = None
    liveness: Liveness = "self"

    @classmethod
    def create(
        cls,
        path: tuple[PathStep, ...],
        column: str | None,
        primitive: str,
        *,
        kind: FeatureKind = "number",
        window: str | None = None,
        names: Mapping[str, str] | None = None,
        liveness: Liveness = "self",
    ) -> "FeatureDefinition":
        """Build a definition with its id and alias; without `names` the id serves as name.

        Examples
        --------
        >>> step = PathStep("down", "vat_monthly", "ent_id", "ent_id")
        >>> FeatureDefinition.create((step,), "sales", "sum", window="6m").alias
        'vat_monthly__sales__sum__6m'
        """
        if window is not None:
            parse_window(window)
        identifier = _identifier(path, column, primitive, window)
        alias = make_alias(identifier, _alias_parts(path, column, primitive, window))
        names = dict(names) if names else {"en": identifier, "zh": identifier}
        return cls(identifier, alias, names, kind, path, column, primitive, window, liveness)

    @property
    def is_aggregation(self) -> bool:
        """Whether the value is reduced from many rows."""
        return bool(self.path) and self.path[-1].direction == "down"

    @property
    def steps_up(self) -> tuple[PathStep, ...]:
        """The steps to parents, which come first."""
        return tuple(step for step in self.path if step.direction == "up")

    @property
    def steps_down(self) -> tuple[PathStep, ...]:
        """The steps to children, which come last."""
        return tuple(step for step in self.path if step.direction == "down")

    def name(self, language: str = "en") -> str:
        """Return the readable name in `language`, in English where there is none."""
        return self.names.get(language) or self.names.get("en") or self.alias

    def to_json(self) -> dict[str, Any]:
        """Return the definition as JSON values."""
        return {**asdict(self), "names": dict(self.names), "path": [asdict(step) for step in self.path]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FeatureDefinition":
        """Read what `to_json` wrote."""
        return cls(**{**data, "path": tuple(PathStep(**step) for step in data["path"])})


def make_alias(identifier: str, parts: list[str]) -> str:
    """Join `parts` by two underscores; where that loses something, end with eight digits of the identifier's hash.

    Examples
    --------
    >>> make_alias("amount", ["amount"])
    'amount'
    >>> make_alias("金额", ["金额"]).startswith("x_")
    True
    """
    clean = [re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in parts]
    alias = "__".join(clean)
    is_faithful = clean == parts and not any("__" in part for part in parts) and len(alias) <= _MAX_ALIAS
    if is_faithful and _ALIAS.fullmatch(alias):
        return alias
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:8]
    stem = "__".join(part for part in clean if part)[: _MAX_ALIAS - 9].rstrip("_")
    return f"{stem or 'x'}_{digest}"


def _identifier(path: tuple[PathStep, ...], column: str | None, primitive: str, window: str | None) -> str:
    arrows = {"up": ">", "down": "<"}
    walk = "".join(f"{arrows[step.direction]}{step.table}[{step.child_column}={step.parent_column}]" for step in path)
    return f"{walk}:{primitive}({column or ''}){'' if window is None else '@' + window}"


def _alias_parts(path: tuple[PathStep, ...], column: str | None, primitive: str, window: str | None) -> list[str]:
    parts = [
        step.table if step.child_column == step.parent_column else f"{step.table}_by_{step.child_column}"
        for step in path
    ]
    optional = [column, None if primitive == "identity" else primitive, window]
    return parts + [part for part in optional if part is not None]
