"""Tables stored as Parquet files, read in runs of rows with the types that a plan gives their columns."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import ConfigurationError, InputError, IntegrityError, NotFoundError
from core.fingerprints import fingerprint_file
from core.i18n import msg
from features.plan import ColumnKind, TableSchema

__all__ = ["Chunk", "Source", "StoredTables", "conform_column", "read_chunk"]

Source = Path | str | Mapping[str, Path | Sequence[Path]]
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class Chunk:
    """A run of row groups of one file; `number` counts the runs of a table in the order of its rows."""

    table: str
    number: int
    file: Path
    row_groups: tuple[int, ...]


@dataclass(frozen=True)
class StoredTables:
    """The Parquet files of each table, in the order of its rows."""

    files: Mapping[str, tuple[Path, ...]]

    @classmethod
    def open(cls, source: Source, tables: Iterable[str]) -> "StoredTables":
        """Find the files of `tables`.

        Parameters
        ----------
        source : path or mapping of str to path or to list of paths
            The folder of a saved table set, whose bytes are verified; or for each table a Parquet file, a folder of
            them or a list of them.
        tables : iterable of str
            The tables wanted.

        Raises
        ------
        NotFoundError
            A table has no file.
        IntegrityError
            A file of a saved table set is not the one that was saved.
        """
        if isinstance(source, Mapping):
            return cls({name: _files(name, source.get(name)) for name in tables})
        folder = Path(source)
        files = {name: _files(name, folder / f"{name}.parquet") for name in tables}
        if (folder / _MANIFEST).is_file():
            _verify(folder, [file.name for found in files.values() for file in found])
        return cls(files)

    def resolved(self) -> "StoredTables":
        """Return the same files by their absolute paths, good for other processes."""
        return StoredTables({name: tuple(path.resolve() for path in files) for name, files in self.files.items()})

    def n_rows(self, table: str) -> int:
        """Return the number of rows of `table`."""
        return sum(pq.read_metadata(file).num_rows for file in self.files[table])

    def chunks(self, table: str, max_rows: int) -> list[Chunk]:
        """Cut `table` into runs of row groups with at most `max_rows` rows, but one row group at least."""
        runs: list[Chunk] = []
        for file in self.files[table]:
            metadata = pq.read_metadata(file)
            groups: list[int] = []
            n_rows = 0
            for group in range(metadata.num_row_groups):
                size = metadata.row_group(group).num_rows
                if groups and n_rows + size > max_rows:
                    runs.append(Chunk(table, len(runs), file, tuple(groups)))
                    groups, n_rows = [], 0
                groups.append(group)
                n_rows += size
            if groups:
                runs.append(Chunk(table, len(runs), file, tuple(groups)))
        return runs


def read_chunk(chunk: Chunk, schema: TableSchema, columns: Sequence[str], batch_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of `chunk`, at most `batch_rows` at a time, with the types of `conform_column`.

    Raises
    ------
    ConfigurationError
        A column is missing.
    InputError
        A column's values are not of its kind.
    """
    file = pq.ParquetFile(chunk.file)
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise ConfigurationError(
            msg("the plan needs the columns {columns}, which the table does not have", columns=", ".join(missing)),
            where=chunk.table,
        )
    groups = list(chunk.row_groups)
    for batch in file.iter_batches(batch_rows, row_groups=groups, columns=list(columns), use_threads=False):
        yield pa.table(
            {
                name: conform_column(batch.column(name), schema.columns[name], f"{chunk.table}, column {name}")
                for name in columns
            }
        )


def conform_column(values: Any, kind: ColumnKind, where: str) -> Any:
    """Return an Arrow array as float64, as timestamp[ns], or as text, as the kind of its column asks.

    Raises
    ------
    InputError
        The values cannot be read as that kind without loss.
    """
    try:
        if kind == "number":
            return _numbers(values)
        return _times(values) if kind == "time" else _texts(values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        expected = {"number": msg("numbers"), "time": msg("local dates or times from 1678 to 2261")}.get(
            kind, msg("texts")
        )
        raise InputError(
            msg("expected {expected}, got a column of type {type}", expected=expected, type=str(values.type)),
            where=where,
        ) from error


def _numbers(values: Any) -> Any:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if not (_is_numeric(values.type) or pa.types.is_null(values.type)):
        raise pa.ArrowInvalid("not a number")
    return values.cast(pa.float64(), safe=False)


def _times(values: Any) -> Any:
    if pa.types.is_null(values.type) or pa.types.is_date(values.type):
        return values.cast(pa.timestamp("ns"))
    if not pa.types.is_timestamp(values.type) or values.type.tz is not None:
        raise pa.ArrowInvalid("not a local time")
    return values.cast(pa.timestamp("ns"))


def _texts(values: Any) -> Any:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_floating(values.type):  # whole numbers with nulls among them: 17.0 is the key "17"
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values).cast(pa.int64())
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if not (is_text or pa.types.is_integer(values.type) or pa.types.is_null(values.type)):
        raise pa.ArrowInvalid("not a text")
    return values.cast(pa.string())


def _is_numeric(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _files(table: str, place: Path | Sequence[Path] | None) -> tuple[Path, ...]:
    if place is None:
        found: list[Path] = []
    elif isinstance(place, Path | str):
        path = Path(place)
        found = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    else:
        found = [Path(path) for path in place]
    if not found or not all(path.is_file() for path in found):
        raise NotFoundError(msg("there is no Parquet file of the table {table}", table=table))
    return tuple(found)


def _verify(folder: Path, names: list[str]) -> None:
    expected = json.loads((folder / _MANIFEST).read_bytes())["files"]
    for name in names:
        if expected.get(name) != fingerprint_file(folder / name):
            raise IntegrityError(msg("the bytes of the file are not the ones that were saved"), where=name)
