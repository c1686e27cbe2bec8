"""What was known of one entity at a moment: its rows of all tables, by the rules that the feature engine counts by.

The rows come from a snapshot that was published for this (`features.entity_view_publishing`) and holds nothing that may
not be seen: label columns and hidden ones are not in it. Numpy alone, so that the service can read it.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import msg
from features.engine_data import late_from, rows_seen_from
from features.online import OnlineSnapshot
from features.plan import ColumnKind, Link, TableSchema

__all__ = ["MOST_ROWS", "EntityRows", "TableRows", "ViewColumn", "ViewModel", "ViewTable", "read_view"]

MOST_ROWS: Final = 200_000
"""An entity with more rows than this is none: such a key stands for "unknown"."""
_KINDS: Final[dict[str, ColumnKind]] = {"date": "time", "datetime": "time", "number": "number", "integer": "number"}
_KINDS["boolean"] = "number"
_NO_MOMENT: Final = "NaT"


@dataclass(frozen=True)
class ViewColumn:
    """What a column means; fields as in `warehouse.data_model.ColumnSpec`, and whether it tells of a person."""

    type: str
    label: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    is_personal: bool = False

    @property
    def kind(self) -> ColumnKind:
        """How its values are kept: texts as they are, times and numbers as such."""
        return _KINDS.get(self.type, "key")


@dataclass(frozen=True)
class ViewTable:
    """A table as the view shows it; times as in `features.plan.TableSchema`.

    A column that says since when others are filled in is late itself: its date must not tell what is to come.
    """

    columns: Mapping[str, ViewColumn]
    label: Mapping[str, str] = field(default_factory=dict)
    event_time: str | None = None
    known_at: str | None = None
    known_at_lag_days: float = 0.0
    late: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> TableSchema:
        """The table as the engine reads it."""
        kinds = {name: column.kind for name, column in self.columns.items()}
        return TableSchema(kinds, self.event_time, self.known_at, self.known_at_lag_days, self.late)

    @property
    def personal(self) -> frozenset[str]:
        """Columns that tell something of a person."""
        return frozenset(name for name, column in self.columns.items() if column.is_personal)


@dataclass(frozen=True)
class ViewModel:
    """The tables around an entity.

    Parameters
    ----------
    root, key : str
        Table of the entities and the column that names one.
    tables : mapping of str to ViewTable
        The root, what lies below it, and the parents it refers to.
    links : tuple of Link
        Links that lead down from the root, and those that lead up from it.
    """

    root: str
    key: str
    tables: Mapping[str, ViewTable]
    links: tuple[Link, ...]

    @property
    def keys(self) -> dict[str, list[str]]:
        """Columns that rows of each table are found by."""
        found: dict[str, list[str]] = {name: [] for name in self.tables}
        found[self.root].append(self.key)
        for link in self.links:
            table, column = (link.parent, link.parent_column) if self.is_up(link) else (link.child, link.child_column)
            if column not in found[table]:
                found[table].append(column)
        return found

    def is_up(self, link: Link) -> bool:
        """Whether a link leads from the root to what it refers to."""
        return link.child == self.root

    def to_json(self) -> dict[str, Any]:
        """Return the model as JSON values; `from_json` reads it back."""
        return {
            "root": self.root,
            "key": self.key,
            "tables": {name: _table_json(table) for name, table in self.tables.items()},
            "links": [[link.child, link.child_column, link.parent, link.parent_column] for link in self.links],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ViewModel":
        """Read what `to_json` wrote; raises `ValueError` where it is something else."""
        try:
            tables = {
                name: ViewTable(
                    **(table | {"columns": {key: ViewColumn(**value) for key, value in table["columns"].items()}})
                )
                for name, table in data["tables"].items()
            }
            return cls(data["root"], data["key"], tables, tuple(Link(*ends) for ends in data["links"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not a view of entities") from error


@dataclass(frozen=True)
class TableRows:
    """The rows of one table, the newest first: values by column, as JSON values."""

    name: str
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class EntityRows:
    """What was known of one entity: its own row, and the rows of each table in the order of the model."""

    row: Mapping[str, Any]
    tables: tuple[TableRows, ...]


def read_view(
    snapshot: OnlineSnapshot,
    model: ViewModel,
    key: str,
    moment: np.datetime64,
    *,
    tables: Iterable[str] | None = None,
) -> EntityRows | None:
    """Return what was known of an entity strictly before `moment`, None where it was not known itself.

    A row counts where the engine would count it: it has happened and is known, and so are the rows that it hangs on.
    A column that is filled in later is null until its own known-at time, and that time is null until then too.

    Parameters
    ----------
    snapshot : OnlineSnapshot
        Published for `model`.
    model : ViewModel
        The tables.
    key : str
        Names the entity.
    moment : datetime64
        In the data's own clock.
    tables : iterable of str, optional
        Only these tables; by default all.

    Raises
    ------
    InputError
        The entity has more than `MOST_ROWS` rows.
    UnavailableError
        The snapshot cannot be read now.
    """
    wanted = set(model.tables) if tables is None else set(tables)
    cutoff = int(moment.astype("datetime64[ns]").astype(np.int64))
    walk = _Walk(snapshot, model, cutoff)
    if not walk.enter(model.root, snapshot.fetch(model.root, model.key, [key])):
        return None
    walk.follow(_leading_to(model, wanted))
    shown = [TableRows(name, walk.rows(name)) for name in model.tables if name in wanted and name != model.root]
    return EntityRows(walk.rows(model.root)[0], tuple(shown))


class _Walk:
    """Collects the rows that were known, from the root on; a row not known is no way to others."""

    def __init__(self, snapshot: OnlineSnapshot, model: ViewModel, cutoff: int) -> None:
        self._snapshot = snapshot
        self._model = model
        self._cutoff = cutoff
        self._found: dict[str, dict[int, Mapping[str, Any]]] = {name: {} for name in model.tables}
        self._asked: dict[Link, set[str]] = {}
        self._n_rows = 0

    def enter(self, table: str, fetched: Mapping[int, Mapping[str, Any]]) -> bool:
        """Keep those of `fetched` that were known; return whether any of them is new."""
        self._n_rows += len(fetched)
        if self._n_rows > MOST_ROWS:
            raise InputError(
                msg("More than {n} rows hang on this id", n=MOST_ROWS), where="id", code="too_many_rows",
                fix=msg("Name the tables that are needed."),
            )  # fmt: skip
        mine = self._found[table]
        fresh = {number: row for number, row in fetched.items() if number not in mine}
        known = self._known(self._model.tables[table].schema, fresh)
        mine.update(known)
        return bool(known)

    def follow(self, links: Sequence[Link]) -> None:
        """Walk along `links` as long as they lead to rows that are new."""
        waiting = deque(link for link in links if self._model.root in (link.parent, link.child))
        while waiting:
            link = waiting.popleft()
            if self._step(link):
                waiting.extend(next_one for next_one in links if next_one.parent == self._arrival(link))

    def rows(self, table: str) -> list[Mapping[str, Any]]:
        """Return the rows of a table with their values, the newest first."""
        found, shown = self._found[table], self._model.tables[table]
        order = shown.event_time or shown.known_at
        numbers = sorted(found)
        if order is not None:
            # Stable: rows of one moment keep the order of the table.
            numbers.sort(key=lambda number: _comparable(found[number][order]), reverse=True)
        return [
            {name: _shown(found[number][name], column.type) for name, column in shown.columns.items()}
            for number in numbers
        ]

    def _arrival(self, link: Link) -> str:
        return link.parent if self._model.is_up(link) else link.child

    def _step(self, link: Link) -> bool:
        mine, theirs = link.parent_column, link.child_column
        start, end = link.parent, link.child
        if self._model.is_up(link):
            mine, theirs, start, end = theirs, mine, end, start
        asked = self._asked.setdefault(link, set())
        keys = [str(row[mine]) for row in self._found[start].values() if row[mine] is not None]
        new = [key for key in dict.fromkeys(keys) if key not in asked]
        asked.update(new)
        return bool(new) and self.enter(end, self._snapshot.fetch(end, theirs, new))

    def _known(self, schema: TableSchema, rows: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        """Return the rows that were known, without what was filled in since."""
        names = {name for name in (schema.event_time, schema.known_at, *schema.late.values()) if name is not None}
        times = {name: _moments(row[name] for row in rows.values()) for name in names}
        seen = rows_seen_from(schema, times)
        numbers = np.array(list(rows), dtype=np.int64)
        is_seen = np.ones(len(rows), dtype=bool) if seen is None else seen < self._cutoff
        hidden = {name: late_from(schema, times, name) for name in schema.late}
        kept: dict[int, Mapping[str, Any]] = {}
        for place in np.flatnonzero(is_seen):
            number = int(numbers[place])
            row = dict(rows[number])
            for name, since in hidden.items():
                if since is not None and since[place] >= self._cutoff:
                    row[name] = None
            kept[number] = row
        return kept


def _leading_to(model: ViewModel, wanted: set[str]) -> list[Link]:
    """Return the links on the ways to the wanted tables."""
    needed = set(wanted)
    links: list[Link] = []
    while True:
        more = [
            link
            for link in model.links
            if link not in links and (link.parent if model.is_up(link) else link.child) in needed
        ]
        if not more:
            return links
        links += more
        needed |= {link.parent for link in more}


def _moments(values: Iterable[Any]) -> np.ndarray:
    texts = [value or _NO_MOMENT for value in values]
    moments: np.ndarray = np.array(texts, dtype="datetime64[ns]").view(np.int64)
    return moments


def _comparable(text: str | None) -> str:
    """Return a time so that texts are in the order of moments; the unknown first, a day as its midnight."""
    return "" if text is None else f"{text}T00:00:00" if len(text) == len("2024-05-31") else text


def _shown(value: Any, kind: str) -> Any:
    """Return a stored value as a reader expects that kind."""
    if value is None:
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "integer":
        return int(value)
    if kind == "number":
        return float(value)
    if kind == "datetime":
        return _comparable(value)
    return value


def _table_json(table: ViewTable) -> dict[str, Any]:
    columns = {
        name: {
            "type": column.type,
            "label": dict(column.label),
            "unit": column.unit,
            "is_personal": column.is_personal,
        }
        for name, column in table.columns.items()
    }
    return {
        "columns": columns,
        "label": dict(table.label),
        "event_time": table.event_time,
        "known_at": table.known_at,
        "known_at_lag_days": table.known_at_lag_days,
        "late": dict(table.late),
    }
