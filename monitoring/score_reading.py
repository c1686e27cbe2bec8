"""Reading the score log in the database: as arrays for monitoring, as records for a person."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from core.database import Database
from monitoring.score_record import RECORD_FIELDS, ScoreRecord
from monitoring.tables import score_record

__all__ = ["LoggedScores", "latest_scores", "read_scores"]


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
        rows = connection.execute(query.with_only_columns(*(score_record.c[name] for name in RECORD_FIELDS)))
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
