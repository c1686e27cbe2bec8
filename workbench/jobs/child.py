"""The process one job runs in: ``python -m workbench.jobs.child JOB LEASE WORKER``, the last its parent's process id.

It ends the job's row itself; what it cannot say (killed, out of memory) its parent says for it.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

from core.errors import CancelledError, WorkbenchError
from core.i18n import Message, msg
from core.progress import CallbackProgress
from workbench.flows.context import current_actor, open_context
from workbench.jobs.kinds import run
from workbench.jobs.leases import Lease, error_json, held

__all__ = ["main"]

_WRITE_EVERY_S = 0.5
_ASK_EVERY_S = 1.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_EXIT_ORPHANED = 70


def main(job_id: int, owner: str, worker: int) -> int:
    """Run one job under its lease; return the exit code: 0 done or cancelled, 1 failed, 2 not ours to run."""
    _die_with_worker(worker)
    signal.signal(signal.SIGTERM, _on_terminate)
    ctx = open_context()
    lease = held(ctx.database, job_id, owner)
    if lease is None:
        return 2
    try:
        actor = current_actor(ctx.database, lease.actor)
        progress = _JobProgress(lease).progress()
        job_ctx = replace(ctx.speaking(actor.language), actor=actor, progress=progress)
        result = run(job_ctx, lease.job.kind, lease.job.args)
        lease.succeed(result)
    except CancelledError:
        return _end_cancelled(lease)
    except WorkbenchError as error:
        if _TERMINATION.is_asked:
            return _end_cancelled(lease)
        traceback.print_exc()
        lease.fail(_error_json(error))
        return 1
    except Exception as error:  # noqa: BLE001 - the border of the process: told to the person, traceback to the log
        if _TERMINATION.is_asked:  # a library heard the signal first, and told it in words of its own
            return _end_cancelled(lease)
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        lease.fail(
            error_json(
                "internal",
                msg("the work stopped on an error nobody expected: {reason}", reason=reason),
                msg("The job's log has the details."),
            )
        )
        return 1
    return 0


@dataclass
class _JobProgress:
    """Progress that goes to the job's row, at most twice a second."""

    lease: Lease
    started: float = field(default_factory=time.monotonic)
    written: float = 0.0
    asked: float = 0.0
    finish: bool = False

    def progress(self) -> CallbackProgress:
        return CallbackProgress(self.report, self.finish_query)

    def report(self, fraction: float, message: Message) -> None:
        now = time.monotonic()
        if now - self.written < _WRITE_EVERY_S:
            return
        self.written = now
        if not self.lease.progress(fraction, message, self._eta(fraction, now)):
            raise CancelledError(msg("the job belongs to another worker now"))

    def finish_query(self) -> bool:
        now = time.monotonic()
        if not self.finish and now - self.asked >= _ASK_EVERY_S:
            self.asked = now
            flags = self.lease.flags()
            self.finish = flags is not None and flags.finish
        return self.finish

    def _eta(self, fraction: float, now: float) -> datetime | None:
        # Below a twentieth the first steps say too little about the rest.
        if fraction < 0.05:
            return None
        return datetime.now(UTC) + timedelta(seconds=(now - self.started) * (1 - fraction) / fraction)


def _end_cancelled(lease: Lease) -> int:
    flags = lease.flags()
    if flags is not None and flags.cancel:
        lease.cancelled()
    return 0


def _error_json(error: WorkbenchError) -> dict[str, Any]:
    def as_json(text: Any) -> Any:
        return text.to_json() if isinstance(text, Message) else text

    return {"code": error.code, "message": as_json(error.message), "where": error.where, "fix": as_json(error.fix)}


@dataclass
class _Termination:
    """Whether this process was asked to end."""

    is_asked: bool = False


_TERMINATION = _Termination()


def _on_terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    _TERMINATION.is_asked = True
    raise CancelledError(msg("the job was asked to stop"))


def _die_with_worker(worker: int) -> None:
    """End when the worker ends, so that the job's next attempt is never beside this one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == worker:
            time.sleep(1.0)
        os._exit(_EXIT_ORPHANED)

    if os.getppid() != worker:  # it died while this process was starting
        os._exit(_EXIT_ORPHANED)
    threading.Thread(target=watch, daemon=True, name="worker-watch").start()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
