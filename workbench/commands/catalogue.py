"""What is known, and what it has become: catalogue."""

from typing import Annotated

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import percent
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
from workbench.flows import catalogue
from workbench.flows.results import to_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("catalogue", help=say(msg("Search tables and fields, or show what a field has become.")))(look_up)


def look_up(
    text: Annotated[str, typer.Argument(help=say(msg("Part of a name, in either language; left out: all.")))] = "",
    lineage: Annotated[
        str | None,
        typer.Option("--lineage", metavar="TABLE.COLUMN", help=say(msg("Where a field is at work."))),
    ] = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search tables and fields, or show what a field has become."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if lineage is not None:
            _show_lineage(run, name, lineage)
            return
        found = catalogue.search(catalogue.fields(run.ctx, name), text)
        titles = [
            run.text(title) for title in (msg("field"), msg("name"), msg("type"), msg("missing"), msg("features"))
        ]
        rows = [
            (
                f"{field.table}.{field.column}",
                field.label.get(run.ctx.language) or field.label.get("en") or field.column,
                field.type,
                percent(field.missing_rate),
                str(field.n_features),
            )
            for field in found
        ]
        value = {"fields": [to_json(field) for field in found]}
        run.answer(value, lambda: print_table(run.text(msg("{n} fields", n=len(rows))), titles, rows))


def _show_lineage(run: Session, project: str, place: str) -> None:
    table, _, column = place.partition(".")
    if not column:
        raise InputError(msg("name a field as TABLE.COLUMN"), where="--lineage")
    known = catalogue.lineage(run.ctx, project, table, column)
    lines = [run.text(msg("{n} kept features read it", n=len(known.features)))]
    lines += [f"- {item.names.get(run.ctx.language, item.alias)} ({item.alias})" for item in known.features]
    lines += [
        f"v{version.number} {version.state}: "
        + run.text(msg("{n} features", n=len(version.features)))
        + (f" → {', '.join(version.slots)}" if version.slots else "")
        for version in known.versions
    ]
    run.answer(to_json(known), lambda: print_lines(lines))
