"""Keeping watch: monitor, audit."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import count, metric, when
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
from workbench.flows import administration, monitoring
from workbench.flows.results import to_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("monitor", help=say(msg("Check periods for drift, or list the checks.")))(monitor)
    app.command("audit", help=say(msg("List the audit trail, or verify that it is whole.")))(audit)


def monitor(
    project: ProjectOption = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help=say(msg("First day of the period.")))
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help=say(msg("First day after it.")))] = None,
    months: Annotated[
        int | None, typer.Option("--months", min=1, help=say(msg("Cut the period into checks of so many months.")))
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help=say(msg("score_log: what was scored; tables: score the stored rows now.")))
    ] = "score_log",
    evidently: Annotated[
        str | None, typer.Option("--evidently", metavar="PERIOD", help=say(msg("Write Evidently's report of a check.")))
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check periods for drift; without dates, list the checks and the advice."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if evidently is not None:
            path = monitoring.evidently(run.ctx, name, evidently)
            run.answer({"path": str(path)}, lambda: print_lines([str(path)]))
            return
        if start is not None or end is not None:
            _check(run, name, _period(start, end), months, _source(source))
        state = monitoring.state(run.ctx, name)
        value: dict[str, Any] = {
            "checks": [to_json(check) for check in state.checks],
            "advice": {"action": state.advice.action, "text": run.text(state.advice.sentence)},
        }
        run.answer(value, lambda: _show(run, state))


def audit(
    verify: Annotated[bool, typer.Option("--verify", help=say(msg("Walk the whole chain.")))] = False,
    subject: Annotated[str | None, typer.Option("--subject", help=say(msg("Only this subject.")))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help=say(msg("At most so many.")))] = 30,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", help=say(msg("File of anchors kept outside, to be checked too.")))
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the audit trail, or verify it; a broken trail is exit code 1."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        if verify:
            findings = administration.verify_audit(run.ctx, anchors=anchor)
            lines = [item.text(run.ctx.language) for item in findings] or [run.text(msg("the audit trail is whole"))]
            run.answer(
                {"whole": not findings, "findings": [item.to_json() for item in findings]}, lambda: print_lines(lines)
            )
            if findings:
                raise typer.Exit(1)
            return
        records = administration.audit_records(run.ctx, subject=subject, limit=limit)
        headers = [run.text(text) for text in (msg("number"), msg("time"), msg("who"), msg("what"), msg("on"))]
        rows = [
            (str(item.sequence), when(item.at, run.ctx.language), item.actor, item.action, item.subject)
            for item in records
        ]
        value = {"records": [to_json(item) for item in records]}
        run.answer(value, lambda: print_table(run.text(msg("Audit trail, newest first")), headers, rows))


def _period(start: str | None, end: str | None) -> tuple[date, date]:
    if start is None or end is None:
        raise InputError(msg("give both --from and --to"))
    try:
        return date.fromisoformat(start), date.fromisoformat(end)
    except ValueError as error:
        raise InputError(msg("{text} is no date", text=repr(f"{start}, {end}")), where="--from, --to") from error


def _source(text: str) -> Literal["score_log", "tables"]:
    if text == "score_log":
        return "score_log"
    if text == "tables":
        return "tables"
    raise InputError(msg("a source is score_log or tables, not {source}", source=repr(text)), where="--source")


def _check(
    run: Session, project: str, period: tuple[date, date], months: int | None, source: Literal["score_log", "tables"]
) -> None:
    start, end = period
    if months is not None:
        monitoring.check_months(run.ctx, project, start=start, end=end, months=months, source=source)
    else:
        monitoring.check(run.ctx, project, start=start, end=end, source=source)


def _show(run: Session, state: monitoring.MonitoringState) -> None:
    headers = [
        run.text(text)
        for text in (msg("period"), msg("rows"), msg("score PSI"), msg("watch"), msg("act"), msg("verdict"))
    ]
    rows = [
        (check.period, count(check.n_rows), metric(check.score_psi), str(check.n_watch), str(check.n_act),
         run.text(monitoring.verdict_text(check.verdict)))
        for check in state.checks
    ]  # fmt: skip
    print_table(run.text(msg("Drift checks, latest last")), headers, rows)
    print_lines([run.text(state.advice.sentence), *(f"- {run.text(reason)}" for reason in state.advice.reasons)])
