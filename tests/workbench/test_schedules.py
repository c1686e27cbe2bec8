"""Schedules: once when it is due, whoever looks; once for all that was missed; tried again, then told."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select, update

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConfigurationError, ConflictError, InputError, NotFoundError, PermissionDeniedError
from core.identity import SYSTEM, Actor, Identity
from core.settings import Settings
from tests.workbench.conftest import ANALYST, OPERATOR, VIEWER
from tests.workbench.lending import lending_project
from tests.workbench.test_cli import run as command
from workbench.flows import projects, quality
from workbench.flows.context import open_context
from workbench.flows.spec import ProjectSpec
from workbench.jobs.cron import check_cron, in_words, latest_due, moment_in_words, n_due, next_due
from workbench.jobs.queue import JobQueue
from workbench.jobs.scheduler import Clock, Scheduler, Tick
from workbench.jobs.schedules import Run, Schedule, ScheduleBook, arguments
from workbench.jobs.worker import Worker
from workbench.tables import job as job_table
from workbench.tables import project as project_table
from workbench.tables import schedule as schedule_table
from workbench.tables import schedule_run

SHANGHAI = "Asia/Shanghai"
NIGHTLY = "0 2 * * *"  # 18:00 UTC of the day before
NOON = datetime(2026, 11, 28, 4, tzinfo=UTC)  # in Shanghai
OWNER = Actor("local:owner", frozenset({"analyst", "operator"}))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


class Wall:
    """A clock that tests turn; `slip` moves it without time passing."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.passed = 0.0

    def wait(self, **length: float) -> None:
        self.now += timedelta(**length)
        self.passed += timedelta(**length).total_seconds()

    def slip(self, **length: float) -> None:
        self.now += timedelta(**length)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.passed)


class Desk:
    """A database with a project, a clock, and what tests do with them."""

    def __init__(self, database: Database, settings: Settings, wall: Wall) -> None:
        self.database = database
        self.settings = settings
        self.wall = wall
        self.book = ScheduleBook(database)

    def add(self, name: str = "nightly", kind: str = "quality", **changes: Any) -> Schedule:
        given = {"cron": NIGHTLY, "time_zone": SHANGHAI, "by": OWNER, "now": self.wall.now, "args": {}} | changes
        args = given.pop("args")
        return self.book.add("p", name, kind, args, **given)

    def scheduler(self) -> Scheduler:
        return Scheduler(self.database, self.settings, self.wall.clock)

    def jobs(self) -> list[Any]:
        return JobQueue(self.database).list(project="p")

    def runs(self, name: str = "nightly") -> tuple[Run, ...]:
        return self.book.runs("p", name)

    def end(self, state: str = "succeeded", error: dict[str, Any] | None = None) -> None:
        """Let every job end, as a worker would."""
        with self.database.begin() as connection:
            unfinished = job_table.c.state.in_(["queued", "running"])
            connection.execute(update(job_table).where(unfinished).values(state=state, error=error))


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """On SQLite and on PostgreSQL."""
    settings = Settings(home=tmp_path / "home")
    with database.begin() as connection:
        connection.execute(
            project_table.insert().values(
                name="p", title={}, created_at=NOON, created_by="lin", spec_fingerprint="0" * 64
            )
        )
    return Desk(database, settings, Wall())


# Times.


def test_times_are_those_of_the_zone() -> None:
    assert next_due(NIGHTLY, SHANGHAI, NOON) == utc(2026, 11, 28, 18)
    assert next_due(NIGHTLY, "UTC", NOON) == utc(2026, 11, 29, 2)


@pytest.mark.parametrize(
    ("zone", "first"), [("America/New_York", date(2026, 1, 1)), ("Europe/Berlin", date(2026, 1, 1)),
                        (SHANGHAI, date(1986, 4, 1)), ("Australia/Lord_Howe", date(2026, 1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("at", ["30 1 * * *", "30 2 * * *", "0 3 * * *"])
def test_once_a_day_through_every_change_of_the_clock(zone: str, first: date, at: str) -> None:
    moment = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    days = []
    for _ in range(366):
        moment = next_due(at, zone, moment)
        days.append(moment.astimezone(ZoneInfo(zone)).date())
    assert days == [days[0] + timedelta(days=n) for n in range(366)]


@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(minutes=st.integers(0, 600_000), cron=st.sampled_from([NIGHTLY, "*/7 * * * *", "0 */6 * * *", "15 8 1 * 1"]))
def test_the_latest_moment_is_the_last_of_all_that_were_due(minutes: int, cron: str) -> None:
    first = next_due(cron, SHANGHAI, NOON)
    now = first + timedelta(minutes=minutes % 40_000)
    moments = [first]
    while (following := next_due(cron, SHANGHAI, moments[-1])) <= now:
        moments.append(following)
    assert latest_due(cron, SHANGHAI, first, now) == moments[-1]
    assert n_due(cron, SHANGHAI, first, moments[-1]) == min(len(moments), 1_000)


@pytest.mark.parametrize(
    "cron", ["", "0 2 * *", "0 2 * * * *", "61 2 * * *", "0 0 30 2 *", "@daily", "x" * 200, "0 2 * * 9"]
)
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(InputError):
        check_cron(cron)


def test_times_are_said_in_both_languages() -> None:
    assert in_words("*/15 * * * *").text("en") == "every 15 minutes"
    assert in_words("30 2 * * 1-5").text("zh") == "周一至周五 02:30"
    assert in_words("0 8 * * 7").text("en") == "every Sunday at 08:00"
    assert in_words("0 8 1 * *").text("en") == "on day 1 of each month at 08:00"
    assert in_words("0 8 * 1 *").text("en") == "by the cron expression 0 8 * 1 *"
    assert moment_in_words(utc(2026, 11, 28, 10), SHANGHAI, NOON).text("zh") == "今天 18:00"
    assert moment_in_words(utc(2026, 12, 1, 10), SHANGHAI, NOON).text("en") == "on Tuesday, 2026-12-01 at 18:00"


# What is due.


def test_it_is_begun_when_it_is_due_and_not_again(desk: Desk) -> None:
    desk.add()
    scheduler = desk.scheduler()
    assert scheduler.tick() == Tick()
    desk.wall.wait(hours=14)
    assert scheduler.tick().begun == 1
    assert scheduler.tick().begun == 0
    (job,), (run,) = desk.jobs(), desk.runs()
    assert (job.kind, job.args, job.created_by) == ("quality", {"project": "p"}, OWNER.name)
    assert (run.due_at, run.n_missed, run.state, run.job_id) == (utc(2026, 11, 28, 18), 0, "running", job.id)
    assert desk.book.get("p", "nightly").next_at == utc(2026, 11, 29, 18)


def test_what_was_missed_is_done_once_at_the_start(desk: Desk) -> None:
    desk.add()
    desk.wall.wait(days=9, hours=20)
    assert desk.scheduler().tick().begun == 1
    assert desk.scheduler().tick().begun == 0
    (run,) = desk.runs()
    assert (run.due_at, run.n_missed) == (utc(2026, 12, 7, 18), 9)
    assert desk.book.get("p", "nightly").next_at == utc(2026, 12, 8, 18)


def test_many_schedulers_begin_each_moment_once(desk: Desk) -> None:
    for n in range(5):
        desk.add(f"s{n}", cron=f"{n} 2 * * *")
    desk.wall.wait(days=1)
    schedulers = [desk.scheduler() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        ticks = list(pool.map(lambda one: one.tick(), schedulers))
    assert sum(tick.begun for tick in ticks) == 5
    assert len(desk.jobs()) == 5


def test_a_clock_that_goes_back_brings_nothing_twice(desk: Desk) -> None:
    desk.add()
    scheduler = desk.scheduler()
    desk.wall.wait(hours=15)
    assert scheduler.tick().begun == 1
    desk.end()
    desk.wall.slip(hours=-3)
    for _ in range(200):
        desk.wall.wait(minutes=1)
        scheduler.tick()
    assert len(desk.runs()) == 1
    with desk.database.begin() as connection:  # as if an older copy of the row had come back
        connection.execute(update(schedule_table).values(next_at=utc(2026, 11, 28, 18)))
    desk.wall.wait(minutes=5)
    scheduler.tick()
    assert len(desk.runs()) == len(desk.jobs()) == 1


def test_a_clock_that_jumps_ahead_is_not_believed_at_once(desk: Desk) -> None:
    desk.add()
    scheduler = desk.scheduler()
    scheduler.tick()
    desk.wall.slip(days=2)
    desk.wall.wait(seconds=5)
    assert scheduler.tick().begun == 0
    desk.wall.slip(days=-2)  # set right again
    desk.wall.wait(seconds=5)
    assert scheduler.tick().begun == 0
    desk.wall.wait(minutes=2)
    assert scheduler.tick().begun == 0
    desk.wall.slip(days=2)  # this time it stays
    desk.wall.wait(seconds=5)
    assert scheduler.tick().begun == 0
    desk.wall.wait(seconds=61)
    assert scheduler.tick().begun == 1


def test_another_zone_leaves_it_once_a_day(desk: Desk) -> None:
    desk.add(time_zone="UTC", cron="0 2 * * *")
    desk.wall.wait(hours=24)  # 04:00 UTC: it was due at 02:00
    assert desk.scheduler().tick().begun == 1
    desk.end()
    desk.book.reschedule("p", "nightly", cron="0 2 * * *", time_zone=SHANGHAI, by=OWNER, now=desk.wall.now)
    dues = []
    for _ in range(72):
        desk.wall.wait(hours=1)
        desk.scheduler().tick()
        desk.end()
    dues = [run.due_at for run in reversed(desk.runs())]
    assert dues == [utc(2026, 11, 29, 2), utc(2026, 11, 29, 18), utc(2026, 11, 30, 18), utc(2026, 12, 1, 18)]


def test_a_run_that_is_still_at_work_is_not_begun_beside(desk: Desk) -> None:
    desk.add(cron="0 * * * *")
    scheduler = desk.scheduler()
    desk.wall.wait(hours=1)
    scheduler.tick()
    desk.wall.wait(hours=1)
    scheduler.tick()
    assert [run.state for run in desk.runs()] == ["skipped", "running"]
    assert len(desk.jobs()) == 1
    desk.end()
    desk.wall.wait(hours=1)
    scheduler.tick()
    assert [run.state for run in desk.runs()] == ["running", "skipped", "succeeded"]


def test_a_rest_is_not_caught_up(desk: Desk) -> None:
    desk.add()
    desk.book.switch("p", "nightly", is_on=False, by=OWNER)
    desk.wall.wait(days=3)
    assert desk.scheduler().tick().begun == 0
    desk.book.switch("p", "nightly", is_on=True, by=OWNER, now=desk.wall.now)
    assert desk.scheduler().tick().begun == 0
    desk.wall.wait(hours=14)
    assert desk.scheduler().tick().begun == 1
    assert desk.runs()[0].n_missed == 0


def test_it_runs_at_once_when_asked_and_at_its_own_times_all_the_same(desk: Desk) -> None:
    own = desk.add().next_at
    scheduler = desk.scheduler()
    desk.book.run_now("p", "nightly", by=OWNER, now=desk.wall.now)
    assert scheduler.tick().begun == 1
    assert scheduler.tick().begun == 0
    (run,) = desk.runs()
    assert (run.due_at, run.n_missed) == (desk.wall.now, 0)
    assert desk.book.get("p", "nightly").next_at == own
    desk.end()
    desk.wall.wait(hours=14)
    assert scheduler.tick().begun == 1
    assert desk.runs()[0].due_at == own
    with pytest.raises(PermissionDeniedError):
        desk.book.run_now("p", "nightly", by=VIEWER)
    desk.book.switch("p", "nightly", is_on=False, by=OWNER)
    with pytest.raises(ConflictError, match="rests"):
        desk.book.run_now("p", "nightly", by=OWNER)


def test_a_nightly_check_looks_back_from_the_day_it_is_due_in_its_zone(desk: Desk) -> None:
    desk.add(kind="monitor", args={"days": 30, "source": "tables"})
    desk.wall.wait(hours=14)
    desk.scheduler().tick()
    assert desk.jobs()[0].args == {"project": "p", "start": "2026-10-30", "end": "2026-11-29", "source": "tables"}
    assert arguments("monitor", {}, date(2026, 3, 1)) == {"start": "2026-01-30", "end": "2026-03-01"}


# What fails.

FAILURE = {"code": "unavailable", "message": {"template": "the database is away", "values": {}}, "where": "", "fix": ""}


def test_a_failure_is_tried_again_after_longer_and_longer_pauses_and_told_at_the_end(desk: Desk) -> None:
    desk.add(max_attempts=3, retry_minutes=10)
    scheduler = desk.scheduler()
    desk.wall.wait(hours=14)
    scheduler.tick()
    pauses = []
    for _ in range(2):
        desk.end("failed", FAILURE)
        scheduler.tick()
        (run,) = desk.runs()
        assert run.state == "retrying"
        assert run.retry_at is not None
        pauses.append((run.retry_at - desk.wall.now).total_seconds() / 60)
        desk.wall.wait(minutes=pauses[-1])
        assert scheduler.tick().retried == 1
    desk.end("failed", FAILURE)
    assert scheduler.tick().told == 1
    (run,) = desk.runs()
    assert pauses == [10, 20]
    assert (run.state, run.attempt, run.error_text()) == ("failed", 3, "the database is away")
    assert run.alerted_at == desk.wall.now
    assert len(desk.jobs()) == 3
    (told,) = [one for one in AuditTrail(desk.database).records() if one.action == "schedule.failed"]
    assert (told.subject, told.details["attempts"]) == ("schedule:p/nightly", 3)


def test_what_a_person_stops_is_not_tried_again(desk: Desk) -> None:
    desk.add()
    scheduler = desk.scheduler()
    desk.wall.wait(hours=14)
    scheduler.tick()
    desk.end("cancelled")
    scheduler.tick()
    desk.wall.wait(hours=1)
    assert scheduler.tick() == Tick()
    assert desk.runs()[0].state == "cancelled"


def test_the_next_moment_takes_the_place_of_a_run_that_waits(desk: Desk) -> None:
    desk.add(cron="0 * * * *", retry_minutes=90)
    scheduler = desk.scheduler()
    desk.wall.wait(hours=1)
    scheduler.tick()
    desk.end("failed", FAILURE)
    scheduler.tick()
    desk.wall.wait(hours=1)
    scheduler.tick()
    assert [run.state for run in desk.runs()] == ["running", "failed"]


def test_who_may_no_longer_do_it_does_not(desk: Desk) -> None:
    identity = Identity(desk.database)
    identity.create_user("root", "a-password-of-root-1", ["admin"], by=SYSTEM)
    identity.create_user("lin", "a-password-of-lin-1", ["analyst"], by=SYSTEM)
    desk.add(by=identity.actor("lin"))
    identity.set_roles("lin", ["viewer"], by=SYSTEM)
    desk.wall.wait(hours=14)
    scheduler = desk.scheduler()
    assert scheduler.tick() == Tick(begun=1, told=1)
    (run,) = desk.runs()
    assert (run.state, run.job_id, run.error and run.error["code"]) == ("failed", None, "permission_denied")
    assert desk.jobs() == []


@pytest.fixture
def ear() -> Iterator[tuple[str, list[Any], list[int]]]:
    """An address that takes alerts: its URL, what it was told, and the answers that it gives in turn."""
    told: list[Any] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook?token=hidden", told, answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_address_is_told_once_it_listens(desk: Desk, ear: tuple[str, list[Any], list[int]]) -> None:
    url, told, answers = ear
    answers += [500, 302]
    desk.settings = desk.settings.model_copy(update={"alert_url": SecretStr(url)})
    assert "hidden" not in repr(desk.settings)
    desk.add(max_attempts=1)
    scheduler = desk.scheduler()
    desk.wall.wait(hours=14)
    scheduler.tick()
    desk.end("failed", FAILURE)
    assert scheduler.tick().told == 0
    desk.wall.wait(minutes=2)
    assert scheduler.tick().told == 0
    desk.wall.wait(minutes=4)
    assert scheduler.tick().told == 1
    desk.wall.wait(hours=2)
    assert scheduler.tick().told == 0
    assert len(told) == 3
    assert told[0] == told[2]
    assert {name: told[0][name] for name in ("event", "project", "schedule", "kind", "attempts", "error")} == {
        "event": "schedule.failed", "project": "p", "schedule": "nightly", "kind": "quality", "attempts": 1,
        "error": "the database is away",
    }  # fmt: skip
    assert len([one for one in AuditTrail(desk.database).records() if one.action == "schedule.failed"]) == 1


def test_an_address_that_never_listens_is_left_alone(desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"alert_url": SecretStr("http://127.0.0.1:9/")})
    desk.add(max_attempts=1)
    scheduler = desk.scheduler()
    desk.wall.wait(hours=14)
    scheduler.tick()
    desk.end("failed", FAILURE)
    for _ in range(12):
        scheduler.tick()
        desk.wall.wait(minutes=30)
    with desk.database.connect() as connection:
        (row,) = connection.execute(select(schedule_run)).all()
    assert (row.n_alerts, row.alert_at, row.alerted_at) == (5, None, None)


# What may be scheduled, and by whom.


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""}, {"name": " x"}, {"name": "x" * 65}, {"name": "a\nb"}, {"kind": "train"}, {"args": {"colour": 1}},
        {"kind": "import"}, {"kind": "monitor", "args": {"days": 0}}, {"kind": "monitor", "args": {"source": "x"}},
        {"cron": "never"}, {"time_zone": "Mars/Olympus"}, {"time_zone": "../etc/passwd"}, {"max_attempts": 0},
        {"retry_minutes": 9_999},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(desk: Desk, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        desk.add(**changes)
    assert desk.book.list() == []


def test_a_name_is_taken_once_and_belongs_to_its_owner(desk: Desk) -> None:
    desk.add(by=ANALYST)
    with pytest.raises(ConflictError, match="called nightly"):
        desk.add(by=ANALYST)
    with pytest.raises(PermissionDeniedError):
        desk.add("other", by=VIEWER)
    with pytest.raises(PermissionDeniedError):
        desk.book.remove("p", "nightly", by=Actor("wang", frozenset({"analyst"})))
    with pytest.raises(NotFoundError):
        desk.book.add("nowhere", "x", "quality", {}, cron=NIGHTLY, time_zone=SHANGHAI, by=ANALYST)
    assert not desk.book.switch("p", "nightly", is_on=False, by=OPERATOR).is_on
    desk.book.remove("p", "nightly", by=ANALYST)
    with pytest.raises(NotFoundError):
        desk.book.get("p", "nightly")
    assert [one.action for one in reversed(AuditTrail(desk.database).records())] == [
        "schedule.add", "schedule.off", "schedule.remove",
    ]  # fmt: skip


def test_only_the_latest_runs_are_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.jobs.scheduler._N_KEPT", 3)
    desk.add(cron="0 * * * *")
    scheduler = desk.scheduler()
    for _ in range(6):
        desk.wall.wait(hours=1)
        scheduler.tick()
        desk.end()
    assert len(desk.runs()) == 3


@pytest.mark.parametrize(
    ("name", "value"), [("WORKBENCH_TIME_ZONE", "Mars/Olympus"), ("WORKBENCH_ALERT_URL", "file:///x")]
)
def test_settings_that_cannot_be_are_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert refused.value.where == name
    assert value not in str(refused.value)


# With a real worker.


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_worker_does_what_is_due_and_the_history_says_so(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    ctx = open_context(settings)
    lending_project(ctx, tmp_path / "source", 20)
    assert command(["schedule", "add", "nightly", "--kind", "quality", "--cron", "30 2 * * *"], capsys)[0] == 0
    code, out, _ = command(["schedule", "list", "--json"], capsys)
    assert json.loads(out)["schedules"][0]["time_zone"] == SHANGHAI
    with ctx.database.begin() as connection:
        past = datetime.now(UTC) - timedelta(days=3)
        connection.execute(update(schedule_table).values(next_at=past))
    before = len(quality.state(ctx, "lending").history)
    Worker(settings).run(until_idle=True)
    assert len(quality.state(ctx, "lending").history) == before + 1
    code, out, _ = command(["schedule", "run-due"], capsys)
    assert (code, out.strip()) == (0, "begun: 0, tried again: 0, ended: 1, told of: 0")
    code, out, _ = command(["schedule", "history", "nightly", "--json"], capsys)
    (run,) = json.loads(out)["runs"]
    assert (run["state"], run["n_missed"]) == ("succeeded", 3)
    assert command(["schedule", "off", "nightly"], capsys)[0] == 0
    assert command(["schedule", "on", "nightly"], capsys)[0] == 0
    assert command(["schedule", "change", "nightly", "--cron", "0 5 * * 1"], capsys)[1].startswith("nightly: assess")
    assert "nightly" in command(["schedule", "list"], capsys)[1]
    assert "done" in command(["schedule", "history", "nightly"], capsys)[1]
    assert command(["schedule", "remove", "nightly"], capsys)[0] == 0
    assert "nothing is on a schedule" in command(["schedule", "list"], capsys)[1]
    assert command(["schedule", "remove", "nightly"], capsys)[0] == 1
    ctx.database.dispose()


def test_new_rows_of_a_database_come_on_the_schedule_and_no_password_is_kept_with_it(
    settings: Settings, tmp_path: Path
) -> None:  # fmt: skip
    path = tmp_path / "core.db"
    with sqlite3.connect(path) as source:
        source.execute("create table loans (loan_id integer primary key, made date, amount real)")
        source.executemany("insert into loans values (?, ?, ?)", [(n, f"2024-01-{n:02d}", 10.0) for n in range(1, 10)])
    source.close()
    ctx = open_context(settings)
    spec = {"url": f"sqlite:///{path}", "tables": [{"name": "loans", "table": "loans", "incremental_by": "loan_id"}]}
    projects.create(ctx, ProjectSpec.model_validate({"name": "p", "database": spec}))
    book = ScheduleBook(ctx.database)
    book.add("p", "loans", "database", {"only_new": True}, cron="0 * * * *", time_zone=SHANGHAI, by=ctx.actor)
    counts, wall = [], Wall(datetime.now(UTC))
    scheduler = Scheduler(ctx.database, settings, wall.clock)
    for n in (10, 11):
        wall.wait(hours=1)
        assert scheduler.tick().begun == 1
        Worker(settings).run(until_idle=True)
        scheduler.tick()
        job = JobQueue(ctx.database).list(project="p")[0]
        assert job.state == "succeeded", job.error
        counts.append((job.result or {})["n_rows"])
        with sqlite3.connect(path) as source:
            source.execute("insert into loans values (?, ?, ?)", (n, f"2024-02-{n:02d}", 20.0))
        source.close()
    assert counts == [9, 10]
    assert [run.state for run in book.runs("p", "loans")] == ["succeeded", "succeeded"]
    ctx.database.dispose()
