"""What business systems may read of enterprises: publish it, say what is in place, take it away, look at one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import InputError, NotFoundError
from core.i18n import msg
from core.i18n.formats import ago, count, when
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
from workbench.flows import enterprises
from workbench.flows.enterprises import EnterprisesState
from workbench.flows.results import to_json

if TYPE_CHECKING:
    from features.entity_view import EntityRows

__all__ = ["add_to"]

_MOST_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        help=say(msg("What business systems may read of enterprises: publish, status, withdraw, show.")),
        no_args_is_help=True,
    )
    group.command("publish", help=say(msg("Publish the stored tables, and again after each import.")))(publish)
    group.command("status", help=say(msg("Say what is in place.")))(status)
    group.command("withdraw", help=say(msg("Take it away: nothing can be read any more.")))(withdraw)
    group.command("show", help=say(msg("Show what was known of one enterprise at a moment.")))(show)
    app.add_typer(group, name="enterprises")


def publish(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the stored tables for reading by enterprise."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        _answer(run, enterprises.publish(run.ctx, chosen_project(run.ctx, project)))


def status(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in place."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        _answer(run, enterprises.state(run.ctx, chosen_project(run.ctx, project)))


def withdraw(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the view away."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        was_there = enterprises.withdraw(run.ctx, name)
        text = msg("withdrawn: nothing can be read any more") if was_there else msg("nothing was published")
        run.answer({"project": name, "withdrawn": was_there}, lambda: print_lines([run.text(text)]))


def show(
    key: Annotated[str, typer.Argument(metavar="ID", help=say(msg("Key of the enterprise.")))],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help=say(msg("Known strictly before; now by default.")))
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help=say(msg("Only this table; may be repeated.")))
    ] = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was known of one enterprise."""
    moment = _moment(as_of)
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = enterprises.show(run.ctx, chosen_project(run.ctx, project), key, as_of=moment, tables=tables)
        if found is None:
            raise NotFoundError(msg("nothing was known of this enterprise at that time"), code="no_history")
        run.answer(_as_json(found), lambda: _show(run, found))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            msg("expected a time such as 2024-05-31 or 2024-05-31T12:00:00"), where="--as-of"
        ) from error  # fmt: skip
    if moment.tzinfo is not None:
        raise InputError(msg("the time must be in the data's own clock, without a zone"), where="--as-of")
    return moment


def _as_json(found: "EntityRows") -> dict[str, Any]:
    return {"enterprise": dict(found.row), "tables": {table.name: list(table.rows) for table in found.tables}}


def _show(run: Session, found: "EntityRows") -> None:
    _rows("", [found.row])
    for table in found.tables:
        _rows(f"{table.name} ({count(len(table.rows))})", table.rows[:_MOST_SHOWN])
        if len(table.rows) > _MOST_SHOWN:
            print_lines([run.text(msg("{n} more: use --json", n=len(table.rows) - _MOST_SHOWN))])


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    names = list(rows[0])
    print_table(title, names, [["–" if row[column] is None else str(row[column]) for column in names] for row in rows])


def _answer(run: Session, state: EnterprisesState) -> None:
    run.answer(to_json(state), lambda: print_lines([run.text(line) for line in _lines(run, state)]))


def _lines(run: Session, state: EnterprisesState) -> list[Any]:
    if state.problem is not None:
        return [state.problem]
    if not state.is_there:
        return [msg("no view of enterprises is published: nothing can be read")]
    line = msg(
        "enterprises of {table} can be read: data up to {as_of}, published {published} ({age}), {rows} rows of "
        "{tables} tables, {size} MB",
        table=state.table, as_of=when(state.as_of, run.ctx.language),
        published=when(state.published_at, run.ctx.language),
        age=ago(state.published_at, datetime.now(UTC), run.ctx.language), rows=count(sum(state.n_rows.values())),
        tables=len(state.n_rows), size=f"{state.size_bytes / 1e6:,.1f}",
    )  # fmt: skip
    return [line, *([msg("to be published: {reason}", reason=state.due)] if state.due else [])]
