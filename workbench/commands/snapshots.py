"""The online snapshot: publish it, and say what is in place."""

from datetime import UTC, datetime

import typer

from core.i18n import msg
from core.i18n.formats import ago, count, when
from workbench.commands.display import print_lines
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
from workbench.flows import snapshots
from workbench.flows.results import to_json
from workbench.flows.snapshots import SnapshotState

__all__ = ["add_to", "snapshot_lines"]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help=say(msg("The online snapshot, for scoring by id: publish, status.")), no_args_is_help=True)
    group.command("publish", help=say(msg("Publish the stored tables for the deployed models.")))(publish)
    group.command("status", help=say(msg("Say what is in place.")))(status)
    app.add_typer(group, name="snapshot")


def publish(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the stored tables for the deployed models."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        _answer(run, snapshots.publish(run.ctx, chosen_project(run.ctx, project)))


def status(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in place."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        _answer(run, snapshots.state(run.ctx, chosen_project(run.ctx, project)))


def snapshot_lines(run: Session, state: SnapshotState) -> list[str]:
    """Return what is in place, as lines."""
    lines = []
    if state.problem is not None:
        lines.append(state.problem)
    elif not state.is_there:
        lines.append(msg("no online snapshot: ids cannot be asked for"))
    else:
        lines.append(
            msg("online snapshot: data up to {as_of}, published {published} ({age}), {rows} rows of {tables} tables, "
                "{size} MB, in {store}",
                as_of=when(state.as_of, run.ctx.language), published=when(state.published_at, run.ctx.language),
                age=ago(state.published_at, datetime.now(UTC), run.ctx.language),
                rows=count(sum(state.n_rows.values())), tables=len(state.n_rows),
                size=f"{state.size_bytes / 1e6:,.1f}", store=store_text(state))
        )  # fmt: skip
    if state.due is not None:
        lines.append(msg("to be published: {reason}", reason=state.due))
    return [run.text(line) for line in lines]


def store_text(state: SnapshotState) -> str:
    """Return the name of the kind of place."""
    return "PostgreSQL" if state.store == "postgresql" else "SQLite"


def _answer(run: Session, state: SnapshotState) -> None:
    run.answer(to_json(state), lambda: print_lines(snapshot_lines(run, state)))
