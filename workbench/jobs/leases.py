"""Taking jobs: who holds a lease may write to the job, and a lease that is not renewed goes to somebody else.

Moments are this machine's clock; workers on several machines need clocks that agree within half a lease.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, or_, select, update

from core.database import Database
from core.i18n import Message, msg
from core.identity import Actor
from workbench.jobs.queue import Job, JobState, job_of
from workbench.tables import job as job_table

__all__ = ["LEASE_S", "Flags", "Lease", "take", "take_back_expired"]

LEASE_S = 30.0
"""How long a lease lasts without being renewed."""


@dataclass(frozen=True)
class Flags:
    """What people asked of a running job."""

    cancel: bool
    finish: bool


@dataclass(frozen=True)
class Lease:
    """The right to write to one running job.

    Every method returns False (or None) once the lease belongs to somebody else; the holder must stop then.
    """

    database: Database
    job: Job
    actor: Actor
    owner: str

    def renew(self, *, log_tail: str | None = None) -> Flags | None:
        """Keep the lease and return what people asked for."""
        now = datetime.now(UTC)
        values: dict[str, Any] = {"lease_until": now + timedelta(seconds=LEASE_S), "heartbeat_at": now}
        if log_tail is not None:
            values["log_tail"] = log_tail
        with self.database.begin() as connection:
            row = connection.execute(
                update(job_table)
                .where(self._mine())
                .values(**values)
                .returning(job_table.c.cancel_requested, job_table.c.finish_requested)
            ).one_or_none()
        return None if row is None else Flags(row.cancel_requested, row.finish_requested)

    def flags(self) -> Flags | None:
        """Return what people asked for, without writing."""
        with self.database.connect() as connection:
            row = connection.execute(
                select(job_table.c.cancel_requested, job_table.c.finish_requested).where(self._mine())
            ).one_or_none()
        return None if row is None else Flags(row.cancel_requested, row.finish_requested)

    def progress(self, fraction: float, message: Message, eta: datetime | None) -> bool:
        """Write how far the job is."""
        return self._write(fraction=fraction, message=message.to_json(), eta=eta)

    def succeed(self, result: dict[str, Any]) -> bool:
        """End the job well."""
        return self._end(JobState.SUCCEEDED, result=result, fraction=1.0)

    def fail(self, error: dict[str, Any]) -> bool:
        """End the job badly, with an error's code, message, place and remedy."""
        return self._end(JobState.FAILED, error=error)

    def cancelled(self) -> bool:
        """End the job because a person asked for it."""
        return self._end(JobState.CANCELLED)

    def give_back(self) -> bool:
        """Put the job back into the queue, as if this attempt had not been: the worker is stopping."""
        return self._write(
            state=JobState.QUEUED.value, lease_owner=None, lease_until=None, attempt=job_table.c.attempt - 1
        )

    def retry_or_fail(self, error: dict[str, Any]) -> bool:
        """Put the job back into the queue where it has attempts left, else end it with `error`."""
        if self.job.attempt < self.job.max_attempts:
            return self._write(state=JobState.QUEUED.value, lease_owner=None, lease_until=None, error=error)
        return self.fail(error)

    def write_log(self, log_tail: str) -> None:
        """Keep the child's last lines, whatever became of the job, unless somebody else has taken it since."""
        is_last = and_(
            job_table.c.id == self.job.id,
            job_table.c.attempt == self.job.attempt,
            or_(job_table.c.lease_owner == self.owner, job_table.c.lease_owner.is_(None)),
        )
        with self.database.begin() as connection:
            connection.execute(update(job_table).where(is_last).values(log_tail=log_tail))

    def _end(self, state: JobState, **values: Any) -> bool:
        return self._write(state=state.value, finished_at=datetime.now(UTC), lease_until=None, eta=None, **values)

    def _write(self, **values: Any) -> bool:
        with self.database.begin() as connection:
            return connection.execute(update(job_table).where(self._mine()).values(**values)).rowcount == 1

    def _mine(self) -> ColumnElement[bool]:
        return and_(
            job_table.c.id == self.job.id,
            job_table.c.state == JobState.RUNNING.value,
            job_table.c.lease_owner == self.owner,
        )


def take(database: Database) -> Lease | None:
    """Take the oldest waiting job; two callers never get the same one."""
    now = datetime.now(UTC)
    owner = uuid4().hex
    # On PostgreSQL the lock makes others pass on to the next job; on SQLite a writing transaction is alone.
    oldest = (
        select(job_table.c.id)
        .where(job_table.c.state == JobState.QUEUED.value)
        .order_by(job_table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    with database.begin() as connection:
        row = connection.execute(
            update(job_table)
            .where(job_table.c.id == oldest)
            .values(
                state=JobState.RUNNING.value,
                started_at=now,
                heartbeat_at=now,
                lease_owner=owner,
                lease_until=now + timedelta(seconds=LEASE_S),
                attempt=job_table.c.attempt + 1,
                fraction=0.0,
                message=None,
                eta=None,
                error=None,
            )
            .returning(job_table)
        ).one_or_none()
    return None if row is None else _lease(database, row)


def held(database: Database, job_id: int, owner: str) -> Lease | None:
    """Return the lease on a job that `owner` holds, or None where it is somebody else's by now."""
    query = select(job_table).where(
        job_table.c.id == job_id, job_table.c.lease_owner == owner, job_table.c.state == JobState.RUNNING.value
    )
    with database.connect() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _lease(database, row)


def take_back_expired(database: Database) -> int:
    """Requeue running jobs whose lease ran out (their worker is gone), or fail those without attempts left."""
    expired = and_(job_table.c.state == JobState.RUNNING.value, job_table.c.lease_until < datetime.now(UTC))
    with database.connect() as connection:
        leases = [_lease(database, row) for row in connection.execute(select(job_table).where(expired))]
    return sum(_take_back(lease) for lease in leases)


def _take_back(lease: Lease) -> bool:
    if lease.job.cancel_requested:
        return lease.cancelled()
    return lease.retry_or_fail(
        error_json(
            "worker_lost",
            msg("the worker that ran this job went away, {n} times", n=lease.job.attempt),
            msg("Look at the worker's log and whether the machine has enough memory, then start the job again."),
        )
    )


def error_json(code: str, message: Message, fix: Message | None = None) -> dict[str, Any]:
    """Return an error as a job's row keeps it, still without a language."""
    return {"code": code, "message": message.to_json(), "where": "", "fix": fix.to_json() if fix else ""}


def _lease(database: Database, row: Any) -> Lease:
    actor = Actor(row.actor["name"], frozenset(row.actor["roles"]), row.actor["language"])
    return Lease(database, job_of(row), actor, row.lease_owner)
