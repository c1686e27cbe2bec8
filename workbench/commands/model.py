"""What the tables mean: the data model in versions, and its review."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import InputError, WorkbenchError
from core.findings import Severity
from core.i18n import msg
from core.i18n.formats import count, percent, when
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
from workbench.flows import data_models, snapshots
from workbench.flows.data_models import Version
from workbench.flows.results import to_json

if TYPE_CHECKING:
    from core.findings import Finding
    from warehouse.data_model import DataModel
    from warehouse.modelling.checking import ModelCheck
    from warehouse.modelling.differences import Difference

__all__ = ["add_to"]

NumberArgument = Annotated[int | None, typer.Argument(help=say(msg("Number of the version; left out: the latest.")))]
FileArgument = Annotated[
    Path | None, typer.Argument(help=say(msg("YAML file; left out: the latest version, - for standard input.")))
]
NoteOption = Annotated[str, typer.Option("--note", help=say(msg("Why, for those who read it later.")))]
ApplyOption = Annotated[
    bool, typer.Option("--apply/--no-apply", help=say(msg("Put the version to the stored tables at once.")))
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        help=say(msg("The data model: keys, links, times, roles and units of the tables, in versions.")),
        no_args_is_help=True,
    )
    group.command("show", help=say(msg("Print a version as YAML.")))(show)
    group.command("list", help=say(msg("List the versions and who reviewed them.")))(list_versions)
    group.command("check", help=say(msg("Hold a data model against all rows; nothing is changed.")))(check)
    group.command("save", help=say(msg("Save a YAML file as the next version.")))(save)
    group.command("diff", help=say(msg("Say in words what a version says otherwise than another.")))(diff)
    group.command("approve", help=say(msg("Sign a version that somebody else saved.")))(approve)
    group.command("refuse", help=say(msg("Refuse a version, with the reason.")))(refuse)
    group.command("apply", help=say(msg("Put the latest version to the stored tables.")))(apply)
    app.add_typer(group, name="model")


def show(
    number: NumberArgument = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a version as YAML."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        text = data_models.text(run.ctx, chosen_project(run.ctx, project), number, with_header=True)
        run.answer({"yaml": text}, lambda: _write(text))


def list_versions(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions and who reviewed them."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        found = data_models.versions(run.ctx, chosen_project(run.ctx, project))
        value = {"versions": [to_json(item) for item in found]}
        run.answer(value, lambda: _print_versions(run, found))


def check(
    file: FileArgument = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a data model against all rows; exit code 1 where the tables cannot be used under it."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        candidate = data_models.model(run.ctx, name) if file is None else _model(file)[0]
        found = data_models.check(run.ctx, name, candidate)
        run.answer(_check_json(found), lambda: _print_check(run, found))
        if not found.fits:
            raise typer.Exit(1)


def save(
    file: Annotated[Path, typer.Argument(help=say(msg("YAML file, - for standard input.")))],
    note: NoteOption = "",
    base: Annotated[
        int | None,
        typer.Option("--base", help=say(msg("The version it was made from; left out: the one the file names."))),
    ] = None,
    at_once: ApplyOption = True,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save a YAML file as the next version."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        candidate, named = _model(file)
        made_from = next((one for one in (base, named) if one is not None), data_models.current_number(run.ctx, name))
        try:
            saved = data_models.save(run.ctx, name, candidate, base=made_from, note=note)
        except WorkbenchError as error:
            print_error(run, error.findings)
            raise
        if at_once:
            snapshots.following_import(run.ctx, name, lambda ctx: data_models.apply(ctx, name))
        changes = data_models.difference(run.ctx, name, saved.base, saved.number)
        value = {"version": to_json(saved), "changes": _changes_json(run, changes)}
        title = run.text(msg("saved as version {n}", n=saved.number))
        run.answer(value, lambda: print_lines([title, *_change_lines(run, changes)]))


def diff(
    old: Annotated[
        int | None, typer.Argument(help=say(msg("The version before; left out: the one before the new.")))
    ] = None,
    new: NumberArgument = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say in words what a version says otherwise than another."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        later = data_models.current_number(run.ctx, name) if new is None else new
        earlier = max(later - 1, 0) if old is None else old
        changes = data_models.difference(run.ctx, name, earlier, later)
        title = run.text(msg("version {n} says {k} things otherwise than version {base}", n=later, k=len(changes),
                             base=earlier))  # fmt: skip
        value = {"old": earlier, "new": later, "changes": _changes_json(run, changes)}
        run.answer(value, lambda: print_lines([title, *_change_lines(run, changes)]))


def approve(
    number: NumberArgument = None,
    note: NoteOption = "",
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a version that somebody else saved."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        _answer_review(run, data_models.approve(run.ctx, name, _chosen(run, name, number), note=note))


def refuse(
    note: Annotated[str, typer.Option("--note", help=say(msg("The reason.")))],
    number: NumberArgument = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a version, with the reason."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        _answer_review(run, data_models.refuse(run.ctx, name, _chosen(run, name, number), note=note))


def apply(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the latest version to the stored tables."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        result = snapshots.following_import(run.ctx, name, lambda ctx: data_models.apply(ctx, name))
        value = {"version": result.data_model_version, "fingerprint": result.fingerprint, "n_rows": result.n_rows}
        text = msg("the {n} tables go by version {version}", n=len(result.tables), version=result.data_model_version)
        run.answer(value, lambda: print_lines([run.text(text)]))


def print_error(run: Session, findings: "Sequence[Finding]") -> None:
    """Print what stands behind an error, on standard error."""
    for finding in findings:
        sys.stderr.write(f"- {finding.text(run.ctx.language)}\n")


def _chosen(run: Session, project: str, number: int | None) -> int:
    return data_models.current_number(run.ctx, project) if number is None else number


def _model(file: Path) -> "tuple[DataModel, int | None]":
    """Return the model of a file and the version it says it was made from."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(msg("the file cannot be read as UTF-8 text"), where=str(file)) from error
    return data_models.read_text(text, where=file.name), data_models.base_of_text(text)


def _write(text: str) -> None:
    sys.stdout.write(text)


def _print_versions(run: Session, found: "Sequence[Version]") -> None:
    titles = [run.text(text) for text in (msg("version"), msg("state"), msg("saved"), msg("reviewed"), msg("note"))]
    rows = [
        (
            str(item.number),
            run.text(data_models.state_word(item.state)),
            f"{item.author}, {when(item.created_at, run.ctx.language)}",
            "–" if item.reviewed_at is None else f"{item.reviewed_by}, {when(item.reviewed_at, run.ctx.language)}",
            item.note + (f" / {item.review_note}" if item.review_note else ""),
        )
        for item in found
    ]
    print_table(run.text(msg("{n} versions of the data model", n=len(rows))), titles, rows)


def _check_json(found: "ModelCheck") -> dict[str, Any]:
    links = [
        {
            "link": str(item.link), "n_rows": item.n_rows, "n_null": item.n_null, "n_orphans": item.n_orphans,
            "matched": item.matched, "examples": [list(pair) for pair in item.examples],
        }
        for item in found.links
    ]  # fmt: skip
    keys = [
        {
            "table": item.table, "columns": list(item.columns), "n_rows": item.n_rows, "n_null": item.n_null,
            "n_repeated": item.n_repeated,
        }
        for item in found.keys
    ]  # fmt: skip
    findings = [finding.to_json() for finding in found.findings]
    return {"fits": found.fits, "keys": keys, "links": links, "findings": findings}


def _print_check(run: Session, found: "ModelCheck") -> None:
    titles = [run.text(text) for text in (msg("key"), msg("rows"), msg("without value"), msg("repeated"))]
    keys = [
        (f"{item.table}: {', '.join(item.columns)}", *map(count, (item.n_rows, item.n_null, item.n_repeated)))
        for item in found.keys
    ]
    print_table(run.text(msg("Keys, counted on all rows")), titles, keys)
    titles = [run.text(text) for text in (msg("link"), msg("rows"), msg("matched"), msg("without parent"))]
    links = [
        (str(item.link), count(item.n_rows), percent(item.matched, 2), count(item.n_orphans)) for item in found.links
    ]
    print_table(run.text(msg("Links, counted on all rows")), titles, links)
    graver = sorted(found.findings, key=lambda finding: finding.severity is not Severity.BAD)
    verdict = msg("the tables can be used under it") if found.fits else msg("the tables cannot be used under it")
    print_lines([*(f"- {finding.text(run.ctx.language)}" for finding in graver), run.text(verdict)])


def _change_lines(run: Session, changes: "Sequence[Difference]") -> list[str]:
    return [
        f"- {item.text(run.ctx.language)}" + (f" ({run.text(item.effect)})" if item.effect else "") for item in changes
    ]


def _changes_json(run: Session, changes: "Sequence[Difference]") -> list[dict[str, Any]]:
    return [
        {"fact": list(item.fact), "where": item.where, "text": run.text(item.message), "effect": run.text(item.effect)}
        for item in changes
    ]


def _answer_review(run: Session, reviewed: Version) -> None:
    state = data_models.state_word(reviewed.state)
    text = msg("version {n}: {state} by {who}", n=reviewed.number, state=state, who=reviewed.reviewed_by)
    run.answer(to_json(reviewed), lambda: print_lines([run.text(text)]))
