"""Releasing a model: submit, approve, reject, deploy, roll back, versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import interval, metric, percent, when
from model_registry.versions import CHAMPION, LIVE_CHALLENGER
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
from workbench.commands.snapshots import snapshot_lines
from workbench.flows import deployment, review, training
from workbench.flows.results import to_json
from workbench.flows.training import VersionRow

__all__ = ["add_to"]

VersionArgument = Annotated[int, typer.Argument(help=say(msg("Number of the version.")))]
NoteOption = Annotated[str, typer.Option("--note", "-m", help=say(msg("Your words; kept in the history.")))]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help=say(msg("Why; kept in the history.")))]
SlotOption = Annotated[
    str,
    typer.Option(
        "--slot", help=say(msg("Slot: champion answers, live-challenger answers a share, others score along unseen."))
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("versions", help=say(msg("List the versions of a project's model.")))(versions)
    app.command("export", help=say(msg("Write a version as ONNX.")))(export)
    app.command("submit", help=say(msg("Hand a draft version to the reviewers.")))(submit)
    app.command("approve", help=say(msg("Sign a submitted version; never one's own.")))(approve)
    app.command("reject", help=say(msg("Refuse a submitted version, or send it back with --changes.")))(reject)
    app.command("deploy", help=say(msg("Put an approved version into a slot.")))(deploy)
    app.command("rollback", help=say(msg("Bring back what the slot held before.")))(rollback)
    app.command("withdraw", help=say(msg("Empty a slot; its share goes back to the champion.")))(withdraw)


def versions(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        rows = training.versions(run.ctx, chosen_project(run.ctx, project))
        run.answer({"versions": [to_json(row) for row in rows]}, lambda: _show_versions(run, rows))


def export(
    version: VersionArgument,
    file: Annotated[Path, typer.Argument(help=say(msg("File to write.")))],
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a version as ONNX."""
    from workbench.flows import exporting

    with session(as_json=as_json, as_name=as_name, language=language) as run:
        made = exporting.onnx(run.ctx, chosen_project(run.ctx, project), version)
        file.write_bytes(made.content)
        run.answer({"path": str(file), "bytes": len(made.content)}, lambda: print_lines([str(file)]))


def submit(
    version: VersionArgument,
    project: ProjectOption = None,
    note: NoteOption = "",
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a draft to the reviewers."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        review.submit(run.ctx, name, version, note=note)
        _answer_state(run, name, version)


def approve(
    version: VersionArgument,
    project: ProjectOption = None,
    note: NoteOption = "",
    conditions: Annotated[str, typer.Option("--conditions", help=say(msg("What the approval is bound to.")))] = "",
    expires: Annotated[str | None, typer.Option("--expires", metavar="DATE", help=say(msg("When it ends.")))] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a submitted version."""
    expires_at = _day(expires)
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        review.approve(run.ctx, name, version, note=note, conditions=conditions, expires_at=expires_at)
        _answer_state(run, name, version)


def reject(
    version: VersionArgument,
    note: NoteOption,
    project: ProjectOption = None,
    changes: Annotated[
        bool, typer.Option("--changes", help=say(msg("Ask for changes instead of refusing for good.")))
    ] = False,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a submitted version, or send it back."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        step = review.request_changes if changes else review.reject
        step(run.ctx, name, version, note=note)
        _answer_state(run, name, version)


def deploy(
    version: VersionArgument,
    reason: ReasonOption,
    project: ProjectOption = None,
    slot: SlotOption = "champion",
    share: Annotated[
        float | None,
        typer.Option(
            "--share",
            metavar="PERCENT",
            help=say(msg("Let it answer this percentage of the enterprises, beside the champion.")),
        ),
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an approved version into a slot."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        chosen = LIVE_CHALLENGER if share is not None and slot == CHAMPION else slot
        part = share / 100.0 if share is not None else None
        state = deployment.deploy(run.ctx, name, version, slot=chosen, reason=reason, share=part)
        _answer_deployment(run, state)


def rollback(
    reason: ReasonOption,
    project: ProjectOption = None,
    slot: SlotOption = "champion",
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring back what the slot held before."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        _answer_deployment(run, deployment.rollback(run.ctx, name, slot=slot, reason=reason))


def withdraw(
    slot: Annotated[str, typer.Argument(help=say(msg("Slot to empty, such as live-challenger.")))],
    reason: ReasonOption,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Empty a slot."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        _answer_deployment(run, deployment.withdraw(run.ctx, name, slot=slot, reason=reason))


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(msg("{text} is no date", text=repr(text)), where="--expires") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _answer_state(run: Session, project: str, version: int) -> None:
    row = next(row for row in training.versions(run.ctx, project) if row.number == version)
    line = msg("version {n} of {project}: {state}", n=version, project=project, state=_state(row))
    run.answer(to_json(row), lambda: print_lines([run.text(line)]))


def _state(row: VersionRow) -> Any:
    from workbench.flows.loop_state import state_text

    return state_text(row.state)


def _show_versions(run: Session, rows: list[VersionRow]) -> None:
    headers = [
        run.text(text)
        for text in (msg("version"), msg("state"), msg("author"), msg("made"), msg("family"), msg("AUC"), msg("KS"))
    ]
    cells = [
        (
            f"v{row.number}" + (" ★" if row.is_champion else ""),
            run.text(_state(row)),
            row.author,
            when(row.created_at, run.ctx.language),
            row.family,
            f"{metric(row.auc.value)} {interval(row.auc.low, row.auc.high)}",
            f"{metric(row.ks.value)} {interval(row.ks.low, row.ks.high)}",
        )
        for row in rows
    ]
    print_table(run.text(msg("Versions (★ the champion)")), headers, cells)


def _answer_deployment(run: Session, state: deployment.DeploymentState) -> None:
    lines = [run.text(_slot_line(run, slot)) for slot in state.slots]
    lines += [*snapshot_lines(run, state.snapshot), *(finding.text(run.ctx.language) for finding in state.findings)]
    run.answer(to_json(state), lambda: print_lines(lines))


def _slot_line(run: Session, slot: deployment.SlotState) -> Any:
    number, since = slot.version.number, when(slot.since, run.ctx.language)
    if not slot.share:
        return msg("{slot}: version {n} since {when}", slot=slot.slot, n=number, when=since)
    return msg(
        "{slot}: version {n} answers {share} of the enterprises since {when}",
        slot=slot.slot,
        n=number,
        share=percent(slot.share),
        when=since,
    )
