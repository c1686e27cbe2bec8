"""A table that is too large for memory, in Parquet files: what is asked for is loaded then."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.data_model import TableSpec
from warehouse.staging import Staging, disk_errors

__all__ = ["StoredColumns", "StoredTable"]

_ROW_GROUP: Final = 250_000
_TEXT: Final = pd.ArrowDtype(pa.string())


@dataclass(frozen=True)
class StoredTable:
    """A table in a Parquet file; takes the place of a `warehouse.table_set.Table`.

    Parameters
    ----------
    spec : TableSpec
        What its columns mean.
    path : Path
        Parquet file with the types of `warehouse.table_set.to_arrow`.
    staging : Staging, optional
        What the file lives in: it lives as long as this table. None where the file stays.
    """

    spec: TableSpec
    path: Path
    staging: Staging | None = field(default=None, repr=False, compare=False)

    @property
    def n_rows(self) -> int:
        """Number of rows, without loading them."""
        return int(pq.read_metadata(self.path).num_rows)

    @property
    def frame(self) -> pd.DataFrame:
        """All rows, loaded now and not kept: a table of `n_rows` times its columns must fit in memory."""
        return pd.DataFrame({name: self.column(name) for name in self.spec.columns})

    def column(self, name: str) -> "pd.Series[Any]":
        """Return one column, loaded now, of the type that it has in `frame`."""
        values: pd.Series[Any] = self.arrow_column(name).to_pandas().rename(name)
        return values

    def arrow_column(self, name: str) -> pa.ChunkedArray:
        """Return one column as Arrow holds it."""
        return pq.read_table(self.path, columns=[name], memory_map=True)[name]

    def rows(self, names: Sequence[str], positions: np.ndarray) -> pd.DataFrame:
        """Return some columns of the rows at `positions`, one column loaded after the other."""
        columns = {name: self.arrow_column(name).take(pa.array(positions)).to_pandas() for name in names}
        return pd.DataFrame(columns).set_axis(pd.Index(positions))

    def first_values(self, name: str, n: int) -> "pd.Series[Any]":
        """Return the first `n` values of a column that are not missing, without reading the others."""
        found: list[pa.Array] = []
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=_ROW_GROUP, columns=[name]):
                found.append(batch.column(0).drop_null()[: n - sum(map(len, found))])
                if sum(map(len, found)) >= n:
                    break
        values: pd.Series[Any] = pa.chunked_array(found).to_pandas().rename(name)
        return values

    def n_missing(self, name: str) -> int:
        """Return how many rows have no value in a column."""
        return int(self.arrow_column(name).null_count)

    def first_rows(self, n: int) -> pd.DataFrame:
        """Return the first `n` rows, without reading the others."""
        batch = next(pq.ParquetFile(self.path).iter_batches(batch_size=n, columns=list(self.spec.columns)), None)
        return self.frame if batch is None else batch.to_pandas()


class StoredColumns:
    """Converted columns on their way into a `StoredTable`; reads as a frame does, one column after the other.

    Texts come back as Arrow strings, which take a tenth of the memory of Python's.
    """

    def __init__(self, staging: Staging, n_rows: int) -> None:
        self.staging = staging
        self.n_rows = n_rows
        self._paths: dict[str, Path] = {}

    def __len__(self) -> int:
        return self.n_rows

    def __setitem__(self, name: str, values: np.ndarray | pa.Array) -> None:
        array = values if not isinstance(values, np.ndarray) else pa.array(values, from_pandas=True)
        old = self._paths.get(name)
        path = self.staging.new_path(".parquet")
        with disk_errors(str(path.parent)):
            rows = pa.table({"values": array})
            with pq.ParquetWriter(path, rows.schema, compression="lz4", store_schema=False) as writer:
                writer.write_table(rows, row_group_size=_ROW_GROUP)
        self._paths[name] = path
        if old is not None:
            old.unlink()

    def __getitem__(self, names: Any) -> Any:
        if isinstance(names, list):
            return pd.DataFrame({name: self[name] for name in names})
        array = pq.read_table(self._paths[names])["values"]
        if _is_text(array.type):
            return pd.Series(pd.arrays.ArrowExtensionArray(array.cast(pa.string())), dtype=_TEXT, name=names)
        return array.to_pandas().rename(names)

    def path(self, name: str) -> Path:
        """Return the file of one column, whose only column is named ``values``."""
        return self._paths[name]

    def table(self, spec: TableSpec) -> StoredTable:
        """Put the columns together into one file, block by block."""
        target = self.staging.new_path(".parquet")
        with ExitStack() as stack, disk_errors(str(target.parent)):
            files = [stack.enter_context(pq.ParquetFile(self._paths[name])) for name in spec.columns]
            schema = pa.schema(
                [
                    (name, _stored_type(file.schema_arrow.types[0]))
                    for name, file in zip(spec.columns, files, strict=True)
                ]
            )
            writer = stack.enter_context(pq.ParquetWriter(target, schema, compression="zstd"))
            for batches in zip(*(_batches(file) for file in files), strict=True):
                columns = [batch.column(0).cast(kind) for batch, kind in zip(batches, schema.types, strict=True)]
                writer.write_table(pa.table(columns, schema=schema))
        for path in self._paths.values():
            path.unlink()
        return StoredTable(spec, target, self.staging)


def _batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    return file.iter_batches(batch_size=_ROW_GROUP)  # type: ignore[no-any-return]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _stored_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ns")
    return pa.string() if _is_text(kind) else kind
