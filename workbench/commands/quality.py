"""Trusting the data: quality."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import InputError
from core.findings import Severity
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
from workbench.flows import quality
from workbench.flows.results import to_json

if TYPE_CHECKING:
    from warehouse.quality.report import QualityReport

__all__ = ["add_to"]

_MOST = 40


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("quality", help=say(msg("Assess the stored tables, or show the last assessment.")))(show_quality)


def show_quality(
    project: ProjectOption = None,
    again: Annotated[bool, typer.Option("--assess", help=say(msg("Assess the tables again first.")))] = False,
    rules: Annotated[
        Path | None, typer.Option("--rules", help=say(msg("Hold the tables against this YAML file from now on.")))
    ] = None,
    reset: Annotated[bool, typer.Option("--proposed-rules", help=say(msg("Go back to the proposed rules.")))] = False,
    print_rules: Annotated[bool, typer.Option("--print-rules", help=say(msg("Print the rules as YAML.")))] = False,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the quality of every table and what was found; with new rules, or on wish, assess first."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if rules is not None:
            quality.write_rules(run.ctx, name, _text(rules))
        if reset:
            quality.reset_rules(run.ctx, name)
        if again or reset or rules is not None:
            quality.assess_stored(run.ctx, name)
        if print_rules:
            text = quality.rules_yaml(run.ctx, name)
            run.answer({"rules": text}, lambda: print_lines(text.splitlines()))
            return
        state, report = quality.state(run.ctx, name), quality.report(run.ctx, name)
        value: dict[str, Any] = {"history": [to_json(item) for item in state.history], "report": report.to_json()}
        run.answer(value, lambda: _show(run, report, state))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(msg("the file cannot be read as UTF-8 text"), where=str(path)) from error


def _show(run: Session, report: "QualityReport", state: quality.QualityState) -> None:
    titles = [run.text(text) for text in (msg("table"), msg("rows"), msg("score"), msg("to act on"), msg("to look at"))]
    rows = []
    for item in report.tables:
        severities = [finding.severity for finding in item.findings if finding.dimension != "standard"]
        marks = [str(severities.count(one)) for one in (Severity.BAD, Severity.WATCH)]
        rows.append((item.name, count(item.profile.n_rows), f"{item.score:.1f}", *marks))
    title = msg("Quality of the tables: {score} of 100", score=f"{report.score:.1f}")
    print_table(run.text(title), titles, rows)
    order = list(Severity)
    counted = [finding for finding in report.findings if finding.dimension != "standard"]
    graver = [finding for finding in counted if finding.severity is not Severity.INFO]
    graver.sort(key=lambda finding: (-order.index(finding.severity), -finding.share))
    lines = [
        f"- {finding.table}{'.' * bool(finding.column)}{finding.column}: {run.text(finding.message)} "
        f"({percent(finding.share, 2)})"
        for finding in graver[:_MOST]
    ]
    if len(graver) > _MOST:
        lines.append(run.text(msg("{n} more are in the JSON answer", n=len(graver) - _MOST)))
    print_lines([*lines, *(finding.text(run.ctx.language) for finding in state.findings)])
