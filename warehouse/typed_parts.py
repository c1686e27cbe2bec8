"""Rows that come in batches, written to Parquet as they come; the type of a column widens when a batch needs it."""

import decimal
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import InputError
from core.i18n import msg
from warehouse.staging import Staging, disk_errors

__all__ = ["TypedParts", "array_of"]

_TEXT: Final = pa.large_string()
_MOMENT: Final = pa.timestamp("us")
_KNOWN: Final = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_int64,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_string,
    pa.types.is_large_string,
)


class TypedParts:
    """A table on its way into one Parquet file.

    Parameters
    ----------
    staging : Staging
        Where the parts are kept.
    where : str
        How the table is named in errors.
    """

    def __init__(self, staging: Staging, where: str) -> None:
        self.staging = staging
        self.where = where
        self.n_rows = 0
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None

    def write(self, names: Sequence[str], arrays: Sequence[Any]) -> None:
        """Add a batch: one array per column, all of one length."""
        with disk_errors(self.where):
            schema = self._widened(names, arrays)
            if self._writer is None or schema != self._schema:
                self.close()
                self._parts.append(self.staging.new_path(".parquet"))
                self._writer = pq.ParquetWriter(self._parts[-1], schema, compression="lz4")
                self._schema = schema
            columns = [_cast(array, field.type) for array, field in zip(arrays, schema, strict=True)]
            self._writer.write_table(pa.table(columns, schema=schema))
        self.n_rows += len(arrays[0]) if arrays else 0

    def finish(self) -> Path:
        """Return the one file with all the rows."""
        with disk_errors(self.where):
            self.close()
            if self._schema is None:
                raise InputError(msg("the table has no rows"), where=self.where, code="no_rows")
            if len(self._parts) == 1:
                return self._parts[0]
            target = self.staging.new_path(".parquet")
            with pq.ParquetWriter(target, self._schema, compression="lz4") as writer:
                for part in self._parts:
                    self._copy(part, writer)
                    part.unlink()
            return target

    def close(self) -> None:
        """Close the part that is being written; doing so twice is nothing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _copy(self, part: Path, writer: pq.ParquetWriter) -> None:
        assert self._schema is not None  # noqa: S101 - finish has looked
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches():
                columns = [_cast(array, field.type) for array, field in zip(batch.columns, self._schema, strict=True)]
                writer.write_table(pa.table(columns, schema=self._schema))

    def _widened(self, names: Sequence[str], arrays: Sequence[Any]) -> pa.Schema:
        kinds = [_plain(array.type) for array in arrays]
        if self._schema is not None:
            kinds = [_wider(old, new) for old, new in zip(self._schema.types, kinds, strict=True)]
        return pa.schema(list(zip(names, kinds, strict=True)))


def array_of(values: Sequence[Any], where: str) -> Any:
    """Return values as a driver gives them as an Arrow array: integers, numbers, booleans, dates, times or texts.

    Integers past 64 bits and mixtures become texts, decimals without a fraction integers, structures their JSON.

    Raises
    ------
    InputError
        The values are bytes.
    """
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError):
        array = _mixture(values, where)
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        raise _unsupported(str(array.type), where)
    if not any(is_kind(array.type) for is_kind in _KNOWN):
        array = _texts(values, where)
    return _without_decimals(array, values, where)


def _without_decimals(array: Any, values: Sequence[Any], where: str) -> Any:
    if not pa.types.is_decimal(array.type):
        return array
    if array.type.scale > 0:
        return pc.cast(array, pa.float64(), safe=False)
    try:
        return pc.cast(array, pa.int64())
    except pa.ArrowInvalid:
        return _texts(values, where)


def _mixture(values: Sequence[Any], where: str) -> Any:
    given = [value for value in values if value is not None]
    is_number = all(isinstance(value, (int, float, decimal.Decimal)) for value in given)
    whole = all(isinstance(value, int) for value in given)
    if is_number and not whole:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return _texts(values, where)


def _texts(values: Sequence[Any], where: str) -> Any:
    return pa.array([None if value is None else _text(value, where) for value in values], _TEXT)


def _text(value: Any, where: str) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise _unsupported("bytes", where)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)


def _unsupported(kind: str, where: str) -> InputError:
    return InputError(
        msg("values of the kind {kind} cannot stand in a table", kind=kind),
        where=where,
        fix=msg("Leave the column out with a query that names the others."),
        code="unsupported_values",
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_integer(kind):
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind):
        return pa.float64()
    if types.is_date(kind):
        return pa.date32()
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    return kind if types.is_null(kind) or types.is_boolean(kind) else _TEXT


def _wider(old: pa.DataType, new: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds both."""
    if old == new or pa.types.is_null(new):
        return old
    if pa.types.is_null(old):
        return new
    pair = {old, new}
    if pair == {pa.int64(), pa.float64()}:
        return pa.float64()
    return _MOMENT if pair == {pa.date32(), _MOMENT} else _TEXT


def _cast(array: Any, kind: pa.DataType) -> Any:
    if array.type == kind:
        return array
    if kind == _TEXT and pa.types.is_timestamp(array.type):
        return pc.cast(pc.cast(array, pa.string()), _TEXT)
    return pc.cast(array, kind, safe=not pa.types.is_floating(kind))
