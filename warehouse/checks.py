"""What should be looked at in a table that could be read: doubled rows, no key, missing and unlikely times."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd

from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.data_model import TIME_TYPES
from warehouse.parquet_questions import count_doubled
from warehouse.stored_table import StoredTable
from warehouse.table_set import TableSet

__all__ = ["check_table"]

_EARLY: Final = np.datetime64("1900-01-02")


def check_table(table_set: TableSet, name: str, *, today: np.datetime64 | None = None) -> list[Finding]:
    """Return what should be looked at in table `name`.

    Parameters
    ----------
    table_set : TableSet
        The tables.
    name : str
        The table to check.
    today : numpy.datetime64, optional
        Day after which a date lies in the future; today where left out.
    """
    today = np.datetime64(datetime.now(UTC).date()) if today is None else today
    return [*_rows(table_set, name), *_dates(table_set, name, today), *_times(table_set, name)]


def _rows(table_set: TableSet, name: str) -> Iterable[Finding]:
    if table_set.spec(name).primary_key:
        return
    yield Finding(
        "no_primary_key",
        Severity.INFO,
        msg("no column that is named as a key, and no set of keys and dates, is unique"),
        where=name,
    )
    table = table_set.tables[name]
    if isinstance(table, StoredTable):
        n_twice = count_doubled(table.path, table.staging)
    else:
        n_twice = _count_doubled(table.frame)
    if n_twice:
        yield Finding(
            "duplicate_rows",
            Severity.WATCH,
            msg("{n} rows are the same as another row in every column", n=n_twice),
            where=name,
            fix=msg("Remove them where they are not meant: each counts in sums and counts."),
        )


def _count_doubled(frame: pd.DataFrame) -> int:
    hashes = pd.util.hash_pandas_object(frame, index=False)
    suspects = hashes.duplicated(keep=False).to_numpy()
    return int(frame[suspects].duplicated().sum())


def _dates(table_set: TableSet, name: str, today: np.datetime64) -> Iterable[Finding]:
    for column in table_set.spec(name).columns_of_type(*TIME_TYPES):
        values = table_set.column(name, column).to_numpy(dtype="datetime64[ns]")
        where = f"{name}, column {column}"
        if n_early := int((values < _EARLY).sum()):
            yield Finding(
                "early_dates", Severity.WATCH, msg("{n} dates lie on or before 1900-01-01", n=n_early), where=where
            )
        if n_future := int((values > today).sum()):
            yield Finding("future_dates", Severity.WATCH, msg("{n} dates lie in the future", n=n_future), where=where)


def _times(table_set: TableSet, name: str) -> Iterable[Finding]:
    event_time = table_set.event_time(name)
    known_at = table_set.known_at(name)
    if event_time is not None and (n_missing := int(np.isnat(event_time).sum())):
        yield Finding(
            "missing_event_time",
            Severity.WATCH,
            msg("{n} rows have no event time and fall in no window", n=n_missing),
            where=f"{name}, column {table_set.spec(name).event_time}",
        )
    if event_time is None or known_at is None or table_set.spec(name).known_at is None:
        return
    if n_never := int(np.isnat(known_at).sum()):
        yield Finding(
            "never_known",
            Severity.WATCH,
            msg("{n} rows have no known-at time and are never seen", n=n_never),
            where=f"{name}, column {table_set.spec(name).known_at}",
        )
    if n_before := int((known_at < event_time).sum()):
        yield Finding(
            "known_before_event",
            Severity.WATCH,
            msg("{n} rows were known before they happened", n=n_before),
            where=f"{name}, column {table_set.spec(name).known_at}",
        )
