"""The label by clicking: what a definition yields before anything runs, and how long it takes to turn bad."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.errors import InputError, WorkbenchError
from core.findings import Finding
from core.i18n import msg
from workbench.flows import importing, projects
from workbench.flows.context import Context
from workbench.flows.results import FindingField

if TYPE_CHECKING:
    from automl.label import LabelSpec
    from automl.rolls import RollSpec
    from automl.vintages import RollRates, VintageStudy

__all__ = ["LabelPreview", "choose_rolls", "parse", "preview", "rolls", "rolls_chosen", "save", "study"]


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


def rolls_chosen(ctx: Context, project: str) -> "tuple[RollSpec | None, bool]":
    """Return where instalments and subrogations lie, and whether a person said so; needs ``view``.

    What nobody decided is guessed from names, types and links (`workbench.flows.rolls_guess`).
    """
    from workbench.flows.rolls_guess import guess_rolls

    ctx.require("view")
    held = projects.spec(ctx, project).rolls
    if held is not None:
        return held, True
    result = importing.stored(ctx, project)
    return (None if result is None else guess_rolls(result)), False


def choose_rolls(ctx: Context, project: str, spec: "RollSpec | None") -> None:
    """Write into the project's specification where instalments lie; None goes back to what is guessed.

    Raises
    ------
    InputError
        A table has no such column, or a date is none.
    """
    if spec is not None:
        rolls(ctx, project, spec)
    held = projects.spec(ctx, project)
    projects.write_spec(ctx, project, held.model_copy(update={"rolls": spec}))


def save(ctx: Context, project: str, spec: "LabelSpec") -> None:
    """Write a label into the project's specification, in place of one of its name, and make it the default."""
    held = projects.spec(ctx, project)
    others = [label for label in held.labels if label.name != spec.name]
    projects.write_spec(ctx, project, held.model_copy(update={"labels": [spec, *others]}))
