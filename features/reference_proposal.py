"""Proposing reference features: comparisons with peers, and what tables hold that are joined by time alone."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Final

from core.errors import ConfigurationError
from core.i18n import msg
from features.definitions import FeatureDefinition, GroupColumn, PathStep, Peers
from features.plan import sort_windows
from features.primitives.vocabulary import AGGREGATIONS
from features.spec import FeatureSpec, PeerSpec

if TYPE_CHECKING:
    from warehouse.data_model import DataModel

__all__ = ["compared", "of_macro_tables"]

_COMPARED: Final = ("last", "mean", "sum", "median", "trend", "identity")
_OF_MACRO: Final = ("last", "trend")
_NUMBERS: Final = ("number", "integer")


def compared(
    model: "DataModel", root_table: str, entity: str, proposed: Sequence[FeatureDefinition], spec: FeatureSpec
) -> list[FeatureDefinition]:
    """Return the comparisons with peers that the settings ask for, without readable names.

    Parameters
    ----------
    model : DataModel
        Tables and links.
    root_table, entity : str
        Table of the feature rows, and of the firm or person behind them.
    proposed : sequence of FeatureDefinition
        What may be compared, the likeliest first.
    spec : FeatureSpec
        What the analyst chose.

    Raises
    ------
    ConfigurationError
        A column that peers should share is not there, or nothing that is proposed fits the patterns.
    """
    if spec.peers is None:
        return []
    by = tuple(_group(model, entity, name) for name in spec.peers.by)
    bases = [item for item in proposed if _can_be_compared(model, item, root_table, entity)]
    chosen = list(_chosen(bases, spec.peers))
    if not chosen:
        raise ConfigurationError(
            msg("none of the proposed features can be compared with peers"),
            where=", ".join(spec.peers.of) or entity,
            fix=msg("Give patterns of aliases of numbers of the entity, or leave them out."),
        )
    made = (_among(item, Peers(statistic, by)) for item in chosen for statistic in spec.peers.statistics)
    return list(islice(made, spec.peers.max_features))


def of_macro_tables(model: "DataModel", root_table: str, spec: FeatureSpec) -> Iterator[FeatureDefinition]:
    """Yield, of each number of the tables that are joined by time alone, the last value known and its trend."""
    longest = next(iter(sort_windows(None if window == "all" else window for window in spec.windows)), None)
    for name, table in model.tables.items():
        is_left_out = spec.ignore.get(name) == [] or (spec.tables is not None and name not in spec.tables)
        if not table.is_macro or name == root_table or is_left_out:
            continue
        for column, column_spec in table.columns.items():
            is_usable = column_spec.role == "feature" and column_spec.type in _NUMBERS
            if not is_usable or column in spec.ignore.get(name, ()):
                continue
            for primitive in (primitive for primitive in _OF_MACRO if primitive in spec.chosen):
                step = PathStep("down", name, "", "")
                window = longest if AGGREGATIONS[primitive].is_windowed else None
                yield FeatureDefinition.create((step,), column, primitive, window=window)


def _chosen(bases: Sequence[FeatureDefinition], peers: PeerSpec) -> Iterator[FeatureDefinition]:
    if not peers.of:
        yield from (item for item in bases if item.primitive in _COMPARED)
        return
    found: dict[str, FeatureDefinition] = {}
    for pattern in peers.of:
        found |= {item.alias: item for item in bases if fnmatchcase(item.alias, pattern)}
    yield from found.values()


def _can_be_compared(model: "DataModel", item: FeatureDefinition, root_table: str, entity: str) -> bool:
    """Whether it is a number of the entity itself, told by its own rows."""
    top = item.steps_up[-1].table if item.steps_up else root_table
    if top != entity or item.kind != "number" or item.column is None:
        return False
    if item.liveness != "self" or item.reaches_others(root_table):
        return False
    table = item.path[-1].table if item.path else root_table
    return model.table(table).column(item.column).type in _NUMBERS


def _among(item: FeatureDefinition, peers: Peers) -> FeatureDefinition:
    return FeatureDefinition.create(
        item.path, item.column, item.primitive, window=item.window, where=item.where, second=item.second,
        against=item.against, stack=item.stack, peers=peers,
    )  # fmt: skip


def _group(model: "DataModel", entity: str, name: str) -> GroupColumn:
    """Return the column ``table.column`` as seen from the entity's table."""
    table, _, column = name.partition(".")
    path = next((path for path in _ways_up(model, entity) if (path[-1].table if path else entity) == table), None)
    if path is None:
        raise ConfigurationError(
            msg("peers share columns of {entity} or of a parent of it, not of {table}", entity=entity, table=table),
            where=name,
        )
    if model.table(table).column(column).type != "category":
        raise ConfigurationError(msg("peers share a category, not {column}", column=column), where=name)
    return GroupColumn(column, path)


def _ways_up(model: "DataModel", table: str) -> Iterator[tuple[PathStep, ...]]:
    """Yield the ways up from `table`, the shortest first; no way visits a table twice."""
    ways: list[tuple[PathStep, ...]] = [()]
    for path in ways:
        yield path
        here = path[-1].table if path else table
        ways += [
            (*path, PathStep("up", link.parent, link.child_column, link.parent_column))
            for link in model.parents_of(here)
            if link.parent not in (table, *(step.table for step in path))
        ]
