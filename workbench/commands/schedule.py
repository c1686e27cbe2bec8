"""Work on a schedule: list, add, change, switch, remove, history; and looking at what is due, once or for ever."""

import signal
import time
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Any

import typer

from core.i18n import msg
from core.i18n.formats import until, when
from workbench.commands.display import print_lines, print_table
from workbench.commands.session import (
    AsOption,
    JsonOption,
    LanguageOption,
    ProjectOption,
    Session,
    chosen_project,
    say,
    session,
)
from workbench.flows.results import to_json
from workbench.jobs.cron import in_words, moment_in_words
from workbench.jobs.scheduler import Scheduler
from workbench.jobs.schedules import WORK, Run, Schedule, ScheduleBook, state_word, work_in_words

__all__ = ["add_to"]

_LOOK_EVERY_S = 5.0
NameArgument = Annotated[str, typer.Argument(help=say(msg("Name of the schedule.")))]
CronOption = Annotated[
    str,
    typer.Option(
        "--cron", help=say(msg("When: minute, hour, day, month, weekday. '30 2 * * *' is every day at 02:30."))
    ),
]
ZoneOption = Annotated[
    str | None, typer.Option("--time-zone", help=say(msg("IANA name of the zone; the settings' zone.")))
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help=say(msg("Imports and checks on a schedule.")), no_args_is_help=True)
    group.command("list", help=say(msg("List the schedules, when they are due, and what came of them.")))(show)
    group.command("add", help=say(msg("Do work on a schedule from now on.")))(add)
    group.command("change", help=say(msg("Let a schedule be due at other times.")))(change)
    group.command("on", help=say(msg("Let a schedule run again, from its next time on.")))(switch_on)
    group.command("off", help=say(msg("Let a schedule rest.")))(switch_off)
    group.command("run", help=say(msg("Let a schedule be due at once; its own times stay.")))(run_now)
    group.command("remove", help=say(msg("Remove a schedule and its history.")))(remove)
    group.command("history", help=say(msg("Show what came of a schedule.")))(history)
    group.command("run-due", help=say(msg("Ask once for the jobs that are due; a worker runs them.")))(run_due)
    group.command("serve", help=say(msg("Ask for the jobs that are due until stopped. Every worker does that too.")))(
        serve
    )
    app.add_typer(group, name="schedule")


def show(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        run.ctx.require("view")
        found = ScheduleBook(run.ctx.database).list(project)
        run.answer({"schedules": [to_json(one) for one in found]}, lambda: _show(run, found))


def add(
    name: NameArgument,
    kind: Annotated[str, typer.Option("--kind", help=say(msg("What to do: {kinds}.", kinds=", ".join(WORK))))],
    cron: CronOption,
    time_zone: ZoneOption = None,
    source: Annotated[
        str | None, typer.Option("--source", help=say(msg("import: folder or file. monitor: score_log or tables.")))
    ] = None,
    only_new: Annotated[
        bool, typer.Option("--only-new", help=say(msg("database: only rows after those of the last import.")))
    ] = False,
    days: Annotated[int | None, typer.Option("--days", help=say(msg("monitor: days of the period.")))] = None,
    attempts: Annotated[int, typer.Option("--attempts", help=say(msg("How often a run is tried in all.")))] = 3,
    retry_minutes: Annotated[
        int, typer.Option("--retry-minutes", help=say(msg("Pause after the first failure; it doubles.")))
    ] = 10,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do work on a schedule."""
    given = {"source": source, "only_new": only_new or None, "days": days}
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        made = ScheduleBook(run.ctx.database).add(
            chosen_project(run.ctx, project),
            name,
            kind,
            {key: value for key, value in given.items() if value is not None},
            cron=cron,
            time_zone=time_zone or run.ctx.settings.time_zone,
            by=run.ctx.actor,
            max_attempts=attempts,
            retry_minutes=retry_minutes,
        )
        _answer(run, made)


def change(
    name: NameArgument,
    cron: CronOption,
    time_zone: ZoneOption = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a schedule be due at other times."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        book, owner = ScheduleBook(run.ctx.database), chosen_project(run.ctx, project)
        zone = time_zone or book.get(owner, name).time_zone
        _answer(run, book.reschedule(owner, name, cron=cron, time_zone=zone, by=run.ctx.actor))


def switch_on(
    name: NameArgument, project: ProjectOption = None, as_name: AsOption = None, language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Let a schedule run again."""
    _switch(name, project, as_name, language, as_json=as_json, is_on=True)


def switch_off(
    name: NameArgument, project: ProjectOption = None, as_name: AsOption = None, language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Let a schedule rest."""
    _switch(name, project, as_name, language, as_json=as_json, is_on=False)


def run_now(
    name: NameArgument, project: ProjectOption = None, as_name: AsOption = None, language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Let a schedule be due at once."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        owner = chosen_project(run.ctx, project)
        _answer(run, ScheduleBook(run.ctx.database).run_now(owner, name, by=run.ctx.actor))


def remove(
    name: NameArgument, project: ProjectOption = None, as_name: AsOption = None, language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Remove a schedule."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        owner = chosen_project(run.ctx, project)
        ScheduleBook(run.ctx.database).remove(owner, name, by=run.ctx.actor)
        text = run.text(msg("removed: {name}", name=name))
        run.answer({"project": owner, "removed": name}, lambda: print_lines([text]))


def history(
    name: NameArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help=say(msg("At most so many.")))] = 20,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what came of a schedule."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        run.ctx.require("view")
        runs = ScheduleBook(run.ctx.database).runs(chosen_project(run.ctx, project), name, limit=limit)
        run.answer({"runs": [to_json(one) for one in runs]}, lambda: _history(run, name, runs))


def run_due(language: LanguageOption = None, as_json: JsonOption = False) -> None:
    """Ask once for the jobs that are due."""
    with session(as_json=as_json, language=language) as run:
        done = Scheduler(run.ctx.database, run.ctx.settings).tick()
        text = msg("begun: {begun}, tried again: {retried}, ended: {settled}, told of: {told}", **to_json(done))
        run.answer(to_json(done), lambda: print_lines([run.text(text)]))


def serve(language: LanguageOption = None) -> None:
    """Ask for the jobs that are due until stopped."""
    stopped = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped.set)
    with session(language=language) as run:
        scheduler = Scheduler(run.ctx.database, run.ctx.settings)
        while not stopped.is_set:
            scheduler.tick()
            time.sleep(_LOOK_EVERY_S)


class _Stop:
    """Set by a signal, which also ends the pause."""

    def __init__(self) -> None:
        self.is_set = False

    def set(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        self.is_set = True


def _switch(
    name: str, project: str | None, as_name: str | None, language: str | None, *, as_json: bool, is_on: bool
) -> None:  # fmt: skip
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        owner = chosen_project(run.ctx, project)
        _answer(run, ScheduleBook(run.ctx.database).switch(owner, name, is_on=is_on, by=run.ctx.actor))


def _answer(run: Session, made: Schedule) -> None:
    def lines() -> list[str]:
        what = msg("{name}: {work}, {times}", name=made.name, work=work_in_words(made.kind, made.args),
                   times=in_words(made.cron))  # fmt: skip
        return [run.text(what), _next(run, made)]

    run.answer(to_json(made), lambda: print_lines(lines()))


def _next(run: Session, one: Schedule) -> str:
    if not one.is_on:
        return run.text(msg("off"))
    now = datetime.now(UTC)
    return run.text(
        msg("next {moment} ({zone}), {until}", moment=moment_in_words(one.next_at, one.time_zone, now),
            zone=one.time_zone, until=until(one.next_at, now, run.ctx.language))
    )  # fmt: skip


def _show(run: Session, found: list[Schedule]) -> None:
    if not found:
        print_lines([run.text(msg("nothing is on a schedule"))])
        return
    headers = [msg("Project"), msg("Name"), msg("What"), msg("When"), msg("Next"), msg("Last")]
    print_table(
        "",
        [run.text(header) for header in headers],
        [
            [
                one.project,
                one.name,
                run.text(work_in_words(one.kind, one.args)),
                run.text(in_words(one.cron)),
                _next(run, one),
                "–" if one.last is None else run.text(state_word(one.last.state)),
            ]
            for one in found
        ],
    )


def _history(run: Session, name: str, runs: tuple[Run, ...]) -> None:
    headers = [msg("Due"), msg("Missed before"), msg("State"), msg("Attempt"), msg("Job"), msg("What went wrong")]
    rows: list[list[Any]] = [
        [
            when(one.due_at, run.ctx.language),
            str(one.n_missed),
            run.text(state_word(one.state)),
            str(one.attempt),
            "–" if one.job_id is None else str(one.job_id),
            one.error_text(run.ctx.language) or "–",
        ]
        for one in runs
    ]
    print_table(name, [run.text(header) for header in headers], rows)
