"""The reason codes from the command line."""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from core.i18n import formats, msg
from workbench.commands.display import print_lines, print_table
from workbench.commands.judging import VersionOption
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
from workbench.flows import reason_codes
from workbench.flows.results import to_json

__all__ = ["add_to"]

_SET_HELP = msg(
    "Code of a feature or column in the next versions, FEATURE=R04; FEATURE= takes it back. May be repeated."
)
_SUBJECT_HELP = msg("What a code is about in the next versions: CODE=English|Chinese. May be repeated.")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("reasons", help=say(msg("Show, export or change the reason codes.")))(reasons)


def reasons(
    project: ProjectOption = None,
    version: VersionOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=say(msg("Write them as CSV, in both languages.")))
    ] = None,
    chosen: Annotated[list[str] | None, typer.Option("--set", metavar="FEATURE=CODE", help=say(_SET_HELP))] = None,
    subjects: Annotated[
        list[str] | None, typer.Option("--subject", metavar="CODE=EN|ZH", help=say(_SUBJECT_HELP))
    ] = None,
    history: Annotated[bool, typer.Option("--history", help=say(msg("Who changed them when.")))] = False,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show, export or change the reason codes."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if chosen or subjects:
            pairs = dict(_pair(text, "--set") for text in chosen or ())
            worded = {code: _subject(text) for code, text in (_pair(text, "--subject") for text in subjects or ())}
            made = reason_codes.change(run.ctx, name, features=pairs, subjects=worded)
            done = run.text(msg("the next versions of {project} will have these reason codes", project=name))
            run.answer(made.model_dump(mode="json"), lambda: print_lines([done]))
            return
        if history:
            _show_history(run, reason_codes.history(run.ctx, name))
            return
        if output is not None:
            output.write_bytes(reason_codes.export(run.ctx, name, version).content)
            run.answer({"path": str(output)}, lambda: print_lines([str(output)]))
            return
        rows = reason_codes.view(run.ctx, name, version)
        titles = [run.text(text) for text in (msg("feature"), msg("code"), msg("where it raises the risk"))]
        cells = [(row.name, row.code, row.raises) for row in rows]
        run.answer(
            {"reasons": [to_json(row) for row in rows]},
            lambda: print_table(run.text(msg("Reason codes")), titles, cells),
        )


def _show_history(run: Session, found: tuple[reason_codes.CodeChange, ...]) -> None:
    titles = [run.text(text) for text in (msg("when"), msg("who"), msg("what"), msg("before"), msg("after"))]
    language = run.ctx.language
    cells = []
    for one in found:
        when = formats.when(one.at, language)
        cells += [(when, one.by, name, old or "–", new or "–") for name, (old, new) in one.features.items()]
        cells += [
            (when, one.by, code, (old or {}).get(language, "–"), (new or {}).get(language, "–"))
            for code, (old, new) in one.subjects.items()
        ]
    run.answer(
        {"changes": [to_json(one) for one in found]},
        lambda: print_table(run.text(msg("Changes")), titles, cells),
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InputError(msg("expected {expected}, not {text}", expected="NAME=VALUE", text=repr(text)), where=option)
    return name.strip(), value.strip()


def _subject(text: str) -> dict[str, str]:
    english, sign, chinese = text.partition("|")
    if not sign:
        raise InputError(
            msg("expected {expected}, not {text}", expected="CODE=English|中文", text=repr(text)), where="--subject"
        )
    return {"en": english.strip(), "zh": chinese.strip()}
