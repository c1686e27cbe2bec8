"""Jobs as rows of one table: asked for, taken under a lease, reported on, stopped, finished, retried."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from core.audit import AuditTrail
from core.database import Database
from core.errors import NotFoundError, PermissionDeniedError
from core.i18n import Message, msg
from core.identity import Actor
from workbench.flows.results import MessageField
from workbench.tables import job as job_table
from workbench.tables import job_worker

__all__ = ["Job", "JobQueue", "JobState", "job_of"]

WORKER_SILENT_AFTER_S = 15.0
"""A worker that has said nothing for so long counts as gone."""


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


_FINAL = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True)
class Job:
    """One job as its row tells it.

    `fraction` is 0 to 1, `message` what is being done, `eta` when it should be done (None: not known yet), `result` the
    JSON of a finished job, `error` the JSON of a failed one (``code``, ``message`` as template and values, ``where``,
    ``fix``; see `error_text`), `log_tail` the child's last lines.
    """

    id: int
    kind: str
    project: str | None
    args: dict[str, Any]
    state: JobState
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    fraction: float
    message: MessageField | None
    eta: datetime | None
    attempt: int
    max_attempts: int
    cancel_requested: bool
    finish_requested: bool
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    log_tail: str

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in _FINAL

    def error_text(self, language: str = "en") -> str:
        """Return what went wrong and what to do, in `language`; empty where nothing did."""
        if self.error is None:
            return ""
        message, fix = (_text(self.error.get(name, ""), language) for name in ("message", "fix"))
        if message and fix and not message.endswith((".", "。")):
            message += "。" if language == "zh" else "."
        place = self.error.get("where") or ""
        return " ".join(part for part in (f"{place}:" if place else "", message, fix) if part)


class JobQueue:
    """The queue over one database; every method is one short transaction and safe from any process or thread.

    Parameters
    ----------
    database : Database
        The migrated database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def enqueue(
        self,
        kind: str,
        args: Mapping[str, Any],
        *,
        by: Actor,
        idempotency_key: str | None = None,
        max_attempts: int = 2,
        connection: Connection | None = None,
    ) -> Job:
        """Ask for work; `by` must hold the kind's permission (see `workbench.jobs.kinds`).

        With an `idempotency_key` that an unfinished job bears already, that job is returned instead. With a
        `connection` the job is part of its writing transaction.
        """
        from workbench.jobs.kinds import kind_named

        by.require(kind_named(kind).permission)
        with self.database.begin() if connection is None else nullcontext(connection) as connection:
            if idempotency_key is not None:
                _one_at_a_time(connection, idempotency_key)
                same = job_table.c.idempotency_key == idempotency_key
                unfinished = job_table.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
                row = connection.execute(select(job_table).where(same, unfinished)).first()
                if row is not None:
                    return job_of(row)
            row = connection.execute(
                insert(job_table)
                .values(
                    kind=kind,
                    project=args.get("project"),
                    args=dict(args),
                    state=JobState.QUEUED.value,
                    created_by=by.name,
                    actor={"name": by.name, "roles": sorted(by.roles), "language": by.language},
                    created_at=datetime.now(UTC),
                    fraction=0.0,
                    attempt=0,
                    max_attempts=max_attempts,
                    cancel_requested=False,
                    finish_requested=False,
                    idempotency_key=idempotency_key,
                    log_tail="",
                )
                .returning(job_table)
            ).one()
        return job_of(row)

    def get(self, job_id: int) -> Job:
        """Return one job; raises `NotFoundError`."""
        with self.database.connect() as connection:
            row = connection.execute(select(job_table).where(job_table.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFoundError(msg("there is no job {job}", job=job_id))
        return job_of(row)

    def list(self, *, project: str | None = None, unfinished: bool = False, limit: int = 50) -> "list[Job]":
        """Return jobs, the latest first."""
        query = select(job_table).order_by(job_table.c.id.desc()).limit(limit)
        if project is not None:
            query = query.where(job_table.c.project == project)
        if unfinished:
            query = query.where(job_table.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value]))
        with self.database.connect() as connection:
            return [job_of(row) for row in connection.execute(query)]

    def cancel(self, job_id: int, *, by: Actor) -> Job:
        """Ask a job to stop: a queued one stops now, a running one within seconds; a finished one stays as it is."""
        job = self.get(job_id)
        _require_owner(job, by)
        with self.database.begin() as connection:
            connection.execute(
                update(job_table)
                .where(job_table.c.id == job_id, job_table.c.state == JobState.QUEUED.value)
                .values(state=JobState.CANCELLED.value, finished_at=datetime.now(UTC), cancel_requested=True)
            )
            connection.execute(
                update(job_table)
                .where(job_table.c.id == job_id, job_table.c.state == JobState.RUNNING.value)
                .values(cancel_requested=True)
            )
        AuditTrail(self.database).append(by.name, "job.cancel", f"job:{job_id}", {"kind": job.kind})
        return self.get(job_id)

    def finish_early(self, job_id: int, *, by: Actor) -> Job:
        """Ask a running job to keep the best so far and end."""
        job = self.get(job_id)
        _require_owner(job, by)
        with self.database.begin() as connection:
            connection.execute(
                update(job_table)
                .where(job_table.c.id == job_id, job_table.c.state == JobState.RUNNING.value)
                .values(finish_requested=True)
            )
        AuditTrail(self.database).append(by.name, "job.finish_early", f"job:{job_id}", {"kind": job.kind})
        return self.get(job_id)

    def workers_alive(self) -> int:
        """Return how many workers reported lately: 0 means that queued jobs wait for ``workbench worker``."""
        since = datetime.now(UTC) - timedelta(seconds=WORKER_SILENT_AFTER_S)
        with self.database.connect() as connection:
            return int(
                connection.execute(
                    select(func.count()).select_from(job_worker).where(job_worker.c.heartbeat_at > since)
                ).scalar_one()
            )


def _one_at_a_time(connection: Connection, key: str) -> None:
    # A writing transaction on SQLite is alone already.
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(key))))


def _require_owner(job: Job, by: Actor) -> None:
    """Let the one who asked for the job stop it, and who manages jobs."""
    if by.name != job.created_by and not by.can("job.manage"):
        raise PermissionDeniedError(
            msg("job {job} was asked for by {owner}", job=job.id, owner=job.created_by),
            fix=msg("Only who asked for a job, an operator or an administrator may stop it."),
        )


def _text(value: Any, language: str) -> str:
    if isinstance(value, Mapping):
        return Message.from_json(value).text(language)
    return str(value)


def job_of(row: Row[Any]) -> Job:
    """Return the job that a row of the table tells of."""
    fields = {name: getattr(row, name) for name in Job.__dataclass_fields__} | {"fraction": float(row.fraction)}
    message = Message.from_json(row.message) if row.message else None
    return Job(**{**fields, "state": JobState(row.state), "message": message})
