"""The online snapshot: the rows of every entity, found by their keys, for live scoring by id; numpy alone."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import orjson

from core.errors import NotFoundError, UnavailableError
from core.i18n import msg
from features.column_rows import ColumnRows, column_of
from features.definitions import PathStep
from features.plan import ColumnKind, FeaturePlan

__all__ = [
    "NoSnapshotError",
    "OnlineSnapshot",
    "SnapshotAbout",
    "SnapshotPlace",
    "SnapshotReader",
    "SnapshotWriter",
    "snapshot_columns",
    "unknown_parents",
]

_FORMAT: Final = 2
_AT_ONCE: Final = 500

Rows = Sequence[Mapping[str, Any]]


class NoSnapshotError(UnavailableError):
    """Nothing was published."""

    default_code = "no_snapshot"


@dataclass(frozen=True)
class SnapshotAbout:
    """What a snapshot says of itself.

    Parameters
    ----------
    as_of : datetime64
        The moment up to which its data reaches, in the data's own clock.
    published_at : datetime64
        When it was made, in UTC.
    columns : mapping of str to list of str
        The columns of each table, in the order of its rows' values.
    keys : mapping of str to list of str
        The columns that rows of each table are found by.
    n_rows : mapping of str to int
        Rows of each table.
    data_fingerprint : str
        Of the tables it was made from; empty where nobody said.
    view : mapping
        Of a snapshot that is read table by table and not by a model: what its columns mean (see
        `features.entity_view.ViewModel`).
    """

    as_of: np.datetime64
    published_at: np.datetime64
    columns: Mapping[str, list[str]]
    keys: Mapping[str, list[str]]
    n_rows: Mapping[str, int]
    data_fingerprint: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)

    def covers(self, plan: FeaturePlan) -> bool:
        """Whether every column that `plan` reads is in it, and every row can be found that the plan walks to."""
        columns, keys = snapshot_columns([plan])
        return all(set(kinds) <= set(self.columns.get(name, ())) for name, kinds in columns.items()) and all(
            set(wanted) <= set(self.keys.get(name, ())) for name, wanted in keys.items()
        )

    def to_json(self) -> str:
        """Return it as JSON text; `from_json` reads it back."""
        # Left out where there is none, so that an older reader takes the snapshots of models still.
        view = {"view": self.view} if self.view else {}
        return json.dumps(
            {
                "format": _FORMAT,
                "as_of": str(self.as_of.astype("datetime64[us]")),
                "published_at": str(self.published_at.astype("datetime64[us]")),
                "columns": dict(self.columns),
                "keys": dict(self.keys),
                "n_rows": dict(self.n_rows),
                "data_fingerprint": self.data_fingerprint,
                **view,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> "SnapshotAbout":
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            It is something else.
        """
        found = json.loads(text)
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise ValueError("not a snapshot of this format")
        try:
            as_of, published_at = (np.datetime64(found.pop(name), "ns") for name in ("as_of", "published_at"))
            return cls(as_of, published_at, **found)
        except (KeyError, TypeError) as error:
            raise ValueError("not a snapshot of this format") from error


@dataclass(frozen=True)
class _Found:
    """Rows of one table, lists in the order of `columns`, by their number in the snapshot.

    Numbers below 0 are those of the request: its rows are as they were sent, and `given` too.
    """

    table: str
    columns: Mapping[str, int]
    rows: Mapping[int, list[Any]]
    given: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def keys(self, column: str) -> list[str]:
        place = self.columns[column]
        return list(dict.fromkeys(str(row[place]) for row in self.rows.values() if row[place] is not None))


class OnlineSnapshot(ABC):
    """A published snapshot, opened for reading; threads may share it.

    Obligations of a backend: what is read through one object is always of one snapshot, whatever is published
    meanwhile.

    Parameters
    ----------
    about : SnapshotAbout
        What it says of itself.
    """

    def __init__(self, about: SnapshotAbout) -> None:
        self.about = about
        self._numbers = {name: number for number, name in enumerate(about.columns)}
        self._columns = {
            table: {name: place for place, name in enumerate(names)} for table, names in about.columns.items()
        }
        self._covered: set[str] = set()

    @abstractmethod
    def find(self, table: int, place: int, keys: Sequence[str]) -> Iterable[tuple[int, bytes]]:
        """Return number and content of the rows of table number `table` that have one of `keys`.

        The content is a JSON list in UTF-8. `place` says which of the table's key columns is meant. Rows come in the
        order of their numbers.
        """

    @property
    def as_of(self) -> np.datetime64:
        """The moment up to which the data reaches."""
        return self.about.as_of

    @property
    def published_at(self) -> np.datetime64:
        """When the snapshot was made, in UTC."""
        return self.about.published_at

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it holds."""
        return tuple(self.about.columns)

    def rows_of(self, plan: FeaturePlan, key: str) -> dict[str, Rows]:
        """Return what `features.engine.EngineData.from_rows` wants for root `key`: the rows of all tables of `plan`.

        Raises
        ------
        NotFoundError
            The snapshot has no such root row.
        UnavailableError
            It was published for other plans, or cannot be read now.
        """
        tables, found = self.rows_of_each(plan, [key])
        if not found:
            raise NotFoundError(
                msg("there is no history of {key} ({n} unknown in all)", key=repr(key), n=1),
                where=plan.root_table, code="no_history",
            )  # fmt: skip
        return tables

    def rows_of_each(self, plan: FeaturePlan, keys: Sequence[str]) -> tuple[dict[str, Rows], frozenset[str]]:
        """Return the rows of all tables of `plan` for several root keys together, and which of the keys there are."""
        self._require(plan)
        root = self._fetch(plan.root_table, plan.key_column, keys)
        return self._walk(plan, root), frozenset(root.keys(plan.key_column))

    def complete(self, plan: FeaturePlan, root_rows: Rows) -> dict[str, Rows]:
        """Return the rows of all tables of `plan` for root rows that come with a request, such as a new application.

        Everything the root rows refer to is taken from the snapshot; a root row that the snapshot holds too is replaced
        by the one given.
        """
        self._require(plan)
        given = {-1 - number: row for number, row in enumerate(root_rows)}
        columns = self._columns[plan.root_table]
        rows = {number: [row.get(name) for name in columns] for number, row in given.items()}
        return self._walk(plan, _Found(plan.root_table, columns, rows, given))

    def _require(self, plan: FeaturePlan) -> None:
        """Refuse a plan that reads what is not here: a column that is missing must not be taken for null."""
        if plan.fingerprint in self._covered:
            return
        if not self.about.covers(plan):
            raise UnavailableError(
                msg("the online snapshot was published without what this model reads"),
                fix=msg("Publish it for this model."), code="no_snapshot",
            )  # fmt: skip
        self._covered.add(plan.fingerprint)

    def _walk(self, plan: FeaturePlan, root: _Found) -> dict[str, Rows]:
        reached: dict[tuple[PathStep, ...], _Found] = {(): root}
        collected: dict[str, dict[int, list[Any]]] = {name: {} for name in plan.tables}
        collected[plan.root_table].update(root.rows)
        for path in plan.paths:
            if path and path[0].is_keyless:
                continue  # joined by time alone: in the reference snapshot
            for length in range(1, len(path) + 1):
                if path[:length] not in reached:
                    found = self._step(reached[path[: length - 1]], path[length - 1])
                    reached[path[:length]] = found
                    collected[found.table].update(found.rows)
        tables: dict[str, Rows] = {
            name: ColumnRows.of_lists(self.about.columns.get(name, ()), list(rows.values()))
            for name, rows in collected.items()
        }
        if root.given:
            tables[plan.root_table] = self._with_given(plan, root, collected[plan.root_table])
        return tables

    def _with_given(self, plan: FeaturePlan, root: _Found, own: Mapping[int, list[Any]]) -> Rows:
        """Return the rows that were sent, and of the snapshot's those that they do not replace."""
        keys, place = set(root.keys(plan.key_column)), root.columns[plan.key_column]
        return [
            root.given[number] if number < 0 else dict(zip(root.columns, row, strict=True))
            for number, row in own.items()
            if number < 0 or row[place] not in keys
        ]

    def _step(self, here: _Found, step: PathStep) -> _Found:
        mine, theirs = (step.child_column, step.parent_column)[:: 1 if step.direction == "up" else -1]
        return self._fetch(step.table, theirs, here.keys(mine))

    def fetch(self, table: str, column: str, keys: Sequence[str]) -> Mapping[int, Mapping[str, Any]]:
        """Return by their numbers the rows of `table` that have one of `keys` in `column`, one of its key columns."""
        found = self._fetch(table, column, keys)
        return {number: dict(zip(found.columns, row, strict=True)) for number, row in found.rows.items()}

    def _fetch(self, table: str, column: str, keys: Sequence[str]) -> _Found:
        number, place = self._numbers[table], self.about.keys[table].index(column)
        numbers, texts = [], []
        for begin in range(0, len(keys), _AT_ONCE):
            for row_id, text in self.find(number, place, keys[begin : begin + _AT_ONCE]):
                numbers.append(row_id)
                texts.append(text)
        return _Found(table, self._columns[table], dict(zip(numbers, _contents(texts), strict=True)))


def _contents(texts: Sequence[bytes]) -> list[list[Any]]:
    together = b"[%b]" % b",".join(texts)
    try:
        found: list[list[Any]] = orjson.loads(together)
    except orjson.JSONDecodeError:
        # An infinite number, which the engine refuses by its place.
        found = json.loads(together)
    return found


class SnapshotReader(Protocol):
    """The newest snapshot of one place: opened once, and again when another has been put in its place."""

    def current(self) -> OnlineSnapshot:
        """Return the snapshot in place; one that was replaced stays readable for those who hold it.

        Raises
        ------
        NoSnapshotError
            There is none.
        UnavailableError
            It cannot be read now; the code is ``no_snapshot`` too.
        IntegrityError
            What is there is not a snapshot of this format.
        """
        ...

    def size_bytes(self) -> int:
        """Return how much room the snapshot in place takes."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class SnapshotWriter(Protocol):
    """Takes the rows of a new snapshot, table by table, which nobody sees before `publish`."""

    def begin_table(self, number: int, n_keys: int) -> None:
        """Make room for the rows of a table that is found by `n_keys` columns."""
        ...

    def add(self, first: int, contents: Sequence[str], keys: Sequence[Sequence[str | None]]) -> None:
        """Keep rows numbered from `first`: their JSON lists, and for each key column their values."""
        ...

    def end_table(self) -> None:
        """Make the rows of the table fit to be found."""
        ...

    def publish(self, about: SnapshotAbout) -> None:
        """Put the snapshot in place of the one that is there, in one step."""
        ...


class SnapshotPlace(Protocol):
    """Where the snapshots of one project are published."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file, else a database."""
        ...

    def reader(self) -> SnapshotReader:
        """Return a reader; reading touches nothing before the first use."""
        ...

    def writing(self) -> AbstractContextManager[SnapshotWriter]:
        """Return a writer to be entered; whatever ends it before `publish` leaves no trace."""
        ...

    def withdraw(self) -> bool:
        """Take away what is in place, in one step; return whether there was anything."""
        ...


def snapshot_columns(
    plans: Iterable[FeaturePlan],
) -> tuple[dict[str, dict[str, ColumnKind]], dict[str, list[str]]]:
    """Return the columns of each table with their kinds, and those to look rows up by, that `plans` need together."""
    columns: dict[str, dict[str, ColumnKind]] = {}
    keys: dict[str, list[str]] = {}
    for plan in plans:
        for name in (name for name in plan.tables if name not in plan.keyless_tables):
            columns.setdefault(name, {}).update(plan.tables[name].columns)
        wanted = [(plan.root_table, plan.key_column)]
        for link in (link for link in plan.links if not link.is_keyless):
            wanted += [(link.child, link.child_column), (link.parent, link.parent_column)]
        for table, column in wanted:
            keys.setdefault(table, [])
            if column not in keys[table]:
                keys[table].append(column)
    return columns, keys


def unknown_parents(
    plan: FeaturePlan, tables: Mapping[str, Rows], root_row: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Yield the columns of `root_row` whose parent is not among the rows that `OnlineSnapshot.complete` found.

    With each comes whether features of a history hang on that parent, so that the row has no history at all where it
    is not known.
    """
    steps: dict[PathStep, bool] = {}
    for path in plan.paths:
        if path and path[0].direction == "up":
            has_history = any(step.direction == "down" for step in path[1:])
            steps[path[0]] = steps.get(path[0], False) or has_history
    for step, has_history in steps.items():
        value = root_row.get(step.child_column)
        if value is not None and str(value) not in map(str, column_of(tables[step.table], step.parent_column)):
            yield step.child_column, has_history
