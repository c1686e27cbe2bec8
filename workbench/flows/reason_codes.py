"""The reason codes of a project and of its versions: shown, changed, handed on."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from automl.reason_codes import ReasonMap, ReasonSpec
from core.errors import InputError
from core.i18n import msg
from workbench.flows import projects, training
from workbench.flows.context import Context
from workbench.flows.scorecard_exchange import Exported
from workbench.flows.spreadsheet import guarded

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["ReasonRow", "change", "export", "view"]


@dataclass(frozen=True)
class ReasonRow:
    """One feature: its code, and what is said where it raises or lowers the risk, in the reader's language."""

    feature: str
    name: str
    code: str
    raises: str
    lowers: str


def view(ctx: Context, project: str, version: int | None = None) -> tuple[ReasonRow, ...]:
    """Return the codes that are frozen in a version, the latest where left out; needs ``view``."""
    ctx.require("view")
    bundle = training.bundle(ctx, project, version)
    return _rows(bundle.plan, bundle.reason_codes, ctx.language)


def change(
    ctx: Context,
    project: str,
    *,
    features: Mapping[str, str] | None = None,
    subjects: Mapping[str, Mapping[str, str]] | None = None,
) -> ReasonSpec:
    """Change what the project's next versions say; needs ``project.manage``.

    Parameters
    ----------
    features : mapping of str to str, optional
        By alias or column: its code; an empty code takes back what was chosen.
    subjects : mapping of str to mapping of str to str, optional
        By code: what it is about, in each language.

    Raises
    ------
    InputError
        A code is unknown, or a subject lacks a language.
    """
    spec = projects.spec(ctx, project)
    chosen = {**spec.reasons.features, **(features or {})}
    try:
        reasons = ReasonSpec.model_validate(
            {
                "features": {name: code for name, code in chosen.items() if code},
                "subjects": {**spec.reasons.subjects, **(subjects or {})},
            }
        )
    except ValidationError as error:
        problems = "; ".join(str(detail["msg"]) for detail in error.errors())
        raise InputError(msg("these reason codes cannot be: {problems}", problems=problems)) from None
    projects.write_spec(ctx, project, spec.model_copy(update={"reasons": reasons}))
    return reasons


def export(ctx: Context, project: str, version: int | None = None) -> Exported:
    """Return the codes of a version as CSV, sentences in both languages; needs ``view``."""
    ctx.require("view")
    bundle = training.bundle(ctx, project, version)
    by_language = [_rows(bundle.plan, bundle.reason_codes, language) for language in ("en", "zh")]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["feature", "code", "name_en", "raises_en", "lowers_en", "name_zh", "raises_zh", "lowers_zh"])
    for english, chinese in zip(*by_language, strict=True):
        cells = [english.feature, english.code, english.name, english.raises, english.lowers]
        cells += [chinese.name, chinese.raises, chinese.lowers]
        writer.writerow([guarded(cell) for cell in cells])
    return Exported(f"{project}-reason-codes.csv", "text/csv", text.getvalue().encode("utf-8-sig"))


def _rows(plan: "FeaturePlan", codes: ReasonMap, language: str) -> tuple[ReasonRow, ...]:
    return tuple(
        ReasonRow(
            item.alias,
            item.name(language),
            codes.features[item.alias],
            codes.statement(item.alias, raises=True, language=language),
            codes.statement(item.alias, raises=False, language=language),
        )
        for item in plan.definitions
    )
