"""Drift reports in the database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from core.database import Database
from core.errors import NotFoundError
from core.i18n import msg
from monitoring.report import DriftReport
from monitoring.tables import drift_report

__all__ = ["StoredReport", "read_report", "read_reports", "save_report"]


@dataclass(frozen=True)
class StoredReport:
    """A report with what it is of, and when it was made."""

    id: int
    project: str
    slot: str
    version: int
    period_start: datetime
    period_end: datetime
    created_at: datetime
    report: DriftReport


def save_report(
    database: Database,
    report: DriftReport,
    *,
    project: str,
    slot: str,
    version: int,
    period_start: datetime,
    period_end: datetime,
    created_at: datetime | None = None,
) -> int:
    """Keep a report and return its id.

    Parameters
    ----------
    period_start, period_end : datetime
        With a time zone; the end is exclusive.
    created_at : datetime, optional
        Now where left out.
    """
    row = {
        "project": project,
        "slot": slot,
        "version": version,
        "period_start": period_start,
        "period_end": period_end,
        "created_at": created_at or datetime.now(UTC),
        "verdict": report.verdict,
        "report": report.to_json(),
    }
    with database.begin() as connection:
        statement = sa.insert(drift_report).values(row).returning(drift_report.c.id)
        return int(connection.execute(statement).scalar_one())


def read_report(database: Database, report_id: int) -> StoredReport:
    """Return one report; raises `NotFoundError` where there is none of this id."""
    with database.connect() as connection:
        row = connection.execute(sa.select(drift_report).where(drift_report.c.id == report_id)).one_or_none()
    if row is None:
        raise NotFoundError(msg("there is no drift report {id}", id=report_id))
    return _stored(row)


def read_reports(
    database: Database,
    project: str,
    *,
    slot: str | None = None,
    version: int | None = None,
    period: str | None = None,
    limit: int = 100,
) -> list[StoredReport]:
    """Return the latest `limit` reports of a project, oldest period first, and of one period the latest last.

    Parameters
    ----------
    slot, version, period : optional
        Only the reports of this slot, this version, this period.
    """
    wanted = sa.select(drift_report).where(drift_report.c.project == project)
    if slot is not None:
        wanted = wanted.where(drift_report.c.slot == slot)
    if version is not None:
        wanted = wanted.where(drift_report.c.version == version)
    if period is not None:
        wanted = wanted.where(drift_report.c.report["period"].as_string() == period)
    newest = wanted.order_by(drift_report.c.created_at.desc(), drift_report.c.id.desc()).limit(limit)
    with database.connect() as connection:
        stored = [_stored(row) for row in connection.execute(newest)]
    return sorted(stored, key=lambda item: (item.period_end, item.period_start, item.created_at, item.id))


def _stored(row: Any) -> StoredReport:
    return StoredReport(
        row.id,
        row.project,
        row.slot,
        row.version,
        row.period_start,
        row.period_end,
        row.created_at,
        DriftReport.from_json(row.report),
    )
