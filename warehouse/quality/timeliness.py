"""Rows that no longer come, months without rows, dates that cannot be, and rows whose parent is missing."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from core.findings import Severity
from core.i18n import msg
from warehouse.quality.faults import Array, Fault, TableCase, place

__all__ = ["impossible_dates", "missing_months", "orphan_rows", "stale_table"]

_DAY: Final = np.timedelta64(86_400_000_000_000, "ns")
_LEAST_AGE_DAYS: Final = 31.0
_GAPS: Final = 3.0
_MIN_DAYS: Final = 12
_MIN_MONTHS: Final = 12
_FEW: Final = 0.2
_MOST_STALE: Final = 0.1
_USUAL_ROWS: Final = 30
_MOST: Final = 0.9
_MONTHS_ROUND: Final = 6
_MIN_BEFORE: Final = 3
_EARLY: Final = np.datetime64("1900-01-02")
_NEVER: Final = np.datetime64("2200-01-01")


def stale_table(case: TableCase) -> Iterable[Fault]:
    """Yield a table whose newest row is older than it may be.

    The data standard says how old, where it says so; else three times the gap that 95% of the days with new rows keep,
    and 31 days at least; a table that others refer to is then not judged, new clients may be rare.
    """
    as_of = case.as_of
    if case.times is None or as_of is None:
        return
    days = np.unique(case.times[case.times <= as_of].astype("datetime64[D]"))
    if len(days) < _MIN_DAYS:
        return
    allowed = case.standard_table.max_age_days if case.standard_table is not None else None
    if allowed is None:
        if case.standard_table is not None or case.is_parent:
            return  # rows come as they happen
        gap = float(np.percentile(np.diff(days).astype(np.float64), 95))
        allowed = max(_LEAST_AGE_DAYS, _GAPS * gap)
    age = float((as_of - days[-1]) / _DAY)
    if age > allowed:
        yield Fault(
            "stale_table",
            "timeliness",
            Severity.WATCH,
            (),
            msg(
                "the newest row was known on {day}, {age} days before the data ends; {allowed} are usual",
                day=str(days[-1]),
                age=round(age),
                allowed=round(allowed),
            ),
            msg("Look whether the feed stands still."),
            rate=min(_MOST_STALE, 0.05 * (age - allowed) / allowed),
            count=0,
        )


def missing_months(case: TableCase) -> Iterable[Fault]:
    """Yield months with less than a fifth of the rows that are usual in the six months before and in the six after.

    The first three months are not judged: a table grows when it begins. Nor is a table judged where fewer than nine in
    ten months have more: it may be filled once a quarter.
    """
    if case.months is None or case.first_month is None:
        return
    first = case.first_month
    n_rows = np.bincount(case.months[case.months >= first] - first)[:-1]  # the last month may not be over
    if len(n_rows) < _MIN_MONTHS:
        return
    usual = np.array([_usual(n_rows, at) for at in range(len(n_rows))])
    judged = usual >= _USUAL_ROWS
    few = place(judged & (n_rows < _FEW * usual))
    if 0 < len(few) <= (1 - _MOST) * judged.sum():
        missing = round(float((usual[few] - n_rows[few]).sum()))
        yield Fault(
            "missing_months",
            "timeliness",
            Severity.WATCH,
            (),
            msg(
                "{n} months have hardly any rows, such as {month}; some {missing} rows are missing",
                n=len(few),
                month=", ".join(str(np.datetime64(first + int(month), "M")) for month in few[:3]),
                missing=missing,
            ),
            msg("Import the missing months again."),
            rate=len(few) / len(n_rows),
            count=missing,
        )


def _usual(n_rows: Array, at: int) -> float:
    """Return the lower of the median rows of the months before and of those after; 0 near the beginning."""
    before, after = n_rows[max(0, at - _MONTHS_ROUND) : at], n_rows[at + 1 : at + 1 + _MONTHS_ROUND]
    if len(before) < _MIN_BEFORE:
        return 0.0
    return float(min(np.median(before), np.median(after) if len(after) else np.inf))


def impossible_dates(case: TableCase) -> Iterable[Fault]:
    """Yield dates on or before 1900-01-01, and times of events or of knowledge after the data ends."""
    is_given = case.table_set.data_model.as_of is not None  # else the data ends where the last time is
    end = case.as_of.astype("datetime64[D]") + 1 if is_given and case.as_of is not None else None
    for name in case.time_columns:
        values = case.column(name).to_numpy(dtype="datetime64[ns]")
        rows = place(values < _EARLY)
        if len(rows):
            message = msg("{n} dates lie on or before 1900-01-01", n=len(rows))
            yield Fault("early_dates", "validity", Severity.WATCH, (name,), message, "", rows)
        if end is None or name not in {case.spec.event_time, case.spec.known_at}:
            continue
        rows = place((values >= end) & (values < _NEVER))
        if len(rows):
            message = msg("{n} times lie after the day the data ends", n=len(rows))
            yield Fault("future_dates", "validity", Severity.WATCH, (name,), message, "", rows)


def orphan_rows(case: TableCase) -> Iterable[Fault]:
    """Yield rows that refer to a parent that is not there."""
    for link in case.links:
        if not link.n_orphans:
            continue
        values = case.column(link.child_column)
        keys = case.table_set.column(link.parent, link.parent_column)
        rows = place((~values.isin(keys) & values.notna()).to_numpy())
        if len(rows):
            yield Fault(
                "orphan_rows",
                "integrity",
                Severity.WATCH,
                (link.child_column,),
                msg("{n} rows refer to a {parent} that is not there", n=len(rows), parent=link.parent),
                msg("These rows belong to nobody and count in no feature."),
                rows,
            )
