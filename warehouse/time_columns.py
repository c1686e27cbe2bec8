"""Event time and known-at time of a table, found by the types and names of its columns."""

from collections.abc import Mapping
from typing import NamedTuple

from warehouse.column_names import is_known_at_name, is_never_event_name
from warehouse.data_model import TIME_TYPES, ColumnType

__all__ = ["TimeColumns", "infer_times"]


class TimeColumns(NamedTuple):
    """The columns that say when a row happened and since when it is known; None where there is none."""

    event_time: str | None
    known_at: str | None


def infer_times(types: Mapping[str, ColumnType]) -> TimeColumns:
    """Choose among the date columns by their names.

    Dates of birth, founding, maturity or closing describe a row and do not say when it happened. The first remaining
    date is the event time; the first date that is named as published, reported, loaded or so is the known-at time.

    Examples
    --------
    >>> infer_times({"founded_on": "date", "period_end": "date", "published_at": "date"})
    TimeColumns(event_time='period_end', known_at='published_at')
    >>> infer_times({"birth_date": "date"})
    TimeColumns(event_time=None, known_at=None)
    """
    times = [name for name, kind in types.items() if kind in TIME_TYPES and not is_never_event_name(name)]
    known = [name for name in times if is_known_at_name(name)]
    events = [name for name in times if name not in known] or known
    known = [name for name in known if name not in events[:1]]
    return TimeColumns(next(iter(events), None), next(iter(known), None))
