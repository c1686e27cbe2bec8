"""The deployed model against the present: drift of a period, the report file, and what to do about it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.errors import ConflictError, InputError, NotFoundError
from core.i18n import Message, msg
from monitoring.advice import advise
from monitoring.report import DriftReport
from monitoring.score_log import read_scores
from monitoring.store import StoredReport, read_reports, save_report
from workbench.flows import deployment, importing, projects
from workbench.flows.context import Context
from workbench.flows.folders import writing_file
from workbench.flows.results import MessageField

if TYPE_CHECKING:
    from features.engine import EngineData
    from model_registry.bundle import Bundle
    from model_registry.scorer import Scorer
    from warehouse.table_set import TableSet

__all__ = [
    "Advice",
    "CheckRow",
    "MonitoringState",
    "check",
    "check_months",
    "evidently",
    "evidently_file",
    "report",
    "state",
    "verdict_text",
]

Source = Literal["score_log", "tables"]
CHAMPION = "champion"
_N_WORST = 5
_MAX_CHECKS = 60


@dataclass(frozen=True)
class CheckRow:
    """One drift check in a list; `verdict` is "stable", "watch", "act" or "not_enough_data"."""

    period: str
    start: date
    end: date
    checked_at: datetime
    version: int
    source: str
    n_rows: int
    score_psi: float | None
    n_watch: int
    n_act: int
    worst_features: tuple[tuple[str, float], ...]
    verdict: str


@dataclass(frozen=True)
class Advice:
    """What the checks add up to: `action` is "none", "watch", "retrain" or "check_feed"."""

    action: str
    sentence: MessageField
    reasons: tuple[MessageField, ...]


@dataclass(frozen=True)
class MonitoringState:
    """Everything the Monitor page draws; the latest check is last in `checks`, and `latest` is its whole report.

    `feature_names` maps alias → language → readable name.
    """

    project: str
    version: int | None
    n_scored: int
    checks: tuple[CheckRow, ...]
    latest: DriftReport | None
    advice: Advice
    feature_names: dict[str, dict[str, str]]


def state(ctx: Context, project: str) -> MonitoringState:
    """Return all drift checks of the project and the advice they add up to; needs ``view``."""
    projects.get(ctx, project)
    champion = ctx.registry.deployment(project)
    stored = read_reports(ctx.database, project, slot=CHAMPION, limit=_MAX_CHECKS)
    of_champion = [item for item in stored if champion is None or item.version == champion.number]
    advice = advise([item.report for item in _latest_of_each(of_champion)], language=ctx.language)
    latest = stored[-1].report if stored else None
    return MonitoringState(
        project=project,
        version=champion.number if champion else None,
        n_scored=deployment.n_scored(ctx, project)[0],
        checks=tuple(_row(item) for item in stored),
        latest=latest,
        advice=Advice(advice.action, advice.sentence, advice.reasons),
        feature_names={item.alias: dict(item.names) for item in latest.feature_psi} if latest else {},
    )


def report(ctx: Context, project: str, period: str) -> DriftReport:
    """Return the whole report of one checked period (its latest check).

    Raises
    ------
    NotFoundError
        If the period was not checked.
    """
    return _stored(ctx, project, period).report


def check(
    ctx: Context,
    project: str,
    *,
    start: date,
    end: date,
    source: Source = "score_log",
    version: int | None = None,
) -> DriftReport:
    """Check one period [start, end) against the model's reference and keep the report; needs ``monitor.run``.

    Parameters
    ----------
    source : {"score_log", "tables"}, default="score_log"
        What was really scored, or a scoring now of the stored root rows whose cutoff falls in the period.
    version : int, optional
        The champion where left out.

    Raises
    ------
    ConflictError
        If nothing is deployed and no version is named.
    """
    return _check_periods(ctx, project, [(start, end)], source, version)[0]


def check_months(
    ctx: Context, project: str, *, start: date, end: date, months: int = 3, source: Source = "tables"
) -> list[DriftReport]:
    """Check consecutive periods of `months` months from `start` up to `end`; needs ``monitor.run``."""
    bounds = [start]
    while bounds[-1] < end:
        bounds.append(min(_months_later(bounds[-1], months), end))
    return _check_periods(ctx, project, list(pairwise(bounds)), source, None)


def evidently(ctx: Context, project: str, period: str) -> Path:
    """Write Evidently's HTML report for a checked period and return its path; needs ``monitor.run``."""
    from monitoring.evidently_report import feature_frame, write_evidently_report
    from workbench.flows.reference_rows import reference_values

    ctx.require("monitor.run")
    stored = _stored(ctx, project, period)
    bundle = ctx.registry.bundle(project, stored.version)
    ctx.say(0.1, msg("gathering the rows of {period}", period=period))
    start, end = stored.period_start.date(), stored.period_end.date()
    source: Source = "tables" if stored.report.source == "tables" else "score_log"
    current, _ = _Cases(ctx, project, bundle, stored.version, source).of(start, end)
    reference = reference_values(ctx, project, bundle)
    ctx.say(0.4, msg("writing the report"))
    frames = [feature_frame(bundle.plan, values, ctx.language) for values in (reference, current)]
    target = _evidently_target(ctx, project, stored)
    with writing_file(target) as path:
        write_evidently_report(path, *frames)
    ctx.say(1.0, msg("the report is there"))
    return target


def evidently_file(ctx: Context, project: str, period: str) -> Path | None:
    """Return Evidently's report of a checked period, or None where none was made; needs ``view``."""
    ctx.require("view")
    target = _evidently_target(ctx, project, _stored(ctx, project, period))
    return target if target.is_file() else None


def _evidently_target(ctx: Context, project: str, stored: StoredReport) -> Path:
    name = f"{_file_name(stored.report.period)}-v{stored.version}.html"
    return projects.folder(ctx, project) / "drift" / name


def verdict_text(verdict: str) -> Message:
    """Return a verdict in words."""
    return {
        "stable": msg("stable"),
        "watch": msg("watch"),
        "act": msg("act"),
        "not_enough_data": msg("too few rows"),
    }[verdict]


class _Cases:
    """The feature values and scores of a period, from the score log or from the stored tables."""

    def __init__(self, ctx: Context, project: str, bundle: "Bundle", version: int, source: Source) -> None:
        self.ctx = ctx
        self.project = project
        self.bundle = bundle
        self.version = version
        self.source = source

    def of(self, start: date, end: date) -> tuple[np.ndarray, np.ndarray]:
        """Return values of shape (n_rows, n_features) and points of shape (n_rows,)."""
        if self.source == "score_log":
            low, high = (datetime.combine(day, time(), UTC) for day in (start, end))
            logged = read_scores(
                self.ctx.database, self.project, low, high, version=self.version, aliases=self.bundle.plan.aliases
            )
            return logged.values, logged.scores
        keys, cutoffs = self._rows()
        low64, high64 = np.datetime64(start), np.datetime64(end)
        chosen = (cutoffs >= low64) & (cutoffs < high64)
        return self._score(keys[chosen], cutoffs[chosen])

    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        from workbench.flows.scoring import chosen_rows

        return chosen_rows(self._tables, self.bundle.label, "all", None)

    def _score(self, keys: np.ndarray, cutoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from features.engine import compute
        from features.peer_reference import peer_reference

        if len(keys) == 0:
            return np.empty((0, len(self.bundle.plan.aliases))), np.empty(0)
        plan, data = self.bundle.plan, self._engine_data
        reference = peer_reference(self._tables, plan, cutoffs, data=data)
        values = compute(plan, data, keys, cutoffs, reference=reference)
        return values, self._scorer.score_matrix(values)[1]

    @cached_property
    def _tables(self) -> "TableSet":
        return importing.tables(self.ctx, self.project)

    @cached_property
    def _engine_data(self) -> "EngineData":
        from features.engine import EngineData

        return EngineData.from_table_set(self.bundle.plan, self._tables)

    @cached_property
    def _scorer(self) -> "Scorer":
        from model_registry.scorer import Scorer

        return Scorer(self.bundle, version=self.version)


def _check_periods(
    ctx: Context, project: str, periods: list[tuple[date, date]], source: Source, version: int | None
) -> list[DriftReport]:
    from monitoring.drift import check_drift

    ctx.require("monitor.run")
    _require_periods(periods)
    number = _version(ctx, project, version)
    bundle = ctx.registry.bundle(project, number)
    cases = _Cases(ctx, project, bundle, number, source)
    reports = []
    for position, (start, end) in enumerate(periods):
        name = _period_name(start, end)
        ctx.say(position / len(periods), msg("checking {period}", period=name))
        values, points = cases.of(start, end)
        found = check_drift(bundle.reference, bundle.plan, values, points, period=name, source=source)
        low, high = (datetime.combine(day, time(), UTC) for day in (start, end))
        save_report(
            ctx.database, found, project=project, slot=CHAMPION, version=number, period_start=low, period_end=high
        )
        details = {"period": name, "version": number, "verdict": found.verdict, "n_rows": found.n_rows}
        ctx.audit("monitor.check", f"project:{project}", details)
        reports.append(found)
    ctx.say(1.0, msg("checked"))
    return reports


def _require_periods(periods: list[tuple[date, date]]) -> None:
    if not periods or any(start >= end for start, end in periods):
        raise InputError(msg("a period ends after it starts"), where="start, end")


def _version(ctx: Context, project: str, version: int | None) -> int:
    projects.get(ctx, project)
    if version is not None:
        return version
    champion = ctx.registry.deployment(project)
    if champion is None or champion.number is None:
        raise ConflictError(
            msg("project {project} has nothing deployed to watch", project=project), fix=msg("Deploy a version first.")
        )
    return champion.number


def _period_name(start: date, end: date) -> str:
    """Return a period as a person says it.

    Examples
    --------
    >>> _period_name(date(2022, 1, 1), date(2022, 2, 1)), _period_name(date(2022, 1, 1), date(2022, 7, 1))
    ('2022-01', '2022-01 – 2022-06')
    >>> _period_name(date(2022, 1, 5), date(2022, 1, 20))
    '2022-01-05 – 2022-01-19'
    """
    last = end - timedelta(days=1)
    if start.day == 1 and end.day == 1:
        first_month, last_month = f"{start:%Y-%m}", f"{last:%Y-%m}"
        return first_month if first_month == last_month else f"{first_month} – {last_month}"
    return f"{start}" if start == last else f"{start} – {last}"


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, min(day.day, 28))


def _file_name(period: str) -> str:
    return period.replace(" – ", "_")


def _stored(ctx: Context, project: str, period: str) -> StoredReport:
    ctx.require("view")
    found = read_reports(ctx.database, project, period=period)
    if not found:
        raise NotFoundError(msg("period {period} has not been checked", period=repr(period)))
    return found[-1]


def _latest_of_each(stored: list[StoredReport]) -> list[StoredReport]:
    return list({item.report.period: item for item in stored}.values())


def _row(item: StoredReport) -> CheckRow:
    found = item.report
    drifted = sorted(found.feature_psi, key=lambda feature: -feature.psi)
    moved = [feature for feature in found.feature_psi if feature.has_moved]
    return CheckRow(
        period=found.period,
        start=item.period_start.date(),
        end=item.period_end.date(),
        checked_at=item.created_at,
        version=item.version,
        source=found.source,
        n_rows=found.n_rows,
        score_psi=found.score.psi if found.score else None,
        n_watch=sum(feature.status == "watch" for feature in moved),
        n_act=sum(feature.status == "act" for feature in moved),
        worst_features=tuple((feature.alias, feature.psi) for feature in drifted[:_N_WORST]),
        verdict=found.verdict,
    )
