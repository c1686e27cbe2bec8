"""The sample world from the command line: into a folder, or into a project."""

import resource
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import count
from workbench.commands import answers
from workbench.commands.display import print_lines
from workbench.commands.session import (
    AsOption,
    JsonOption,
    LanguageOption,
    ProjectOption,
    Session,
    checked_language,
    chosen_project,
    say,
    session,
)
from workbench.flows import sample_world
from workbench.flows.results import to_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sample-world", help=say(_HELP))(write)


_HELP = msg(
    "Generate the complete synthetic guarantee world, all tables with credit reports: as Parquet into FOLDER, or with "
    "--project into a project. The same seed gives the same bytes. Nobody in it is real."
)
_SIZE_HELP = msg(
    "small (1,500 enterprises, 1.3 million rows), demo (20,000; 14 million) or full (40,000; 33 million rows)."
)


_REPORTS_HELP = msg(
    "Leave the newest N credit reports out of the tables and write them as XML to FOLDER/reports, to try their import."
)


def write(
    folder: Annotated[Path | None, typer.Argument(help=say(msg("New folder: tables, and the truth apart.")))] = None,
    size: Annotated[str, typer.Option("--size", metavar="small|demo|full", help=say(_SIZE_HELP))] = "small",
    seed: Annotated[int, typer.Option("--seed", min=0, help=say(msg("Another seed gives another world.")))] = (
        sample_world.DEFAULT_SEED
    ),
    names: Annotated[
        str | None, typer.Option("--names", metavar="zh|en", help=say(msg("Language of the invented names.")))
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help=say(msg("Put doubled rows, wrong units and swapped dates into it.")))
    ] = False,
    reports: Annotated[int, typer.Option("--reports", min=0, metavar="N", help=say(_REPORTS_HELP))] = 0,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Generate the sample world into a folder, or into a project."""
    if folder is None and project is None:
        raise InputError(msg("give a folder or --project"), fix=msg("See: workbench sample-world --help"))
    if reports and folder is None:
        raise InputError(msg("credit reports are written to a folder"), where="--reports", fix=msg("Give a folder."))
    chosen = _size(size)
    spoken = checked_language(names)
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        if folder is None:
            project = chosen_project(run.ctx, project)
            result = sample_world.load(run.ctx, project, size=chosen, seed=seed, names=spoken, dirty=faults)
            run.answer(answers.import_json(result), lambda: answers.show_import(run, result))
        else:
            written = sample_world.write(
                run.ctx, folder, size=chosen, seed=seed, names=spoken, dirty=faults, n_reports=reports
            )
            run.answer(to_json(written), lambda: _show(run, written, has_reports=reports > 0))


def _size(given: str) -> sample_world.SizeName:
    for size in sample_world.SIZES:
        if size.name == given:
            return size.name
    known = ", ".join(size.name for size in sample_world.SIZES)
    raise InputError(msg("expected one of {names}", names=known), where=f"--size {given}")


def _show(run: Session, written: sample_world.Written, *, has_reports: bool) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    reports = [msg("Then the credit reports: workbench import {folder}", folder=f"{written.folder}/reports")]
    print_lines(
        [
            run.text(
                msg(
                    "{tables} tables with {n} rows in {seconds} s and at most {memory} MB: {folder}",
                    tables=len(written.n_rows), n=count(sum(written.n_rows.values())),
                    seconds=f"{written.seconds:.0f}", memory=count(peak_mb), folder=written.folder,
                )
            ),
            run.text(msg("Import it with: workbench import {folder}", folder=f"{written.folder}/tables")),
            *(run.text(line) for line in reports if has_reports),
        ]
    )  # fmt: skip
