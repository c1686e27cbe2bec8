"""The reason codes of a project and of its versions: shown, changed, handed on, with who changed them when."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from automl.reason_codes import CODES, OTHER, ReasonMap, ReasonSpec, sentences, subject
from core.audit import AuditTrail
from core.errors import InputError
from core.i18n import LANGUAGES, msg
from workbench.flows import features as feature_step
from workbench.flows import projects, training
from workbench.flows.context import Context
from workbench.flows.scorecard_exchange import Exported
from workbench.flows.spreadsheet import guarded

if TYPE_CHECKING:
    from features.definitions import FeatureDefinition
    from features.plan import FeaturePlan

__all__ = ["CodeChange", "CodeRow", "CodeSheet", "ReasonRow", "change", "export", "history", "is_own", "sheet", "view"]

_CURATED = {item.code for item in (*CODES, OTHER)}
_FIRST_OWN, _LAST_OWN = 27, 98


@dataclass(frozen=True)
class ReasonRow:
    """One feature: its code, and what is said where it raises or lowers the risk, in the reader's language."""

    feature: str
    name: str
    code: str
    raises: str
    lowers: str


@dataclass(frozen=True)
class CodeRow:
    """One code: what is said of it, and of which features.

    Parameters
    ----------
    code : str
        ``R01`` to ``R99``.
    subject : mapping of language to str
        What it is about; empty for a version, which keeps the sentences only.
    raises, lowers : mapping of language to str
        What is said where the risk is raised or lowered.
    features : mapping of str to mapping of language to str
        Readable names by alias.
    is_worded : bool
        Whether the words are the project's own.
    is_chosen : frozenset of str
        The features whose code a person chose.
    is_new : bool
        Whether the latest version says otherwise of this code, or of one of these features.
    """

    code: str
    subject: Mapping[str, str]
    raises: Mapping[str, str]
    lowers: Mapping[str, str]
    features: Mapping[str, Mapping[str, str]]
    is_worded: bool = False
    is_chosen: frozenset[str] = frozenset()
    is_new: bool = False

    @property
    def is_missing(self) -> bool:
        """Whether this is what is said where no code fits."""
        return self.code == OTHER.code


@dataclass(frozen=True)
class CodeSheet:
    """All codes of a version, or of the next ones where `version` is None; the one for what has none stands first."""

    version: int | None
    rows: tuple[CodeRow, ...]
    choices: Mapping[str, str]
    next_own: str | None

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return sum(len(row.features) for row in self.rows)

    @property
    def n_without(self) -> int:
        """How many of them no code fits."""
        return sum(len(row.features) for row in self.rows if row.is_missing)

    @property
    def is_new(self) -> bool:
        """Whether the next version will say something else than the latest."""
        return any(row.is_new for row in self.rows)


@dataclass(frozen=True)
class CodeChange:
    """What one person changed at one moment: by feature or column, and by code, the old value and the new one."""

    at: datetime
    by: str
    features: Mapping[str, tuple[str | None, str | None]]
    subjects: Mapping[str, tuple[Mapping[str, str] | None, Mapping[str, str] | None]]


def is_own(code: str) -> bool:
    """Return whether `code` is one that a project made, not a curated one."""
    return code not in _CURATED


def view(ctx: Context, project: str, version: int | None = None) -> tuple[ReasonRow, ...]:
    """Return the codes that are frozen in a version, the latest where left out; needs ``view``."""
    ctx.require("view")
    bundle = training.bundle(ctx, project, version)
    return _rows(bundle.plan, bundle.reason_codes, ctx.language)


def sheet(ctx: Context, project: str, version: int | None = None) -> CodeSheet:
    """Return the codes of a version, or those that the next versions will have where left out; needs ``view``.

    Raises
    ------
    NotFoundError
        There is no such version, or the project has no features yet.
    """
    ctx.require("view")
    if version is not None:
        bundle = training.bundle(ctx, project, version)
        return _sheet(version, bundle.plan, bundle.reason_codes, None, None, ctx.language)
    plan, spec = feature_step.plan(ctx, project), projects.spec(ctx, project).reasons
    has_version = bool(ctx.registry.versions(project))
    before = training.bundle(ctx, project).reason_codes if has_version else None
    return _sheet(None, plan, ReasonMap.of_plan(plan, spec), spec, before, ctx.language)


def history(ctx: Context, project: str, limit: int = 100) -> tuple[CodeChange, ...]:
    """Return who changed the project's reason codes when, the newest first, from the audit trail; needs ``view``."""
    ctx.require("view")
    records = AuditTrail(ctx.database).records(
        action=projects.REASONS_ACTION, subject=f"project:{project}", limit=limit
    )
    return tuple(
        CodeChange(
            record.at,
            record.actor,
            {name: (old, new) for name, (old, new) in record.details["features"].items()},
            {code: (old, new) for code, (old, new) in record.details["subjects"].items()},
        )
        for record in records
    )


def change(
    ctx: Context,
    project: str,
    *,
    features: Mapping[str, str] | None = None,
    subjects: Mapping[str, Mapping[str, str]] | None = None,
) -> ReasonSpec:
    """Change what the project's next versions say; needs ``project.manage``. The audit trail keeps who did it.

    Parameters
    ----------
    features : mapping of str to str, optional
        By alias or column: its code; an empty code takes back what was chosen.
    subjects : mapping of str to mapping of str to str, optional
        By code: what it is about, in each language; an empty mapping takes back the words that were chosen.

    Raises
    ------
    InputError
        A code is unknown, or a subject lacks a language.
    """
    spec = projects.spec(ctx, project)
    chosen = {**spec.reasons.features, **(features or {})}
    worded = {**spec.reasons.subjects, **(subjects or {})}
    try:
        reasons = ReasonSpec.model_validate(
            {
                "features": {name: code for name, code in chosen.items() if code},
                "subjects": {code: texts for code, texts in worded.items() if texts},
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


def _sheet(
    version: int | None,
    plan: "FeaturePlan",
    codes: ReasonMap,
    spec: ReasonSpec | None,
    before: ReasonMap | None,
    language: str,
) -> CodeSheet:
    members: dict[str, list[FeatureDefinition]] = {code: [] for code in (spec.subjects if spec else ())}
    for item in plan.definitions:
        members.setdefault(codes.features[item.alias], []).append(item)
    rows = [_row(code, items, codes, spec, before) for code, items in members.items()]
    rows.sort(key=lambda row: (not row.is_missing, row.code))
    known = sorted(_CURATED | set(spec.subjects if spec else ()))
    free = (f"R{number:02}" for number in range(_FIRST_OWN, _LAST_OWN + 1))
    choices = {code: subject(code, "zh" if language == "zh" else "en", spec) for code in known}
    return CodeSheet(version, tuple(rows), choices, next((code for code in free if code not in choices), None))


def _row(
    code: str, items: list["FeatureDefinition"], codes: ReasonMap, spec: ReasonSpec | None, before: ReasonMap | None
) -> CodeRow:
    said: Mapping[str, str] = sentences(code, spec) if spec is not None else codes.sentences[code]
    is_new = before is not None and (
        (bool(items) and before.sentences.get(code, said) != said)
        or any(before.features.get(item.alias, code) != code for item in items)
    )
    return CodeRow(
        code,
        {language: subject(code, language, spec) for language in LANGUAGES} if spec is not None else {},
        {language: said[f"raises.{language}"] for language in LANGUAGES},
        {language: said[f"lowers.{language}"] for language in LANGUAGES},
        {item.alias: dict(item.names) for item in items},
        is_worded=spec is not None and code in spec.subjects,
        is_chosen=frozenset(item.alias for item in items if spec is not None and _is_chosen(item, spec)),
        is_new=is_new,
    )


def _is_chosen(item: "FeatureDefinition", spec: ReasonSpec) -> bool:
    return item.alias in spec.features or str(item.column or "") in spec.features
