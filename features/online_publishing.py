"""Publishing the online snapshot: rows of the tables, found by their keys, in one file that is swapped in whole."""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from core.errors import InputError
from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.online import SNAPSHOT_FORMAT, snapshot_columns
from features.plan import ColumnKind, FeaturePlan, TableSchema
from features.streaming_source import Source, StoredTables, conform_column, read_chunk

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["publish_snapshot"]

_BATCH_ROWS: Final = 50_000
_NANOSECONDS: Final = 1_000


def publish_snapshot(
    tables: "TableSet | Source",
    path: Path,
    plans: Sequence[FeaturePlan],
    *,
    as_of: np.datetime64 | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the rows that models with `plans` may ask for to the file `path`, whole or not at all.

    A snapshot that is there is replaced in one step; who has it open reads on in the old one.

    Parameters
    ----------
    tables : TableSet, path or mapping of str to path or to list of paths
        The tables, in memory or as Parquet files, which are read a piece at a time.
    path : path
        The snapshot.
    plans : sequence of FeaturePlan
        Of the deployed models; their tables and columns are kept.
    as_of : datetime64, optional
        The moment up to which the data reaches; by default that of the table set.
    progress : Progress, optional
        Told table by table; may cancel.

    Raises
    ------
    InputError
        `as_of` is not known, or a time is finer than a microsecond.
    """
    progress = progress or SilentProgress()
    moment = as_of if as_of is not None else _as_of(tables)
    if moment is None or np.isnat(moment):
        raise InputError(msg("say up to which moment the data of the snapshot reaches"))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns, keys = snapshot_columns(plans)
    schemas = {name: TableSchema(kinds) for name, kinds in columns.items()}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        connection = sqlite3.connect(temporary)
        try:
            _write(connection, tables, schemas, keys, progress)
            about = {
                "format": SNAPSHOT_FORMAT,
                "as_of": str(moment.astype("datetime64[us]")),
                "published_at": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
                "columns": {name: list(kinds) for name, kinds in columns.items()},
                "keys": keys,
            }
            connection.execute("create table about (name text primary key, value text)")
            connection.executemany("insert into about values (?, ?)", [(n, json.dumps(v)) for n, v in about.items()])
            connection.commit()
        finally:
            connection.close()
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _as_of(tables: "TableSet | Source") -> np.datetime64 | None:
    return None if isinstance(tables, Path | str | Mapping) else tables.as_of.to_datetime64()


def _write(
    connection: sqlite3.Connection,
    tables: "TableSet | Source",
    schemas: dict[str, TableSchema],
    keys: dict[str, list[str]],
    progress: Progress,
) -> None:
    connection.execute("pragma journal_mode = off")  # nobody sees the file before it is whole
    connection.execute("pragma synchronous = off")
    for number, (name, schema) in enumerate(schemas.items()):
        progress.report(number / len(schemas), msg("publishing the table {table}", table=name))
        connection.execute(f"create table rows_{number} (id integer primary key, content text)")
        for place, _ in enumerate(keys[name]):
            connection.execute(f"create table looked_up_{place} (value text, id integer)")
        first = 0
        for batch in _batches(tables, name, schema):
            rows = [_json_values(batch.column(column), kind, name, column) for column, kind in schema.columns.items()]
            contents = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in zip(*rows, strict=True)]
            ids = range(first, first + len(contents))
            insert = f"insert into rows_{number} values (?, ?)"  # noqa: S608 - a number
            connection.executemany(insert, zip(ids, contents, strict=True))
            for place, column in enumerate(keys[name]):
                values = zip(rows[list(schema.columns).index(column)], ids, strict=True)
                connection.executemany(
                    f"insert into looked_up_{place} values (?, ?)",  # noqa: S608 - a number
                    (pair for pair in values if pair[0] is not None),
                )
            first += len(contents)
        _index(connection, number, len(keys[name]))
    progress.report(1.0, msg("the snapshot is written"))


def _index(connection: sqlite3.Connection, number: int, n_keys: int) -> None:
    """Turn what was looked up into tables ordered by key."""
    for place in range(n_keys):
        name = f"key_{number}_{place}"
        connection.execute(f"create table {name} (value text, id integer, primary key (value, id)) without rowid")
        connection.execute(
            f"insert into {name} select value, id from looked_up_{place} order by value, id"  # noqa: S608 - a number
        )
        connection.execute(f"drop table looked_up_{place}")


def _batches(tables: "TableSet | Source", name: str, schema: TableSchema) -> Iterator[Any]:
    columns = list(schema.columns)
    if not isinstance(tables, Path | str | Mapping):
        from warehouse.table_set import to_arrow

        rows = to_arrow(tables.tables[name]).select(columns)
        for begin in range(0, rows.num_rows, _BATCH_ROWS):
            some = rows.slice(begin, _BATCH_ROWS)
            yield pa.table(
                {n: conform_column(some.column(n), kind, f"{name}, column {n}") for n, kind in schema.columns.items()}
            )
        return
    stored = StoredTables.open(tables, [name])
    for chunk in stored.chunks(name, _BATCH_ROWS):
        yield from read_chunk(chunk, schema, columns, _BATCH_ROWS)


def _json_values(column: Any, kind: ColumnKind, table: str, name: str) -> list[Any]:
    if kind == "number":
        return [None if value != value else value for value in column.to_pylist()]
    if kind != "time":
        values: list[Any] = column.to_pylist()
        return values
    stamps: np.ndarray = column.to_numpy().astype("datetime64[ns]")
    real = stamps[~np.isnat(stamps)].view(np.int64)
    if (real % _NANOSECONDS).any():
        raise InputError(msg("times finer than a microsecond cannot be published"), where=f"{table}, column {name}")
    texts = np.datetime_as_string(stamps, unit=_unit(real)).tolist()
    return [None if text == "NaT" else text for text in texts]


def _unit(stamps: np.ndarray) -> Literal["D", "s", "us"]:
    """Return the coarsest unit that loses nothing."""
    if not (stamps % 86_400_000_000_000).any():
        return "D"
    return "us" if (stamps % 1_000_000_000).any() else "s"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
