"""Event time and known-at time of a table, found by the types and names of its columns."""

from collections.abc import Mapping
from typing import NamedTuple

from warehouse.column_names import is_known_at_name, is_never_event_name, tokens
from warehouse.data_model import TIME_TYPES, ColumnType, LateColumns

__all__ = ["TimeColumns", "infer_late_columns", "infer_times"]

_LATE_ENDING = "_known_at"


class TimeColumns(NamedTuple):
    """The columns that say when a row happened and since when it is known; None where there is none."""

    event_time: str | None
    known_at: str | None


def infer_late_columns(types: Mapping[str, ColumnType]) -> list[LateColumns]:
    """Return the groups of columns that have a known-at time of their own, by its name.

    Examples
    --------
    >>> infer_late_columns({"status": "category", "status_note": "text", "status_known_at": "date", "x": "number"})
    [LateColumns(columns=['status', 'status_note'], known_at='status_known_at')]
    """
    groups = []
    for name, kind in types.items():
        about = name.removesuffix(_LATE_ENDING)
        late = [other for other in types if other != name and (other == about or other.startswith(about + "_"))]
        if kind in TIME_TYPES and about != name and late:
            groups.append(LateColumns(columns=late, known_at=name))
    return groups


def infer_times(types: Mapping[str, ColumnType], table: str = "") -> TimeColumns:
    """Choose among the date columns by their names.

    Dates of birth, founding, maturity or closing describe a row and do not say when it happened. The first remaining
    date, before others one that shares a word with the name of the table, is the event time; the first date that is
    named as published, reported, loaded or so is the known-at time.

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
    events.sort(key=lambda name: not set(tokens(name)) & set(tokens(table)))
    known = [name for name in known if name not in events[:1]]
    return TimeColumns(next(iter(events), None), next(iter(known), None))
