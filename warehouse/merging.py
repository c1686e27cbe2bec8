"""New rows put to the tables that are there: a row whose key is known takes the place of the old one.

The rows go from file to file block by block; what is held of them is one block, and a mark per old row.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ConfigurationError
from core.findings import Finding, Severity
from core.i18n import msg
from core.progress import Progress, SilentProgress
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, TableSpec
from warehouse.parquet_questions import count_missing, rows_beyond, rows_that_come_again
from warehouse.staging import Staging, disk_errors
from warehouse.stored_table import StoredTable
from warehouse.table_set import Table, TableSet, open_table, to_arrow

__all__ = ["merge"]

_BLOCK: Final = 250_000


def merge(
    stored: TableSet,
    new: TableSet,
    added_to: Collection[str],
    reread: "Mapping[str, tuple[str, Any]] | None" = None,
    *,
    staging: Path | None = None,
    progress: Progress | None = None,
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
    staging : Path, optional
        Folder for working files, and for the tables that are too large for memory as long as they are used; by default
        that of the system.
    progress : Progress, optional
        Told each block; may cancel between two.

    Raises
    ------
    ConfigurationError
        A table of `new` has other columns, or one of them another type; import all rows again.
    UnavailableError
        The disk is full.
    """
    progress = progress or SilentProgress()
    for name in new.names:
        _require_same_columns(stored, new, name)
    tables, findings = dict(stored.tables), []
    work = Staging(staging)
    try:
        for number, name in enumerate(new.names):
            fresh = _with_spec(new.tables[name], stored.spec(name))
            if name not in added_to:
                tables[name] = fresh
                continue
            part = progress.part(number / len(new.names), (number + 1) / len(new.names))
            joint = _Joint(tables[name], fresh, work)
            gone = joint.gone((reread or {}).get(name))
            findings.append(_told(name, joint.n_new, int(gone.sum())))
            tables[name] = open_table(joint.write(gone, part), joint.spec, work, in_files=True)
    finally:
        if not any(isinstance(table, StoredTable) and table.staging is work for table in tables.values()):
            work.close()
    return TableSet(tables, stored.data_model), tuple(findings)


class _Joint:
    """The old rows of a table and its new ones, both in files."""

    def __init__(self, old: Table | StoredTable, new: Table | StoredTable, work: Staging) -> None:
        self.spec = old.spec
        self.work = work
        self.old, self.new = (_in_file(table, work) for table in (old, new))
        self.n_old, self.n_new = (int(pq.read_metadata(path).num_rows) for path in (self.old, self.new))

    def gone(self, reread: tuple[str, Any] | None) -> np.ndarray:
        """Return which old rows go (bool array): those whose key comes again, or those that were read again."""
        key = self.spec.primary_key
        if key:
            return rows_that_come_again(self.old, self.new, key, self.n_old, self.work)
        if reread is None:
            return np.zeros(self.n_old, dtype=bool)
        column, value = reread
        if self.spec.columns[column].type in TIME_TYPES:
            value = pd.Timestamp(value).to_pydatetime()
        return rows_beyond(self.old, column, value, self.n_old, self.work)

    def write(self, gone: np.ndarray, progress: Progress) -> Path:
        """Write the old rows that stay, then the new ones, and return the file."""
        target, n_done = self.work.new_path(".parquet"), 0
        schema = pa.schema([(name, self._type(name, gone)) for name in self.spec.columns])
        with disk_errors(target.parent), pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for block in self._all(gone):
                columns = [block.column(name).cast(schema.field(name).type) for name in schema.names]
                writer.write_table(pa.table(columns, schema=schema))
                n_done += block.num_rows
                share = n_done / max(self.n_old + self.n_new, 1)
                progress.report(share, msg("putting new rows to the old ones: {n}", n=n_done))
        return target

    def _all(self, gone: np.ndarray) -> Iterator[pa.RecordBatch]:
        start = 0
        for block in _blocks(self.old):
            kept = ~gone[start : start + block.num_rows]
            start += block.num_rows
            yield block if kept.all() else block.filter(pa.array(kept))
        yield from _blocks(self.new)

    def _type(self, name: str, gone: np.ndarray) -> pa.DataType:
        """Return what a column is stored as; whole numbers are so only where none is missing, as in `Table`."""
        kind = self.spec.columns[name].type
        if kind in TEXT_TYPES:
            return pa.string()
        if kind in TIME_TYPES:
            return pa.timestamp("ns")
        if kind != "integer":
            return pa.float64()
        files = ((self.old, gone), (self.new, np.zeros(self.n_new, dtype=bool)))
        has_missing = any(
            pq.read_schema(path).field(name).type != pa.int64() and count_missing(path, self.work, name, left_out)
            for path, left_out in files
        )
        return pa.float64() if has_missing else pa.int64()


def _in_file(table: Table | StoredTable, work: Staging) -> Path:
    if isinstance(table, StoredTable):
        return table.path
    path = work.new_path(".parquet")
    with disk_errors(path.parent):
        pq.write_table(to_arrow(table), path, compression="lz4")
    return path


def _blocks(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_BLOCK, use_threads=False)


def _with_spec(table: Table | StoredTable, spec: TableSpec) -> Table | StoredTable:
    """Return a table as the data model that stays describes it; its columns stand in the order of that."""
    if isinstance(table, StoredTable):
        return StoredTable(spec, table.path, table.staging)
    return Table(spec, table.frame[list(spec.columns)])


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
