"""Asking for the jobs that are due: each moment once, whoever looks and however often; failed ones again, then told.

Any number of schedulers may look at one database. Who moves a schedule on names the revision that was read, in the same
transaction that asks for the job: one of them does, and none can die in between.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from core.audit import AuditTrail
from core.database import Database
from core.errors import WorkbenchError
from core.i18n import Message, msg
from core.identity import Actor
from core.settings import Settings
from workbench.flows.context import current_actor
from workbench.jobs.alerts import tell
from workbench.jobs.cron import check_zone, latest_due, n_due, next_due
from workbench.jobs.queue import JobQueue, JobState
from workbench.jobs.schedules import arguments, run_of, schedule_of
from workbench.tables import job as job_table
from workbench.tables import schedule as schedule_table
from workbench.tables import schedule_run as run_table

__all__ = ["Clock", "Scheduler", "Tick"]

_JUMP: Final = timedelta(seconds=60)
_N_KEPT: Final = 200
_MOST_ALERTS: Final = 5
_ALERT_PAUSE: Final = timedelta(minutes=2)
_LONGEST_PAUSE: Final = timedelta(days=1)

log = logging.getLogger(__name__)


def _steady() -> float:
    """Return seconds that no change of the clock touches; a machine that slept has them too."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True)
class Clock:
    """The time of day, and one that never jumps."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    steady: Callable[[], float] = _steady


@dataclass(frozen=True)
class Tick:
    """What one look did: runs begun, tried again, ended well or badly, skipped, and told of."""

    begun: int = 0
    retried: int = 0
    settled: int = 0
    told: int = 0


@dataclass
class Scheduler:
    """Looks at the schedules of one database.

    A clock that jumps by more than a minute is not believed for a minute: a moment that comes too early would be taken
    for done.

    Parameters
    ----------
    database : Database
        The migrated database.
    settings : Settings
        Whom to tell of failures.
    clock : Clock
        The time.
    """

    database: Database
    settings: Settings
    clock: Clock = field(default_factory=Clock)
    _seen: tuple[datetime, float] | None = None
    _distrust_until: float = 0.0

    def tick(self) -> Tick:
        """Look once: end what has ended, try again what may be, begin what is due, tell of what failed.

        Raises
        ------
        UnavailableError
            The database cannot be reached; the next look does what this one did not.
        """
        now = self.clock.now()
        settled = self._settle(now)
        if not self._is_trusted(now):
            return Tick(settled=settled)
        retried = sum(self._retry(row, now) for row in self._rows(run_table, run_table.c.state == "retrying",
                                                                   run_table.c.retry_at <= now))  # fmt: skip
        due = self._rows(schedule_table, schedule_table.c.is_on, schedule_table.c.next_at <= now)
        begun = sum(self._begin(row, now) for row in due)
        told = sum(self._tell(row, now) for row in self._rows(run_table, run_table.c.alert_at <= now))
        return Tick(begun, retried, settled, told)

    def _is_trusted(self, now: datetime) -> bool:
        steady = self.clock.steady()
        if self._seen is not None:
            passed = timedelta(seconds=steady - self._seen[1])
            if abs(now - self._seen[0] - passed) > _JUMP:
                log.warning("the clock jumped to %s; schedules wait for a minute", now.isoformat())
                self._distrust_until = steady + _JUMP.total_seconds()
        self._seen = now, steady
        return steady >= self._distrust_until

    def _rows(self, table: Any, *conditions: Any) -> list[Row[Any]]:
        with self.database.connect() as connection:
            return list(connection.execute(select(table).where(*conditions).order_by(table.c.id)))

    def _begin(self, row: Row[Any], now: datetime) -> bool:
        """Begin the run that is due, one for all that were missed; return whether it was this scheduler's to begin."""
        due = latest_due(row.cron, row.time_zone, row.next_at, now)
        values = {
            "schedule_id": row.id,
            "due_at": due,
            "n_missed": n_due(row.cron, row.time_zone, row.next_at, due) - 1,
            "started_at": now,
            "attempt": 1,
            "n_alerts": 0,
        }
        with self.database.begin() as connection:
            moved = connection.execute(
                update(schedule_table)
                .where(schedule_table.c.id == row.id, schedule_table.c.revision == row.revision)
                .values(next_at=next_due(row.cron, row.time_zone, now), revision=row.revision + 1)
            )
            if moved.rowcount != 1 or self._is_done(connection, row.id, due):
                return False
            if self._is_at_work(connection, row.id):
                still = msg("the run before was still at work")
                values |= {"state": "skipped", "finished_at": now, "error": _error("skipped", still)}
                connection.execute(insert(run_table).values(**values))
                return True
            self._give_up_waiting(connection, row.id, now)
            connection.execute(insert(run_table).values(**values, **self._asked(connection, row, due, now)))
            self._forget_old(connection, row.id)
        log.info("schedule %s of %s is due since %s", row.name, row.project, due.isoformat())
        return True

    def _asked(self, connection: Any, row: Row[Any], due: datetime, now: datetime) -> dict[str, Any]:
        """Ask for the job of a run; return what becomes of the run's row."""
        today = due.astimezone(check_zone(row.time_zone)).date()
        args = {"project": row.project, **arguments(row.kind, row.args, today)}
        actor = current_actor(
            self.database, Actor(row.actor["name"], frozenset(row.actor["roles"]), row.actor["language"])
        )  # fmt: skip
        try:
            job = JobQueue(self.database).enqueue(row.kind, args, by=actor, connection=connection)
        except WorkbenchError as error:
            # Nobody may do this any more: trying again changes nothing.
            message = error.message if isinstance(error.message, Message) else msg("{text}", text=str(error.message))
            return {"state": "failed", "finished_at": now, "alert_at": now, "error": _error(error.code, message)}
        return {"state": "running", "job_id": job.id, "finished_at": None, "retry_at": None}

    def _retry(self, run: Row[Any], now: datetime) -> bool:
        with self.database.begin() as connection:
            moved = connection.execute(
                update(run_table)
                .where(run_table.c.id == run.id, run_table.c.state == "retrying", run_table.c.attempt == run.attempt)
                .values(attempt=run.attempt + 1)
            )
            if moved.rowcount != 1:
                return False
            row = connection.execute(select(schedule_table).where(schedule_table.c.id == run.schedule_id)).one()
            values = (
                self._asked(connection, row, run.due_at, now)
                if row.is_on
                else {"state": "failed", "finished_at": now, "retry_at": None}
            )
            connection.execute(update(run_table).where(run_table.c.id == run.id).values(**values))
        return True

    def _settle(self, now: datetime) -> int:
        """End the runs whose jobs have ended; return how many."""
        final = [JobState.SUCCEEDED.value, JobState.FAILED.value, JobState.CANCELLED.value]
        query = (
            select(run_table, job_table.c.state.label("job_state"), job_table.c.error.label("job_error"),
                   schedule_table.c.max_attempts, schedule_table.c.retry_minutes)
            .join(job_table, job_table.c.id == run_table.c.job_id)
            .join(schedule_table, schedule_table.c.id == run_table.c.schedule_id)
            .where(run_table.c.state == "running", job_table.c.state.in_(final))
        )  # fmt: skip
        with self.database.connect() as connection:
            ended = list(connection.execute(query))
        for run in ended:
            self._end(run, now)
        return len(ended)

    def _end(self, run: Row[Any], now: datetime) -> None:
        values: dict[str, Any] = {"finished_at": now, "state": run.job_state, "error": None}
        if run.job_state == JobState.FAILED.value:
            values["error"] = run.job_error
            if run.attempt < run.max_attempts:
                pause = timedelta(minutes=run.retry_minutes) * 2 ** (run.attempt - 1)
                values |= {"state": "retrying", "finished_at": None, "retry_at": now + min(pause, _LONGEST_PAUSE)}
            else:
                values["alert_at"] = now
        is_mine = (run_table.c.id == run.id, run_table.c.state == "running", run_table.c.attempt == run.attempt)
        with self.database.begin() as connection:
            connection.execute(update(run_table).where(*is_mine).values(**values))

    def _tell(self, run: Row[Any], now: datetime) -> bool:
        """Tell of a run that failed for good; who is to be told and cannot be is told again, a few times."""
        is_last = run.n_alerts + 1 >= _MOST_ALERTS
        with self.database.begin() as connection:
            claimed = connection.execute(
                update(run_table)
                .where(
                    run_table.c.id == run.id, run_table.c.n_alerts == run.n_alerts, run_table.c.alert_at.is_not(None)
                )
                .values(n_alerts=run.n_alerts + 1, alert_at=None if is_last else now + _ALERT_PAUSE * 2**run.n_alerts)
            )
            if claimed.rowcount != 1:
                return False
            row = connection.execute(select(schedule_table).where(schedule_table.c.id == run.schedule_id)).one()
        known, failed = schedule_of(row), run_of(run)
        if run.n_alerts == 0:
            details = {"due_at": run.due_at.isoformat(), "attempts": run.attempt, "error": failed.error_text("en")}
            subject = f"schedule:{known.project}/{known.name}"
            AuditTrail(self.database).append(known.owner, "schedule.failed", subject, details)
        if not tell(self.settings, known, failed):
            return False
        with self.database.begin() as connection:
            connection.execute(
                update(run_table).where(run_table.c.id == run.id).values(alert_at=None, alerted_at=now)
            )  # fmt: skip
        return True

    def _is_done(self, connection: Any, schedule_id: int, due: datetime) -> bool:
        """Whether a moment has its run: a clock that went back brings it again."""
        same = select(run_table.c.id).where(run_table.c.schedule_id == schedule_id, run_table.c.due_at == due)
        return connection.execute(same).first() is not None

    def _is_at_work(self, connection: Any, schedule_id: int) -> bool:
        at_work = select(run_table.c.id).where(
            run_table.c.schedule_id == schedule_id, run_table.c.state == "running"
        )  # fmt: skip
        return connection.execute(at_work).first() is not None

    def _give_up_waiting(self, connection: Any, schedule_id: int, now: datetime) -> None:
        """End runs that wait to be tried again: the new one does their work."""
        connection.execute(
            update(run_table)
            .where(run_table.c.schedule_id == schedule_id, run_table.c.state == "retrying")
            .values(state="failed", finished_at=now, retry_at=None)
        )

    def _forget_old(self, connection: Any, schedule_id: int) -> None:
        kept = (
            select(run_table.c.id).where(run_table.c.schedule_id == schedule_id).order_by(run_table.c.id.desc())
        ).limit(_N_KEPT)  # fmt: skip
        old = run_table.c.id.not_in(kept)
        connection.execute(delete(run_table).where(run_table.c.schedule_id == schedule_id, old))


def _error(code: str, message: Message) -> dict[str, Any]:
    return {"code": code, "message": message.to_json(), "where": "", "fix": ""}
