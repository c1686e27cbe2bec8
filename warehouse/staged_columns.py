"""The columns of a table that is too large for memory, as read: kept in a Parquet file, one at a time in memory."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.raw_table import RawColumn

__all__ = ["StagedColumns"]

_MAX_STRING_BYTES: Final = 1 << 30


class StagedColumns(Mapping[str, RawColumn]):
    """Columns by name; the one that was asked for last is kept.

    Parameters
    ----------
    path : Path
        Parquet file.
    is_untyped : bool
        Whether its strings may stand for numbers, dates or null.
    """

    def __init__(self, path: Path, *, is_untyped: bool) -> None:
        self.path = path
        self.is_untyped = is_untyped
        self._names = list(pq.read_schema(path).names)
        self._last: tuple[str, RawColumn] | None = None

    def __getitem__(self, name: str) -> RawColumn:
        if self._last is None or self._last[0] != name:
            if name not in self._names:
                raise KeyError(name)
            self.release()
            self._last = (name, self._read(name))
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def release(self) -> None:
        """Let go of the column that was asked for last."""
        self._last = None
        pa.default_memory_pool().release_unused()

    def _read(self, name: str) -> RawColumn:
        from warehouse.parquet_files import damaged_parquet, raw_columns

        with damaged_parquet(self.path.name):
            with pq.ParquetFile(self.path) as file:
                chunks = file.read(columns=[name], use_threads=False).column(name)
            if pa.types.is_string(chunks.type) and chunks.nbytes > _MAX_STRING_BYTES:
                chunks = pc.cast(chunks, pa.large_string())
            if self.is_untyped:  # ours, from a text that was checked
                return RawColumn(chunks.combine_chunks(), is_untyped=True)
            chunks.validate(full=True)
            return raw_columns(pa.table({name: chunks}), self.path.name)[name]
