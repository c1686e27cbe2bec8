"""The online snapshot as one embedded SQLite file, the default."""

import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import IntegrityError, UnavailableError
from core.i18n import msg
from features.online import NoSnapshotError, OnlineSnapshot, SnapshotAbout

__all__ = ["FilePlace", "FileReader", "FileSnapshot", "FileWriter"]


@dataclass(frozen=True)
class FilePlace:
    """A file that is replaced whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made when something is published.
    """

    path: Path

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return True

    def reader(self) -> "FileReader":
        """Return a reader of the file."""
        return FileReader(self.path)

    @contextmanager
    def writing(self) -> Iterator["FileWriter"]:
        """Yield a writer into another file, which takes the place of this one when it is published."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        writer = FileWriter(self.path, temporary)
        try:
            yield writer
        finally:
            writer.close()
            temporary.unlink(missing_ok=True)

    def withdraw(self) -> bool:
        """Remove the file; who has it open reads on."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


class FileSnapshot(OnlineSnapshot):
    """A snapshot in a file, opened for reading.

    Parameters
    ----------
    path : path
        The file that was published.

    Raises
    ------
    NoSnapshotError
        There is no snapshot.
    IntegrityError
        The file is not a snapshot of this format.
    """

    def __init__(self, path: Path) -> None:
        path = Path(path).resolve()
        if not path.is_file():
            raise NoSnapshotError(msg("there is no online snapshot"), where=path.name, fix=msg("Publish one."))
        # The file never changes once it is in place, only its name is given to another: no locks are needed.
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        try:
            (text,) = connection.execute("select content from about").fetchone()
            super().__init__(SnapshotAbout.from_json(text))
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            connection.close()
            raise IntegrityError(msg("the file is not an online snapshot"), where=path.name) from error
        self._connection = connection
        self._lock = threading.Lock()
        # Who holds a replaced snapshot reads on; the file is closed when nobody does.
        self.close = weakref.finalize(self, connection.close)

    def find(self, table: int, place: int, keys: Sequence[str]) -> Iterable[tuple[int, bytes]]:
        """Return the rows that have one of `keys`."""
        # Of one key the rows lie in order; of several they have to be sorted.
        which = "= ?" if len(keys) == 1 else f"in ({','.join('?' * len(keys))})"
        query = (
            f"select r.id, cast(r.content as blob) from key_{table}_{place} k "  # noqa: S608 - numbers and marks of ours
            f"join rows_{table} r on r.id = k.id where k.value {which} order by k.id"
        )
        try:
            with self._lock:
                return self._connection.execute(query, keys).fetchall()
        except sqlite3.DatabaseError as error:
            raise UnavailableError(msg("the online snapshot cannot be read now"), code="no_snapshot") from error


class FileReader:
    """The newest snapshot under a path.

    Parameters
    ----------
    path : path
        Where snapshots are published.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._opened: tuple[tuple[int, int], FileSnapshot] | None = None

    def current(self) -> FileSnapshot:
        """Return the snapshot in place; raises as `FileSnapshot` does."""
        with self._lock:
            mark = self._mark()
            if self._opened is None or self._opened[0] != mark:
                self._opened = mark, FileSnapshot(self.path)
            return self._opened[1]

    def size_bytes(self) -> int:
        """Return the size of the file, 0 where there is none."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._opened = None

    def _mark(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0)
        return found.st_ino, found.st_mtime_ns


class FileWriter:
    """Writes a snapshot into `temporary` and gives it the name `path` at the end."""

    def __init__(self, path: Path, temporary: Path) -> None:
        self._path = path
        self._temporary = temporary
        self._connection = sqlite3.connect(temporary)
        self._connection.execute("pragma journal_mode = off")  # nobody sees the file before it is whole
        self._connection.execute("pragma synchronous = off")
        self._number = self._n_keys = 0

    def begin_table(self, number: int, n_keys: int) -> None:
        """Make a table for the rows, and one for each key column."""
        self._number, self._n_keys = number, n_keys
        self._connection.execute(f"create table rows_{number} (id integer primary key, content text)")
        for place in range(n_keys):
            self._connection.execute(f"create table looked_up_{place} (value text, id integer)")

    def add(self, first: int, contents: Sequence[str], keys: Sequence[Sequence[str | None]]) -> None:
        """Keep rows and their keys."""
        ids = range(first, first + len(contents))
        self._insert(f"rows_{self._number}", zip(ids, contents, strict=True))
        for place, values in enumerate(keys):
            pairs = zip(values, ids, strict=True)
            self._insert(f"looked_up_{place}", (pair for pair in pairs if pair[0] is not None))

    def end_table(self) -> None:
        """Turn what was looked up into tables ordered by key."""
        for place in range(self._n_keys):
            name = f"key_{self._number}_{place}"
            self._connection.execute(
                f"create table {name} (value text, id integer, primary key (value, id)) without rowid"
            )
            self._connection.execute(
                f"insert into {name} select value, id from looked_up_{place} order by value, id"  # noqa: S608 - numbers
            )
            self._connection.execute(f"drop table looked_up_{place}")

    def publish(self, about: SnapshotAbout) -> None:
        """Give the file its name, when all of it is on the disk."""
        self._connection.execute("create table about (content text)")
        self._connection.execute("insert into about values (?)", (about.to_json(),))
        self._connection.commit()
        self.close()
        _sync(self._temporary)
        self._temporary.replace(self._path)
        _sync(self._path.parent)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _insert(self, table: str, pairs: Iterable[tuple[Any, Any]]) -> None:
        self._connection.executemany(f"insert into {table} values (?, ?)", pairs)  # noqa: S608 - a name of ours


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
