"""How good the stored tables are: assessed after each import, kept as a history, by rules that a person may edit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import ConfigurationError, ConflictError
from core.findings import Finding, Severity
from core.i18n import msg
from workbench.flows import importing
from workbench.flows.assessing import (
    REPORT_FILE,
    SUMMARY_FILE,
    Assessment,
    assessments,
    keep_assessment,
    own_rules,
    rules_path,
)
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.results import FindingField, from_json

if TYPE_CHECKING:
    from warehouse.quality.report import QualityReport
    from warehouse.quality.rules import RuleSet

__all__ = ["QualityState", "assess_stored", "report", "reset_rules", "rules_yaml", "state", "write_rules"]


@dataclass(frozen=True)
class QualityState:
    """What the Quality page draws beside the report; the history stands oldest first."""

    project: str
    history: tuple[Assessment, ...]
    has_own_rules: bool
    findings: tuple[FindingField, ...] = ()

    @property
    def latest(self) -> Assessment | None:
        """The last assessment, or None."""
        return self.history[-1] if self.history else None


def assess_stored(ctx: Context, project: str) -> Assessment:
    """Assess the stored tables again, by the project's rules; needs ``data.import``.

    Raises
    ------
    ConflictError
        If nothing was imported yet.
    ConfigurationError
        If the edited rules name a code table that is not there.
    """
    ctx.require("data.import")
    ctx.say(0.0, msg("reading the stored tables"))
    return keep_assessment(ctx.part(0.2, 1.0), project, importing.tables(ctx, project, in_files=True))


def state(ctx: Context, project: str) -> QualityState:
    """Return the history of assessments; needs ``view``. Cheap: reads summaries, no tables."""
    ctx.require("view")
    history = tuple(
        from_json(Assessment, json.loads((folder / SUMMARY_FILE).read_text("utf-8")))
        for folder in assessments(ctx, project)
    )
    own = own_rules(ctx, project)
    findings = _whether_newer(history[-1], importing.stored(ctx, project), own) if history else ()
    return QualityState(project, history, own is not None, tuple(findings))


def report(ctx: Context, project: str, assessment_id: str | None = None) -> "QualityReport":
    """Return an assessment whole, the last one where none is named; needs ``view``.

    Raises
    ------
    ConflictError
        If there is none, or only its scores are kept.
    """
    from warehouse.quality import QualityReport

    ctx.require("view")
    whole = [folder for folder in assessments(ctx, project) if (folder / REPORT_FILE).exists()]
    chosen = [folder for folder in whole if assessment_id in (None, folder.name)]
    if not chosen:
        raise ConflictError(
            msg("project {project} has no such assessment of its data", project=project),
            fix=msg("Assess the tables."),
            code="step_missing",
        )
    return QualityReport.from_json(json.loads((chosen[-1] / REPORT_FILE).read_text("utf-8")))


def rules_yaml(ctx: Context, project: str) -> str:
    """Return the rules of the next assessment as YAML: the edited ones, else those of the last; needs ``view``."""
    ctx.require("view")
    own = own_rules(ctx, project)
    return own.to_yaml() if own is not None else report(ctx, project).rules


def write_rules(ctx: Context, project: str, text: str) -> None:
    """Hold the tables against these rules from the next assessment on; needs ``data.import``.

    Raises
    ------
    ConfigurationError
        The text is no rule set, or names a table or column that is not there; nothing is kept then.
    """
    from warehouse.quality.rules import RuleSet

    ctx.require("data.import")
    rules = RuleSet.from_text(text)
    _check_places(rules, importing.stored(ctx, project))
    with writing_file(rules_path(ctx, project)) as path:
        path.write_text(rules.to_yaml(), "utf-8")
    ctx.audit("quality.rules.write", f"project:{project}", {"rules": rules.fingerprint})


def reset_rules(ctx: Context, project: str) -> None:
    """Go back to the rules that follow from the data standard and the data model; needs ``data.import``."""
    ctx.require("data.import")
    rules_path(ctx, project).unlink(missing_ok=True)
    ctx.audit("quality.rules.reset", f"project:{project}", {})


def _check_places(rules: "RuleSet", data: importing.ImportResult | None) -> None:
    """Refuse rules about what is not there."""
    from warehouse.standard import load

    standard = load()
    known = {table.name: {column.name for column in table.columns} for table in data.tables} if data else {}
    for name, of_table in rules.tables.items():
        where = f"rules, tables.{name}"
        if name not in known:
            raise ConfigurationError(msg("there is no table {table}", table=name), where=where)
        for column in sorted(of_table.named_columns - known[name]):
            raise ConfigurationError(
                msg("table {table} has no column {column}", table=name, column=column), where=where
            )
        codes = {code for rule in of_table.columns.values() for code in rule.code_tables}
        for code in sorted(codes - set(standard.code_tables)):
            raise ConfigurationError(msg("there is no code table {code}", code=code), where=where)


def _whether_newer(last: Assessment, data: importing.ImportResult | None, own: "RuleSet | None") -> Iterator[Finding]:
    if data is not None and data.fingerprint != last.data_fingerprint:
        yield Finding("quality_outdated", Severity.WATCH, msg("The data is newer than its last assessment."))
    if (own.fingerprint if own is not None else None) != last.own_rules:
        yield Finding("quality_rules_newer", Severity.WATCH, msg("The rules are newer than the last assessment."))
    if last.n_rules_left_out:
        text = msg("{n} edited rules are about tables or columns that are not there.", n=last.n_rules_left_out)
        yield Finding(
            "quality_rules_unused", Severity.WATCH, text, fix=msg("Edit the rules, or go back to the proposed ones.")
        )
