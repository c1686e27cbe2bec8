"""Writing the score log to the database: in bulk, each record once, into its month."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.database import Database
from monitoring.score_block import ScoreBlock
from monitoring.score_months import lock_log, make_month, month_of, month_table, months_of
from monitoring.score_record import ScoreRecord, as_plain
from monitoring.tables import score_block, score_record

__all__ = ["block_columns", "key_sum", "write_scores"]

_CHUNK: Final = 1_000
_COLUMNS: Final = tuple(column.name for column in score_record.columns)
_TYPES: Final = {
    "version": "integer",
    "asked_at": "timestamptz",
    "cutoff": "timestamp",
    "probability": "float8",
    "score": "float8",
}
_COUNTED: Final = {"preserve_rowcount": True}  # psycopg forgets it otherwise
_JSON: Final = frozenset({"reasons", "warnings", "features", "snapshots"})


def write_scores(database: Database, records: Iterable[ScoreRecord], blocks: Iterable[ScoreBlock] = ()) -> int:
    """Write records and blocks to the database, leaving those that are there; return how many answers were new.

    What has a caller's request id becomes a row of its own, the first record of an id counting. A block whose ids
    nobody chose stays one, and is there once by its own id.

    Raises
    ------
    UnavailableError
        If the database cannot be reached.
    sqlalchemy.exc.DBAPIError
        If it refuses a value; what was written in chunks before it stays.
    """
    rows = list(records)
    kept = list(blocks)
    n_new = 0
    for start in range(0, max(len(rows), 1), _CHUNK):
        with database.begin() as connection:
            lock_log(connection)
            n_new += _insert_records(connection, rows[start : start + _CHUNK])
            n_new += _insert_blocks(connection, kept if start == 0 else ())
    return n_new


def key_sum(key: str) -> int:
    """Return the checksum by which a block's row is found by its key."""
    return zlib.crc32(key.encode())


def block_columns(block: ScoreBlock) -> dict[str, Any]:
    """Return a block as a row of the table."""
    return {
        "block_id": block.block_id,
        "project": block.project,
        "slot": block.slot,
        "version": block.version,
        "asked_at": block.asked_at,
        "first_cutoff": block.cutoffs.min().astype("datetime64[us]").item(),
        "last_cutoff": block.cutoffs.max().astype("datetime64[us]").item(),
        "n_rows": len(block),
        "key_sums": np.array([key_sum(key) for key in block.case_keys], dtype="<u4").tobytes(),
        "content": block.to_bytes(),
    }


def _insert_records(connection: sa.Connection, records: Sequence[ScoreRecord]) -> int:
    by_month: defaultdict[str, dict[tuple[str, str, str], ScoreRecord]] = defaultdict(dict)
    seen: set[tuple[str, str, str]] = set()
    for record in records:
        name = record.project, record.slot, record.request_id
        if name not in seen:
            seen.add(name)
            by_month[month_of(record.asked_at)][name] = record
    there = months_of(connection)
    n_new = 0
    for month, named in sorted(by_month.items()):
        for other in there:
            if other != month:
                for name in _known(connection, other, named):
                    del named[name]
        if month not in there:
            make_month(connection, month)
            there.append(month)
        n_new += _insert_rows(connection, month_table(score_record, month), list(named.values()))
    return n_new


def _known(connection: sa.Connection, month: str, named: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return which of some records are in a month."""
    table = month_table(score_record, month)
    by_slot: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for project, slot, request_id in named:
        by_slot[project, slot].append(request_id)
    found = []
    for (project, slot), request_ids in by_slot.items():
        query = sa.select(table.c.request_id).where(
            table.c.project == project, table.c.slot == slot, table.c.request_id.in_(request_ids)
        )
        found += [(project, slot, one) for one in connection.execute(query).scalars()]
    return found


def _insert_rows(connection: sa.Connection, table: sa.Table, records: Sequence[ScoreRecord]) -> int:
    if not records:
        return 0
    # Not through SQLAlchemy's types, which cost more than the insert: each column is prepared here.
    columns = [list(map(_prepare(name, connection.dialect.name), records)) for name in _COLUMNS]
    into = f"insert into {table.name} ({', '.join(_COLUMNS)})"
    once = "on conflict (project, slot, request_id) do nothing"
    if connection.dialect.name == "postgresql":
        # One statement for all: an array for each column.
        arrays = ", ".join(f"%({name})s::{_TYPES.get(name, 'text')}[]" for name in _COLUMNS)
        chosen = ", ".join(f"{name}::jsonb" if name in _JSON else name for name in _COLUMNS)
        statement = f"{into} select {chosen} from unnest({arrays}) as given ({', '.join(_COLUMNS)}) {once}"  # noqa: S608
        values: Any = dict(zip(_COLUMNS, columns, strict=True))
    else:
        statement = f"{into} values ({', '.join('?' * len(_COLUMNS))}) {once}"
        values = list(zip(*columns, strict=True))
    return connection.exec_driver_sql(statement, values, execution_options=_COUNTED).rowcount


def _prepare(name: str, dialect: str) -> Callable[[ScoreRecord], Any]:
    """Return what gives the value of a column as the database's driver takes it."""
    if name in _JSON:
        # NaN becomes null.
        return lambda record: orjson.dumps(getattr(record, name), as_plain, orjson.OPT_SERIALIZE_NUMPY).decode()
    if dialect == "sqlite" and name in {"asked_at", "cutoff"}:
        return lambda record: _sqlite_time(getattr(record, name))
    return lambda record: getattr(record, name)


def _sqlite_time(moment: datetime) -> str:
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    return utc.isoformat(sep=" ", timespec="microseconds")


def _insert_blocks(connection: sa.Connection, blocks: Iterable[ScoreBlock]) -> int:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    n_new = 0
    for block in blocks:
        month = month_of(block.asked_at)
        if month not in months_of(connection):
            make_month(connection, month)
        insert = dialect.insert(month_table(score_block, month)).values(block_columns(block))
        insert = insert.on_conflict_do_nothing(index_elements=["block_id"])
        n_new += len(block) * connection.execute(insert, execution_options=_COUNTED).rowcount
    return n_new
