"""Blocks of entities: rows of a table written out block by block, and read back as arrays for the engine."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import InputError
from core.i18n import msg
from features.engine_data import EngineData, TableArrays, convert_units, find_nulls, unique_index
from features.histories import NO_TIME
from features.plan import FeaturePlan, Link, TableSchema

__all__ = ["arrow_engine_data", "empty_table", "read_block", "write_arrow", "write_parquet"]

_EMPTY_TYPES: Final = {"number": pa.float64(), "time": pa.timestamp("ns")}


def write_arrow(folder: Path, table: str, number: int, parts: Iterable[tuple[Any, np.ndarray]]) -> None:
    """Write rows, each part with where its blocks end, as one Arrow file with one record batch per part and block."""
    writer = None
    for rows, ends in parts:
        if writer is None:
            writer = pa.ipc.new_file(folder / f"{table}-{number:06d}.arrow", rows.schema)
        begin = 0
        for end in ends.tolist():
            batch = rows.slice(begin, end - begin).combine_chunks().to_batches()
            writer.write_batch(batch[0] if batch else pa.RecordBatch.from_pylist([], schema=rows.schema))
            begin = end
    if writer is not None:
        writer.close()


def write_parquet(folder: Path, table: str, number: int, parts: Iterable[tuple[Any, np.ndarray]]) -> None:
    """Write rows as one Parquet file per part and block: ``table=NAME/block=0007/000001-00.parquet``."""
    for part, (rows, ends) in enumerate(parts):
        begin = 0
        for block, end in enumerate(ends.tolist()):
            if end > begin:
                place = folder / f"table={table}" / f"block={block:05d}"
                place.mkdir(parents=True, exist_ok=True)
                pq.write_table(
                    rows.slice(begin, end - begin), place / f"{number:06d}-{part:06d}.parquet",
                    compression="zstd", use_dictionary=False,
                )  # fmt: skip
            begin = end


def read_block(folder: Path, table: str, schema: TableSchema, block: int, n_blocks: int) -> Any:
    """Return the rows of `block` of `table`, in their first order, from either kind of file."""
    pieces = []
    for path in sorted(folder.glob(f"{table}-[0-9]*.arrow")):
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            pieces += [
                pa.Table.from_batches([reader.get_batch(number)])
                for number in range(block, reader.num_record_batches, n_blocks)
            ]
    for path in sorted((folder / f"table={table}" / f"block={block:05d}").glob("*.parquet")):
        pieces.append(pq.ParquetFile(path).read())
    return pa.concat_tables(pieces) if pieces else empty_table(schema)


def empty_table(schema: TableSchema) -> Any:
    """Return a table of `schema` without rows."""
    return pa.table({n: pa.array([], _EMPTY_TYPES.get(kind, pa.string())) for n, kind in schema.columns.items()})


def arrow_engine_data(plan: FeaturePlan, tables: Mapping[str, Any]) -> EngineData:
    """Turn Arrow tables with the types of `conform_column` into engine data, the same as from a table set."""
    arrays = {name: _table(name, schema, tables[name]) for name, schema in plan.tables.items()}
    links = {link: _link(link, tables) for link in plan.links}
    keys = tables[plan.root_table].column(plan.key_column).to_pylist()
    return EngineData(arrays, links, unique_index(keys, plan.root_table), plan.root_table)


def _table(table: str, schema: TableSchema, rows: Any) -> TableArrays:
    number_names = [name for name, kind in schema.columns.items() if kind == "number"]
    numbers = np.empty((len(number_names), rows.num_rows))
    for index, name in enumerate(number_names):
        _fill_numbers(numbers[index], rows.column(name))
    convert_units(schema, number_names, numbers)
    encoded = {name: _encode(rows.column(name)) for name, kind in schema.columns.items() if kind == "category"}
    times = {name: _stamps(rows.column(name)) for name, kind in schema.columns.items() if kind == "time"}
    return TableArrays(
        n_rows=rows.num_rows,
        numbers=numbers,
        number_rows={name: index for index, name in enumerate(number_names)},
        codes={name: codes for name, (codes, _) in encoded.items()},
        levels={name: levels for name, (_, levels) in encoded.items()},
        times=times,
        order_keys=tuple(
            times[name] if name in times else encoded[name][0] if name in encoded else _order_key(rows, schema, name)
            for name in schema.primary_key
        ),
        schema=schema,
        has_nulls=find_nulls(table, number_names, numbers),
    )


class _Texts:
    """A text column that becomes Python texts only for the rows asked for."""

    def __init__(self, column: Any) -> None:
        self.column = column

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        texts: np.ndarray = self.column.take(pa.array(rows)).to_numpy(zero_copy_only=False).astype(object)
        return texts


def _order_key(rows: Any, schema: TableSchema, name: str) -> Any:
    if schema.columns[name] == "number":
        values = np.empty(rows.num_rows)
        _fill_numbers(values, rows.column(name))
        return values
    return _Texts(rows.column(name))


def _fill_numbers(target: np.ndarray, column: Any) -> None:
    begin = 0
    for chunk in column.chunks:
        end = begin + len(chunk)
        target[begin:end] = chunk.to_numpy(zero_copy_only=False)
        begin = end


def _stamps(column: Any) -> np.ndarray:
    stamps = [pc.fill_null(chunk.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(stamps) if stamps else np.empty(0, dtype=np.int64)


def _encode(column: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the codes (-1 for null) of a category column and its sorted levels."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = encoded.dictionary.to_pylist()
    levels = sorted(names)
    places = {level: code for code, level in enumerate(levels)}
    translation = np.array([*(places[name] for name in names), -1], dtype=np.int32)
    codes = pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)
    return translation[codes], tuple(levels)


def _link(link: Link, tables: Mapping[str, Any]) -> np.ndarray:
    if link.is_keyless:
        return np.zeros(tables[link.child].num_rows, dtype=np.int64)
    parents = tables[link.parent].column(link.parent_column)
    known = parents.drop_null()
    if pc.count_distinct(known).as_py() < len(known):
        counts = known.value_counts()
        twice = next(pair["values"].as_py() for pair in counts if pair["counts"].as_py() > 1)
        raise InputError(
            msg("the key {key} comes more than once", key=repr(twice)),
            where=f"{link.parent}, column {link.parent_column}",
        )
    children = tables[link.child].column(link.child_column)
    rows = pc.index_in(children, value_set=parents.combine_chunks(), skip_nulls=True)
    return _joined([pc.fill_null(chunk, -1).to_numpy(zero_copy_only=False) for chunk in rows.chunks])


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.int64) if parts else np.empty(0, dtype=np.int64)
