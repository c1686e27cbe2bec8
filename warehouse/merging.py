"""New rows put to the tables that are there: a row whose key is known takes the place of the old one."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.table_set import Table, TableSet

__all__ = ["merge"]


def merge(
    stored: TableSet, new: TableSet, added_to: Collection[str], reread: "Mapping[str, tuple[str, Any]] | None" = None
) -> tuple[TableSet, tuple[Finding, ...]]:
    """Return `stored` with what `new` brings, and how many rows each table gained or had replaced.

    Parameters
    ----------
    stored : TableSet
        The tables so far; their data model stays.
    new : TableSet
        Read with the data model of `stored`, so that its columns are of the same types. A table that is not in it stays
        as it was.
    added_to : collection of str
        Tables of which `new` holds only new rows; every other table of `new` takes the place of the old one.
    reread : mapping of str to (str, value), optional
        Per table that was read again from some value on: its growing column, and that value. In a table without a key
        the old rows beyond it go, as the new ones hold them too.

    Raises
    ------
    ConfigurationError
        A table of `new` has other columns, or one of them another type; import all rows again.
    """
    tables = {name: Table(stored.spec(name), stored.frame(name)) for name in stored.names}
    findings = []
    for name in new.names:
        _require_same_columns(stored, new, name)
        rows = new.frame(name)
        if name in added_to:
            kept = _without(tables[name].frame, rows, stored.spec(name).primary_key)
            if not stored.spec(name).primary_key and reread and name in reread:
                kept = _up_to(kept, *reread[name])
            findings.append(_told(name, len(rows), len(tables[name].frame) - len(kept)))
            rows = pd.concat([kept, rows], ignore_index=True)
        tables[name] = Table(stored.spec(name), rows)
    frames = {name: table.frame for name, table in tables.items()}
    return TableSet.from_frames(frames, stored.data_model), tuple(findings)


def _without(old: pd.DataFrame, new: pd.DataFrame, key: Collection[str]) -> pd.DataFrame:
    """Return the rows of `old` whose key does not come again in `new`; all of them where the table has no key."""
    if not key:
        return old
    columns = list(key)
    comes_again = pd.MultiIndex.from_frame(old[columns]).isin(pd.MultiIndex.from_frame(new[columns]))
    return old[~comes_again]


def _up_to(old: pd.DataFrame, column: str, value: Any) -> pd.DataFrame:
    """Return the rows of `old` that were not read again: those up to `value`, and those without one."""
    values = old[column]
    limit = pd.Timestamp(value) if values.dtype.kind == "M" else value
    numbers = values if values.dtype.kind == "M" else pd.to_numeric(values, errors="coerce")
    return old[~(numbers > limit)]


def _require_same_columns(stored: TableSet, new: TableSet, name: str) -> None:
    if name not in stored.tables:
        raise ConfigurationError(
            msg("the table {table} was not there before", table=name), fix=msg("Import all rows again."), where=name
        )
    before, now = (_types(table_set, name) for table_set in (stored, new))
    different = sorted(column for column in before.keys() | now.keys() if before.get(column) != now.get(column))
    if different:
        raise ConfigurationError(
            msg("these columns are not what they were: {columns}", columns=", ".join(different)),
            fix=msg("Import all rows again."),
            where=name,
        )


def _types(table_set: TableSet, name: str) -> dict[str, Any]:
    return {column: spec.type for column, spec in table_set.spec(name).columns.items()}


def _told(name: str, n_rows: int, n_replaced: int) -> Finding:
    text = msg("{n} new rows; {m} of them took the place of older ones", n=n_rows, m=n_replaced)
    return Finding("rows_added", Severity.INFO, text, where=name)
