"""Values that are missing: from columns that are empty, and more in some months than before."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

from core.findings import Severity
from core.i18n import msg
from core.i18n.formats import percent
from warehouse.quality.faults import Array, Fault, TableCase

__all__ = ["empty_columns", "missing_rate_drift"]

_MIN_MONTH_ROWS: Final = 50
_MIN_MONTHS: Final = 6
_MONTHS_BACK: Final = 12
_MIN_CHANGE: Final = 0.1
_MIN_DEVIATIONS: Final = 5.0


def empty_columns(case: TableCase) -> Iterable[Fault]:
    """Yield the columns that hold nothing; each counts as its share of the columns."""
    for column in case.profile.columns:
        if case.n_rows and column.n_missing == case.n_rows and column.role != "ignore":
            yield Fault(
                "empty_column",
                "completeness",
                Severity.WATCH,
                (column.name,),
                msg("the column holds no value at all"),
                msg("Ask the source for it, or give it the role ignore."),
                rate=1 / len(case.profile.columns),
                count=case.n_rows,
            )


def missing_rate_drift(case: TableCase) -> Iterable[Fault]:
    """Yield the runs of months in which a column is missing more, or less, often than in the months before.

    A month of at least 50 rows is held against the median of the up to twelve such months before it, at least six; it
    differs where the rates are ten points and five standard errors apart. Columns filled in later are left out: the
    youngest rows wait for theirs.
    """
    if case.months is None or case.first_month is None or case.n_rows < _MIN_MONTH_ROWS:
        return
    known = case.months >= case.first_month
    position = case.months[known] - case.first_month
    n_rows = np.bincount(position)
    for name, n_missing in case.n_missing.items():
        if name in case.late or not 0 < n_missing < case.n_rows or name == case.spec.event_time:
            continue
        missing = case.column(name).isna().to_numpy()[known]
        n_null = np.bincount(position, weights=missing, minlength=len(n_rows))
        yield from _drift(name, n_null, n_rows, case.first_month)


def _drift(column: str, n_null: Array, n_rows: Array, first: int) -> Iterator[Fault]:
    enough = np.flatnonzero(n_rows >= _MIN_MONTH_ROWS)
    rates = n_null / np.maximum(n_rows, 1)
    before = np.full(len(rates), np.nan)
    before[enough] = pd.Series(rates[enough]).rolling(_MONTHS_BACK, min_periods=_MIN_MONTHS).median().shift(1)
    spread = np.clip(before, 0.02, 0.98)
    error = np.sqrt(spread * (1 - spread) / np.maximum(n_rows, 1))
    change = rates - before
    differs = np.abs(np.nan_to_num(change)) >= np.maximum(_MIN_CHANGE, _MIN_DEVIATIONS * np.nan_to_num(error))
    for start, end in _runs(np.where(differs, np.sign(np.nan_to_num(change)), 0.0)):
        yield _drift_fault(
            column, n_null[start:end], n_rows[start:end], before[start:end], (first + start, first + end - 1)
        )


def _drift_fault(column: str, n_null: Array, n_rows: Array, before: Array, months: tuple[int, int]) -> Fault:
    excess = round(float((n_null - before * n_rows).sum()))
    start, end = (str(np.datetime64(month, "M")) for month in months)
    return Fault(
        "missing_rate_drift",
        "stability",
        Severity.WATCH if excess > 0 else Severity.INFO,
        (column,),
        msg(
            "from {start} to {end} {rate} of the rows have no value, {before} in the months before",
            start=start,
            end=end,
            rate=percent(float(n_null.sum() / n_rows.sum())),
            before=percent(float(np.median(before))),
        ),
        msg("Ask the source what changed, before a model learns from it."),
        rate=abs(excess) / max(float(n_rows.sum()), 1) * len(n_rows) / 12 * 0.1 if excess > 0 else 0.0,
        count=abs(excess),
        total=int(n_rows.sum()),
    )


def _runs(signs: Array) -> Iterator[tuple[int, int]]:
    """Yield start and end (exclusive) of the runs of one sign other than 0."""
    edges = np.flatnonzero(np.diff(signs)) + 1
    for start, end in zip(np.r_[0, edges], np.r_[edges, len(signs)], strict=True):
        if signs[start] != 0:
            yield int(start), int(end)
