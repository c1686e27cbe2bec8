"""The rows of one table in batches, whatever holds them: a Parquet file, a delimited text, a table of a database."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ConfigurationError, InputError, NotFoundError
from core.i18n import msg
from core.progress import Progress
from warehouse.data_model import TableSpec
from warehouse.headers import check_header
from warehouse.parquet_files import raw_columns
from warehouse.raw_table import RawColumn, RawTable, SourceFile
from warehouse.sql_reading import open_database
from warehouse.sql_source import DatabaseSource, TableQuery
from warehouse.text_files import text_batches

__all__ = ["RowBatches", "open_file", "open_query"]

_BATCH_ROWS, _LEAST_ROWS = 50_000, 1_000
_BATCH_CELLS = 2_000_000
_BUFFER_BYTES: Final = 65_536
_TEXT_ENDINGS: Final = (".csv", ".tsv", ".txt", ".asc")


@dataclass(frozen=True)
class RowBatches:
    """An opened table.

    Parameters
    ----------
    label : str
        How it is named in errors.
    columns : tuple of str
        Names of all its columns.
    n_rows : int or None
        How many rows will come, where that is known.
    batches : iterator of RawTable
        Runs of rows with the columns that were asked for; the numbers of their rows count on.
    """

    label: str
    columns: tuple[str, ...]
    n_rows: int | None
    batches: Iterator[RawTable]


@contextmanager
def open_file(
    path: Path, name: str, wanted: Sequence[str] | None = None, progress: Progress | None = None
) -> Iterator[RowBatches]:
    """Open a Parquet file, or a CSV or kin, plain or ``.gz``.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the table.
    wanted : sequence of str, optional
        Columns to read, of those that there are; all by default.
    progress : Progress, optional
        Told while a text is checked.

    Raises
    ------
    NotFoundError
        There is no such file.
    InputError
        The file is damaged or of another kind; see `warehouse.text_files.read_text`.
    """
    if not path.is_file():
        raise NotFoundError(msg("there is no such file or folder"), where=str(path))
    if path.suffix.lower() == ".parquet":
        # Without a buffer of its own each column is read whole, however large the row group.
        with _damaged(path), pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            header = check_header(file.schema_arrow.names, path.name)
            chosen = _chosen(header, wanted)
            n_rows = file.metadata.num_rows
            yield RowBatches(path.name, tuple(header), n_rows, _of_parquet(file, path, name, chosen))
        return
    if Path(path.name.removesuffix(".gz")).suffix.lower() not in _TEXT_ENDINGS:
        raise InputError(
            msg("this file cannot be read row by row"),
            where=path.name,
            fix=msg("Give Parquet or CSV (also .gz)."),
            code="unsupported_file",
        )
    source, header, batches = text_batches(path, TableSpec(), progress)
    yield RowBatches(path.name, tuple(header), None, _of_text(source, batches, name, _chosen(header, wanted)))


@contextmanager
def open_query(source: DatabaseSource, query: TableQuery, wanted: Sequence[str] | None = None) -> Iterator[RowBatches]:
    """Open a table of a database, or what a query gives; raises as `warehouse.sql_importing.import_database`."""
    with open_database(source) as reader:
        keys = reader.keys(query)
        n_rows = reader.count(query, keys.left_out)
        with closing(reader.batches(query, keys.left_out)) as batches:
            label = f"{source.label}, {query.name}"
            names, _ = next(batches)
            header = check_header(list(names), label)
            yield RowBatches(label, tuple(header), n_rows, _of_query(batches, query, header, _chosen(header, wanted)))


def _chosen(header: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    return list(header) if wanted is None else [name for name in header if name in set(wanted)]


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            msg("the Parquet file is damaged: {problem}", problem=str(error).splitlines()[0]),
            where=path.name,
            code="damaged",
        ) from error


def _of_parquet(file: pq.ParquetFile, path: Path, name: str, chosen: Sequence[str]) -> Iterator[RawTable]:
    source = SourceFile(path.name, "parquet", path.stat().st_size, "", first_row=1)
    size = max(_LEAST_ROWS, min(_BATCH_ROWS, _BATCH_CELLS // max(len(chosen), 1)))
    with _damaged(path):
        for batch in file.iter_batches(size, columns=list(chosen), use_threads=False):
            columns = raw_columns(pa.Table.from_batches([batch]), path.name)
            yield RawTable(name, columns, batch.num_rows, source)
            source = replace(source, first_row=source.first_row + batch.num_rows)


def _of_text(
    source: SourceFile, batches: Iterator[pa.RecordBatch], name: str, chosen: Sequence[str]
) -> Iterator[RawTable]:
    for batch in batches:
        columns = {column: RawColumn(batch.column(column), is_untyped=True) for column in chosen}
        yield RawTable(name, columns, batch.num_rows, source)
        source = replace(source, first_row=source.first_row + batch.num_rows)


def _of_query(
    batches: Iterator[tuple[Sequence[str], Sequence[Any]]], query: TableQuery, header: list[str], chosen: Sequence[str]
) -> Iterator[RawTable]:
    source = SourceFile(query.name, "database", 0, "", first_row=1)
    for _, arrays in batches:
        if len(arrays) != len(header):
            raise ConfigurationError(msg("the columns changed while they were read"), where=query.name)
        found = dict(zip(header, arrays, strict=True))
        n_rows = len(arrays[0]) if arrays else 0
        columns = {column: RawColumn(found[column]) for column in chosen}
        yield RawTable(query.name, columns, n_rows, source)
        source = replace(source, first_row=source.first_row + n_rows)
