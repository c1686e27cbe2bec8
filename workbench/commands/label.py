"""The label from the command line: what it yields, and what windows see of those that turn bad."""

from typing import TYPE_CHECKING

import typer

from core.i18n import Message, msg
from core.i18n.formats import count, percent
from workbench.commands.building import LabelOption
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
from workbench.flows import labelling, projects
from workbench.flows.results import to_json

if TYPE_CHECKING:
    from automl.vintages import Maturity, VintageStudy

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("label", help=say(msg("Count a label's cases, and show how long it takes to turn bad.")))(label)


def label(
    project: ProjectOption = None,
    name: LabelOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count a label's cases, and show how long it takes to turn bad."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        chosen = chosen_project(run.ctx, project)
        spec = projects.spec(run.ctx, chosen).label(name)
        shown = labelling.preview(run.ctx, chosen, spec)
        has_curves = bool(spec.bad_when) and not spec.is_panel
        study = labelling.study(run.ctx, chosen, spec) if has_curves else None
        values = {"label": spec.name, "counts": shown.counts, "study": to_json(study) if study else None}
        run.answer(values, lambda: _show(run, spec.title(run.ctx.language), shown.counts, study))


def _show(run: Session, title: str, counts: dict[str, int], study: "VintageStudy | None") -> None:
    print_table(title, ["", run.text(msg("Cases"))], [(state, count(n)) for state, n in counts.items()])
    if study is not None:
        print_lines([run.text(_maturity(item, study.horizon_months)) for item in study.maturities])


def _maturity(item: "Maturity", horizon: int) -> Message:
    return msg(
        "{n} months see {share} [{low}, {high}] of those that turn bad within {h}",
        n=item.months, share=percent(item.share), low=percent(item.low), high=percent(item.high), h=horizon,
    )  # fmt: skip
