"""Rows of a live request as arrays: the same as from a table set, without pandas."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np

from core.errors import InputError
from core.i18n import Message, msg
from features.column_rows import ColumnRows, as_columns, column_of
from features.engine_data import EngineData, TableArrays, convert_units, unique_index
from features.plan import ColumnKind, FeaturePlan, Link, TableSchema

__all__ = ["read_rows"]

Rows = Sequence[Mapping[str, Any]]
_EARLIEST: Final = np.datetime64("1678-01-01", "us")
_LATEST: Final = np.datetime64("2261-12-31", "us")
_NUMBER_TYPES: Final = frozenset({float, int, bool, type(None)})
_PLAIN_LENGTHS: Final = frozenset({10, 19})
_ZONE: Final = ("Z", "z", "+")


def read_rows(plan: FeaturePlan, tables: Mapping[str, Rows]) -> EngineData:
    """Turn the rows of a request into engine data; see `EngineData.from_rows`."""
    missing = [name for name in plan.tables if name not in tables]
    if missing:
        raise InputError(
            msg("the request lacks the tables {tables}", tables=", ".join(missing)),
            fix=msg("Give an empty list for a table without rows."),
        )
    warnings: list[Message] = []
    columns = {name: _columns(name, schema, tables[name], warnings) for name, schema in plan.tables.items()}
    arrays = {name: _table(name, schema, columns[name], len(tables[name])) for name, schema in plan.tables.items()}
    links = {}
    for link in plan.links:
        if link.is_keyless:
            links[link] = np.zeros(len(tables[link.child]), dtype=np.int64)
            continue
        parents = unique_index(columns[link.parent][link.parent_column], link.parent)
        values = columns[link.child][link.child_column]
        links[link] = np.array([parents.get(value, -1) for value in values], dtype=np.int64)
        if link in plan.crossed_links:
            _note_unknown(link, sum(parent < 0 and value is not None for parent, value in
                                    zip(links[link].tolist(), values, strict=True)), warnings)  # fmt: skip
    roots = unique_index(columns[plan.root_table][plan.key_column], plan.root_table)
    return EngineData(arrays, links, roots, plan.root_table, tuple(warnings))


def _columns(table: str, schema: TableSchema, rows: Rows, warnings: list[Message]) -> dict[str, list[Any]]:
    """Return the values per column; keys and categories as text."""
    rows = as_columns(rows)
    columns = {name: column_of(rows, name) for name in schema.columns}
    for name, values in columns.items():
        if rows and values.count(None) == len(values) and not _has(rows, name):
            _note_missing(table, schema, name, warnings)
        if schema.columns[name] in ("key", "category") and set(map(type, values)) != {str}:
            columns[name] = [value if type(value) is str else _text(value, table, name) for value in values]
    return columns


def _has(rows: Rows, name: str) -> bool:
    return name in rows.columns if isinstance(rows, ColumnRows) else any(name in row for row in rows)


def _note_unknown(link: Link, n_rows: int, warnings: list[Message]) -> None:
    """Say where rows lead to others that the request does not bring: sums over them would look like nothing."""
    if n_rows:
        warnings.append(
            msg("{n} rows of {table} name by {column} a row of {parent} that is not there: taken as not known",
                n=n_rows, table=link.child, column=link.child_column, parent=link.parent)
        )  # fmt: skip


def _note_missing(table: str, schema: TableSchema, column: str, warnings: list[Message]) -> None:
    if schema.columns[column] == "key" or column in (schema.event_time, schema.known_at):
        raise InputError(msg("every row must have the column {column}", column=column), where=table)
    warnings.append(msg("{table} has no column {column}: taken as null", table=table, column=column))


def _table(table: str, schema: TableSchema, columns: Mapping[str, list[Any]], n_rows: int) -> TableArrays:
    def of(kind: ColumnKind) -> list[str]:
        return [name for name, its_kind in schema.columns.items() if its_kind == kind]

    number_names = of("number")
    numbers = _number_matrix(table, schema, {name: columns[name] for name in number_names}, n_rows)
    encoded = {name: _encode(columns[name]) for name in of("category")}
    order_keys = tuple(_order_key(columns[name], schema.columns[name], table, name) for name in schema.primary_key)
    return TableArrays(
        n_rows=n_rows,
        numbers=numbers,
        number_rows={name: index for index, name in enumerate(number_names)},
        codes={name: codes for name, (codes, _) in encoded.items()},
        levels={name: levels for name, (_, levels) in encoded.items()},
        times={name: _times(columns[name], table, name) for name in of("time")},
        order_keys=order_keys,
        schema=schema,
        has_nulls=np.asarray(np.isnan(numbers).any(axis=1)),
    )


def _order_key(values: list[Any], kind: ColumnKind, table: str, column: str) -> np.ndarray:
    if kind == "time":
        return _times(values, table, column)
    if kind == "number":
        return _numbers(values, table, column)
    return np.array(values, dtype=object)


def _encode(values: list[str | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    levels = tuple(sorted({value for value in values if value is not None}))
    codes: dict[str | None, int] = {level: code for code, level in enumerate(levels)}
    codes[None] = -1
    return np.array([codes[value] for value in values], dtype=np.int32), levels


def _number_matrix(table: str, schema: TableSchema, columns: Mapping[str, list[Any]], n_rows: int) -> np.ndarray:
    """Return number columns, shape (n_columns, n_rows), in the units of features."""
    numbers = np.empty((len(columns), n_rows))
    for row, (name, values) in zip(numbers, columns.items(), strict=True):
        row[:] = _as_floats(values, table, name)
    convert_units(schema, list(columns), numbers)
    if np.isinf(numbers).any():
        for row, (name, values) in zip(numbers, columns.items(), strict=True):
            _refuse_infinite(row, values, table, name)
    return numbers


def _numbers(values: list[Any], table: str, column: str) -> np.ndarray:
    numbers = _as_floats(values, table, column)
    _refuse_infinite(numbers, values, table, column)
    return numbers


def _as_floats(values: list[Any], table: str, column: str) -> np.ndarray:
    if not _NUMBER_TYPES.issuperset(map(type, values)):
        row = next(i for i, value in enumerate(values) if not isinstance(value, float | int | type(None) | np.number))
        raise _wrong(table, column, row, msg("a number"), values[row])
    return np.array(values, dtype=np.float64)


def _refuse_infinite(numbers: np.ndarray, values: list[Any], table: str, column: str) -> None:
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        raise _wrong(table, column, row, msg("a finite number"), values[row])


def _times(values: list[Any], table: str, column: str) -> np.ndarray:
    try:
        stamps = values if _are_plain(values) else [_stamp(value) for value in values]
        moments = _in_range(np.array(stamps, dtype="datetime64[us]"))
    except (ValueError, TypeError, OverflowError):
        row = next(index for index, value in enumerate(values) if not _is_time(value))
        expected = msg("a local date from 1678 to 2261 such as 2024-05-31 or 2024-05-31T12:00:00")
        raise _wrong(table, column, row, expected, values[row]) from None
    return moments.astype("datetime64[ns]").view(np.int64)


def _are_plain(values: list[Any]) -> bool:
    """Whether all are texts like 2024-05-31 or 2024-05-31T12:00:00, which numpy reads as they are."""
    if set(map(type, values)) != {str} or not _PLAIN_LENGTHS.issuperset(map(len, values)):
        return False
    together = "".join(values)
    return together.count("-") == 2 * len(values) and not any(mark in together for mark in _ZONE)


def _in_range(moments: np.ndarray) -> np.ndarray:
    """Refuse what nanoseconds in 64 bits cannot hold; numpy would wrap it round in silence."""
    if ((moments < _EARLIEST) | (moments > _LATEST)).any():
        raise ValueError("out of range")
    return moments


def _stamp(value: Any) -> Any:
    """Return what numpy reads as a moment in local time; a text with a time zone is refused."""
    if value is None or value == "":
        return "NaT"
    if isinstance(value, str):
        if len(value) >= 10 and value[-1] not in "Zz" and "+" not in value and "-" not in value[10:]:
            return value
        return _without_zone(datetime.fromisoformat(value))
    if isinstance(value, datetime):
        return _without_zone(value)
    if isinstance(value, date | np.datetime64):
        return value
    raise TypeError(type(value))


def _without_zone(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("a time zone")
    return moment


def _is_time(value: Any) -> bool:
    try:
        moment = np.datetime64(_stamp(value), "us")
    except (ValueError, TypeError, OverflowError):
        return False
    return bool(np.isnat(moment)) or bool(_EARLIEST <= moment <= _LATEST)


def _text(value: Any, table: str, column: str) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, bool | int | str):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise InputError(msg("expected a text, got {value}", value=type(value).__name__), where=f"{table}, column {column}")


def _wrong(table: str, column: str, row: int, expected: Message, value: Any) -> InputError:
    return InputError(
        msg("expected {expected}, got {value}", expected=expected, value=type(value).__name__),
        where=f"{table}, row {row + 1}, column {column}",
    )
