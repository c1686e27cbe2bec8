"""Reading the score log in the database: as arrays for monitoring, as records for a person."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import orjson
import sqlalchemy as sa

from core.database import Database
from core.errors import IntegrityError
from core.i18n import msg
from monitoring.score_block import ScoreBlock
from monitoring.score_months import month_table, months_of
from monitoring.score_record import RECORD_FIELDS, ScoreRecord
from monitoring.score_store import key_sum
from monitoring.tables import score_block, score_record

__all__ = ["LoggedScores", "count_scores", "latest_scores", "read_block", "read_scores"]

Time = Literal["asked_at", "cutoff"]
Period = tuple[datetime | None, datetime | None]
_READ = ("request_id", "key", "grade", "asked_at", "cutoff", "version", "probability", "score", "features")


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

    def take(self, chosen: np.ndarray) -> "LoggedScores":
        """Return the records of some numbers."""
        return LoggedScores(
            **{name: getattr(self, name)[chosen] for name in (*_ARRAYS, "values")}, aliases=self.aliases
        )


_ARRAYS = ("request_ids", "keys", "grades", "asked_at", "cutoffs", "versions", "probabilities", "scores")


def read_scores(
    database: Database,
    project: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    slot: str = "champion",
    version: int | None = None,
    aliases: Sequence[str] | None = None,
    by: Time = "asked_at",
    limit: int | None = None,
) -> LoggedScores:
    """Read answers as arrays. Reads no months but those of the period, where that is of `asked_at`.

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
    which = _Which(project, slot, version, by, (start, end))
    parts: list[LoggedScores] = []
    with database.connect() as connection:
        for month in which.months(connection):
            parts.append(which.rows(connection, month, limit))
            parts += which.blocks(connection, month, limit)
            if by == "asked_at" and limit is not None and sum(map(len, parts)) >= limit:
                break
    return _together(parts, aliases, by, limit)


def latest_scores(
    database: Database, project: str, *, slot: str = "champion", limit: int = 20, key: str | None = None
) -> list[ScoreRecord]:
    """Return the newest records of a project, newest first, of one `key` only where that is given."""
    found: list[ScoreRecord] = []
    with database.connect() as connection:
        for month in months_of(connection):
            of_month = _latest_rows(connection, month, (project, slot), limit, key)
            for block in _latest_blocks(connection, month, (project, slot), limit, key):
                of_month += block.rows()
            found += sorted(of_month, key=lambda record: record.asked_at, reverse=True)
            if len(found) >= limit:
                break
    return found[:limit]


def count_scores(database: Database, project: str, slots: Collection[str] | None = None) -> tuple[int, datetime | None]:
    """Return how many answers the log holds of a project, and when the last was asked for.

    Of all slots where `slots` are left out.
    """
    n, newest = 0, None
    with database.connect() as connection:
        for month in months_of(connection):
            for table in (month_table(score_record, month), month_table(score_block, month)):
                counted = sa.func.sum(table.c.n_rows) if "n_rows" in table.c else sa.func.count()
                query = sa.select(counted, sa.func.max(table.c.asked_at)).where(table.c.project == project)
                query = query if slots is None else query.where(table.c.slot.in_(slots))
                more, last = connection.execute(query).one()
                n += int(more or 0)
                newest = last if newest is None else max(newest, last or newest)
    return n, newest


def read_block(content: bytes) -> ScoreBlock:
    """Read a block as the database keeps it.

    Raises
    ------
    IntegrityError
        If it is not as it was written.
    """
    block = ScoreBlock.from_bytes(content)
    if block is None:
        raise IntegrityError(msg("a block of the score log is damaged"), code="score_block")
    return block


@dataclass(frozen=True)
class _Which:
    """Which answers are read."""

    project: str
    slot: str
    version: int | None
    by: Time
    period: Period

    def months(self, connection: sa.Connection) -> list[str]:
        return months_of(connection, *(self.period if self.by == "asked_at" else (None, None)))

    def rows(self, connection: sa.Connection, month: str, limit: int | None) -> LoggedScores:
        table = month_table(score_record, month)
        query = self._of(table)
        start, end = self.period
        query = query.where(table.c[self.by] >= start) if start is not None else query
        query = query.where(table.c[self.by] < end) if end is not None else query
        query = query.order_by(table.c[self.by].desc(), table.c.request_id.desc()).limit(limit)
        # As text: orjson reads a wide row ten times as fast as the column type would.
        columns = [sa.cast(table.c[name], sa.Text) if name == "features" else table.c[name] for name in _READ]
        rows = connection.execute(query.with_only_columns(*columns))
        taken = [tuple(row) for row in rows][::-1]
        return _of_rows({name: [row[index] for row in taken] for index, name in enumerate(_READ)})

    def blocks(self, connection: sa.Connection, month: str, limit: int | None) -> Iterator[LoggedScores]:
        table = month_table(score_block, month)
        start, end = self.period
        first, last = ("asked_at", "asked_at") if self.by == "asked_at" else ("first_cutoff", "last_cutoff")
        query = self._of(table)
        query = query.where(table.c[last] >= start) if start is not None else query
        query = query.where(table.c[first] < end) if end is not None else query
        query = query.order_by(table.c[last].desc()).with_only_columns(table.c.content)
        n = 0
        with connection.execute(query.execution_options(yield_per=16)) as contents:
            for content in contents.scalars():
                logged = _of_block(read_block(content))
                if self.by == "cutoff":
                    logged = logged.take(_within(logged.cutoffs, self.period))
                yield logged
                n += len(logged)
                if self.by == "asked_at" and limit is not None and n >= limit:
                    return

    def _of(self, table: sa.Table) -> sa.Select[Any]:
        query = sa.select(table).where(table.c.project == self.project, table.c.slot == self.slot)
        return query if self.version is None else query.where(table.c.version == self.version)


def _within(times: np.ndarray, period: Period) -> np.ndarray:
    start, end = period
    is_in = np.ones(len(times), dtype=bool)
    if start is not None:
        is_in &= times >= np.datetime64(start)
    if end is not None:
        is_in &= times < np.datetime64(end)
    return np.flatnonzero(is_in)


def _of_rows(columns: dict[str, list[Any]]) -> LoggedScores:
    features: list[dict[str, float | None]] = [orjson.loads(text) for text in columns["features"]]
    aliases = tuple(sorted({alias for row in features for alias in row}))
    values = np.array([[row.get(alias) for alias in aliases] for row in features], dtype=np.float64)
    return LoggedScores(
        request_ids=np.array(columns["request_id"], dtype=object),
        keys=np.array(columns["key"], dtype=object),
        grades=np.array(columns["grade"], dtype=object),
        asked_at=np.array([moment.replace(tzinfo=None) for moment in columns["asked_at"]], dtype="datetime64[us]"),
        cutoffs=np.array(columns["cutoff"], dtype="datetime64[us]"),
        versions=np.array(columns["version"], dtype=np.int64),
        probabilities=np.array(columns["probability"], dtype=np.float64),
        scores=np.array(columns["score"], dtype=np.float64),
        aliases=aliases,
        values=values.reshape(len(features), len(aliases)),
    )


def _of_block(block: ScoreBlock) -> LoggedScores:
    n = len(block)
    return LoggedScores(
        request_ids=np.array(block.request_ids, dtype=object),
        keys=np.array(block.case_keys, dtype=object),
        grades=np.array(block.grades, dtype=object),
        asked_at=np.full(n, np.datetime64(block.asked_at.replace(tzinfo=None), "us")),
        cutoffs=block.cutoffs,
        versions=np.full(n, block.version, dtype=np.int64),
        probabilities=block.probabilities,
        scores=block.scores,
        aliases=block.aliases,
        values=block.values,
    )


def _together(
    parts: Sequence[LoggedScores], aliases: Sequence[str] | None, by: Time, limit: int | None
) -> LoggedScores:
    """Put parts together, in the order of a time, the newest `limit` of them."""
    filled = [part for part in parts if len(part)] or [_of_rows({name: [] for name in _READ})]
    wanted = tuple(aliases) if aliases is not None else tuple(sorted({one for part in filled for one in part.aliases}))
    whole = LoggedScores(
        **{name: np.concatenate([getattr(part, name) for part in filled]) for name in _ARRAYS},
        aliases=wanted,
        values=np.concatenate([_columns(part, wanted) for part in filled]),
    )
    order = np.argsort(whole.asked_at if by == "asked_at" else whole.cutoffs, kind="stable")
    return whole.take(order if limit is None else order[max(len(order) - limit, 0) :])


def _columns(part: LoggedScores, wanted: tuple[str, ...]) -> np.ndarray:
    if part.aliases == wanted:
        return part.values
    places = {alias: place for place, alias in enumerate(part.aliases)}
    values = np.full((len(part), len(wanted)), np.nan)
    for column, alias in enumerate(wanted):
        if alias in places:
            values[:, column] = part.values[:, places[alias]]
    return values


def _latest_rows(
    connection: sa.Connection, month: str, whose: tuple[str, str], limit: int, key: str | None
) -> list[ScoreRecord]:
    table = month_table(score_record, month)
    query = sa.select(*(table.c[name] for name in RECORD_FIELDS))
    query = query.where(table.c.project == whose[0], table.c.slot == whose[1])
    query = query if key is None else query.where(table.c.key == key)
    query = query.order_by(table.c.asked_at.desc(), table.c.request_id.desc()).limit(limit)
    return [ScoreRecord(*row) for row in connection.execute(query)]


def _latest_blocks(
    connection: sa.Connection, month: str, whose: tuple[str, str], limit: int, key: str | None
) -> Iterator[ScoreBlock]:
    """Yield blocks of the newest rows, newest first, at least `limit` rows where there are so many."""
    table = month_table(score_block, month)
    query = sa.select(table.c.block_id, table.c.key_sums).order_by(table.c.asked_at.desc())
    query = query.where(table.c.project == whose[0], table.c.slot == whose[1])
    n = 0
    for block_id, sums in connection.execute(query).all():
        if key is not None and key_sum(key) not in np.frombuffer(sums, dtype="<u4"):
            continue
        content = connection.execute(sa.select(table.c.content).where(table.c.block_id == block_id)).scalar_one()
        block = read_block(content)
        if key is not None:
            block = block.take(np.flatnonzero([one == key for one in block.case_keys]))
        yield block.take(np.arange(len(block))[::-1])
        n += len(block)
        if n >= limit:
            return
