"""Parquet files, read with their types."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
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

__all__ = ["MAX_CELLS", "STAGE_FROM_CELLS", "damaged_parquet", "raw_columns", "read_parquet"]

STAGE_FROM_CELLS = 5_000_000
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
MAX_CELLS: Final = 1_000_000_000  # a few repeated values can fill any number of rows from a small file


def read_parquet(path: Path, name: str, staging: Staging | None = None) -> RawTable:
    """Read a Parquet file; one of more than 5 million cells, where there is a `staging`, column by column when asked.

    Raises
    ------
    InputError
        Damaged, without rows, with doubled column names, or with a column of a kind a table cannot hold.
    """
    with damaged_parquet(path.name):
        file = pq.ParquetFile(path)
        header = check_header(file.schema_arrow.names, path.name)
        _check_size(file.metadata, path.name)
        n_cells = file.metadata.num_rows * file.metadata.num_columns
        if staging is not None and n_cells > STAGE_FROM_CELLS and header == list(file.schema_arrow.names):
            return _staged(path, name, file.metadata.num_rows, staging)
        rows = file.read().rename_columns(header)
        rows.validate(full=True)  # bytes that are no UTF-8 included
        columns = raw_columns(rows, path.name)
    if rows.num_rows == 0:
        raise InputError(msg("the file has a header and no rows"), where=path.name, code="no_rows")
    source = SourceFile(path.name, "parquet", path.stat().st_size, fingerprint_file(path), first_row=1)
    return RawTable(name, columns, rows.num_rows, source)


@contextmanager
def damaged_parquet(where: str) -> Iterator[None]:
    """Turn what reading a damaged Parquet file raises into an error that says so.

    Raises
    ------
    InputError
        The file at `where` cannot be read.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            msg("the Parquet file is damaged: {problem}", problem=(str(error).splitlines() or ["?"])[0]),
            where=where,
            code="damaged",
        ) from error


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
    """Return the columns of an Arrow table.

    Raises
    ------
    InputError
        A column of lists, structures, bytes or durations; a control character in a text.
    """
    columns = {name: _plain(rows[name].combine_chunks(), f"{where}, column {name}") for name in rows.column_names}
    for name, array in columns.items():
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            _check_characters(array, name, where)
    return {name: RawColumn(array) for name, array in columns.items()}


def _check_characters(array: Any, name: str, where: str) -> None:
    """Refuse what no text holds: it stands for damage, and files for people cannot carry it."""
    wrong = pc.match_substring_regex(array, _CONTROL)
    if not pc.any(wrong).as_py():
        return
    row = pc.index(wrong, pa.scalar(value=True)).as_py()
    code = next(ord(character) for character in array[row].as_py() if re.match(_CONTROL, character))
    raise InputError(
        msg("the text holds the control character {code}", code=f"0x{code:02x}"),
        where=f"{where}, row {row + 1}, column {name}",
        fix=msg("Take it out where the table is made."),
        code="control_character",
    )


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
        return _whole_decimals(array) if kind.scale <= 0 else pc.cast(array, pa.float64(), safe=False)
    if _is_plain(kind):
        return array
    raise InputError(
        msg("values of the kind {kind} cannot stand in a table", kind=str(kind)),
        where=where,
        fix=msg("Write numbers, texts, dates or booleans."),
        code="unsupported_values",
    )


def _whole_decimals(array: Any) -> Any:
    """Return decimals without a fraction as integers; as their digits where one is too long for 64 bits."""
    try:
        return pc.cast(array, pa.int64())
    except pa.ArrowInvalid:
        digits = [None if value is None else format(value, "f") for value in array.to_pylist()]
        return pa.array(digits, pa.large_string())


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
