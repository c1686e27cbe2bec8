"""Building a model: import, features, train."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from automl.label import Cutoff, LabelSpec
from core.errors import InputError, WorkbenchError
from core.i18n import msg
from warehouse.data_model import DataModel
from workbench.commands import answers
from workbench.commands.databases import DatabaseOption, PasswordOption, database_source
from workbench.commands.display import print_lines
from workbench.commands.session import (
    AsOption,
    JsonOption,
    LanguageOption,
    ProjectOption,
    chosen_project,
    say,
    session,
)
from workbench.flows import databases, features, importing, projects, publishing, training, traps
from workbench.flows.context import Context
from workbench.flows.results import to_json
from workbench.flows.spec import ProjectSpec
from workbench.flows.training import Budget

__all__ = ["add_to"]

DataArgument = Annotated[
    Path | None, typer.Argument(help=say(msg("Folder of CSV, Parquet or Excel files, or one file.")))
]
SpecOption = Annotated[
    Path | None,
    typer.Option("--spec", help=say(msg("The project's YAML: data model, labels, feature and training settings."))),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="TABLE.COLUMN", help=say(msg("What to predict, where the project has no label yet."))
    ),
]
CutoffOption = Annotated[
    str | None,
    typer.Option(
        "--cutoff",
        metavar="DATE|COLUMN",
        help=say(msg("As of when: one date for all rows, or a time column of the target's table.")),
    ),
]
_BUDGET_HELP = msg(
    "quick (at most 1 minute), standard (5) or thorough (30), a time such as 120s, or trials such as 40trials."
)
BudgetOption = Annotated[str | None, typer.Option("--budget", help=say(_BUDGET_HELP))]
LabelOption = Annotated[str | None, typer.Option("--label", help=say(msg("Which of the project's labels; the first.")))]


def add_to(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("import", help=say(msg("Import files, or the tables of the project's database.")))(import_)
    app.command("features", help=say(msg("Propose, compute, select and prove features.")))(build_features)
    app.command("train", help=say(_TRAIN_HELP))(train)


_TRAIN_HELP = msg(
    "Train on the project's features. With --data: import, features and training in one go, on any folder. "
    "With --splits N (or --holdout-hash K/N): train and test over published splits instead of making a version; a row "
    "belongs to part int(SHA-256(entity key as UTF-8 text), 16) mod N, its part is never seen in selecting, tuning or "
    "calibrating, and the test AUC of each part and their mean are reported."
)


def import_(
    data: DataArgument = None,
    project: ProjectOption = None,
    spec: SpecOption = None,
    database: DatabaseOption = None,
    password_env: PasswordOption = None,
    only_new: Annotated[
        bool, typer.Option("--new-rows", help=say(msg("From the project's database: only rows after the last import.")))
    ] = False,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a folder or a file of tables into a project; without one, from the database that the project names."""
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        if data is not None:
            result = _import(run.ctx, run.ctx, project, data, spec)
        else:
            if database is not None:
                project = _name_database(run.ctx, project, database, password_env)
            elif spec is not None:
                project = _prepare_project(run.ctx, project, Path(), spec)
            result = databases.read(run.ctx, chosen_project(run.ctx, project), only_new=only_new)
        run.answer(answers.import_json(result), lambda: answers.show_import(run, result))


def build_features(
    project: ProjectOption = None,
    label: LabelOption = None,
    acknowledge: Annotated[
        str | None,
        typer.Option(
            "--acknowledge",
            metavar="TABLE.COLUMN",
            help=say(msg("Use a column although it looks like a trap; with --reason. Nothing is built again.")),
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help=say(msg("Why the column may be used; kept in the audit trail.")))
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out", metavar="TABLE.COLUMN", help=say(msg("Leave a column (or table) out, and build again."))
        ),
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose, compute, select and prove features; or decide on a column that looks like a trap."""
    if (acknowledge is None) != (reason is None):
        raise InputError(msg("--acknowledge and --reason go together"))
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        name = chosen_project(run.ctx, project)
        if acknowledge is not None:
            state = traps.acknowledge(run.ctx, name, acknowledge, reason or "")
            line = msg("{column} is used all the same; the reason is in the audit trail", column=state.subject)
            run.answer(
                {"project": name, "acknowledged": state.subject, "traps": answers.traps_json(run.ctx, name)},
                lambda: print_lines([run.text(line)]),
            )
            return
        for column in leave_out or ():
            traps.leave_out(run.ctx, name, column)
        result = features.run(run.ctx, name, label=label)
        value = {**answers.features_json(result), "traps": answers.traps_json(run.ctx, name)}
        run.answer(value, lambda: print_lines(answers.feature_lines(run, result)))
        traps.require_decided(run.ctx, name)


def train(
    project: ProjectOption = None,
    data: Annotated[Path | None, typer.Option("--data", help=say(msg("Folder or file to import first.")))] = None,
    spec: SpecOption = None,
    target: TargetOption = None,
    cutoff: CutoffOption = None,
    label: LabelOption = None,
    budget: BudgetOption = None,
    seed: Annotated[int | None, typer.Option("--seed", help=say(msg("Seed of everything random.")))] = None,
    choose: Annotated[
        str | None,
        typer.Option("--choose", help=say(msg("most_accurate, or simplest_as_good: the simplest within one error."))),
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option("--candidate", help=say(msg("Make a version of this candidate of the last race; no search."))),
    ] = None,
    splits: Annotated[
        int | None,
        typer.Option("--splits", min=2, help=say(msg("Test over N published splits by hash of the entity."))),
    ] = None,
    holdout_hash: Annotated[
        str | None,
        typer.Option(
            "--holdout-hash", metavar="K/N", help=say(msg("Test on part K (from 0) of N of those splits only."))
        ),
    ] = None,
    as_name: AsOption = None,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train; with --data import and build features first."""
    chosen_budget = Budget.parse(budget) if budget else None
    parts = _parts(splits, holdout_hash)
    with session(as_json=as_json, as_name=as_name, language=language) as run:
        shown: dict[str, Any] = {}
        ctx = run.ctx
        if data is not None:
            imported = _import(ctx, ctx.part(0.0, 0.15), project, data, spec)
            name, shown["import"] = imported.project, answers.import_json(imported)
            _set_label(ctx, name, target, cutoff)
        else:
            name = chosen_project(ctx, project)
        if data is not None or features.stored(ctx, name) is None:
            built = features.run(ctx.part(0.15, 0.4), name, label=label)
            shown["features"] = answers.features_json(built)
        training_ctx = ctx.part(0.4, 1.0)
        if parts is not None:
            tested = training.hash_splits(training_ctx, name, n_parts=parts[0], parts=parts[1], budget=chosen_budget)
            run.answer({"project": name, **shown, "splits": to_json(tested)}, lambda: answers.show_splits(run, tested))
            return
        result = training.run(training_ctx, name, budget=chosen_budget, seed=seed, choose=choose, candidate=candidate)
        run.answer(
            {"project": name, **shown, "training": answers.training_json(result)},
            lambda: answers.show_training(run, result),
        )


def _import(
    ctx: Context, part: Context, project: str | None, data: Path, spec_path: Path | None
) -> importing.ImportResult:
    """Import into a project; one made for this import goes again where the import is refused."""
    known = {item.name for item in projects.list_projects(ctx)}
    name = _prepare_project(ctx, project, data, spec_path)
    try:
        return publishing.following_import(part, name, lambda ctx: importing.run(ctx, name, data))
    except WorkbenchError:
        if name not in known:
            projects.discard(ctx, name)
        raise


def _name_database(ctx: Context, project: str | None, url: str, password_env: str | None) -> str:
    """Let a project, made where there is none of that name, import from a database, and return its name."""
    source = database_source(url, password_env)
    name = project or _slug(Path(source.address.database or "project"))
    if name not in {known.name for known in projects.list_projects(ctx)}:
        projects.create(ctx, ProjectSpec(name=name))
    databases.remember(ctx, name, source)
    return name


def _prepare_project(ctx: Context, name: str | None, data: Path, spec_path: Path | None) -> str:
    """Make the project that an import goes to, or bring its specification up to date."""
    if spec_path is not None:
        given = ProjectSpec.read(spec_path)
        chosen = given if name is None else given.renamed(name)
        return projects.create(ctx, chosen, exist_ok=True).name
    chosen_name = name or _slug(data)
    known = {project.name for project in projects.list_projects(ctx)}
    if chosen_name not in known:
        beside = data / "data_model.yaml"
        model = DataModel.from_yaml(beside) if data.is_dir() and beside.is_file() else DataModel()
        projects.create(ctx, ProjectSpec(name=chosen_name, data=model))
    return chosen_name


def _slug(data: Path) -> str:
    stem = re.sub(r"[^a-z0-9_-]+", "-", data.resolve().name.split(".")[0].lower()).strip("-_")
    return stem[:60] or "project"


def _set_label(ctx: Context, project: str, target: str | None, cutoff: str | None) -> None:
    """Give the project the label named on the command line."""
    if target is None:
        if cutoff is not None:
            raise InputError(msg("--cutoff goes with --target"), where="--cutoff")
        return
    table, _, column = target.partition(".")
    if not column:
        raise InputError(msg("a target is written table.column, not {target}", target=repr(target)), where="--target")
    table_spec = importing.tables(ctx, project).spec(table)
    if len(table_spec.primary_key) != 1:
        raise InputError(
            msg("table {table} needs one key column for its rows to be scored", table=table),
            where="--target",
            fix=msg("Name its primary_key in the data model."),
        )
    label = LabelSpec(
        name=column, root_table=table, key_column=table_spec.primary_key[0], cutoff=_cutoff(cutoff), column=column
    )
    spec = projects.spec(ctx, project)
    others = [other for other in spec.labels if other.name != label.name]
    projects.write_spec(ctx, project, spec.model_copy(update={"labels": [label, *others]}))


def _cutoff(text: str | None) -> Cutoff | None:
    if text is None:
        return None
    try:
        return Cutoff(date=date.fromisoformat(text))
    except ValueError:
        return Cutoff(column=text)


def _parts(splits: int | None, holdout_hash: str | None) -> tuple[int, tuple[int, ...]] | None:
    if splits is not None and holdout_hash is not None:
        raise InputError(msg("give one of --splits and --holdout-hash"))
    if splits is not None:
        return splits, tuple(range(splits))
    if holdout_hash is None:
        return None
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", holdout_hash)
    if match is None:
        raise InputError(
            msg("a part is written K/N such as 0/5, not {text}", text=repr(holdout_hash)), where="--holdout-hash"
        )
    return int(match[2]), (int(match[1]),)
