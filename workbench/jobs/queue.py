"""Jobs as rows of one table: asked for, taken under a lease, reported on, stopped, finished, retried."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.database import Database
from core.identity import Actor
from workbench.flows.results import MessageField

__all__ = ["Job", "JobQueue", "JobState"]


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """One job as its row tells it.

    `fraction` is 0 to 1, `message` what is being done, `eta` when it should be done (None: not known yet), `result` the
    JSON of a finished job, `error` the JSON of `WorkbenchError.to_json` of a failed one, `log_tail` the child's last lines.
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
        return self.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


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
    ) -> Job:
        """Ask for work; `by` must hold the kind's permission (see `workbench.jobs.kinds`).

        With an `idempotency_key` that an unfinished job bears already, that job is returned instead.
        """
        raise NotImplementedError

    def get(self, job_id: int) -> Job:
        """Return one job; raises `NotFoundError`."""
        raise NotImplementedError

    def list(self, *, project: str | None = None, unfinished: bool = False, limit: int = 50) -> "list[Job]":
        """Return jobs, the latest first."""
        raise NotImplementedError

    def cancel(self, job_id: int, *, by: Actor) -> Job:
        """Ask a job to stop: a queued one stops now, a running one within seconds; a finished one stays as it is."""
        raise NotImplementedError

    def finish_early(self, job_id: int, *, by: Actor) -> Job:
        """Ask a running job to keep the best so far and end."""
        raise NotImplementedError

    def workers_alive(self) -> int:
        """Return how many workers reported in the last seconds: 0 means that queued jobs wait for ``workbench worker``."""
        raise NotImplementedError
