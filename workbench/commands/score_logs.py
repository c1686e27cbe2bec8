"""The score log's upkeep: months, retention, erasure."""

from pathlib import Path
from typing import Annotated

import typer

from core.i18n import msg
from core.i18n.formats import count, when
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
from workbench.flows import score_logs
from workbench.flows.results import to_json

__all__ = ["add_to"]

MonthsOption = Annotated[
    int | None,
    typer.Option("--months", min=1, help=say(msg("Keep so many whole months; else what the settings say."))),
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help=say(msg("The score log: months, retain, erase, erasures.")), no_args_is_help=True)
    group.command("months", help=say(msg("List the months, and which the policy lets go.")))(months)
    group.command("retain", help=say(msg("Drop the months that are older than the policy keeps.")))(retain)
    group.command("erase", help=say(msg("Erase one person's or enterprise's answers and outcomes.")))(erase)
    group.command("erasures", help=say(msg("List the erasures and who has still to erase.")))(erasures)
    app.add_typer(group, name="score-log")


def months(
    keep: MonthsOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the months, and which the policy lets go."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = score_logs.state(run.ctx, keep)
        headers = [run.text(text) for text in (msg("month"), msg("answers"), msg("policy"))]
        kept, due = run.text(msg("kept")), run.text(msg("to be dropped"))
        rows = [(row.month, count(row.n_answers), due if row.is_due else kept) for row in found.months]
        keeps = (
            msg("all months are kept")
            if found.keep_months is None
            else msg("{n} whole months are kept beside the one that has begun", n=found.keep_months)
        )

        def show() -> None:
            print_table(run.text(msg("Score log by month")), headers, rows)
            print_lines([run.text(keeps)])

        run.answer(to_json(found), show)


def retain(
    keep: MonthsOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drop the months that are older than the policy keeps."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        dropped = score_logs.retain_months(run.ctx, keep)
        line = msg("dropped: {months}", months=", ".join(dropped)) if dropped else msg("no month is due")
        run.answer({"dropped": dropped}, lambda: print_lines([run.text(line)]))


def erase(
    reason: Annotated[str, typer.Option("--reason", help=say(msg("Why; it stands in the audit trail.")))],
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help=say(msg("Key of a scored case; may be repeated.")))
    ] = None,
    enterprise: Annotated[
        str | None, typer.Option("--enterprise", metavar="ID", help=say(msg("All cases of it in the stored tables.")))
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option("--keys-file", exists=True, dir_okay=False, help=say(msg("A file with a key a line."))),
    ] = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase one person's or enterprise's answers and outcomes."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        keys = [*(key or []), *(keys_file.read_text(encoding="utf-8").splitlines() if keys_file else [])]
        if enterprise is not None:
            keys += score_logs.keys_of_enterprise(run.ctx, name, enterprise)
        done = score_logs.erase_answers(run.ctx, name, keys, reason=reason)
        run.answer(to_json(done), lambda: print_lines(_lines(run, done)))


def erasures(
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help=say(msg("Only those that cover this key, as proof.")))
    ] = None,
    project: Annotated[str | None, typer.Option("--project", help=say(msg("Only of this project.")))] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the erasures and who has still to erase."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = score_logs.erasure_list(run.ctx, project, key)
        lines = [line for one in found for line in _lines(run, one)] or [run.text(msg("nothing was erased"))]
        run.answer({"erasures": [to_json(one) for one in found]}, lambda: print_lines(lines))


def _lines(run: Session, one: score_logs.ErasureState) -> list[str]:
    lines = [
        msg("erasure {number} of {project}, {when}, by {who}: {reason}", number=one.number, project=one.project,
            when=when(one.requested_at, run.ctx.language), who=one.requested_by, reason=one.reason),
        msg("  keys: {keys}; answers erased: {records}; outcomes erased: {outcomes}", keys=count(one.n_keys),
            records=count(one.n_records), outcomes=count(one.n_outcomes)),
    ]  # fmt: skip
    if one.n_left is not None:
        lines.append(msg("  left in the database: {n}", n=count(one.n_left)))
    if one.done:
        lines.append(msg("  erased in the local logs of: {hosts}", hosts=", ".join(sorted(one.done))))
    if one.pending:
        lines.append(msg("  waits for the local logs of: {hosts}", hosts=", ".join(one.pending)))
    lines += [
        msg("  still in the {place}: {n} rows ({remedy})", place=at.title, n=count(at.n_rows), remedy=at.remedy)
        for at in one.held
    ]
    return [run.text(line) for line in lines]
