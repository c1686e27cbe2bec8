"""The score log: every answer kept on the scoring host first, then in the database, and read back as arrays.

What is promised: when `LocalScoreLog.append` returns, the record is on the disk (``fsync``), so that a crash of the
process or of the machine after it loses nothing. A crash before it may leave half a line at the end of a file; half a
line is never read as a record, and its answer was never given.
"""

import logging
import os
import queue
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.database import Database
from core.errors import UnavailableError
from core.i18n import msg
from monitoring.tables import score_record

if TYPE_CHECKING:
    from monitoring.score_index import ScoreIndex

__all__ = [
    "LOG_FILES",
    "LocalScoreLog",
    "LoggedScores",
    "ScoreRecord",
    "latest_scores",
    "read_local",
    "read_record",
    "read_scores",
    "remove_shipped",
    "ship",
    "whole_lines",
    "write_scores",
]

_LOG = logging.getLogger(__name__)
LOG_FILES = "scores-*.jsonl"
"""Names of the files of the local log."""
_CHUNK = 200
_STOP = None


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """What was asked, what was answered, by which version, with which feature values.

    Parameters
    ----------
    request_id : str
        Names the request; with project and slot it names the record.
    project, slot : str
        Which deployment answered.
    version : int
        Model version.
    bundle_hash : str
        SHA-256 of its bundle.
    asked_at : datetime
        Aware moment of the request.
    key : str
        Key of the scored row.
    cutoff : datetime
        Naive time in the data's own clock; only what was known strictly before it counted.
    probability, score : float
        Probability of default, and points.
    grade : str
        Grade of the master scale.
    reasons, warnings : list of dict
        As in the answer.
    features : mapping of str to float or None
        Feature values by alias; NaN and None both mean null.
    source : str, default="api"
        Where it was asked from: ``"api"``, ``"batch"``, ``"page"``.
    language : str, default="en"
        Language of the texts in `reasons` and `warnings`.
    payload_hash : str, default=""
        SHA-256 of what was sent, to tell a repeated request from another one under the same id.
    snapshots : mapping of str to str
        The dated data beside the request that the answer drew on: moment up to which each reaches, by its name
        (``"online"``), naive, in the data's own clock.
    """

    request_id: str
    project: str
    slot: str
    version: int
    bundle_hash: str
    asked_at: datetime
    key: str
    cutoff: datetime
    probability: float
    score: float
    grade: str
    reasons: list[dict[str, Any]]
    warnings: list[dict[str, Any]]
    features: Mapping[str, float | None]
    source: str = "api"
    language: str = "en"
    payload_hash: str = ""
    snapshots: Mapping[str, str] = field(default_factory=dict)

    def to_line(self) -> bytes:
        """Return the record as one line of JSON, NaN as null."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def from_line(cls, line: bytes) -> "ScoreRecord":
        """Read what `to_line` wrote.

        Raises
        ------
        ValueError
            If the line is not a whole record.
        """
        try:
            values = orjson.loads(line)
            values["asked_at"] = datetime.fromisoformat(values["asked_at"])
            values["cutoff"] = datetime.fromisoformat(values["cutoff"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError("not a score record") from error


_FIELDS = tuple(column.name for column in fields(ScoreRecord))


class LocalScoreLog:
    """Append-only JSON lines of one process, written by one thread, many records to one ``fsync``.

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
        self._queue: queue.SimpleQueue[tuple[bytes, bytes | None, Future[None]] | None] = queue.SimpleQueue()
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
        future: Future[None] = Future()
        self._queue.put((record.to_line(), name, future))
        return future

    def close(self) -> None:
        """Write what was handed over, and stop."""
        self._queue.put(_STOP)
        self._thread.join()

    def __enter__(self) -> "LocalScoreLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write_until_closed(self) -> None:
        is_open = True
        while is_open:
            group = [self._queue.get()]
            while not self._queue.empty():
                group.append(self._queue.get())
            is_open = _STOP not in group
            self._write_group([item for item in group if item is not None])
        if self._file is not None:
            self._file.close()

    def _write_group(self, group: list[tuple[bytes, bytes | None, "Future[None]"]]) -> None:
        if not group:
            return
        try:
            file = self._current_file()
            if self._index is not None and any(name is not None for _, name, _ in group):
                self._index.note(file.name, file.n_bytes, [(name, len(line)) for line, name, _ in group])
            file.write(b"".join(line for line, _, _ in group))
        except (OSError, sqlite3.Error) as error:
            _LOG.exception("the score log cannot be written")
            problem = UnavailableError(msg("The score log cannot be written, so no score is given"), code="score_log")
            problem.__cause__ = error
            for _, _, future in group:
                future.set_exception(problem)
            return
        for _, _, future in group:
            future.set_result(None)

    def _current_file(self) -> "_File":
        if self._file is not None and self._file.is_spent(self._max_file_bytes, self._max_file_seconds):
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = _File(self.folder)
        return self._file


class _File:
    """One file of the local log, always ending in a whole line."""

    def __init__(self, folder: Path) -> None:
        self.name = f"scores-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._descriptor = os.open(folder / self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._began = time.monotonic()
        self.n_bytes = 0
        self._is_broken = False
        _fsync_folder(folder)

    def write(self, lines: bytes) -> None:
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
            os.fsync(self._descriptor)
        except OSError:
            self._cut_back()
            raise
        self.n_bytes += len(lines)

    def is_spent(self, max_bytes: float, max_seconds: float) -> bool:
        is_old = time.monotonic() - self._began > max_seconds
        return self._is_broken or self.n_bytes >= max_bytes or is_old

    def close(self) -> None:
        os.close(self._descriptor)

    def _cut_back(self) -> None:
        """Take half-written lines away; a file where that fails is left, and its half line never read."""
        self._is_broken = True
        try:
            os.ftruncate(self._descriptor, self.n_bytes)
        except OSError:
            _LOG.exception("a half-written line stays at the end of a file of the score log")


def read_local(folder: Path, *, max_records: int) -> list[ScoreRecord]:
    """Return the newest records of the local log, oldest first, at most `max_records`."""
    found: list[ScoreRecord] = []
    for path in sorted(folder.glob(LOG_FILES), reverse=True):
        records = [record for _, line in whole_lines(path, 0) if (record := read_record(line)) is not None]
        found = records[-(max_records - len(found)) :] + found
        if len(found) >= max_records:
            break
    return found


def ship(folder: Path, database: Database) -> int:
    """Bring what is in the local log to the database.

    May be called again, by several processes, and after a crash at any point: a record that is there already is left as
    it is. A line that cannot be kept is moved to ``rejected.jsonl`` and logged, so that it holds up no other.

    Parameters
    ----------
    folder : Path
        The local log.
    database : Database
        Migrated.

    Returns
    -------
    int
        Records that were new to the database.

    Raises
    ------
    UnavailableError
        If the database cannot be reached; what was shipped before stays shipped.
    """
    return sum(_ship_file(path, database) for path in sorted(folder.glob(LOG_FILES)))


def remove_shipped(
    folder: Path, *, older_than_seconds: float, on_remove: Callable[[Path], None] = lambda _: None
) -> int:
    """Delete files of the local log that are wholly in the database and were not written to for so long.

    `on_remove` is told each before it goes. Called by one process at a time.
    """
    removed = 0
    for path in folder.glob(LOG_FILES):
        status = path.stat()
        if time.time() - status.st_mtime > older_than_seconds and _offset(path) >= status.st_size:
            on_remove(path)
            _marker(path).unlink(missing_ok=True)
            path.unlink()
            removed += 1
    return removed


def write_scores(database: Database, records: Iterable[ScoreRecord]) -> int:
    """Write records to the database, leaving those that are there; return how many were new."""
    rows = [_row(record) for record in records]
    n_new = 0
    for start in range(0, len(rows), _CHUNK):
        with database.begin() as connection:
            n_new += _insert(connection, rows[start : start + _CHUNK])
    return n_new


@dataclass(frozen=True)
class LoggedScores:
    """Records of the score log as arrays, in the order of asking.

    Parameters
    ----------
    request_ids, keys, grades : ndarray of object, shape (n_records,)
        Texts.
    asked_at, cutoffs : ndarray of datetime64[us], shape (n_records,)
        UTC, and the data's own clock.
    versions : ndarray of int64, shape (n_records,)
        Model versions.
    probabilities, scores : ndarray of float64, shape (n_records,)
        Answers.
    aliases : tuple of str
        Columns of `values`.
    values : ndarray of float64, shape (n_records, n_features)
        Feature values, NaN where null or not logged.
    """

    request_ids: np.ndarray
    keys: np.ndarray
    grades: np.ndarray
    asked_at: np.ndarray
    cutoffs: np.ndarray
    versions: np.ndarray
    probabilities: np.ndarray
    scores: np.ndarray
    aliases: tuple[str, ...]
    values: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.request_ids)


def read_scores(
    database: Database,
    project: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    slot: str = "champion",
    version: int | None = None,
    aliases: Sequence[str] | None = None,
    by: Literal["asked_at", "cutoff"] = "asked_at",
    limit: int | None = None,
) -> LoggedScores:
    """Read answers as arrays.

    Parameters
    ----------
    database : Database
        Migrated.
    project : str
        Whose answers.
    start, end : datetime, optional
        From `start` on and before `end`: aware where `by` is ``"asked_at"``, naive where it is ``"cutoff"``.
    slot : str, default="champion"
        Which deployment.
    version : int, optional
        Only of this model version.
    aliases : sequence of str, optional
        Columns wanted; all that occur, by name, where left out.
    by : {"asked_at", "cutoff"}, default="asked_at"
        Which time the period is of.
    limit : int, optional
        Only the newest so many.

    Returns
    -------
    LoggedScores
        Ordered by that time, oldest first.
    """
    query = _select(project, slot, version, by, (start, end)).order_by(
        score_record.c[by].desc(), score_record.c.id.desc()
    )
    columns = ("request_id", "key", "grade", "asked_at", "cutoff", "version", "probability", "score", "features")
    with database.connect() as connection:
        rows = connection.execute(query.limit(limit).with_only_columns(*(score_record.c[name] for name in columns)))
        taken = [tuple(row) for row in rows][::-1]
    texts = {name: [row[index] for row in taken] for index, name in enumerate(columns)}
    features: list[dict[str, float | None]] = texts["features"]
    wanted = tuple(aliases) if aliases is not None else tuple(sorted({alias for row in features for alias in row}))
    return LoggedScores(
        request_ids=np.array(texts["request_id"], dtype=object),
        keys=np.array(texts["key"], dtype=object),
        grades=np.array(texts["grade"], dtype=object),
        asked_at=np.array([moment.replace(tzinfo=None) for moment in texts["asked_at"]], dtype="datetime64[us]"),
        cutoffs=np.array(texts["cutoff"], dtype="datetime64[us]"),
        versions=np.array(texts["version"], dtype=np.int64),
        probabilities=np.array(texts["probability"], dtype=np.float64),
        scores=np.array(texts["score"], dtype=np.float64),
        aliases=wanted,
        values=np.array([[row.get(alias) for alias in wanted] for row in features], dtype=np.float64).reshape(
            len(taken), len(wanted)
        ),
    )


def latest_scores(
    database: Database, project: str, *, slot: str = "champion", limit: int = 20, key: str | None = None
) -> list[ScoreRecord]:
    """Return the newest records of a project, newest first, of one `key` only where that is given."""
    query = _select(project, slot, None, "asked_at", (None, None))
    if key is not None:
        query = query.where(score_record.c.key == key)
    query = query.order_by(score_record.c.asked_at.desc(), score_record.c.id.desc()).limit(limit)
    with database.connect() as connection:
        rows = connection.execute(query.with_only_columns(*(score_record.c[name] for name in _FIELDS)))
        return [ScoreRecord(*row) for row in rows]


def _select(
    project: str, slot: str, version: int | None, by: str, period: tuple[datetime | None, datetime | None]
) -> sa.Select[Any]:
    query = sa.select(score_record).where(score_record.c.project == project, score_record.c.slot == slot)
    start, end = period
    if version is not None:
        query = query.where(score_record.c.version == version)
    if start is not None:
        query = query.where(score_record.c[by] >= start)
    if end is not None:
        query = query.where(score_record.c[by] < end)
    return query


def _row(record: ScoreRecord) -> dict[str, Any]:
    # Not `asdict`, which copies every value of every row deeply and costs more than the insert.
    row = {name: getattr(record, name) for name in _FIELDS}
    row["features"] = {
        alias: None if value is None or value != value else float(value) for alias, value in record.features.items()
    }
    return row


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> int:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(score_record).on_conflict_do_nothing(index_elements=["project", "slot", "request_id"])
    return len(connection.execute(insert.returning(score_record.c.id), rows).all()) if rows else 0


def _ship_file(path: Path, database: Database) -> int:
    n_new = 0
    chunk: list[ScoreRecord] = []
    shipped = end = _offset(path)
    for end, line in whole_lines(path, shipped):
        if (record := read_record(line)) is not None:
            chunk.append(record)
        else:
            _reject(path, line)
        if len(chunk) >= _CHUNK:
            n_new += _ship_chunk(path, database, chunk, end)
            chunk = []
    if end > shipped:
        n_new += _ship_chunk(path, database, chunk, end)
    return n_new


def _ship_chunk(path: Path, database: Database, chunk: list[ScoreRecord], end: int) -> int:
    try:
        n_new = write_scores(database, chunk)
    except (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.StatementError):
        n_new = sum(_write_or_reject(path, database, record) for record in chunk)
    temporary = _marker(path).with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
    temporary.write_text(str(end))
    temporary.replace(_marker(path))
    return n_new


def _write_or_reject(path: Path, database: Database, record: ScoreRecord) -> int:
    try:
        return write_scores(database, [record])
    except (sa.exc.DataError, sa.exc.IntegrityError):
        _reject(path, record.to_line())
        return 0


def whole_lines(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield each whole line from `offset` on with where it ends; a half line at the end is not yielded."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield offset, line


def read_record(line: bytes) -> ScoreRecord | None:
    """Return the record in a line of the local log, or None where it holds none."""
    try:
        return ScoreRecord.from_line(line)
    except ValueError:
        return None


def _reject(path: Path, line: bytes) -> None:
    _LOG.error("a line of the score log cannot be kept: %s", path.name)
    with (path.parent / "rejected.jsonl").open("ab") as file:
        file.write(line)


def _marker(path: Path) -> Path:
    return path.with_suffix(".shipped")


def _offset(path: Path) -> int:
    """Return how much of the file is in the database already."""
    try:
        return int(_marker(path).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
