"""The worker: takes jobs one at a time, runs each in a process of its own, and ends it when asked.

Its death costs at most the running attempt: the child dies with it, the lease runs out, and another worker (or the same
one, started again) takes the job anew.
"""

import logging
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from uuid import uuid4

from sqlalchemy import delete, insert, update

from core.database import Database
from core.errors import UnavailableError
from core.i18n import Message, msg
from core.settings import Settings
from workbench.flows.scorer_process import environment
from workbench.jobs.leases import Lease, error_json, take, take_back_expired
from workbench.jobs.scheduler import Scheduler
from workbench.tables import job_worker

__all__ = ["Worker"]

_POLL_S = 0.2
_HEARTBEAT_S = 2.0
_SCHEDULES_S = 5.0
_GRACE_S = 1.5
_LOG_TAIL_BYTES = 4_000
_FORGET_WORKERS_AFTER = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass
class _Running:
    """One job's process."""

    lease: Lease
    process: "subprocess.Popen[bytes]"
    log_path: Path
    renewed: float = 0.0
    terminate_sent: float | None = None
    lost: bool = False

    def terminate(self) -> None:
        """Ask the process and its children to stop; after a grace, make them."""
        if self.terminate_sent is None:
            self.terminate_sent = time.monotonic()
            self._signal(signal.SIGTERM)
        elif time.monotonic() - self.terminate_sent > _GRACE_S:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def log_tail(self) -> str:
        """Return the last lines the process wrote."""
        with self.log_path.open("rb") as file:
            file.seek(max(self.log_path.stat().st_size - _LOG_TAIL_BYTES, 0))
            return file.read().decode("utf-8", errors="replace").replace("\x00", "")


@dataclass
class Worker:
    """One worker process's loop.

    Parameters
    ----------
    settings : Settings
        Handed on to the children through their environment.
    """

    settings: Settings
    id: str = field(default_factory=lambda: uuid4().hex)
    stopping: bool = False

    def run(self, *, until_idle: bool = False) -> None:
        """Take and run jobs until `stop` is called (or, with `until_idle`, until none waits)."""
        with Database(self.settings.database_url_resolved) as database:
            database.migrate()
            self._register(database)
            try:
                self._loop(database, until_idle=until_idle)
            finally:
                self._unregister(database)

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - also a signal handler
        """End after giving the running job back to the queue."""
        self.stopping = True

    def _loop(self, database: Database, *, until_idle: bool) -> None:
        running: _Running | None = None
        beaten = looked = 0.0
        scheduler = Scheduler(database, self.settings)
        while not (self.stopping and running is None):
            try:
                if time.monotonic() - beaten > _HEARTBEAT_S:
                    beaten = time.monotonic()
                    self._beat(database)
                    take_back_expired(database)
                if time.monotonic() - looked > _SCHEDULES_S:
                    looked = time.monotonic()
                    scheduler.tick()
                if running is None:
                    lease = take(database)
                    if lease is None and until_idle:
                        return
                    running = self._start(lease) if lease else None
                elif self._is_over(running):
                    running = None
                    continue
            except UnavailableError as error:
                # The lease outlasts a short outage of the database; the loop comes back to it.
                log.warning("database unavailable: %s", error)
            time.sleep(_POLL_S)

    def _start(self, lease: Lease) -> _Running:
        folder = self.settings.home / "logs" / "jobs"
        folder.mkdir(parents=True, exist_ok=True)
        log_path = folder / f"{lease.job.id}.log"
        command = [sys.executable, "-P", "-m", "workbench.jobs.child", str(lease.job.id), lease.owner, str(os.getpid())]
        with log_path.open("ab") as output:
            # A session of its own: what the job starts is ended with it, and Ctrl-C here does not reach it first.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(self.settings),
                start_new_session=True,
            )
        log.info("job %s (%s) started as process %s", lease.job.id, lease.job.kind, process.pid)
        return _Running(lease, process, log_path, renewed=time.monotonic())

    def _is_over(self, running: _Running) -> bool:
        """Look after a running job; return whether its process has ended and its row is right."""
        code = running.process.poll()
        if code is not None:
            self._settle(running, code)
            return True
        if running.lost or self.stopping:
            running.terminate()
        elif time.monotonic() - running.renewed > _HEARTBEAT_S / 4:
            running.renewed = time.monotonic()
            flags = running.lease.renew(log_tail=running.log_tail())
            running.lost = flags is None
            if flags is not None and flags.cancel:
                running.terminate()
        return False

    def _settle(self, running: _Running, code: int) -> None:
        """Write what the child could not write itself."""
        lease = running.lease
        flags = lease.flags()
        if flags is not None:  # still ours and still running: the child ended without a word
            if flags.cancel:
                lease.cancelled()
            elif self.stopping:
                lease.give_back()
            else:
                lease.retry_or_fail(_death(code))
        lease.write_log(running.log_tail())
        running.log_path.unlink(missing_ok=True)
        log.info("job %s ended with code %s", lease.job.id, code)

    def _register(self, database: Database) -> None:
        now = datetime.now(UTC)
        with database.begin() as connection:
            connection.execute(delete(job_worker).where(job_worker.c.heartbeat_at < now - _FORGET_WORKERS_AFTER))
            connection.execute(
                insert(job_worker).values(
                    id=self.id, host=platform.node(), pid=os.getpid(), started_at=now, heartbeat_at=now
                )
            )

    def _beat(self, database: Database) -> None:
        with database.begin() as connection:
            connection.execute(
                update(job_worker).where(job_worker.c.id == self.id).values(heartbeat_at=datetime.now(UTC))
            )

    def _unregister(self, database: Database) -> None:
        with database.begin() as connection:
            connection.execute(delete(job_worker).where(job_worker.c.id == self.id))


def _death(code: int) -> dict[str, object]:
    if code == -signal.SIGKILL:
        return error_json(
            "out_of_memory",
            msg("the operating system killed the work, most often because memory ran out"),
            msg("Give the machine more memory, or use fewer rows, tables or features; then start it again."),
        )
    reason: Message = msg("signal {number}", number=-code) if code < 0 else msg("exit code {number}", number=code)
    return error_json(
        "child_died",
        msg("the work's process ended without a word ({reason})", reason=reason),
        msg("The job's log has the details."),
    )
