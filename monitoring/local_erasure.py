"""Erasure in the local log of a scoring host: what is to go is overwritten where it lies, nothing is moved.

Entries keep their places and lengths, so that who writes, ships or looks an answer up meanwhile is not disturbed.
"""

import os
import socket
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from core.database import Database
from core.database.rows import insert_missing
from monitoring.log_files import LOG_FILES, erased_line, read_entry, whole_entries
from monitoring.score_block import BLOCK_START, ScoreBlock
from monitoring.score_erasure import Erasure, erase_again, erasures
from monitoring.score_record import ScoreRecord
from monitoring.tables import score_erasure_done, score_host

__all__ = ["LocalErasure"]

_REJECTED = "rejected.jsonl"
_SETTLE_SECONDS = 5.0
_ENTRIES_A_PAUSE = 200
_PAUSE_SECONDS = 0.005


class LocalErasure:
    """Erases in one folder what the database says is to be erased, and reports it there.

    Parameters
    ----------
    folder : Path
        The local log.
    settle_seconds : float, default=5
        How old an erasure must be: an answer that was being given at its moment is then in the log.
    """

    def __init__(self, folder: Path, *, settle_seconds: float = _SETTLE_SECONDS) -> None:
        self._folder = folder
        self._settle_seconds = settle_seconds
        self._host = _host_id(folder)
        self._done = 0

    def check_in(self, database: Database) -> None:
        """Say that this host keeps a local log, so that an erasure waits for it."""
        with database.begin() as connection:
            row = {"host": self._host, "name": socket.gethostname()[:255], "seen_at": datetime.now(UTC)}
            if not insert_missing(connection, score_host, [row]):
                seen = sa.update(score_host).where(score_host.c.host == self._host)
                connection.execute(seen.values(seen_at=row["seen_at"], name=row["name"]))

    def run(self, database: Database) -> int:
        """Erase what is due; return how many answers were overwritten.

        Called by the process whose turn it is to ship, after it has: what was not shipped yet at the moment of the
        erasure is in the database by now, and goes from there too.
        """
        due = self._due(database)
        if not due:
            return 0
        n_local = dict.fromkeys((one.erasure_id for one in due), 0)
        keys: dict[int, set[str]] = {one.erasure_id: set() for one in due}
        paths = [*sorted(self._folder.glob(LOG_FILES)), self._folder / _REJECTED]
        for path in (path for path in paths if path.exists()):
            for erasure_id, some in _erase_in(path, due):
                n_local[erasure_id] += len(some)
                keys[erasure_id] |= set(some)
        for one in due:
            n_records = erase_again(database, one, keys[one.erasure_id])
            row = {"erasure_id": one.erasure_id, "host": self._host, "done_at": datetime.now(UTC)}
            row |= {"n_local": n_local[one.erasure_id], "n_records": n_records}
            with database.begin() as connection:
                insert_missing(connection, score_erasure_done, [row])
        self._done = max(one.erasure_id for one in due)
        return sum(n_local.values())

    def newest_done(self, database: Database) -> int:
        """Return the number of the last erasure that this host has done, whichever of its processes did it."""
        mine = score_erasure_done.c.host == self._host
        with database.connect() as connection:
            return connection.execute(sa.select(sa.func.max(score_erasure_done.c.erasure_id)).where(mine)).scalar() or 0

    def _due(self, database: Database) -> list[Erasure]:
        found = [one for one in erasures(database, after=self._done) if self._is_settled(one)]
        with database.connect() as connection:
            mine = sa.select(score_erasure_done.c.erasure_id).where(score_erasure_done.c.host == self._host)
            done = set(connection.execute(mine).scalars())
        return [one for one in found if one.erasure_id not in done]

    def _is_settled(self, erasure: Erasure) -> bool:
        return (datetime.now(UTC) - erasure.requested_at).total_seconds() >= self._settle_seconds


def _erase_in(path: Path, due: Sequence[Erasure]) -> Iterable[tuple[int, list[str]]]:
    """Overwrite in one file; yield the keys of the answers that went, by erasure."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        for number, (end, entry) in enumerate(whole_entries(path, 0), start=1):
            if number % _ENTRIES_A_PAUSE == 0:
                # The answers that are being given go first.
                time.sleep(_PAUSE_SECONDS)
            content = read_entry(entry)
            if content is None:
                continue
            for one in due:
                if gone := _keys_in(content, one):
                    entry = _without(entry, frozenset(gone))  # noqa: PLW2901 - the next erasure goes on from there
                    os.pwrite(descriptor, entry, end - len(entry))
                    yield one.erasure_id, gone
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _keys_in(content: ScoreRecord | ScoreBlock, erasure: Erasure) -> list[str]:
    """Return the key of each answer of an entry that is to go."""
    if content.project != erasure.project or content.asked_at > erasure.requested_at:
        return []
    keys = [content.key] if isinstance(content, ScoreRecord) else content.case_keys
    return [key for key in keys if erasure.covers(erasure.project, key)]


def _without(entry: bytes, keys: frozenset[str]) -> bytes:
    return ScoreBlock.blank(entry, keys)[0] if entry.startswith(BLOCK_START) else erased_line(len(entry))


def _host_id(folder: Path) -> str:
    """Return what names the folder's host in the database, made once."""
    path = folder / "host"
    if not path.exists():
        draft = folder / f".host.{uuid.uuid4().hex}"
        draft.write_text(uuid.uuid4().hex)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process of the host was first, and its name counts
        finally:
            draft.unlink()
    return path.read_text()
