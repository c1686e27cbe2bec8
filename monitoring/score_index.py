"""Where each answer stands in the local score log: how every process of a host finds what another one answered.

One small SQLite file beside the log. It is no record of anything: what it says is proved against the log before it is
believed, and a lost or damaged one is made anew from the log.
"""

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from model_registry.versions import ANSWERING
from monitoring.log_files import LOG_FILES, read_entry, whole_entries
from monitoring.score_block import ScoreBlock
from monitoring.score_record import ScoreRecord

__all__ = ["ScoreIndex", "name_of"]

_LOG = logging.getLogger(__name__)
_FILE: Final = "index.db"
_BUSY_SECONDS: Final = 5.0
_AT_ONCE: Final = 500
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answer (
    name BLOB PRIMARY KEY, file TEXT NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (name TEXT PRIMARY KEY, noted INTEGER NOT NULL) WITHOUT ROWID;
"""


def name_of(project: str, request_id: str) -> bytes:
    """Return the 16 bytes by which a request is known here."""
    return hashlib.blake2b(f"{project}\0{request_id}".encode(), digest_size=16).digest()


class ScoreIndex:
    """Finds an answer that was given, by project and request id. Safe for several threads and processes.

    Parameters
    ----------
    folder : Path
        The local log's.
    slots : set of str, optional
        Whose answers are found; left out, those of the slots that answer.
    """

    def __init__(self, folder: Path, *, slots: Container[str] = ANSWERING) -> None:
        self._folder = folder
        self._slots = slots
        # Who asks must not wait for who writes: a connection, and a lock, for each.
        self._asking, self._writing = threading.Lock(), threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._reader, self._writer = self._open(), self._open()
            self._writer.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            _LOG.error("the index of the score log is damaged and made anew")
            for path in folder.glob(f"{_FILE}*"):
                path.unlink(missing_ok=True)
            self._reader, self._writer = self._open(), self._open()
            self._writer.executescript(_SCHEMA)

    def note(self, file: str, start: int, contents: Sequence[tuple[Sequence[bytes], int]]) -> None:
        """Say which entries are about to be appended to a file of the log, before they are.

        The order matters: a process that is killed between the two leaves an entry that `find` proves and drops, never
        a record that nobody finds.

        Parameters
        ----------
        file : str
            Name of the file.
        start : int
            Its length before.
        contents : sequence of (sequence of bytes, int)
            Of each entry `name_of` the requests in it that can be repeated, and its length.
        """
        entries, at = [], start
        for names, length in contents:
            entries += [(name, file, at, length) for name in names]
            at += length
        self._write("INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", entries, file, at)

    def find(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ScoreRecord]:
        """Return the record of each project and request id that was answered, safe on the disk when this returns."""
        wanted = {name_of(*name): name for name in names}
        keys, rows = list(wanted), []
        with self._asking:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT name, file, start, length FROM answer WHERE name IN ({marks})"  # noqa: S608 - only marks
                rows += self._reader.execute(query, some).fetchall()
        places: dict[tuple[str, int, int], list[tuple[str, str]]] = {}
        for key, *place in rows:
            places.setdefault(tuple(place), []).append(wanted[key])
        found = {}
        for place, names_there in places.items():
            for record in self._records(self._read(*place), set(names_there)):
                found[record.project, record.request_id] = record
        return found

    def catch_up(self) -> None:
        """Note what is in the log and not here, because the index is new or was lost."""
        noted = dict(self._writer.execute("SELECT name, noted FROM file"))
        for path in sorted(self._folder.glob(LOG_FILES)):
            start = noted.get(path.name, 0)
            if path.stat().st_size > start:
                self._catch_up_with(path, start)

    def forget(self, path: Path) -> None:
        """Drop the entries of a file of the log that is about to be deleted."""
        keys = [(name, path.name) for names, _, _ in self._named_entries(path, 0) for name in names]
        with self._writing, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany("DELETE FROM answer WHERE name = ? AND file = ?", keys)
            self._writer.execute("DELETE FROM file WHERE name = ?", (path.name,))

    def close(self) -> None:
        """Close the file."""
        with self._asking, self._writing:
            self._reader.close()
            self._writer.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._folder / _FILE, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        # Whole after a crash of the machine, if not complete: `catch_up` reads the rest from the log.
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _catch_up_with(self, path: Path, start: int) -> None:
        end = start
        entries = []
        for names, at, length in self._named_entries(path, start):
            entries += [(name, path.name, at, length) for name in names]
            end = at + length
        self._write("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?)", entries, path.name, end)

    def _named_entries(self, path: Path, start: int) -> Iterable[tuple[list[bytes], int, int]]:
        """Yield the names in each entry, where that begins, and its length."""
        for end, entry in whole_entries(path, start):
            content = read_entry(entry)
            if isinstance(content, ScoreBlock):
                request_ids = content.request_ids if content.is_named else ()
            else:
                request_ids = () if content is None else (content.request_id,)
            if content is not None and content.slot in self._slots and request_ids:
                yield [name_of(content.project, one) for one in request_ids], end - len(entry), len(entry)

    def _records(self, content: ScoreRecord | ScoreBlock | None, wanted: set[tuple[str, str]]) -> Iterator[ScoreRecord]:
        """Yield the records of an entry that are wanted."""
        if content is None or content.slot not in self._slots:
            return
        request_ids = content.request_ids if isinstance(content, ScoreBlock) else (content.request_id,)
        for number, request_id in enumerate(request_ids):
            if (content.project, request_id) in wanted:
                yield content.row(number) if isinstance(content, ScoreBlock) else content

    def _write(self, statement: str, entries: list[tuple[bytes, str, int, int]], file: str, noted: int) -> None:
        with self._writing, self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(statement, entries)
            self._writer.execute("INSERT OR REPLACE INTO file VALUES (?, ?)", (file, noted))

    def _read(self, file: str, start: int, length: int) -> ScoreRecord | ScoreBlock | None:
        try:
            descriptor = os.open(self._folder / file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            entry = os.pread(descriptor, length, start)
            content = read_entry(entry) if len(entry) == length and entry.endswith(b"\n") else None
            if content is not None:
                # Its writer may have been killed before it did this.
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return content
