"""Retention: months of the score log that are older than the policy keeps are dropped whole, and the audit says so."""

import logging
from datetime import UTC, datetime

import sqlalchemy as sa

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConflictError, UnavailableError
from core.i18n import msg
from monitoring.score_months import bounds_of, drop_month, lock_log, months_of

__all__ = ["due_months", "retain"]

_LOG = logging.getLogger(__name__)
_MAX_UNASKED = 2
_LOCK_TIMEOUT = "set local lock_timeout = '5s'"


def due_months(database: Database, keep_months: int, *, now: datetime | None = None) -> list[str]:
    """Return the months that are over for more than `keep_months` months, oldest first.

    Parameters
    ----------
    database : Database
        Migrated.
    keep_months : int
        How many whole months are kept beside the one that has begun.
    now : datetime, optional
        Aware; the present where left out. Where the database has a clock of its own that is behind it, that counts: a
        clock that runs ahead must not drop what is not due.
    """
    with database.connect() as connection:
        moment = _earliest_now(connection, now or datetime.now(UTC))
        first_kept = moment.year * 12 + moment.month - 1 - keep_months
        return sorted(month for month in months_of(connection) if _number(month) < first_kept)


def retain(
    database: Database, keep_months: int, *, by: str, is_asked: bool = True, now: datetime | None = None
) -> list[str]:
    """Drop the months that are due, each in a transaction with its audit record; return them, oldest first.

    Parameters
    ----------
    database : Database
        Migrated.
    keep_months : int
        As in `due_months`.
    by : str
        Who is named in the audit trail.
    is_asked : bool, default=True
        Whether a person asks. The service, which asks by itself every hour, never has more than two months due while
        its clock is right; more of them it leaves to a person.
    now : datetime, optional
        As in `due_months`.

    Raises
    ------
    ConflictError
        If more months are due than are dropped unasked.
    UnavailableError
        If a long reading stands in the way, or the database cannot be reached; what was dropped stays dropped.
    """
    due = due_months(database, keep_months, now=now)
    if len(due) > _MAX_UNASKED and not is_asked:
        raise ConflictError(
            msg("{n} months of the score log are due at once and are not dropped unasked", n=len(due)),
            where="score_log",
            fix=msg("If the clock and the policy are right, run: workbench score-log retain"),
            code="many_months_due",
        )
    for month in due:
        _drop(database, month, keep_months, by)
        _LOG.info("the month %s of the score log is dropped", month)
    return due


def _drop(database: Database, month: str, keep_months: int, by: str) -> None:
    try:
        with database.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Dropping waits for readers, and new readers for the dropping: better to come again.
                connection.exec_driver_sql(_LOCK_TIMEOUT)
            lock_log(connection)
            if month in months_of(connection):
                drop_month(connection, month)
                details = {"month": month.replace("_", "-"), "keep_months": keep_months}
                AuditTrail(database).append(by, "score_log.retain", "score_log", details, connection=connection)
    except sa.exc.OperationalError as error:
        raise UnavailableError(msg("The score log is being read; try again in a moment"), where=month) from error


def _number(month: str) -> int:
    start, _ = bounds_of(month)
    return start.year * 12 + start.month - 1


def _earliest_now(connection: sa.Connection, now: datetime) -> datetime:
    if connection.dialect.name != "postgresql":
        return now
    theirs: datetime = connection.exec_driver_sql("select now()").scalar_one()
    return min(now, theirs.astimezone(UTC))
