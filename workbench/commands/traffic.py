"""What the scorers are asked now, and how fast they answer."""

from typing import Annotated

import typer

from core.i18n import msg
from core.i18n.formats import count, percent
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
from workbench.flows import traffic as flow
from workbench.flows.results import to_json
from workbench.flows.traffic import WINDOWS_MINUTES, TrafficState

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("traffic", help=say(msg("Say what the scorers are asked, who answers, and how fast.")))(traffic)


def traffic(
    project: ProjectOption = None,
    minutes: Annotated[int, typer.Option("--minutes", help=say(msg("How far back.")))] = WINDOWS_MINUTES[0],
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the scorers are asked."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        state = flow.state(run.ctx, chosen_project(run.ctx, project), minutes=minutes)
        run.answer(to_json(state), lambda: _show(run, state))


def _show(run: Session, state: TrafficState) -> None:
    line = msg(
        "{n} requests in {minutes} minutes, {rate} a second in the last; scorer: {scorer}",
        n=count(state.n_requests),
        minutes=state.minutes,
        rate=f"{state.per_second:.1f}",
        scorer=state.scorer,
    )
    print_lines([run.text(line)])
    names = (
        msg("slot"),
        msg("version"),
        msg("answers made"),
        msg("of all"),
        msg("share set"),
        msg("p50 ms"),
        msg("p99 ms"),
    )
    rows = [
        (
            one.slot,
            f"v{one.version}",
            count(one.n_answers),
            percent(one.answered_share),
            percent(one.share) if one.share is not None else "–",
            _figure(one.latency.p50_ms),
            _figure(one.latency.p99_ms),
        )
        for one in state.versions
    ]
    print_table(run.text(msg("Who answered")), [run.text(name) for name in names], rows)
    print_table(
        run.text(msg("Statuses")),
        [run.text(name) for name in (msg("status"), msg("means"), msg("requests"))],
        [(str(row.status), run.text(row.meaning), count(row.n)) for row in state.statuses],
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
