"""What became of the cases: reported late and in parts, corrected without forgetting, and joined with the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa

from core.database import Database
from core.errors import InputError
from core.i18n import msg
from monitoring.score_log import LoggedScores, read_scores
from monitoring.tables import outcome_report

__all__ = ["Outcome", "ReportedOutcome", "ScoredOutcomes", "outcome_history", "read_scored_outcomes", "report_outcomes"]

NamedBy = Literal["request_id", "key"]
Effect = Literal["new", "corrected", "unchanged"]

_CHUNK = 400
# Any number, the same in every process: whoever holds it on PostgreSQL reports outcomes.
_POSTGRESQL_LOCK = 5_310_005


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case.

    Parameters
    ----------
    named_by : {"request_id", "key"}
        Whether one answer is meant, or all answers about a key that were given before.
    name : str
        The request's id or the key.
    outcome : {0, 1} or None
        1 bad, 0 good; None open (again).
    observed_at : datetime
        When it came to be so, naive in the data's own clock.
    """

    named_by: NamedBy
    name: str
    outcome: int | None
    observed_at: datetime

    def __post_init__(self) -> None:
        if self.outcome not in (0, 1, None):
            raise InputError(msg("an outcome is 0, 1 or empty; other values were given"), where="outcome")
        if self.observed_at.tzinfo is not None:
            raise InputError(msg("the time must be in the data's own clock, without a zone"), where="observed_at")


@dataclass(frozen=True, slots=True)
class ReportedOutcome:
    """An outcome with who reported it and when."""

    outcome: Outcome
    report_id: str | None
    reported_at: datetime
    reported_by: str


@dataclass(frozen=True)
class ScoredOutcomes:
    """Answers with what became of their cases.

    Parameters
    ----------
    scores : LoggedScores
        The answers.
    outcomes : ndarray of float64, shape (n_records,)
        1 bad, 0 good, NaN open; as `measure_performance` takes them.
    observed_at : ndarray of datetime64[us], shape (n_records,)
        When it came to be so; NaT where open.
    """

    scores: LoggedScores
    outcomes: np.ndarray
    observed_at: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def report_outcomes(
    database: Database,
    project: str,
    outcomes: Sequence[Outcome],
    *,
    by: str,
    report_id: str | None = None,
    now: datetime | None = None,
) -> list[Effect]:
    """Keep what became of cases; all of it or, where an error is raised, nothing.

    What is known already is not added again. What differs from it is added as a correction, and counts from then on.

    Parameters
    ----------
    database : Database
        Migrated.
    project : str
        Whose cases.
    outcomes : sequence of Outcome
        In the order in which they count.
    by : str
        Who reports.
    report_id : str, optional
        Names the report: sent again, even after a later correction, it changes nothing.
    now : datetime, optional
        Aware moment of the report; the present where left out.

    Returns
    -------
    list of {"new", "corrected", "unchanged"}
        The effect of each.
    """
    moment = now or datetime.now(UTC)
    effects: list[Effect] = []
    with database.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
        for start in range(0, len(outcomes), _CHUNK):
            chunk = outcomes[start : start + _CHUNK]
            known = _newest(connection, project, chunk)
            repeated = _of_report(connection, project, report_id, chunk)
            rows = []
            for outcome in chunk:
                case = outcome.named_by, outcome.name
                effect = "unchanged" if case in repeated else _effect(known.get(case), outcome)
                effects.append(effect)
                if effect != "unchanged" or (report_id is not None and case not in repeated):
                    rows.append(_row(project, outcome, report_id, moment, by))
                    known[case] = outcome
            if rows:
                connection.execute(sa.insert(outcome_report), rows)
    return effects


def outcome_history(database: Database, project: str, name: str, *, named_by: NamedBy = "key") -> list[ReportedOutcome]:
    """Return all that was reported of a case, oldest first; the last counts."""
    query = sa.select(outcome_report).where(
        outcome_report.c.project == project, outcome_report.c.named_by == named_by, outcome_report.c.name == name
    )
    with database.connect() as connection:
        rows = connection.execute(query.order_by(outcome_report.c.id)).all()
    return [ReportedOutcome(_outcome(row), row.report_id, row.reported_at, row.reported_by) for row in rows]


def read_scored_outcomes(
    database: Database,
    project: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    known_by: datetime | None = None,
    **which: Any,
) -> ScoredOutcomes:
    """Read answers with what became of their cases.

    An outcome reported for a request belongs to that answer. One reported for a key belongs to every answer about the
    key whose cutoff was before it was observed, unless one was reported for the request itself.

    Parameters
    ----------
    database : Database
        Migrated.
    project : str
        Whose answers.
    start, end : datetime, optional
        As in `read_scores`.
    known_by : datetime, optional
        Aware moment: only what was reported up to it counts, so that a figure of the past can be told again.
    **which
        ``slot``, ``version``, ``aliases``, ``by``, ``limit`` of `read_scores`.
    """
    scores = read_scores(database, project, start, end, **which)
    reported = _all_newest(database, project, known_by)
    outcomes = np.full(len(scores), np.nan)
    observed = np.full(len(scores), np.datetime64("NaT"), dtype="datetime64[us]")
    for i, (request_id, key) in enumerate(zip(scores.request_ids, scores.keys, strict=True)):
        found = reported.get(("request_id", request_id))
        if found is None:
            found = reported.get(("key", key))
            if found is None or np.datetime64(found.observed_at) <= scores.cutoffs[i]:
                continue
        if found.outcome is not None:
            outcomes[i], observed[i] = found.outcome, np.datetime64(found.observed_at)
    return ScoredOutcomes(scores, outcomes, observed)


def _effect(known: Outcome | None, outcome: Outcome) -> Effect:
    if known is None:
        return "new"
    return "unchanged" if known == outcome else "corrected"


def _newest(connection: sa.Connection, project: str, outcomes: Sequence[Outcome]) -> dict[tuple[str, str], Outcome]:
    names = {outcome.name for outcome in outcomes}
    newest = (
        sa.select(sa.func.max(outcome_report.c.id))
        .where(outcome_report.c.project == project, outcome_report.c.name.in_(names))
        .group_by(outcome_report.c.named_by, outcome_report.c.name)
    )
    rows = connection.execute(sa.select(outcome_report).where(outcome_report.c.id.in_(newest)))
    return {(row.named_by, row.name): _outcome(row) for row in rows}


def _of_report(
    connection: sa.Connection, project: str, report_id: str | None, outcomes: Sequence[Outcome]
) -> set[tuple[str, str]]:
    """Return the cases that this report told already."""
    if report_id is None:
        return set()
    query = sa.select(outcome_report.c.named_by, outcome_report.c.name).where(
        outcome_report.c.project == project,
        outcome_report.c.report_id == report_id,
        outcome_report.c.name.in_({outcome.name for outcome in outcomes}),
    )
    return {(row.named_by, row.name) for row in connection.execute(query)}


def _all_newest(database: Database, project: str, known_by: datetime | None) -> Mapping[tuple[str, str], Outcome]:
    newest = sa.select(sa.func.max(outcome_report.c.id)).where(outcome_report.c.project == project)
    if known_by is not None:
        newest = newest.where(outcome_report.c.reported_at <= known_by)
    newest = newest.group_by(outcome_report.c.named_by, outcome_report.c.name)
    with database.connect() as connection:
        rows = connection.execute(sa.select(outcome_report).where(outcome_report.c.id.in_(newest)))
        return {(row.named_by, row.name): _outcome(row) for row in rows}


def _outcome(row: Any) -> Outcome:
    return Outcome(row.named_by, row.name, row.outcome, row.observed_at)


def _row(project: str, outcome: Outcome, report_id: str | None, moment: datetime, by: str) -> dict[str, Any]:
    return {
        "project": project,
        "named_by": outcome.named_by,
        "name": outcome.name,
        "outcome": outcome.outcome,
        "observed_at": outcome.observed_at,
        "report_id": report_id,
        "reported_at": moment,
        "reported_by": by,
    }
