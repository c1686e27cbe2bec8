"""The label by clicking: what a definition yields before anything runs, and how long it takes to turn bad."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import InputError, WorkbenchError
from core.findings import Finding
from core.i18n import msg
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.importing import ImportResult
from workbench.flows.results import FindingField

if TYPE_CHECKING:
    from automl.label import LabelSpec
    from automl.vintages import RollRates, RollSpec, VintageStudy

__all__ = ["LabelPreview", "guess_rolls", "parse", "preview", "rolls", "save", "study"]


@dataclass(frozen=True)
class LabelPreview:
    """What a definition yields on the stored tables.

    Parameters
    ----------
    counts : dict of str to int
        Rows by `automl.label.State`.
    first, last : datetime, optional
        First and last cutoff.
    findings : tuple of Finding
        What is to be known.
    problem : WorkbenchError, optional
        Why nothing can be learnt from it, such as too few bads.
    """

    counts: dict[str, int]
    first: datetime | None
    last: datetime | None
    findings: tuple[FindingField, ...]
    problem: WorkbenchError | None


def parse(values: dict[str, Any]) -> "LabelSpec":
    """Return the label that a form's values mean; raises `InputError` with the first fault in words."""
    from pydantic import ValidationError

    from automl.label import LabelSpec

    try:
        return LabelSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(msg("the label is not whole: {problem}", problem=first["msg"]), where=where) from error


def preview(ctx: Context, project: str, spec: "LabelSpec") -> LabelPreview:
    """Count goods, bads and the rest of a definition; needs ``view``.

    Raises
    ------
    InputError
        A table or column is missing or of the wrong type.
    """
    from automl.label import check_classes
    from automl.labelling import build

    ctx.require("view")
    labels = build(importing.tables(ctx, project), spec, None)
    problem: WorkbenchError | None = None
    found: tuple[Finding, ...] = labels.findings
    try:
        found = check_classes(labels).findings
    except InputError as error:
        problem = error
    days = labels.cutoffs.astype("datetime64[s]").astype(object)
    has_any = len(days) > 0
    return LabelPreview(
        counts={str(state): n for state, n in labels.counts().items()},
        first=min(days) if has_any else None,
        last=max(days) if has_any else None,
        findings=found,
        problem=problem,
    )


def study(ctx: Context, project: str, spec: "LabelSpec") -> "VintageStudy":
    """Return vintage curves and the maturity of windows; needs ``view``."""
    from automl.vintages import study_vintages

    ctx.require("view")
    return study_vintages(importing.tables(ctx, project), spec)


def rolls(ctx: Context, project: str, spec: "RollSpec") -> "RollRates":
    """Return how contracts roll between overdue states; needs ``view``."""
    from automl.vintages import roll_rates

    ctx.require("view")
    return roll_rates(importing.tables(ctx, project), spec)


def guess_rolls(result: ImportResult) -> "RollSpec | None":
    """Return where instalments and subrogations seem to lie, or None.

    Instalments: a table with a due date and a date of payment or days overdue. Subrogations: one with a date of
    payment that shares the column the instalments hang on. A person may say otherwise.
    """
    from automl.vintages import RollSpec

    tables = {profile.name: [column.name for column in profile.columns] for profile in result.tables}
    for name, columns in tables.items():
        due = _first(columns, ("due_date", "due"))
        paid, late = (
            _first(columns, ("pay_date", "paid_date", "paid_on")),
            _first(columns, ("overdue_days", "days_late")),
        )
        contract = _first(columns, ("contract_id", "loan_id"))
        if due is None or contract is None or (paid is None and late is None):
            continue
        subrogated = next(
            (
                (other, column)
                for other, names in tables.items()
                if any(word in other for word in ("compens", "subrog", "代偿"))
                and contract in names
                and (column := _first(names, ("pay_date", "paid_on", "subrogated_on", "date")))
            ),
            (None, None),
        )
        return RollSpec(name, contract, due, paid, None if paid else late, *subrogated)
    return None


def save(ctx: Context, project: str, spec: "LabelSpec") -> None:
    """Write a label into the project's specification, in place of one of its name, and make it the default."""
    held = projects.spec(ctx, project)
    others = [label for label in held.labels if label.name != spec.name]
    projects.write_spec(ctx, project, held.model_copy(update={"labels": [spec, *others]}))


def _first(columns: list[str], wanted: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in columns), None)
