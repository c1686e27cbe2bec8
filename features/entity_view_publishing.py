"""Publishing what is known of entities: which tables and columns a reader may see, and their rows."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from core.errors import ConfigurationError
from core.i18n import msg
from core.progress import Progress
from features.entity_view import ViewColumn, ViewModel, ViewTable
from features.online import SnapshotAbout, SnapshotPlace
from features.online_publishing import publish_tables
from features.plan import Link

if TYPE_CHECKING:
    from features.streaming_source import Source
    from warehouse.data_model import DataModel, Relationship, TableSpec
    from warehouse.table_set import TableSet

__all__ = ["make_view", "publish_view"]


def make_view(
    data_model: "DataModel",
    root: str,
    *,
    hidden: Mapping[str, Iterable[str]] | None = None,
    personal: Mapping[str, Iterable[str]] | None = None,
) -> ViewModel:
    """Return what may be seen of the entities of table `root`.

    Their own row, the rows of all tables below it, and the rows that it refers to itself. Tables joined by time alone
    and other entities of the same table are not part of it.

    Parameters
    ----------
    data_model : DataModel
        Complete model.
    root : str
        Table of the entities, with a primary key of one column.
    hidden : mapping of str to iterable of str, optional
        Columns per table that nobody may see; an empty one hides the table.
    personal : mapping of str to iterable of str, optional
        Columns per table that tell something of a person.

    Raises
    ------
    ConfigurationError
        There is no such table, its key has several columns, or a key or time of a table is hidden.
    """
    key = data_model.table(root).primary_key
    if len(key) != 1:
        raise ConfigurationError(msg("enterprises are asked for by a primary key of one column"), where=root)
    left_out = {table: frozenset(columns) for table, columns in (hidden or {}).items()}
    gone = {table for table, columns in left_out.items() if not columns}
    links = _links(data_model, root, gone)
    names = [root, *dict.fromkeys(end for link in links for end in (link.child, link.parent) if end != root)]
    tables = {
        name: _table(
            data_model.tables[name], left_out.get(name, frozenset()), frozenset((personal or {}).get(name, ()))
        )
        for name in names
    }
    view = ViewModel(root, key[0], tables, tuple(links))
    _require_needed(view)
    return view


def publish_view(
    tables: "TableSet | Source",
    place: SnapshotPlace,
    view: ViewModel,
    *,
    as_of: np.datetime64,
    data_fingerprint: str = "",
    progress: Progress | None = None,
) -> SnapshotAbout:
    """Write the rows that `view` shows to `place`, whole or not at all; see `publish_tables`."""
    columns = {name: dict(table.schema.columns) for name, table in view.tables.items()}
    for name, keys in view.keys.items():
        columns[name].update(dict.fromkeys(keys, "key"))
    return publish_tables(
        tables, place, columns, view.keys,
        as_of=as_of, data_fingerprint=data_fingerprint, view=view.to_json(), progress=progress,
    )  # fmt: skip


def _links(data_model: "DataModel", root: str, gone: set[str]) -> list[Link]:
    """Return the links up from the root, then those down from it and from what lies below it."""
    found = [_link(one) for one in data_model.parents_of(root) if one.parent != root and one.parent not in gone]
    reached, waiting = {root}, [root]
    while waiting:
        table = waiting.pop(0)
        for one in data_model.children_of(table):
            if one.child in gone or one.child == root or data_model.tables[one.child].is_macro:
                continue
            found.append(_link(one))
            if one.child not in reached:
                reached.add(one.child)
                waiting.append(one.child)
    return list(dict.fromkeys(found))


def _link(one: "Relationship") -> Link:
    return Link(one.child, one.child_column, one.parent, one.parent_column)


def _table(spec: "TableSpec", hidden: frozenset[str], personal: frozenset[str]) -> ViewTable:
    # Where all that it dates is hidden, the date would tell of it.
    hidden |= {group.known_at for group in spec.late_columns if hidden.issuperset(group.columns)}
    late = {
        name: group.known_at
        for group in spec.late_columns
        for name in (*group.columns, group.known_at)
        if name not in hidden
    }
    columns = {
        name: ViewColumn(column.type, dict(column.label.items()), column.unit, name in personal)
        for name, column in spec.columns.items()
        if name not in hidden
    }
    return ViewTable(
        columns=columns,
        label=dict(spec.label.items()),
        event_time=spec.event_time,
        known_at=spec.known_at,
        known_at_lag_days=spec.known_at_lag_days if spec.known_at is None else 0.0,
        late=late,
    )


def _require_needed(view: ViewModel) -> None:
    """Refuse a view whose rows cannot be found or dated."""
    needed: dict[str, list[str | None]] = {
        name: [*view.keys[name], table.event_time, table.known_at, *table.late.values()]
        for name, table in view.tables.items()
    }
    for link in view.links:
        needed[link.parent].append(link.parent_column)
        needed[link.child].append(link.child_column)
    for name, columns in needed.items():
        for column in columns:
            if column is not None and column not in view.tables[name].columns:
                raise ConfigurationError(
                    msg("a key or time cannot be hidden"), where=f"{name}, column {column}",
                    fix=msg("Hide the whole table instead."),
                )  # fmt: skip
