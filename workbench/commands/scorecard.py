"""The scorecard from the command line: start, show, edit, register, export, import."""

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from core.errors import InputError
from core.i18n import msg
from core.i18n.formats import interval, metric, percent, signed
from workbench.commands.answers import figure_text
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
from workbench.flows import scorecard
from workbench.flows.results import to_json
from workbench.flows.scorecard import ActionName, CardView, Change, CharacteristicView, Scale, WeightsName

__all__ = ["add_to"]

WhyOption = Annotated[str, typer.Option("--why", help=say(msg("Why; kept in the audit trail.")))]
VersionOption = Annotated[
    int | None, typer.Option("--version", help=say(msg("A registered scorecard; left out, the card on the desk.")))
]
ScaleOption = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="POINTS,ODDS,PDO",
        help=say(msg("Base points, goods to one bad there, points that double it.")),
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help=say(msg("A points scorecard: bins, edits, points, files.")), no_args_is_help=True)
    group.command("start", help=say(msg("Fit bins and lay a card on the desk.")))(start)
    group.command("show", help=say(msg("Show the card on the desk, or one characteristic.")))(show)
    group.command("edit", help=say(msg("Change the card; bins are numbered from 1, as they are shown.")))(edit)
    group.command("register", help=say(msg("Register the card as a draft version.")))(register)
    group.command("export", help=say(msg("Write the card to a file: points table, SQL, PMML.")))(export)
    group.command("import", help=say(msg("Register a card that is in use as a draft version.")))(import_)
    app.add_typer(group, name="scorecard")


def start(
    project: ProjectOption = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", help=say(msg("evidence, joint or boosted; left out, what cross-validation finds best."))
        ),
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit bins and lay a card on the desk."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        view = scorecard.start(run.ctx, chosen_project(run.ctx, project), _weights(weights))
        run.answer(to_json(view), lambda: _show_card(run, view))


def show(
    project: ProjectOption = None,
    name: Annotated[str | None, typer.Option("--characteristic", help=say(msg("One characteristic.")))] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the card on the desk, or one characteristic."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        chosen = chosen_project(run.ctx, project)
        if name is not None:
            one = scorecard.characteristic(run.ctx, chosen, name)
            run.answer(to_json(one), lambda: _show_bins(run, one))
            return
        view = scorecard.required(run.ctx, chosen)
        run.answer(to_json(view), lambda: _show_card(run, view))


def edit(
    action: Annotated[
        str, typer.Argument(help=say(msg("What to do: {actions}", actions=", ".join(get_args(ActionName)))))
    ],
    project: ProjectOption = None,
    name: Annotated[str, typer.Option("--characteristic", help=say(msg("Which characteristic.")))] = "",
    bins: Annotated[str, typer.Option("--bins", metavar="1,2", help=say(msg("Which bins.")))] = "",
    at: Annotated[
        float | None, typer.Option("--at", help=say(msg("Where to split, or the boundary's new place.")))
    ] = None,
    levels: Annotated[str, typer.Option("--levels", metavar="A|B", help=say(msg("Levels to split off.")))] = "",
    direction: Annotated[str, typer.Option("--direction", help=say(msg("rising, falling or none")))] = "none",
    other: Annotated[
        str, typer.Option("--with", help=say(msg("Which characteristic it is crossed with, or parted from.")))
    ] = "",
    scale: ScaleOption = None,
    why: WhyOption = "",
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change the card; ``move`` moves the lower boundary of the bin named, ``missing`` counts null with it."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        chosen = tuple(_number(text) - 1 for text in bins.split(",") if text)
        wanted = Change(
            action=_action(action),
            alias=name,
            bins=chosen,
            boundary=chosen[0] - 1 if chosen else -1,
            at=at,
            levels=tuple(text for text in levels.split("|") if text),
            direction=None if direction == "none" else direction,  # type: ignore[arg-type]  # the flow refuses others
            like=chosen[0] if chosen else None,
            scale=_scale(scale),
            other=other,
        )
        view = scorecard.change(run.ctx, chosen_project(run.ctx, project), wanted, note=why)
        run.answer(to_json(view), lambda: print_lines([run.text(view.changes[-1].what), *_effects(view)]))


def register(
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the card as a draft version."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        result = scorecard.register(run.ctx, chosen_project(run.ctx, project))
        _answer_version(run, result)


def export(
    file: Annotated[Path, typer.Argument(help=say(msg("File to write.")))],
    form: Annotated[str, typer.Option("--form", help=say(msg("xlsx, csv, html, table, pmml or sql")))] = "xlsx",
    version: VersionOption = None,
    dialect: Annotated[str, typer.Option("--dialect", help=say(msg("duckdb, postgresql or mysql")))] = "duckdb",
    table: Annotated[
        str, typer.Option("--table", help=say(msg("Table of features that the SQL scores.")))
    ] = "features",
    with_reasons: Annotated[
        bool, typer.Option("--reasons", help=say(msg("The SQL gives up to four reason codes too.")))
    ] = False,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the card to a file."""
    from workbench.flows import scorecard_exchange

    with session(as_json=as_json, as_name=as_name, language=language) as run:
        made = scorecard_exchange.export(
            run.ctx, chosen_project(run.ctx, project), form, version=version, dialect=dialect, table=table,  # type: ignore[arg-type]  # the flow refuses others
            with_reasons=with_reasons,
        )  # fmt: skip
        file.write_bytes(made.content)
        run.answer({"path": str(file), "bytes": len(made.content)}, lambda: print_lines([str(file)]))


def import_(
    file: Annotated[Path, typer.Argument(help=say(msg("Points table (CSV, Excel, JSON) or PMML.")))],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", metavar="NAME=FEATURE", help=say(msg("Which feature a characteristic reads; repeat."))
        ),
    ] = None,
    scale: ScaleOption = None,
    project: ProjectOption = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a card that is in use as a draft version."""
    from workbench.flows import scorecard_exchange

    with session(as_json=as_json, as_name=as_name, language=language) as run:
        pairs = dict(text.rsplit("=", 1) for text in names or () if "=" in text)
        result = scorecard_exchange.import_file(
            run.ctx, chosen_project(run.ctx, project), file, names=pairs, scale=_scale(scale)
        )
        _answer_version(run, result)


def _answer_version(run: Session, result: Any) -> None:
    values = {"version": result.version, "auc": to_json(result.auc), "bundle_hash": result.bundle_hash}
    text = msg("version {n}: AUC {auc}", n=result.version, auc=figure_text(result.auc))
    run.answer(values, lambda: print_lines([run.text(text)]))


def _action(text: str) -> ActionName:
    known: tuple[ActionName, ...] = get_args(ActionName)
    for name in known:
        if name == text:
            return name
    raise InputError(msg("a change is one of {names}, not {got}", names=", ".join(known), got=repr(text)))


def _weights(text: str | None) -> WeightsName | None:
    known: tuple[WeightsName, ...] = get_args(WeightsName)
    for name in known:
        if name == text:
            return name
    if text is None:
        return None
    raise InputError(msg("weights are one of {names}, not {got}", names=", ".join(known), got=repr(text)))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(msg("bins are numbers such as 1,2, not {text}", text=repr(text))) from error


def _scale(text: str | None) -> Scale | None:
    if text is None:
        return None
    try:
        points, odds, pdo = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(msg("a scale is three numbers such as 600,20,20, not {text}", text=repr(text))) from error
    return Scale(points, odds, pdo)


def _show_card(run: Session, view: CardView) -> None:
    texts = (msg("characteristic"), msg("IV"), msg("shape"), msg("on the card"))
    headers = [run.text(text) for text in texts]
    rows = [
        (row.alias, metric(row.information_value), row.shape, run.text(msg("yes") if row.is_on else msg("no")))
        for row in view.rows
    ]
    print_table(run.text(msg("Scorecard of {project}", project=view.project)), headers, rows)
    print_lines([f"AUC ({sample}): {figure_text(figure)}" for sample, figure in view.figures.items()])
    print_lines([f"{run.text(msg('weights'))}: {view.weights}"])
    print_lines([f"AUC ({kind}): {figure_text(figure)}" for kind, figure in view.compared.items()])
    for matrix in view.matrices:
        lines = [(name, *(f"{value:g}" for value in row)) for name, row in zip(matrix.rows, matrix.points, strict=True)]
        print_table(matrix.title, ["", *matrix.columns], lines)


def _show_bins(run: Session, one: CharacteristicView) -> None:
    texts = (msg("bin"), msg("rows"), msg("bad rate"), msg("weight of evidence"), msg("points"))
    headers = ["", *(run.text(text) for text in texts)]
    rows = [
        (
            str(item.index + 1),
            item.label,
            str(item.n),
            percent(item.bad_rate),
            f"{item.woe:.2f}",
            "–" if item.points is None else f"{item.points:g}",
        )
        for item in one.bins
    ]
    print_table(one.row.alias, headers, rows)


def _effects(view: CardView) -> list[str]:
    return [
        f"AUC ({effect.sample}): {signed(effect.difference)} {interval(effect.low, effect.high, signed)}"
        for effect in view.effects
    ]
