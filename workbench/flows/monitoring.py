"""The deployed model against the present: drift of a period, the report file, and what to do about it."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.flows.context import Context
from workbench.flows.results import MessageField

if TYPE_CHECKING:
    from monitoring.drift import DriftReport

__all__ = ["Advice", "CheckRow", "MonitoringState", "check", "check_months", "evidently", "report", "state"]


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
    latest: "DriftReport | None"
    advice: Advice
    feature_names: dict[str, dict[str, str]]


def state(ctx: Context, project: str) -> MonitoringState:
    """Return all drift checks of the project and the advice they add up to; needs ``view``."""
    raise NotImplementedError


def report(ctx: Context, project: str, period: str) -> "DriftReport":
    """Return the whole report of one checked period (its latest check)."""
    raise NotImplementedError


def check(
    ctx: Context,
    project: str,
    *,
    start: date,
    end: date,
    source: Literal["score_log", "tables"] = "score_log",
    version: int | None = None,
) -> "DriftReport":
    """Check one period [start, end) against the model's reference and keep the report; needs ``monitor.run``.

    Parameters
    ----------
    source : {"score_log", "tables"}, default="score_log"
        What was really scored, or a scoring now of the root rows whose cutoff falls in the period.
    version : int, optional
        The champion where left out.
    """
    raise NotImplementedError


def check_months(ctx: Context, project: str, *, start: date, end: date, months: int = 3) -> "list[DriftReport]":
    """Check consecutive periods of `months` months of the stored tables; needs ``monitor.run``."""
    raise NotImplementedError


def evidently(ctx: Context, project: str, period: str) -> Path:
    """Write Evidently's HTML report for a checked period and return its path; needs ``monitor.run``."""
    raise NotImplementedError
