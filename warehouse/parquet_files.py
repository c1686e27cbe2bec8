"""Parquet files, read with their types."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import InputError
from core.fingerprints import fingerprint_file
from core.i18n import msg
from warehouse.headers import check_header
from warehouse.raw_table import RawColumn, RawTable, SourceFile
from warehouse.staged_columns import StagedColumns
from warehouse.staging import Staging

__all__ = ["MAX_CELLS", "STAGE_FROM_CELLS", "raw_columns", "read_parquet"]

STAGE_FROM_CELLS = 30_000_000
MAX_CELLS: Final = 1_000_000_000  # a few repeated values can fill any number of rows from a small file


def read_parquet(path: Path, name: str, staging: Staging | None = None) -> RawTable:
    """Read a Parquet file; one of more than 30 million cells, where there is a `staging`, column by column when asked.

    Raises
    ------
    InputError
        Damaged, without rows, with doubled column names, or with a column of a kind a table cannot hold.
    """
    try:
        file = pq.ParquetFile(path)
        header = check_header(file.schema_arrow.names, path.name)
        _check_size(file.metadata, path.name)
        n_cells = file.metadata.num_rows * file.metadata.num_columns
        if staging is not None and n_cells > STAGE_FROM_CELLS and header == list(file.schema_arrow.names):
            return _staged(path, name, file.metadata.num_rows, staging)
        rows = file.read().rename_columns(header)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            msg("the Parquet file is damaged: {problem}", problem=str(error).splitlines()[0]),
            where=path.name,
            code="damaged",
        ) from error
    if rows.num_rows == 0:
        raise InputError(msg("the file has a header and no rows"), where=path.name, code="no_rows")
    source = SourceFile(path.name, "parquet", path.stat().st_size, fingerprint_file(path), first_row=1)
    return RawTable(name, raw_columns(rows, path.name), rows.num_rows, source)


def _staged(path: Path, name: str, n_rows: int, staging: Staging) -> RawTable:
    source = SourceFile(path.name, "parquet", path.stat().st_size, fingerprint_file(path), first_row=1)
    return RawTable(name, StagedColumns(path, is_untyped=False), n_rows, source, staging=staging)


def _check_size(metadata: Any, where: str) -> None:
    n_cells = metadata.num_rows * metadata.num_columns
    if n_cells > MAX_CELLS:
        raise InputError(
            msg("the table has {n} cells, more than the {limit} allowed", n=n_cells, limit=MAX_CELLS),
            where=where,
            code="too_large",
        )


def raw_columns(rows: pa.Table, where: str) -> dict[str, RawColumn]:
    """Return the columns of an Arrow table; raises `InputError` for lists, structures, bytes and durations."""
    return {
        name: RawColumn(_plain(rows[name].combine_chunks(), f"{where}, column {name}")) for name in rows.column_names
    }


def _plain(array: Any, where: str) -> Any:
    """Return the array without dictionary, view or decimal dressing."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode(), where)
    if pa.types.is_null(kind):
        return pc.cast(array, pa.string())
    if pa.types.is_string_view(kind):
        return pc.cast(array, pa.large_string())
    if pa.types.is_decimal(kind):
        whole = kind.scale <= 0
        return pc.cast(array, pa.int64() if whole else pa.float64(), safe=False)
    if _is_plain(kind):
        return array
    raise InputError(
        msg("values of the kind {kind} cannot stand in a table", kind=str(kind)),
        where=where,
        fix=msg("Write numbers, texts, dates or booleans."),
        code="unsupported_values",
    )


def _is_plain(kind: Any) -> bool:
    types = pa.types
    return any(
        is_kind(kind)
        for is_kind in (
            types.is_string,
            types.is_large_string,
            types.is_integer,
            types.is_floating,
            types.is_boolean,
            types.is_date,
            types.is_timestamp,
        )
    )
