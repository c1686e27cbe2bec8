"""Scorecards in and out: the printed table, SQL, PMML; and a card that another system used, as first champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from automl.reason_codes import ReasonMap
from automl.reasons import ReasonWriter
from automl.scale import ScoreScale
from automl.scorecard.assembling import ImportedScorecard
from automl.scorecard.bins import number_text
from automl.scorecard.card import Scorecard
from automl.scorecard.matrices import Matrix, matrices
from automl.scorecard.model import ScorecardModel
from automl.scorecard.pmml import to_pmml
from automl.scorecard.reason_sql import CardReasons
from automl.scorecard.sql import DIALECTS, Dialect, to_sql
from automl.scorecard.tables import PrintedRow, import_scorecard, printed_header, printed_rows, to_csv
from core.errors import InputError
from core.i18n import msg
from reporting.printed_table import PrintedMatrix, PrintedTable
from workbench.flows import projects, scorecard_desk, scorecard_release, training
from workbench.flows.context import Context
from workbench.flows.results import FindingField
from workbench.flows.scorecard import Scale
from workbench.flows.training import TrainResult

__all__ = [
    "FORMS",
    "Exported",
    "Form",
    "Preview",
    "card_of",
    "export",
    "import_file",
    "matrices_of",
    "preview",
    "printed",
    "reasons_of",
    "versions",
]

Form = Literal["xlsx", "csv", "html", "table", "pmml", "sql"]
FORMS: tuple[Form, ...] = ("xlsx", "csv", "html", "table", "pmml", "sql")
"""Printed table as workbook, CSV or page; ``table`` is the CSV that `import_file` makes the same card of."""


@dataclass(frozen=True)
class Exported:
    """A file to hand on."""

    name: str
    mime: str
    content: bytes


@dataclass(frozen=True)
class Preview:
    """A card read from a file, before it is judged.

    `features` maps each characteristic to the feature that bears its name, or None; `choices` are the features of the
    project that could be it.
    """

    name: str
    n_characteristics: int
    lowest: float
    highest: float
    features: dict[str, str | None]
    choices: dict[str, tuple[str, ...]]
    findings: tuple[FindingField, ...]


def card_of(ctx: Context, project: str, version: int | None = None) -> Scorecard:
    """Return the card on the desk, or that of a version; needs ``view``.

    Raises
    ------
    InputError
        The version is no scorecard.
    """
    ctx.require("view")
    if version is None:
        desk, rows = scorecard_desk.required(ctx, project), scorecard_desk.training_rows(ctx, project)
        return scorecard_desk.weighed(desk, rows).card
    from automl.families import load_model

    model = load_model(ctx.registry.bundle(project, version).model_folder)
    if not isinstance(model, ScorecardModel):
        raise InputError(msg("version {n} is no scorecard: it has no table of points", n=version))
    return model.card


def versions(ctx: Context, project: str) -> list[int]:
    """Return the versions that are scorecards, from this page, a file or a race, the latest first; needs ``view``."""
    return [row.number for row in training.versions(ctx, project) if row.family == ScorecardModel.family]


def matrices_of(ctx: Context, project: str, version: int | None = None) -> tuple[Matrix, ...]:
    """Return the crossed characteristics of the card on the desk, or of that of a version, in words; needs ``view``."""
    return matrices(card_of(ctx, project, version), ctx.language)


def reasons_of(ctx: Context, project: str, version: int | None = None) -> CardReasons:
    """Return the codes of a card's characteristics: those frozen in a version, or those the next one will have."""
    card = card_of(ctx, project, version)
    if version is not None:
        bundle = ctx.registry.bundle(project, version)
        plan, codes = bundle.plan, bundle.reason_codes
    else:
        plan = scorecard_desk.training_rows(ctx, project).matrix.plan
        codes = ReasonMap.of_plan(plan, projects.spec(ctx, project).reasons)
    on_card = set(card.aliases)
    groups = ([alias for alias in group if alias in on_card] for group in ReasonWriter(plan, codes).variables())
    return CardReasons({alias: codes.features[alias] for alias in card.aliases}, [group for group in groups if group])


def printed(ctx: Context, project: str, version: int | None = None) -> PrintedTable:
    """Return the points table in words, with what its points stand for."""
    card, language = card_of(ctx, project, version), ctx.language
    codes = reasons_of(ctx, project, version).codes
    low, high = card.range()
    scale = card.scale
    facts = (
        (msg("points"), msg("{points} points stand for {odds} goods to one bad; each {pdo} points more double the odds",
                            points=number_text(scale.base_points), odds=number_text(scale.base_odds),
                            pdo=number_text(scale.pdo))),
        (msg("range"), msg("{low} to {high} points; more points, less risk", low=number_text(low),
                           high=number_text(high))),
        (msg("source"), msg("version {n}", n=version) if version else msg("draft, not registered")),
        (msg("fingerprint"), msg("{text}", text=card.fingerprint[:16])),
    )  # fmt: skip
    said, n_bins = printed_rows(card, language, codes), sum(item.bins.n_bins for item in card.characteristics)
    rows, cells = said[: n_bins + 1], said[n_bins + 1 :]
    groups = [n for n, row in enumerate(rows) if n and row.characteristic != rows[n - 1].characteristic]
    shown = [_texts(row, row.characteristic if n in groups or not n else "") for n, row in enumerate(rows)]
    head = printed_header(language)
    return PrintedTable(
        title=projects.spec(ctx, project).text_title(language),
        facts=[(name.text(language), text.text(language)) for name, text in facts],
        header=(head.characteristic, head.bin, head.points, head.woe, head.n, head.bad_rate, head.reason_code),
        rows=shown,
        numbers=(2, 3, 4, 5),
        groups=groups,
        language=language,
        matrices=[_matrix(card, matrix, codes) for matrix in matrices(card, language)],
        matrix_rows=[_texts(row, row.characteristic) for row in cells],
    )


def _texts(row: PrintedRow, characteristic: str) -> tuple[str, ...]:
    return (characteristic, row.bin, row.points, row.woe, row.n, row.bad_rate, row.reason_code)


def _matrix(card: Scorecard, matrix: Matrix, codes: Mapping[str, str]) -> PrintedMatrix:
    said = " + ".join(dict.fromkeys(codes[alias] for alias in (matrix.first, matrix.second)))
    points = [[f"{value:.{card.decimals}f}" for value in row] for row in matrix.points]
    return PrintedMatrix(
        f"{matrix.title} ({said})",
        ("", *matrix.columns),
        [(name, *cells) for name, cells in zip(matrix.rows, points, strict=True)],
    )


def export(
    ctx: Context, project: str, form: Form, *, version: int | None = None, dialect: Dialect = "duckdb",
    table: str = "features", keys: tuple[str, ...] = (), with_reasons: bool = False,
) -> Exported:  # fmt: skip
    """Return the card as a file; needs ``view``, and leaves a line in the audit trail.

    Parameters
    ----------
    form : str
        One of `FORMS`.
    version : int, optional
        A registered scorecard; left out, the card on the desk.
    dialect, table, keys
        Of SQL: the dialect, the table of features to score, columns to pass on.
    with_reasons : bool
        Of SQL: whether up to four reasons are given beside the score, by their codes.
    """
    if form not in FORMS or dialect not in DIALECTS:
        raise InputError(
            msg("a scorecard is exported as {forms}, SQL for {dialects}", forms=", ".join(FORMS),
                dialects=", ".join(DIALECTS))
        )  # fmt: skip
    card, codes = card_of(ctx, project, version), partial(reasons_of, ctx, project, version)
    stem = f"{project}-scorecard" + (f"-v{version}" if version else "")
    made = {
        "xlsx": lambda: Exported(f"{stem}.xlsx", _XLSX, printed(ctx, project, version).xlsx()),
        "csv": lambda: Exported(f"{stem}.csv", "text/csv", printed(ctx, project, version).csv()),
        "html": lambda: Exported(f"{stem}.html", "text/html", printed(ctx, project, version).html()),
        "table": lambda: Exported(f"{stem}-table.csv", "text/csv", to_csv(card).encode("utf-8-sig")),
        "pmml": lambda: Exported(f"{stem}.pmml", "application/xml", to_pmml(card, codes().codes).encode()),
        "sql": lambda: Exported(
            f"{stem}-{dialect}.sql",
            "text/plain",
            to_sql(card, table, dialect, keys=keys, reasons=codes() if with_reasons else None).encode(),
        ),
    }[form]()
    details = {"form": form, "version": version, "fingerprint": card.fingerprint}
    ctx.audit("scorecard.export", f"project:{project}", details)
    return made


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def preview(ctx: Context, project: str, path: Path, *, scale: Scale | None = None) -> Preview:
    """Read a card from CSV, XLSX, JSON or PMML, and find the features it reads; needs ``model.train``."""
    ctx.require("model.train")
    imported = _read(path, scale)
    plan = scorecard_desk.training_rows(ctx, project).matrix.plan
    card = imported.card
    low, high = card.range()
    by_name = {name: item.alias for item in plan.definitions for name in item.names.values()}
    choices = {
        item.alias: tuple(one.alias for one in plan.definitions if one.kind == item.bins.kind)
        for item in card.characteristics
    }
    found: dict[str, str | None] = {}
    for item in card.characteristics:
        names = (item.alias, *(by_name.get(name, "") for name in item.bins.names.values()))
        found[item.alias] = next((name for name in names if name in choices[item.alias]), None)
    return Preview(card.name, len(card.characteristics), low, high, found, choices, imported.findings)


def import_file(
    ctx: Context, project: str, path: Path, *, names: dict[str, str] | None = None, scale: Scale | None = None
) -> TrainResult:
    """Read a card from a file, judge it on every sample, points as they are, and register it as a draft version.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.xlsx``, ``.json``, ``.pmml`` or ``.xml``.
    names : dict of str to str, optional
        From a characteristic's name to the feature it reads; left out, those that bear the same name.
    scale : Scale, optional
        What the points stand for, where the file does not say.
    """
    ctx.require("model.train")
    imported = _read(path, scale)
    matched = {alias: name for alias, name in preview(ctx, project, path, scale=scale).features.items() if name}
    chosen = {**matched, **(names or {})}
    return scorecard_release.register_card(ctx, project, imported.card, chosen, imported.findings)


def _read(path: Path, scale: Scale | None) -> ImportedScorecard:
    given = ScoreScale(scale.base_points, scale.base_odds, scale.pdo) if scale is not None else None
    return import_scorecard(path, scale=given)
