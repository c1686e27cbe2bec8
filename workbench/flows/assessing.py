"""Assessing the tables of a project, and keeping what was found as a history under the project."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.findings import Severity
from workbench.flows import projects
from workbench.flows.context import Context
from workbench.flows.folders import fresh_name, writing_folder
from workbench.flows.results import to_json

if TYPE_CHECKING:
    from warehouse.profile import DataProfile
    from warehouse.quality.report import QualityReport
    from warehouse.quality.rules import RuleSet
    from warehouse.table_set import TableSet

__all__ = ["REPORT_FILE", "SUMMARY_FILE", "Assessment", "assessments", "keep_assessment", "own_rules", "rules_path"]

REPORT_FILE = "report.json"
SUMMARY_FILE = "summary.json"
_FOLDER = "quality"
_N_WHOLE = 12
"""How many assessments are kept whole; of older ones only the scores."""


@dataclass(frozen=True)
class Assessment:
    """One assessment at a glance.

    Parameters
    ----------
    id : str
        Name of its folder; sorts by time.
    assessed_at : datetime
        When, aware.
    by : str
        Who asked for it.
    data_fingerprint, rules_fingerprint : str
        What was assessed, and by which rules.
    score : float
        0 to 100, the mean over the tables.
    tables : dict of str to float
        Score of each table.
    n_watch, n_bad : int
        Findings that want a look, and that want an action; differences from the data standard left out.
    own_rules : str or None
        SHA-256 of the edited rules, None where there were none.
    n_rules_left_out : int
        Edited rules about tables or columns that were not there.
    """

    id: str
    assessed_at: datetime
    by: str
    data_fingerprint: str
    rules_fingerprint: str
    score: float
    tables: dict[str, float]
    n_watch: int
    n_bad: int
    own_rules: str | None
    n_rules_left_out: int


def keep_assessment(
    ctx: Context, project: str, table_set: "TableSet", figures: "DataProfile | None" = None
) -> Assessment:
    """Assess `table_set`, keep the report under the project, and return it at a glance.

    Parameters
    ----------
    figures : DataProfile, optional
        The profile of `table_set`, where it was made already.
    """
    from warehouse.quality import assess
    from warehouse.standard import load

    own = own_rules(ctx, project)
    columns = {name: set(table_set.spec(name).columns) for name in table_set.names}
    rules, n_left_out = own.within(columns) if own is not None else (None, 0)
    choices = projects.spec(ctx, project).standard
    found = assess(table_set, load(), rules=rules, choices=choices, figures=figures, progress=ctx.progress)
    assessment = _at_a_glance(ctx, found, own, n_left_out)
    parent = projects.folder(ctx, project) / _FOLDER
    with writing_folder(parent / assessment.id) as folder:
        (folder / SUMMARY_FILE).write_text(json.dumps(to_json(assessment)), "utf-8")
        (folder / REPORT_FILE).write_text(json.dumps(found.to_json(), ensure_ascii=False), "utf-8")
    for old in assessments(ctx, project)[:-_N_WHOLE]:
        (old / REPORT_FILE).unlink(missing_ok=True)
    details = {"score": assessment.score, "data": assessment.data_fingerprint, "rules": assessment.rules_fingerprint}
    ctx.audit("quality.assess", f"project:{project}", details)
    return assessment


def assessments(ctx: Context, project: str) -> list[Path]:
    """Return the folder of every assessment, oldest first."""
    parent = projects.folder(ctx, project) / _FOLDER
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if (path / SUMMARY_FILE).is_file() and path.name[0] != ".")


def rules_path(ctx: Context, project: str) -> Path:
    """Return where the edited rules of the project lie, if it has any."""
    return projects.folder(ctx, project) / _FOLDER / "rules.yaml"


def own_rules(ctx: Context, project: str) -> "RuleSet | None":
    """Return the edited rules of the project, or None where it has none."""
    from warehouse.quality.rules import RuleSet

    path = rules_path(ctx, project)
    return RuleSet.from_text(path.read_text("utf-8"), where=path.name) if path.exists() else None


def _at_a_glance(ctx: Context, found: "QualityReport", own: "RuleSet | None", n_left_out: int) -> Assessment:
    severities = [finding.severity for finding in found.findings if finding.dimension != "standard"]
    return Assessment(
        id=fresh_name(found.data_fingerprint),
        assessed_at=datetime.now(UTC),
        by=ctx.actor.name,
        data_fingerprint=found.data_fingerprint,
        rules_fingerprint=found.rules_fingerprint,
        score=found.score,
        tables={table.name: table.score for table in found.tables},
        n_watch=severities.count(Severity.WATCH),
        n_bad=severities.count(Severity.BAD),
        own_rules=own.fingerprint if own is not None else None,
        n_rules_left_out=n_left_out,
    )
