"""Variations of proposed features: under a condition, of two columns, of two windows, stacked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from features.definitions import Condition, FeatureDefinition, PathStep, Stage
from features.naming import FeatureNamer
from features.plan import sort_windows
from features.primitives.vocabulary import AGGREGATIONS
from features.spec import FeatureSpec, PairSpec
from warehouse.data_model import RATE_UNITS

if TYPE_CHECKING:
    from warehouse.data_model import ColumnSpec, DataModel, TableSpec
    from warehouse.table_set import TableSet

__all__ = ["has_time", "named", "usable_columns", "vary", "windows_of"]

Path = tuple[PathStep, ...]
Thought = tuple[Path, str | None, str]

_OF_RATIOS: Final = ("mean", "max", "last", "trend")
_OF_WEIGHTS: Final = ("largest_share", "herfindahl")
_COMPARED_WINDOWS: Final = ("count", "sum", "mean")
_STACKED_ON: Final = ("count", "sum", "max")
_NUMBERS: Final = ("number", "integer")
_TIMES: Final = ("date", "datetime")


def vary(
    table_set: "TableSet",
    root_table: str,
    paths: Sequence[Path],
    plain: Sequence[FeatureDefinition],
    deep: Sequence[Thought],
    spec: FeatureSpec,
) -> Iterator[FeatureDefinition]:
    """Yield the variations that the settings ask for, without readable names.

    Parameters
    ----------
    table_set : TableSet
        The data; its rows decide which levels are the most frequent.
    root_table : str
        Table of the feature rows.
    paths : sequence of tuple of PathStep
        Where proposed features lead.
    plain : sequence of FeatureDefinition
        The proposed features.
    deep : sequence of (tuple of PathStep, str or None, str)
        Path, column and primitive of what can be stacked on, detours to tables that can be reached sooner included.
    spec : FeatureSpec
        What the analyst chose.
    """
    model, levels = table_set.data_model, _FrequentLevels(table_set, spec)
    for path in paths:
        table = path[-1].table if path else root_table
        pairs = [pair for pair in spec.pairs if pair.table == table]
        if path and path[-1].direction == "down":
            yield from _conditioned(model, path, levels.conditions(table), spec)
            yield from (item for pair in pairs for item in _paired(model, path, pair, spec))
        else:
            yield from (_paired_in_row(model, path, pair) for pair in pairs)
    yield from _compared(plain, spec)
    yield from _stacked(deep, spec)


def named(namer: FeatureNamer, item: FeatureDefinition) -> FeatureDefinition:
    """Return the definition with its readable names."""
    return replace(item, names=namer.names(item))


def has_time(table: "TableSpec") -> bool:
    """Whether rows of the table have a time."""
    return table.event_time is not None or table.known_at is not None


def windows_of(spec: FeatureSpec) -> list[str | None]:
    """Return the windows of the settings, longest first."""
    return list(sort_windows(None if window == "all" else window for window in spec.windows)) or [None]


def usable_columns(model: "DataModel", table: str, spec: FeatureSpec) -> "dict[str, ColumnSpec]":
    """Return the columns of `table` that may become features."""
    linking = {link.child_column for link in model.parents_of(table)} | {
        link.parent_column for link in model.children_of(table)
    }
    ignored = set(spec.ignore.get(table, ())) | linking
    return {
        name: column
        for name, column in model.table(table).columns.items()
        if name not in ignored and column.role in ("feature", "event_time") and column.type not in ("id", "text")
    }


def _windows(model: "DataModel", path: Path, primitive: str, spec: FeatureSpec) -> list[str | None]:
    is_windowed = has_time(model.table(path[-1].table)) and AGGREGATIONS[primitive].is_windowed
    return windows_of(spec) if is_windowed else [None]


def _can(model: "DataModel", path: Path, primitive: str) -> bool:
    return has_time(model.table(path[-1].table)) or not AGGREGATIONS[primitive].needs_time


class _FrequentLevels:
    """The conditions on each table: those of the settings, and one for each of the most frequent levels."""

    def __init__(self, table_set: "TableSet", spec: FeatureSpec) -> None:
        self.table_set = table_set
        self.spec = spec

    def conditions(self, table: str) -> list[Condition]:
        """Return the conditions on the rows of `table`, each once."""
        given = [Condition(item.column, item.op, item.value) for item in self.spec.conditions if item.table == table]
        columns = (
            _columns(self.table_set.data_model, table, ("category",), self.spec) if self.spec.chosen_levels else []
        )
        return list(
            dict.fromkeys([*given, *(item for column in columns for item in self._most_frequent(table, column))])
        )

    def _most_frequent(self, table: str, column: str) -> list[Condition]:
        counts = self.table_set.frame(table)[column].value_counts()
        if len(counts) < 2:
            return []
        levels = sorted(counts.index, key=lambda level: (-counts[level], str(level)))
        return [Condition(column, "==", str(level)) for level in levels[: self.spec.chosen_levels]]


def _columns(model: "DataModel", table: str, types: tuple[str, ...], spec: FeatureSpec) -> list[str]:
    return [
        name
        for name, column in model.table(table).columns.items()
        if column.role == "feature" and column.type in types and name not in spec.ignore.get(table, ())
    ]


def _summable(model: "DataModel", table: str, primitive: str, spec: FeatureSpec) -> list[str]:
    """Return the numbers that a primitive makes sense of: shares and rates add up to nothing."""
    units = {name: column.unit for name, column in model.table(table).columns.items()}
    numbers = _columns(model, table, _NUMBERS, spec)
    return [name for name in numbers if primitive != "sum" or units[name] not in RATE_UNITS]


def _conditioned(
    model: "DataModel", path: Path, conditions: list[Condition], spec: FeatureSpec
) -> Iterator[FeatureDefinition]:
    """Yield features of the rows under each condition, and how long it has held on end."""
    testing = [name for name in spec.chosen if name in AGGREGATIONS and AGGREGATIONS[name].tests_condition]
    for condition in conditions:
        for name in (*spec.where_primitives, *testing):
            if name not in AGGREGATIONS or not _can(model, path, name):
                continue
            columns: list[str | None] = [None] if "rows" in AGGREGATIONS[name].reads else []
            if name not in testing and "number" in AGGREGATIONS[name].reads:
                columns += _summable(model, path[-1].table, name, spec)
            for column in columns:
                for window in _windows(model, path, name, spec):
                    if column != condition.column:
                        yield FeatureDefinition.create(path, column, name, window=window, where=condition)


def _paired(model: "DataModel", path: Path, pair: PairSpec, spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    is_category = model.table(pair.table).column(pair.column).type == "category"
    for name in _OF_WEIGHTS if is_category else _OF_RATIOS:
        if _can(model, path, name) and model.table(pair.table).column(pair.second).type in _NUMBERS:
            for window in _windows(model, path, name, spec):
                yield FeatureDefinition.create(path, pair.column, name, window=window, second=pair.second)


def _paired_in_row(model: "DataModel", path: Path, pair: PairSpec) -> FeatureDefinition:
    is_time = model.table(pair.table).column(pair.column).type in _TIMES
    return FeatureDefinition.create(path, pair.column, "days_between" if is_time else "ratio", second=pair.second)


def _compared(plain: Sequence[FeatureDefinition], spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield count, sum and mean of one window over those of another."""
    alike = {(item.path, item.column, item.primitive): item for item in plain if item.window is not None}
    for item in alike.values():
        if item.primitive in _COMPARED_WINDOWS:
            for window, whole in spec.chosen_ratios:
                yield FeatureDefinition.create(item.path, item.column, item.primitive, window=window, against=whole)


def _stacked(deep: Sequence[Thought], spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield aggregations over what is aggregated below each row that the last step but one leads to."""
    for path, column, primitive in deep:
        steps = sum(step.direction == "down" for step in path) - 1
        if primitive in _STACKED_ON and primitive in spec.chosen:
            for name in spec.chosen_stack:
                yield FeatureDefinition.create(path, column, primitive, stack=(Stage(name, steps=steps),))
