"""Publishing the online snapshot: rows of the tables, found by their keys, written whole and swapped in at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from core.errors import InputError
from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.online import SnapshotAbout, SnapshotPlace, SnapshotWriter, snapshot_columns
from features.plan import ColumnKind, FeaturePlan, TableSchema
from features.streaming_source import Source, StoredTables, conform_column, read_chunk

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["publish_snapshot", "publish_tables"]

_BATCH_ROWS: Final = 50_000
_NANOSECONDS: Final = 1_000


def publish_snapshot(
    tables: "TableSet | Source",
    place: SnapshotPlace,
    plans: Sequence[FeaturePlan],
    *,
    as_of: np.datetime64 | None = None,
    data_fingerprint: str = "",
    progress: Progress | None = None,
) -> SnapshotAbout:
    """Write the rows that models with `plans` may ask for to `place`, whole or not at all.

    A snapshot that is there is replaced in one step; who has it open reads on in the old one.

    Parameters
    ----------
    tables : TableSet, path or mapping of str to path or to list of paths
        The tables, in memory or as Parquet files, which are read a piece at a time.
    place : SnapshotPlace
        Where to.
    plans : sequence of FeaturePlan
        Of the deployed models; their tables and columns are kept.
    as_of : datetime64, optional
        The moment up to which the data reaches; by default that of the table set.
    data_fingerprint : str, default=""
        Of the tables, to be said by the snapshot.
    progress : Progress, optional
        Told table by table; may cancel.

    Raises
    ------
    InputError
        `as_of` is not known, a time is finer than a microsecond, or a key holds a character of code 0.
    UnavailableError
        The place cannot be written to.
    """
    moment = as_of if as_of is not None else _as_of(tables)
    columns, keys = snapshot_columns(plans)
    return publish_tables(
        tables, place, columns, keys, as_of=moment, data_fingerprint=data_fingerprint, progress=progress
    )


def publish_tables(
    tables: "TableSet | Source",
    place: SnapshotPlace,
    columns: Mapping[str, Mapping[str, ColumnKind]],
    keys: Mapping[str, Sequence[str]],
    *,
    as_of: np.datetime64 | None,
    data_fingerprint: str = "",
    view: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> SnapshotAbout:
    """Write the given columns of tables to `place`, whole or not at all.

    Parameters
    ----------
    tables, place, data_fingerprint, progress
        See `publish_snapshot`.
    columns : mapping of str to mapping of str to ColumnKind
        Columns to keep of each table.
    keys : mapping of str to list of str
        Of each table, the columns that its rows are found by.
    as_of : datetime64 or None
        The moment up to which the data reaches.
    view : mapping, optional
        What the snapshot says of itself beside.

    Raises
    ------
    InputError, UnavailableError
        As `publish_snapshot`.
    """
    progress = progress or SilentProgress()
    if as_of is None or np.isnat(as_of):
        raise InputError(msg("say up to which moment the data of the snapshot reaches"))
    source = StoredTables.open(tables, columns) if isinstance(tables, Path | str | Mapping) else tables
    n_rows: dict[str, int] = {}
    with place.writing() as writer:
        for number, (name, kinds) in enumerate(columns.items()):
            progress.report(number / len(columns), msg("publishing the table {table}", table=name))
            part = progress.part(number / len(columns), (number + 1) / len(columns))
            writer.begin_table(number, len(keys[name]))
            n_rows[name] = _write_table(writer, source, name, TableSchema(kinds), keys[name], part)
            writer.end_table()
        about = SnapshotAbout(
            as_of=as_of,
            published_at=np.datetime64(datetime.now(UTC).replace(tzinfo=None), "s"),
            columns={name: list(kinds) for name, kinds in columns.items()},
            keys={name: list(found) for name, found in keys.items()},
            n_rows=n_rows,
            data_fingerprint=data_fingerprint,
            view=view or {},
        )
        progress.report(1.0, msg("putting the snapshot in place"))
        writer.publish(about)
    return about


def _as_of(tables: "TableSet | Source") -> np.datetime64 | None:
    return None if isinstance(tables, Path | str | Mapping) else tables.as_of.to_datetime64()


def _write_table(
    writer: SnapshotWriter,
    source: "TableSet | StoredTables",
    name: str,
    schema: TableSchema,
    keys: Sequence[str],
    progress: Progress,
) -> int:
    """Write the rows of one table; return how many."""
    columns = list(schema.columns)
    n_all = source.n_rows(name) if isinstance(source, StoredTables) else len(source.frame(name))
    first = 0
    for batch in _batches(source, name, schema):
        rows = [_json_values(batch.column(column), kind, name, column) for column, kind in schema.columns.items()]
        contents = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in zip(*rows, strict=True)]
        writer.add(first, contents, [_keys(rows[columns.index(column)], name, column) for column in keys])
        first += len(contents)
        progress.report(first / max(n_all, 1), msg("publishing the table {table}", table=name))
    return first


def _keys(values: list[Any], table: str, column: str) -> list[str | None]:
    if any("\x00" in value for value in values if value is not None):
        raise InputError(msg("a key with a character of code 0 cannot be published"), where=f"{table}, column {column}")
    return values


def _batches(source: "TableSet | StoredTables", name: str, schema: TableSchema) -> Iterator[Any]:
    columns = list(schema.columns)
    if not isinstance(source, StoredTables):
        from warehouse.table_set import to_arrow

        rows = to_arrow(source.tables[name]).select(columns)
        for begin in range(0, rows.num_rows, _BATCH_ROWS):
            some = rows.slice(begin, _BATCH_ROWS)
            yield pa.table(
                {n: conform_column(some.column(n), kind, f"{name}, column {n}") for n, kind in schema.columns.items()}
            )
        return
    for chunk in source.chunks(name, _BATCH_ROWS):
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
