"""Proposing what lies across link tables: attributes of what they lead to, and aggregates of counterparties."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from features.definitions import FeatureDefinition, FeatureKind, PathStep, Stage
from features.primitives.vocabulary import AGGREGATIONS
from features.spec import FeatureSpec
from features.variations import has_time, usable_columns, windows_of

if TYPE_CHECKING:
    from warehouse.data_model import DataModel

__all__ = ["cross_links"]

Path = tuple[PathStep, ...]

_OF_NUMBERS: Final = ("mean", "sum", "max")
_OF_TYPES: Final = {
    "number": _OF_NUMBERS, "integer": _OF_NUMBERS, "boolean": ("percent_true",), "category": ("num_unique", "mode"),
}  # fmt: skip
_OF_TIMES: Final = ("max", "min")  # the oldest and the youngest
_MOST_PER_PATH: Final = 24


def cross_links(
    model: "DataModel", root_table: str, ways: list[Path], below: dict[str, list[str]], spec: FeatureSpec
) -> Iterator[FeatureDefinition]:
    """Yield features across the link tables right below the root and the entity, without readable names.

    A link table leads from its rows to another parent: to one that lies neither below the entity nor on the way to it,
    or back to other entities of the same kind. At most 24 features of each path.

    Parameters
    ----------
    model : DataModel
        The tables.
    root_table : str
        Table of the feature rows; never a link table itself.
    ways : list of tuple of PathStep
        The ways up to the tables at whose children to look.
    below : dict of str to list of str
        Each of these tables, and all tables below it.
    spec : FeatureSpec
        What the analyst chose.
    """
    passed = {root_table, *(step.table for way in ways for step in way)}
    for way in ways:
        top = way[-1].table if way else root_table
        for path in _crossings(model, root_table, way, top, {*below[top], *passed}, spec):
            is_back = path[-1].table == top
            if spec.chosen_counterparties or (spec.links and not is_back):
                yield from islice(_attributes(model, path, spec), _MOST_PER_PATH)
            if spec.chosen_counterparties:
                for child in _children(model, path, top, spec):
                    yield from islice(_aggregates(model, path, child, spec), _MOST_PER_PATH)


def _crossings(
    model: "DataModel", root_table: str, way: Path, top: str, own: set[str], spec: FeatureSpec
) -> Iterator[Path]:
    """Yield the paths down to a link table and up on its other side, not to tables that are the root's own anyway."""
    for link in model.children_of(top):
        if link.child in (root_table, top) or not spec.allows(link.child):
            continue
        down = PathStep("down", link.child, link.child_column, link.parent_column)
        for other in model.parents_of(link.child):
            is_back = other.parent == top and other.child_column != link.child_column
            if spec.allows(other.parent) and (is_back or other.parent not in own):
                yield (*way, down, PathStep("up", other.parent, other.child_column, other.parent_column))


def _attributes(model: "DataModel", path: Path, spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield how many there are, and what their columns are like."""
    chosen = {*(spec.chosen or _OF_NUMBERS), "percent_true", "num_unique"}
    yield FeatureDefinition.create(path, None, "num_unique")
    for column, column_spec in usable_columns(model, path[-1].table, spec).items():
        for name in _OF_TYPES.get(column_spec.type, ()):
            if name in chosen:
                gives_level = column_spec.type == "category" and AGGREGATIONS[name].gives_level
                kind: FeatureKind = "category" if gives_level else "number"
                yield FeatureDefinition.create(path, column, name, kind=kind)
        if column_spec.type in ("date", "datetime") and "days_since" in chosen:
            for name in _OF_TIMES:
                yield FeatureDefinition.create(path, column, "days_since", stack=(Stage(name),))


def _children(model: "DataModel", path: Path, top: str, spec: FeatureSpec) -> Iterator[PathStep]:
    """Yield the steps down from the other side: not to the link table again, nor to the entities themselves."""
    for link in model.children_of(path[-1].table):
        if link.child not in (path[-2].table, top) and spec.allows(link.child):
            yield PathStep("down", link.child, link.child_column, link.parent_column)


def _aggregates(model: "DataModel", path: Path, child: PathStep, spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield counts and sums of each counterparty's rows, in the longest window and one in the middle, aggregated."""
    table, windows = model.table(child.table), windows_of(spec)
    chosen = dict.fromkeys([windows[0], windows[len(windows) // 2]]) if has_time(table) else [None]
    numbers = [n for n, c in usable_columns(model, child.table, spec).items() if c.type in ("number", "integer")]
    for column in [None, *numbers]:
        for window in chosen:
            for name in spec.chosen_counterparties:
                yield FeatureDefinition.create(
                    (*path, child), column, "sum" if column else "count", window=window, stack=(Stage(name),)
                )
