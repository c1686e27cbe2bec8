"""The online snapshot: the rows of every entity in one embedded file, for live scoring by id; numpy and SQLite only."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import IntegrityError, NotFoundError, UnavailableError
from core.i18n import msg
from features.definitions import PathStep
from features.plan import ColumnKind, FeaturePlan

__all__ = ["SNAPSHOT_FORMAT", "OnlineSnapshot", "SnapshotReader", "snapshot_columns"]

SNAPSHOT_FORMAT: Final = 1
_AT_ONCE: Final = 500

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Found:
    """Rows of one table by their number in the snapshot; numbers below 0 are those of the request."""

    table: str
    rows: Mapping[int, Mapping[str, Any]]

    def keys(self, column: str) -> list[str]:
        return list(dict.fromkeys(str(row[column]) for row in self.rows.values() if row.get(column) is not None))


class OnlineSnapshot:
    """A published snapshot, opened for reading; threads may share it.

    Parameters
    ----------
    path : path
        The file that `features.online_publishing.publish_snapshot` wrote.

    Raises
    ------
    UnavailableError
        There is no snapshot.
    IntegrityError
        The file is not a snapshot of this format.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path).resolve()
        if not path.is_file():
            raise UnavailableError(
                msg("there is no online snapshot"), where=str(path), fix=msg("Publish one."), code="no_snapshot"
            )
        # The file never changes once it is in place, only its name is given to another: no locks are needed.
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._lock = threading.Lock()
        try:
            found = dict(self._connection.execute("select name, value from about"))
            self._about: dict[str, Any] = {name: json.loads(value) for name, value in found.items()}
        except (sqlite3.DatabaseError, ValueError) as error:
            self._connection.close()
            raise IntegrityError(msg("the file is not an online snapshot"), where=str(path)) from error
        if self._about.get("format") != SNAPSHOT_FORMAT:
            self._connection.close()
            raise IntegrityError(msg("the file is not an online snapshot"), where=str(path))
        self._columns: dict[str, list[str]] = self._about["columns"]
        self._numbers = {name: number for number, name in enumerate(self._columns)}

    @property
    def as_of(self) -> np.datetime64:
        """The moment up to which the data reaches."""
        return np.datetime64(self._about["as_of"], "ns")

    @property
    def published_at(self) -> np.datetime64:
        """When the snapshot was made, in UTC."""
        return np.datetime64(self._about["published_at"], "s")

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it holds."""
        return tuple(self._columns)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def rows_of(self, plan: FeaturePlan, key: str) -> dict[str, list[Mapping[str, Any]]]:
        """Return what `features.engine.EngineData.from_rows` wants for root `key`: the rows of all tables of `plan`.

        Raises
        ------
        NotFoundError
            The snapshot has no such root row.
        """
        root = self._fetch(plan.root_table, plan.key_column, [key])
        if not root.rows:
            raise NotFoundError(
                msg("there is no history of {key} ({n} unknown in all)", key=repr(key), n=1),
                where=plan.root_table, code="no_history",
            )  # fmt: skip
        return self._walk(plan, root)

    def complete(self, plan: FeaturePlan, root_rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
        """Return the rows of all tables of `plan` for root rows that come with a request, such as a new application.

        Everything the root rows refer to is taken from the snapshot; a root row that the snapshot holds too is replaced
        by the one given.
        """
        given = _Found(plan.root_table, {-1 - number: row for number, row in enumerate(root_rows)})
        return self._walk(plan, given)

    def _walk(self, plan: FeaturePlan, root: _Found) -> dict[str, list[Mapping[str, Any]]]:
        reached: dict[tuple[PathStep, ...], _Found] = {(): root}
        collected: dict[str, dict[int, Mapping[str, Any]]] = {name: {} for name in plan.tables}
        collected[plan.root_table].update(root.rows)
        for path in dict.fromkeys(path for item in plan.definitions for path in item.paths):
            if path and path[0].is_keyless:
                continue  # joined by time alone: in the reference snapshot
            for length in range(1, len(path) + 1):
                if path[:length] not in reached:
                    found = self._step(reached[path[: length - 1]], path[length - 1])
                    reached[path[:length]] = found
                    collected[found.table].update(found.rows)
        keys = set(root.keys(plan.key_column)) if min(root.rows, default=0) < 0 else set()
        own = collected[plan.root_table]
        collected[plan.root_table] = {
            number: row for number, row in own.items() if number < 0 or row.get(plan.key_column) not in keys
        }
        return {name: list(rows.values()) for name, rows in collected.items()}

    def _step(self, here: _Found, step: PathStep) -> _Found:
        mine, theirs = (step.child_column, step.parent_column)[:: 1 if step.direction == "up" else -1]
        return self._fetch(step.table, theirs, here.keys(mine))

    def _fetch(self, table: str, column: str, keys: Sequence[str]) -> _Found:
        if table not in self._numbers or column not in self._about["keys"][table]:
            raise UnavailableError(
                msg("the online snapshot was published without {column} of the table {table}",
                    column=column, table=table),
                fix=msg("Publish it for this model."), code="no_snapshot",
            )  # fmt: skip
        number, place = self._numbers[table], self._about["keys"][table].index(column)
        numbers, texts = [], []
        for begin in range(0, len(keys), _AT_ONCE):
            some = keys[begin : begin + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = (
                f"select r.id, r.content from key_{number}_{place} k "  # noqa: S608 - numbers and marks of ours
                f"join rows_{number} r on r.id = k.id where k.value in ({marks}) order by r.id"
            )
            with self._lock:
                for row_id, text in self._connection.execute(query, some):
                    numbers.append(row_id)
                    texts.append(text)
        columns = self._columns[table]
        contents = json.loads(f"[{','.join(texts)}]")
        return _Found(
            table, {n: dict(zip(columns, row, strict=True)) for n, row in zip(numbers, contents, strict=True)}
        )


class SnapshotReader:
    """The newest snapshot under a path: opened once, and again when another has been put in its place.

    Parameters
    ----------
    path : path
        Where snapshots are published.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._opened: tuple[tuple[int, int], OnlineSnapshot] | None = None

    def current(self) -> OnlineSnapshot:
        """Return the snapshot in place; raises as `OnlineSnapshot` does. One that was replaced stays readable."""
        with self._lock:
            mark = self._mark()
            if self._opened is None or self._opened[0] != mark:
                self._opened = mark, OnlineSnapshot(self.path)
            return self._opened[1]

    def _mark(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0)
        return found.st_ino, found.st_mtime_ns


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
