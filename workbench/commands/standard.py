"""The data standard: search it, export it, and say or decide what columns are by it."""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import percent
from warehouse.standard.search import PARTS, Entry, Part, find
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
from workbench.flows import standard
from workbench.flows.results import to_json
from workbench.flows.standard import StandardState

__all__ = ["add_to"]

_MOST = 60


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help=say(msg("The data standard: search, export, match, set.")), no_args_is_help=True)
    group.command("search", help=say(msg("Search fields, code tables and credit-report elements.")))(search)
    group.command("export", help=say(msg("Write the standard to a file, .xlsx or .csv.")))(export)
    group.command("match", help=say(msg("Say what the project's columns are by the standard, and where they differ.")))(
        match
    )
    group.command("set", help=say(msg("Decide what a column is by the standard.")))(decide)
    app.add_typer(group, name="standard")


def search(
    text: Annotated[str, typer.Argument(help=say(msg("Part of a name or code, in either language.")))] = "",
    part: Annotated[
        str | None, typer.Option("--part", help=say(msg("One of {names}.", names=", ".join(PARTS))))
    ] = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search the standard."""
    with session(as_json=as_json, language=language) as run:
        found = find(text, PARTS if part is None else [_part(part)])
        value = {"n": len(found), "entries": [_as_json(entry, run.ctx.language) for entry in found]}
        run.answer(value, lambda: _show_entries(run, found))


def export(
    path: Annotated[Path, typer.Argument(help=say(msg("File to write; its ending says which kind.")))],
    part: Annotated[
        str, typer.Option("--part", help=say(msg("Of a CSV file: one of {names}.", names=", ".join(PARTS))))
    ] = "fields",
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the standard to a file."""
    with session(as_json=as_json, language=language) as run:
        found = standard.export(run.ctx, path.suffix.removeprefix(".").lower(), part)
        path.write_bytes(found.content)
        text = run.text(msg("written: {path}", path=str(path)))
        run.answer({"path": str(path), "bytes": len(found.content)}, lambda: print_lines([text]))


def match(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the project's columns are by the standard."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = standard.state(run.ctx, chosen_project(run.ctx, project))
        run.answer(to_json(found), lambda: _show_match(run, found))


def decide(
    column: Annotated[str, typer.Argument(metavar="TABLE.COLUMN", help=say(msg("The column.")))],
    field: Annotated[
        str | None, typer.Argument(metavar="FIELD", help=say(msg("Field of the standard, such as enterprise.uscc.")))
    ] = None,
    none: Annotated[bool, typer.Option("--none", help=say(msg("It is no field of the standard.")))] = False,
    proposed: Annotated[
        bool, typer.Option("--proposed", help=say(msg("Back to what is proposed, for the whole table.")))
    ] = False,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide what a column is by the standard."""
    table, _, name = column.partition(".")
    if sum((field is not None, none, proposed)) != 1 or not name:
        raise InputError(msg("name TABLE.COLUMN, and one of a field, --none and --proposed"))
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        owner = chosen_project(run.ctx, project)
        if proposed:
            found = standard.forget(run.ctx, owner, table)
        else:
            found = standard.choose(run.ctx, owner, table, {name: field})
        its = next(one for one in found.table(table).columns if one.name == name)
        run.answer(to_json(its), lambda: print_lines([f"{column} → {its.field or '–'}"]))


def _part(name: str) -> Part:
    for known in PARTS:
        if name == known:
            return known
    raise InputError(msg("expected one of {names}", names=", ".join(PARTS)), where="--part")


def _as_json(entry: Entry, language: str) -> dict[str, object]:
    return {
        "part": entry.part,
        "id": entry.id,
        "label": dict(entry.label),
        "type": entry.type,
        "unit": entry.unit,
        "is_mandatory": entry.is_mandatory,
        "code_tables": list(entry.code_tables),
        "known_at": None if entry.known_at is None else entry.known_at.text(language),
        "is_personal": entry.is_personal,
    }


def _show_entries(run: Session, found: tuple[Entry, ...]) -> None:
    titles = [run.text(title) for title in (msg("code"), msg("English"), msg("Chinese"), msg("type"), msg("unit"))]
    rows = [
        (entry.id, entry.label.get("en", "–"), entry.label.get("zh", "–"), entry.type or "–", entry.unit or "–")
        for entry in found[:_MOST]
    ]
    print_table(run.text(msg("{n} lines", n=len(found))), titles, rows)


def _show_match(run: Session, found: StandardState) -> None:
    titles = [run.text(title) for title in (msg("column"), msg("field"), msg("confidence"), msg("differences"))]
    for one in found.tables:
        rows = [
            (
                column.name,
                column.field or "–",
                run.text(msg("decided")) if column.is_chosen else percent(column.confidence, 0),
                "; ".join(run.text(finding.message) for finding in column.differences) or "–",
            )
            for column in one.columns
        ]
        print_table(f"{one.name} → {one.standard_table or '–'}", titles, rows)
