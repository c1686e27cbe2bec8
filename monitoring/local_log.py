"""The writer of the local score log: what it has confirmed is on the disk.

What is promised: when `LocalScoreLog.append` returns, the record is on the disk (``fsync``), so that a crash of the
process or of the machine after it loses nothing. A crash before it may leave half an entry at the end of a file; half
an entry is never read as a record, and its answer was never given.
"""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UnavailableError
from core.i18n import msg
from monitoring.score_block import ScoreBlock
from monitoring.score_record import ScoreRecord

if TYPE_CHECKING:
    from monitoring.score_index import ScoreIndex

__all__ = ["LocalScoreLog"]

_LOG = logging.getLogger(__name__)
_STOP = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is to be written, the length of each part and what the index shall know it by, and who waits for it."""

    content: bytes
    parts: Sequence[tuple[Sequence[bytes], int]]
    future: "Future[None] | asyncio.Future[None]"


class LocalScoreLog:
    """Append-only file of one process, written by one thread, many records to one ``fsync``.

    Safe for several threads. Each process makes its own log in the same folder.

    Parameters
    ----------
    folder : Path
        Where the files are; made if missing.
    max_file_bytes, max_file_seconds : float
        Size and age at which a new file is begun.
    index : ScoreIndex, optional
        Where named records are noted, for the other processes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_file_bytes: float = 32e6,
        max_file_seconds: float = 3600.0,
        index: "ScoreIndex | None" = None,
    ) -> None:
        self.folder = folder
        self._index = index
        self._max_file_bytes = max_file_bytes
        self._max_file_seconds = max_file_seconds
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._file: _File | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._write_until_closed, name="score-log", daemon=True)
        self._thread.start()

    def append(self, record: ScoreRecord) -> None:
        """Keep `record`; when this returns it is on the disk.

        Raises
        ------
        UnavailableError
            If it could not be written, because the disk is full for example. It is then not in the log.
        """
        self.append_soon(record).result()

    def append_soon(self, record: ScoreRecord, name: bytes | None = None) -> "Future[None]":
        """Hand `record` to the writer; the future is done when it is on the disk.

        `name` is what the index shall know it by; None where nobody will ask for it again.
        """
        return self._hand_over(record.to_line(), _names(name))

    def append_in_loop(
        self, contents: Sequence[tuple[ScoreRecord | ScoreBlock, Sequence[bytes]]]
    ) -> "asyncio.Future[None]":
        """Hand over several at once, each with its names as in `append_soon`, for the running loop to wait for.

        They are kept together or not at all, and all that one ``fsync`` kept wakes the loop once.

        Raises
        ------
        ValueError
            If a text of a block holds a line feed.
        """
        future = asyncio.get_running_loop().create_future()
        written = [one.to_line() if isinstance(one, ScoreRecord) else one.to_bytes() for one, _ in contents]
        parts = [(names, len(content)) for content, (_, names) in zip(written, contents, strict=True)]
        self._queue.put(_Entry(b"".join(written), parts, future))
        return future

    def append_block_soon(self, block: ScoreBlock, names: Sequence[bytes] = ()) -> "Future[None]":
        """Hand many answers at once to the writer; `names` as in `append_soon`, of the rows that have one.

        Raises
        ------
        ValueError
            If a text of the block holds a line feed.
        """
        return self._hand_over(block.to_bytes(), names)

    @property
    def is_writing(self) -> bool:
        """Whether the writer lives: without it no answer would ever be on the disk."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what was handed over, and stop."""
        self._queue.put(_STOP)
        self._thread.join()

    def __enter__(self) -> "LocalScoreLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _hand_over(self, content: bytes, names: Sequence[bytes]) -> "Future[None]":
        future: Future[None] = Future()
        # Who waits may go away; what was handed over is written all the same, and the writer must not meet a future
        # that is cancelled.
        future.set_running_or_notify_cancel()
        self._queue.put(_Entry(content, [(names, len(content))], future))
        return future

    def _write_until_closed(self) -> None:
        is_open = True
        while is_open:
            group = [self._queue.get()]
            while not self._queue.empty():
                group.append(self._queue.get())
            is_open = _STOP not in group
            self._write_group([entry for entry in group if entry is not None])
        if self._file is not None:
            self._file.close()

    def _write_group(self, group: list[_Entry]) -> None:
        if not group:
            return
        try:
            file = self._current_file()
            parts = [part for entry in group for part in entry.parts]
            index = self._index if any(names for names, _ in parts) else None
            start, noted = file.n_bytes, None
            if index is not None:
                noted = index.note(file.name, start, parts)
            file.write(b"".join(entry.content for entry in group))
            if index is not None and noted is not None and not index.stands(noted):
                index.note(file.name, start, parts)
        except (OSError, sqlite3.Error) as error:
            _LOG.exception("the score log cannot be written")
            problem = UnavailableError(msg("The score log cannot be written, so no score is given"), code="score_log")
            problem.__cause__ = error
            _tell(group, problem)
            return
        _tell(group, None)

    def _current_file(self) -> "_File":
        if self._file is not None and self._file.is_spent(self._max_file_bytes, self._max_file_seconds):
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = _File(self.folder)
        return self._file


def _names(name: bytes | None) -> Sequence[bytes]:
    return () if name is None else (name,)


def _tell(group: Iterable[_Entry], problem: UnavailableError | None) -> None:
    """Let all who wait for a group go on."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for entry in group:
        if isinstance(entry.future, asyncio.Future):
            by_loop[entry.future.get_loop()].append(entry.future)
        else:
            _end(entry.future, problem)
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_end_all, futures, problem)
        except RuntimeError:
            _LOG.warning("nobody waits any more for %s answers that are in the score log", len(futures))


def _end_all(futures: "Iterable[asyncio.Future[None]]", problem: UnavailableError | None) -> None:
    for future in futures:
        if not future.done():
            _end(future, problem)


def _end(future: "Future[None] | asyncio.Future[None]", problem: UnavailableError | None) -> None:
    if problem is None:
        future.set_result(None)
    else:
        future.set_exception(problem)


class _File:
    """One file of the local log, always ending in a whole entry."""

    def __init__(self, folder: Path) -> None:
        self.name = f"scores-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._descriptor = os.open(folder / self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._began = time.monotonic()
        self.n_bytes = 0
        self._is_broken = False
        _fsync_folder(folder)

    def write(self, content: bytes) -> None:
        try:
            written = 0
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
            os.fsync(self._descriptor)
        except OSError:
            self._cut_back()
            raise
        self.n_bytes += len(content)

    def is_spent(self, max_bytes: float, max_seconds: float) -> bool:
        is_old = time.monotonic() - self._began > max_seconds
        return self._is_broken or self.n_bytes >= max_bytes or is_old

    def close(self) -> None:
        os.close(self._descriptor)

    def _cut_back(self) -> None:
        """Take half-written entries away; a file where that fails is left, and its half entry never read."""
        self._is_broken = True
        try:
            os.ftruncate(self._descriptor, self.n_bytes)
        except OSError:
            _LOG.exception("a half-written entry stays at the end of a file of the score log")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
