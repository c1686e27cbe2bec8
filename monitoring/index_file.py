"""The SQLite file of the score index, as one process has it open: replaced where it is lost or damaged, by any of them.

A new file has a new name, and a small pointer file says which is meant. So whoever still has the old one open does the
new one no harm: SQLite finds the files beside a database by its name, and removes them when it closes it.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["IndexFile", "Sight", "is_lost"]

_LOG = logging.getLogger(__name__)
_FIRST, _POINTER, _TURN = "index.db", "index.current", "index.mending"
_BUSY_SECONDS: Final = 5.0
_FORMAT: Final = 2
# Names are as good as random, so that each that is noted falls on a page of its own: small pages, small rows, and many
# pages before they are brought from the write-ahead log into the file, where each is then written once.
_SCHEMA: Final = f"""
PRAGMA user_version = {_FORMAT};
CREATE TABLE IF NOT EXISTS file (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, noted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answer (
    name BLOB PRIMARY KEY, file INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
"""
_SETTINGS: Final = (
    "PRAGMA page_size = 1024",
    "PRAGMA journal_mode = WAL",
    # Whole after a crash of the machine, if not complete: the rest is read from the log.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA wal_autocheckpoint = 16000",
)
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_GONE: Final = {sqlite3.SQLITE_READONLY_DBMOVED, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_CANTOPEN}
_PRIMARY: Final = 0xFF

Sight = tuple[tuple[int, int] | None, int | None]
"""Which pointer file and which database file stand in the folder; a file that is put in their place differs."""


def is_lost(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged or gone, not that the disk is full or another one busy."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY in _DAMAGED or code in _GONE


class IndexFile:
    """Two connections to the file: who asks must not wait for who writes, so each has one, and a lock.

    Parameters
    ----------
    folder : Path
        The local log's.

    Attributes
    ----------
    asking, writing : lock
        To be held while `reader` or `writer` is used.
    reader, writer : sqlite3.Connection
        In autocommit.
    seen : tuple
        What stood in the folder when the connections were opened.
    """

    def __init__(self, folder: Path) -> None:
        self.asking, self.writing = threading.RLock(), threading.RLock()
        self._folder = folder
        self._pointer, self._file = str(folder / _POINTER), str(folder / _FIRST)  # texts: looked for at each step
        self._is_open = False
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._replace()

    @property
    def is_current(self) -> bool:
        """Whether what is open is what stands in the folder."""
        return self._is_open and self._look() == self.seen

    def reopen(self) -> None:
        """Open what stands in the folder now; where that is what was open, and so is of no use, an empty new file."""
        with self.asking, self.writing:
            self._close()
            with self._turn():
                is_replaced = self._look() != self.seen
                try:
                    if is_replaced:
                        self._open()
                        return
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError) and not is_lost(error):
                        raise
                self._replace()

    def close(self) -> None:
        """Close both connections."""
        with self.asking, self.writing:
            self._close()

    def _open(self) -> None:
        with suppress(FileNotFoundError):
            self._file = str(self._folder / Path(self._pointer).read_text(encoding="ascii").strip())
        is_new = _stat(self._file) is None
        self.reader, self.writer = self._connect(), self._connect()
        if not is_new and self.reader.execute("PRAGMA user_version").fetchone() != (_FORMAT,):
            self._close(is_opened=True)
            raise sqlite3.DatabaseError("another version")
        self.writer.executescript(_SCHEMA)
        self.seen = self._look()
        self._is_open = True

    def _replace(self) -> None:
        """Make a new file, say that it is the one, and take the old ones away."""
        _LOG.error("the index of the score log is of another version, damaged or lost, and is made anew")
        name = f"index-{uuid.uuid4().hex[:12]}.db"
        told = self._folder / f"{name}.told"
        told.write_text(name, encoding="ascii")
        told.replace(self._pointer)
        for path in self._folder.glob("index*.db*"):
            if not path.name.startswith(name):
                path.unlink(missing_ok=True)
        self._open()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for setting in _SETTINGS:
                connection.execute(setting)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _close(self, *, is_opened: bool = False) -> None:
        for connection in (self.reader, self.writer) if self._is_open or is_opened else ():
            # A damaged file may not be closed in peace; nothing of it is needed.
            with suppress(sqlite3.Error):
                connection.close()
        self._is_open = False

    def _look(self) -> Sight:
        pointer, database = _stat(self._pointer), _stat(self._file)
        return (
            None if pointer is None else (pointer.st_ino, pointer.st_mtime_ns),
            None if database is None else database.st_ino,
        )

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one process of the host at a time replace the file."""
        descriptor = os.open(self._folder / _TURN, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  # twice for each answer that has a name
    except FileNotFoundError:
        return None
