"""Writing the score log to the database."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.database import Database
from monitoring.score_record import RECORD_FIELDS, ScoreRecord
from monitoring.tables import score_record

__all__ = ["write_scores"]

_CHUNK = 200


def write_scores(database: Database, records: Iterable[ScoreRecord]) -> int:
    """Write records to the database, leaving those that are there; return how many were new."""
    rows = [_row(record) for record in records]
    n_new = 0
    for start in range(0, len(rows), _CHUNK):
        with database.begin() as connection:
            n_new += _insert(connection, rows[start : start + _CHUNK])
    return n_new


def _row(record: ScoreRecord) -> dict[str, Any]:
    # Not `asdict`, which copies every value of every row deeply and costs more than the insert.
    row = {name: getattr(record, name) for name in RECORD_FIELDS}
    row["features"] = {
        alias: None if value is None or value != value else float(value) for alias, value in record.features.items()
    }
    return row


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> int:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(score_record).on_conflict_do_nothing(index_elements=["project", "slot", "request_id"])
    return len(connection.execute(insert.returning(score_record.c.id), rows).all()) if rows else 0
