"""Rows of PostgreSQL by its own ``COPY``: CSV that Arrow reads with the types that the server names.

A cursor makes a Python object of every value; here only the rows pass through Python, whole.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from psycopg import Error as PsycopgError
from psycopg.pq import Format
from sqlalchemy.exc import DBAPIError

from core.errors import InputError
from core.i18n import msg

if TYPE_CHECKING:
    import psycopg

__all__ = ["copied_batches", "copy_types"]

_BLOCK_BYTES: Final = 16 << 20
_TEXT: Final = pa.string()
_ZONED: Final = pa.timestamp("us", "UTC")
_NUMERIC: Final = 1700
_TYPES: Final[Mapping[int, pa.DataType]] = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    26: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    18: _TEXT,
    19: _TEXT,
    25: _TEXT,
    1042: _TEXT,
    1043: _TEXT,
    2950: _TEXT,
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: _ZONED,
    _NUMERIC: _TEXT,
}
"""What the server's kinds of values (``oid`` of ``pg_type``) are read as; numerics are looked at block by block."""

_NEVER: Final = datetime(9999, 12, 31)  # noqa: DTZ001 - as `warehouse.postgresql_times` has it
_WHOLE: Final = r"^-?\d+$"


def copy_types(cursor: "psycopg.Cursor[Any]") -> list[pa.DataType] | None:
    """Return the Arrow type of each column that `cursor` describes; numerics are texts at first.

    None where a column is of a kind that the driver makes something of its own of (times of day, JSON, lists): its
    text would not be what the rows of a cursor give.
    """
    known = cursor.adapters
    kinds = [column.type_code for column in cursor.description or ()]
    if any(kind not in _TYPES and known.get_loader(kind, Format.TEXT) is not None for kind in kinds):
        return None
    return [_TYPES.get(kind, _TEXT) for kind in kinds]


def copied_batches(
    connection: "psycopg.Connection[Any]", sql: str, values: Mapping[str, Any], where: str
) -> Generator[tuple[list[str], list[pa.Array]], None, None] | None:
    """Yield column names and arrays of a statement, block by block, the first one empty; to be closed.

    Parameters
    ----------
    connection : psycopg.Connection
        Open, in its transaction.
    sql : str
        One SELECT with psycopg's marks for `values`.
    where : str
        How the table is named in errors.

    Returns
    -------
    generator or None
        None where a column can only be read by a cursor; see `copy_types`.

    Raises
    ------
    InputError
        A text is not UTF-8.
    """
    with connection.cursor() as cursor, _as_database_error():
        cursor.execute(f"select * from ({sql}) as described limit 0", values)  # noqa: S608
        types = copy_types(cursor)
        columns = cursor.description or ()
        names = [column.name for column in columns]
        if types is None or not names or len(set(names)) < len(names):
            return None
        is_numeric = [column.type_code == _NUMERIC for column in columns]
    return _copied(connection, sql, values, _Parser(names, types, is_numeric, where))


def _copied(
    connection: "psycopg.Connection[Any]", sql: str, values: Mapping[str, Any], parser: "_Parser"
) -> Generator[tuple[list[str], list[pa.Array]], None, None]:
    yield parser.names, parser.arrays(b"")
    # The driver puts values into a COPY itself; where there are none, it takes every sign as it stands.
    statement = f"copy ({sql if values else sql.replace('%%', '%')}) to stdout (format csv, encoding 'UTF8')"
    with connection.cursor() as cursor:
        with _as_database_error():
            opened = cursor.copy(statement, values)
            copy = opened.__enter__()
        # Left open on an error: closing it would read all rows that are still to come. The connection is closed then.
        for block in _blocks(copy):
            yield parser.names, parser.arrays(block)
        with _as_database_error():
            opened.__exit__(None, None, None)


class _as_database_error:  # noqa: N801 - used as a statement
    """Give the driver's errors the form that SQLAlchemy gives them, so that they are told in our words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PsycopgError):
            raise DBAPIError("copy", None, error) from error


def _blocks(copy: "psycopg.Copy") -> Iterator[bytes]:
    """Yield whole rows: what the server sends ends with a line, and not within quotes."""
    parts: list[Any] = []
    size = 0
    while True:
        with _as_database_error():
            part = copy.read()
        if part:
            parts.append(part)
            size += len(part)
        if parts and (size >= _BLOCK_BYTES or not part):
            block = b"".join(parts)
            is_whole = block.endswith(b"\n") and block.count(b'"') % 2 == 0
            if is_whole or not part:
                yield block
                parts, size = [], 0
            else:
                parts = [block]
        if not part:
            return


class _Parser:
    """CSV as PostgreSQL writes it, with the types that were asked for."""

    def __init__(
        self, names: Sequence[str], types: Sequence[pa.DataType], is_numeric: Sequence[bool], where: str
    ) -> None:
        self.names = list(names)
        self.types = list(types)
        self.is_numeric = list(is_numeric)
        self.where = where

    def arrays(self, block: bytes) -> list[pa.Array]:
        """Return the columns of the rows in `block`."""
        if not block:
            return [pa.nulls(0) for _ in self.names]
        try:
            found = self._read(block, self.types)
        except pa.ArrowInvalid:  # a time that only PostgreSQL has, such as infinity: looked at one by one
            found = self._read(block, [_TEXT if _is_time(kind) else kind for kind in self.types])
        arrays = []
        for position, (kind, numeric) in enumerate(self._columns()):
            array = found.column(position).combine_chunks()
            if array.null_count == len(array):  # says nothing of a type, as with every other database
                arrays.append(pa.nulls(len(array)))
            else:
                arrays.append(_numbers(array) if numeric else _times(array, kind))
        return arrays

    def _columns(self) -> Iterator[tuple[pa.DataType, bool]]:
        return zip(self.types, self.is_numeric, strict=True)

    def _read(self, block: bytes, types: Sequence[pa.DataType]) -> pa.Table:
        kinds = [_TEXT if kind == _ZONED else kind for kind in types]
        columns = [str(position) for position in range(len(kinds))]
        try:
            return pa_csv.read_csv(
                pa.BufferReader(block),
                pa_csv.ReadOptions(column_names=columns, use_threads=False, block_size=len(block) + 1),
                pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
                pa_csv.ConvertOptions(
                    column_types=dict(zip(columns, kinds, strict=True)),
                    true_values=["t"],
                    false_values=["f"],
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
            raise InputError(
                msg("the database holds bytes that are not UTF-8"), where=self.where, code="undecodable"
            ) from error


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _numbers(texts: pa.Array) -> pa.Array:
    """Return numerics as whole numbers, as numbers where one has a fraction, as texts where 64 bits are too few."""
    if not pc.all(pc.match_substring_regex(texts, _WHOLE)).as_py():
        return pc.cast(texts, pa.float64())
    try:
        return pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return texts


def _times(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return times that came as texts as times; what Python has no date for is 9999-12-31."""
    if array.type == kind or not _is_time(kind):
        return array
    try:
        return pc.cast(array, kind)
    except pa.ArrowInvalid:
        read = _date if pa.types.is_date(kind) else _zoned if kind == _ZONED else _moment
        return pa.array([None if text is None else _or_never(read, text) for text in array.to_pylist()], kind)


def _or_never(read: Callable[[str], date], text: str) -> date:
    try:
        return read(text)
    except ValueError:
        return read(str(_NEVER.date())) if read is not _zoned else _NEVER.replace(tzinfo=UTC)


def _date(text: str) -> date:
    return date.fromisoformat(text)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _zoned(text: str) -> datetime:
    """Return a moment; PostgreSQL writes offsets of whole hours as ``+08``, and old ones with seconds."""
    given = datetime.fromisoformat(re.sub(r"([+-]\d\d)$", r"\1:00", text))
    if given.tzinfo is None:
        raise ValueError(text)
    return given
