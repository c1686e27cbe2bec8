"""What was asked of the scorers and how fast they answered: counts by moment, kept for days, read by the pages."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.database import Database
from monitoring.tables import traffic_count

__all__ = [
    "ANSWERS",
    "PERIOD_SECONDS",
    "TrafficCount",
    "TrafficPart",
    "forget_traffic",
    "read_traffic",
    "write_traffic",
]

PERIOD_SECONDS: Final = 5
"""Length of a moment that is counted by itself."""
ANSWERS: Final = 0
"""Status under which answers that were made and kept are counted, those of batches among them."""
_KEPT: Final = timedelta(days=3)
_CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class TrafficCount:
    """What one process counted of one kind in one moment.

    Parameters
    ----------
    at : datetime
        When the moment began, UTC.
    source : str
        Process that counted: host and number.
    project, slot : str
        Empty where a request was refused before they were known, or was answered from memory.
    version : int
        0 where none answered.
    status : int
        Of HTTP; `ANSWERS` for answers made and kept.
    n : int
        How many.
    seconds : mapping of int to int
        Times to answer by bucket (`monitoring.latency`); of what was answered only.
    """

    at: datetime
    source: str
    project: str
    slot: str
    version: int
    status: int
    n: int
    seconds: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrafficPart:
    """The same of all processes together, by the moment or by what is asked for."""

    at: datetime
    project: str
    slot: str
    version: int
    status: int
    n: int
    seconds: Counter[int]


def write_traffic(database: Database, counts: Sequence[TrafficCount]) -> None:
    """Keep counts; those that are there already, from a try that seemed to fail, stay as they are."""
    rows = [_row(count) for count in counts]
    for first in range(0, len(rows), _CHUNK):
        with database.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(traffic_count).on_conflict_do_nothing(), rows[first : first + _CHUNK])


def read_traffic(
    database: Database, project: str, start: datetime, *, step_seconds: int = PERIOD_SECONDS
) -> list[TrafficPart]:
    """Return what was counted since `start`: of a project, and what was refused before any project was known.

    Parameters
    ----------
    database : Database
        Migrated.
    project : str
        Whose traffic.
    start : datetime
        Aware.
    step_seconds : int, default=5
        Moments are put together to steps of so many seconds.

    Returns
    -------
    list of TrafficPart
        In order of time.
    """
    columns = [traffic_count.c[name] for name in ("at", "project", "slot", "version", "status", "n", "seconds")]
    query = sa.select(*columns).where(traffic_count.c.at >= start, traffic_count.c.project.in_([project, ""]))
    found: dict[tuple[datetime, str, str, int, int], tuple[int, Counter[int]]] = {}
    with database.connect() as connection:
        for at, named, slot, version, status, n, seconds in connection.execute(query.order_by(traffic_count.c.at)):
            name = (_begin(at, step_seconds), named, slot, version, status)
            before, times = found.get(name, (0, Counter[int]()))
            times.update({int(bucket): count for bucket, count in seconds.items()})
            found[name] = (before + n, times)
    return [TrafficPart(*name, n, times) for name, (n, times) in found.items()]


def forget_traffic(database: Database, *, now: datetime | None = None) -> int:
    """Delete counts older than three days; return how many."""
    before = (now or datetime.now(UTC)) - _KEPT
    with database.begin() as connection:
        return connection.execute(sa.delete(traffic_count).where(traffic_count.c.at < before)).rowcount


def _begin(at: datetime, step_seconds: int) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // step_seconds * step_seconds, UTC)


def _row(count: TrafficCount) -> dict[str, Any]:
    names: Iterable[str] = ("at", "source", "project", "slot", "version", "status", "n")
    row = {name: getattr(count, name) for name in names}
    return row | {"seconds": {str(bucket): n for bucket, n in sorted(count.seconds.items())}}
