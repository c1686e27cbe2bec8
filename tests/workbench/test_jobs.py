"""Jobs: nobody's twice, nobody's lost, stopped when asked, and said in words when they die."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from core.database import Database
from core.errors import CancelledError, NotFoundError, PermissionDeniedError
from core.i18n import msg
from core.identity import Actor
from core.settings import Settings
from tests.workbench.conftest import ANALYST, OPERATOR, VIEWER
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.scorer_process import environment
from workbench.flows.spec import ProjectSpec
from workbench.jobs import child
from workbench.jobs.leases import Lease, take, take_back_expired
from workbench.jobs.queue import Job, JobQueue, JobState
from workbench.jobs.worker import Worker
from workbench.tables import job as job_table


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"no {what} within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


def let_lease_run_out(database: Database, job_id: int) -> None:
    with database.begin() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(update(job_table).where(job_table.c.id == job_id).values(lease_until=past))


def taken(database: Database) -> Lease:
    lease = take(database)
    assert lease is not None
    return lease


class TestQueue:
    def test_two_workers_never_take_the_same_job(self, database: Database) -> None:
        queue = JobQueue(database)
        asked = [queue.enqueue("features", {"project": "p"}, by=ANALYST).id for _ in range(12)]

        def take_all(_: int) -> list[int]:
            found = []
            while (lease := take(database)) is not None:
                found.append(lease.job.id)
            return found

        with ThreadPoolExecutor(4) as pool:
            got = [job_id for part in pool.map(take_all, range(4)) for job_id in part]
        assert sorted(got) == asked

    def test_oldest_job_is_taken_first_and_says_so(self, database: Database) -> None:
        queue = JobQueue(database)
        first = queue.enqueue("features", {"project": "p"}, by=ANALYST)
        queue.enqueue("train", {"project": "p"}, by=ANALYST)
        assert taken(database).job.id == first.id
        assert [job.state for job in queue.list()] == [JobState.QUEUED, JobState.RUNNING]

    def test_an_unfinished_job_of_the_same_key_is_returned_again(self, database: Database) -> None:
        queue = JobQueue(database)
        with ThreadPoolExecutor(4) as pool:
            jobs = list(
                pool.map(
                    lambda _: queue.enqueue("features", {"project": "p"}, by=ANALYST, idempotency_key="k"), range(4)
                )
            )
        assert len({job.id for job in jobs}) == 1
        taken(database).succeed({})
        assert queue.enqueue("features", {"project": "p"}, by=ANALYST, idempotency_key="k").id != jobs[0].id

    def test_asking_needs_the_permission_of_the_kind(self, sqlite_database: Database) -> None:
        queue = JobQueue(sqlite_database)
        with pytest.raises(PermissionDeniedError):
            queue.enqueue("train", {"project": "p"}, by=VIEWER)
        with pytest.raises(NotFoundError):
            queue.enqueue("dance", {"project": "p"}, by=ANALYST)
        assert queue.list() == []

    def test_only_its_owner_or_who_manages_jobs_stops_a_job(self, sqlite_database: Database) -> None:
        queue = JobQueue(sqlite_database)
        job = queue.enqueue("features", {"project": "p"}, by=ANALYST)
        with pytest.raises(PermissionDeniedError):
            queue.cancel(job.id, by=Actor("chen", frozenset({"analyst"})))
        assert queue.cancel(job.id, by=OPERATOR).state is JobState.CANCELLED
        assert take(sqlite_database) is None

    def test_progress_and_wishes_travel_both_ways(self, sqlite_database: Database) -> None:
        queue = JobQueue(sqlite_database)
        job = queue.enqueue("train", {"project": "p"}, by=ANALYST)
        lease = taken(sqlite_database)
        eta = datetime(2030, 1, 1, tzinfo=UTC)
        assert lease.progress(0.25, msg("trial {n}", n=3), eta)
        seen = queue.get(job.id)
        assert (seen.fraction, str(seen.message), seen.eta) == (0.25, "trial 3", eta)
        queue.finish_early(job.id, by=ANALYST)
        flags = lease.renew()
        assert flags is not None
        assert (flags.finish, flags.cancel) == (True, False)


class TestLease:
    def test_who_lost_the_lease_writes_nothing_any_more(self, database: Database) -> None:
        JobQueue(database).enqueue("features", {"project": "p"}, by=ANALYST)
        lost = taken(database)
        let_lease_run_out(database, lost.job.id)
        assert take_back_expired(database) == 1
        current = taken(database)
        assert lost.renew() is None
        assert not lost.progress(0.9, msg("still here"), None)
        assert not lost.succeed({"by": "the wrong one"})
        assert current.succeed({"by": "the right one"})
        assert JobQueue(database).get(lost.job.id).result == {"by": "the right one"}

    def test_a_lost_worker_costs_an_attempt_and_the_last_one_fails_the_job_in_words(self, database: Database) -> None:
        queue = JobQueue(database)
        job = queue.enqueue("features", {"project": "p"}, by=ANALYST, max_attempts=2)
        for attempt in (1, 2):
            assert taken(database).job.attempt == attempt
            let_lease_run_out(database, job.id)
            take_back_expired(database)
        failed = queue.get(job.id)
        assert failed.state is JobState.FAILED
        assert failed.error_text() == (
            "the worker that ran this job went away, 2 times. "
            "Look at the worker's log and whether the machine has enough memory, then start the job again."
        )

    def test_an_unrenewed_lease_of_a_cancelled_job_is_not_run_again(self, sqlite_database: Database) -> None:
        queue = JobQueue(sqlite_database)
        job = queue.enqueue("features", {"project": "p"}, by=ANALYST)
        taken(sqlite_database)
        queue.cancel(job.id, by=ANALYST)
        let_lease_run_out(sqlite_database, job.id)
        take_back_expired(sqlite_database)
        assert queue.get(job.id).state is JobState.CANCELLED

    def test_a_worker_that_stops_gives_the_attempt_back(self, sqlite_database: Database) -> None:
        JobQueue(sqlite_database).enqueue("features", {"project": "p"}, by=ANALYST)
        assert taken(sqlite_database).give_back()
        assert taken(sqlite_database).job.attempt == 1


@contextmanager
def working(settings: Settings) -> Iterator[None]:
    """Run a worker's loop in this process; its jobs run in processes of their own."""
    worker = Worker(settings)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


def child_pid(job: Job, settings: Settings) -> int | None:
    """Return the living process of a job of this installation: others on the machine have jobs of the same number."""
    found = subprocess.run(
        ["pgrep", "-f", f"workbench.jobs.child {job.id} "], capture_output=True, text=True, check=False
    )
    home = f"WORKBENCH_HOME={settings.home}".encode()
    return next((pid for pid in map(int, found.stdout.split()) if is_alive(pid) and home in environ(pid)), None)


def environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def project(ctx: Context) -> str:
    return projects.create(ctx, ProjectSpec(name="p")).name


class TestWorker:
    def test_a_job_runs_to_its_end_in_a_process_of_its_own(
        self, ctx: Context, settings: Settings, project: str
    ) -> None:
        queue = JobQueue(ctx.database)
        local = Actor("local:me", frozenset({"analyst"}))
        job = queue.enqueue("sample", {"project": project, "n_enterprises": 600}, by=local)
        with working(settings):
            wait_for(lambda: queue.workers_alive() == 1, 60, "worker")
            wait_for(lambda: queue.get(job.id).is_final, 60, "end")
        done = queue.get(job.id)
        assert done.state is JobState.SUCCEEDED, done.log_tail
        stored = importing.stored(ctx, project)
        assert stored is not None
        assert done.result == {
            "n_rows": stored.n_rows,
            "n_tables": len(stored.tables),
            "fingerprint": stored.fingerprint,
        }
        assert queue.workers_alive() == 0

    def test_a_job_of_somebody_without_an_account_is_refused_when_it_runs(
        self, ctx: Context, settings: Settings, project: str
    ) -> None:
        queue = JobQueue(ctx.database)
        job = queue.enqueue("sample", {"project": project}, by=ANALYST)  # an account that does not exist any more
        Worker(settings).run(until_idle=True)
        failed = queue.get(job.id)
        assert failed.state is JobState.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "permission_denied"

    def test_cancel_ends_a_running_job_within_five_seconds_and_leaves_nothing(
        self, ctx: Context, settings: Settings, project: str
    ) -> None:
        queue = JobQueue(ctx.database)
        local = Actor("local:me", frozenset({"analyst"}))
        job = queue.enqueue("sample", {"project": project, "n_enterprises": 20_000}, by=local)
        with working(settings):
            wait_for(lambda: queue.get(job.id).fraction > 0, 60, "progress")
            pid = child_pid(job, settings)
            queue.cancel(job.id, by=local)
            seconds = wait_for(lambda: queue.get(job.id).is_final, 60, "end")
        assert queue.get(job.id).state is JobState.CANCELLED
        assert seconds < 5
        assert pid is None or not is_alive(pid)
        assert importing.stored(ctx, project) is None
        assert list((projects.folder(ctx, project)).glob("data/*")) == []

    def test_a_cancel_that_a_library_hears_first_is_a_cancel_and_no_failure(
        self, ctx: Context, project: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def work(*_: object) -> dict[str, object]:
            # As DuckDB does where it hears the signal; whether it hears it in time is chance, so it is not asked here.
            with pytest.raises(CancelledError):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            raise RuntimeError("Query interrupted")

        queue = JobQueue(ctx.database)
        job = queue.enqueue("sample", {"project": project}, by=Actor("local:me", frozenset({"analyst"})))
        lease = taken(ctx.database)
        queue.cancel(job.id, by=Actor("local:me", frozenset({"analyst"})))
        monkeypatch.setattr(child, "run", work)
        monkeypatch.setattr(child, "open_context", lambda: ctx)
        monkeypatch.setattr(child, "_die_with_worker", lambda _: None)
        monkeypatch.setattr(child, "_TERMINATION", child._Termination())
        before = signal.getsignal(signal.SIGTERM)
        try:
            assert child.main(job.id, lease.owner, 0) == 0
        finally:
            signal.signal(signal.SIGTERM, before)
        assert queue.get(job.id).state is JobState.CANCELLED

    def test_a_killed_child_is_tried_again_and_then_said_in_words(
        self, ctx: Context, settings: Settings, project: str
    ) -> None:
        queue = JobQueue(ctx.database)
        local = Actor("local:me", frozenset({"analyst"}))
        job = queue.enqueue("sample", {"project": project, "n_enterprises": 20_000}, by=local, max_attempts=2)
        with working(settings):
            for attempt in (1, 2):
                wait_for(
                    lambda n=attempt: queue.get(job.id).attempt == n and child_pid(job, settings) is not None,
                    90,
                    "child",
                )
                pid = child_pid(job, settings)
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda p=pid: child_pid(job, settings) != p, 60, "end of the child")
            wait_for(lambda: queue.get(job.id).is_final, 60, "end")
        failed = queue.get(job.id)
        assert failed.state is JobState.FAILED
        assert failed.attempt == 2
        assert "memory ran out" in failed.error_text()

    def test_a_killed_worker_takes_its_child_along_and_another_worker_finishes_the_job(
        self, ctx: Context, settings: Settings, project: str
    ) -> None:
        queue = JobQueue(ctx.database)
        local = Actor("local:me", frozenset({"analyst"}))
        job = queue.enqueue("sample", {"project": project, "n_enterprises": 600}, by=local)
        code = "from workbench.jobs.worker import Worker, Settings; Worker(Settings.load()).run()"
        worker = subprocess.Popen([sys.executable, "-c", code], env=environment(settings))
        wait_for(lambda: child_pid(job, settings) is not None, 60, "child")
        pid = child_pid(job, settings)
        assert pid is not None
        worker.kill()
        worker.wait()
        wait_for(lambda: not is_alive(pid), 60, "end of the child")
        assert queue.get(job.id).state is JobState.RUNNING
        let_lease_run_out(ctx.database, job.id)
        Worker(settings).run(until_idle=True)
        finished = queue.get(job.id)
        assert (finished.state, finished.attempt) == (JobState.SUCCEEDED, 2)
