"""One column as read, turned into the array that its type asks for; a value that is not of the type is named."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import Message, MessageLike, msg
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, ColumnType
from warehouse.numbers_in_text import NumbersInText, parse_booleans
from warehouse.raw_table import RawColumn, RawTable, are_missing_marks
from warehouse.standard.naming import unit_of
from warehouse.times_in_text import CHINA_UTC_OFFSET_HOURS, parse_times

__all__ = ["Converted", "convert_column"]

_MAX_EXACT: Final = 2.0**53
_EXTREME: Final = 1e100
_MAX_SERIAL: Final = 200_000  # about the year 2447
_MAX_SHOWN: Final = 60
_TOLD_UNITS: Final = frozenset({"CNY", "10k CNY", "percent", "ratio"})  # in which 3万 and 12% are clear
_NAT: Final = np.datetime64("NaT")

_NOTES: Final[dict[str, tuple[Severity, Callable[[int], Message]]]] = {
    "ambiguous_dates": (
        Severity.WATCH,
        lambda n: msg("{n} dates could be read day first or month first; they were read month first", n=n),
    ),
    "extreme_values": (Severity.WATCH, lambda n: msg("{n} values are larger than 1e100", n=n)),
    "formatted_numbers": (
        Severity.INFO,
        lambda n: msg("{n} numbers are written with separators, a unit or a percent sign", n=n),
    ),
    "infinite_values": (Severity.BAD, lambda n: msg("{n} values are infinite and were read as missing", n=n)),
    "missing_marks": (
        Severity.WATCH,
        lambda n: msg("{n} values are written ? . * 不详 or 未知 and were read as missing", n=n),
    ),
    "mixed_units": (
        Severity.WATCH,
        lambda n: msg(
            "{n} numbers carry 千, 万, 亿 or %, others do not; 3万 was read as 30,000 and 12% as 0.12, as no unit of"
            " the column says otherwise",
            n=n,
        ),
    ),
    "mixed_zones": (
        Severity.WATCH,
        lambda n: msg("{n} times carry no time zone where others do; they were read as China's clock", n=n),
    ),
    "month_dates": (
        Severity.INFO,
        lambda n: msg("{n} dates give no day; the last day of the month or year was taken", n=n),
    ),
    "outside_dates": (
        Severity.WATCH,
        lambda n: msg("{n} dates such as 9999-12-31 or 0000-00-00 stand for none and were read as missing", n=n),
    ),
    "serial_dates": (Severity.INFO, lambda n: msg("{n} day numbers of the workbook were read as dates", n=n)),
    "zoned_times": (
        Severity.INFO,
        lambda n: msg("{n} times carry a time zone and were brought to China's clock", n=n),
    ),
}


@dataclass
class Converted:
    """The array of a column (texts on request as Arrow strings), and what should be known about how it came to be."""

    values: Any
    findings: list[Finding] = field(default_factory=list)


def convert_column(
    table: RawTable, name: str, kind: ColumnType, *, unit: str | None = None, arrow_texts: bool = False
) -> Converted:
    """Return column `name` of `table` as an array of type `kind` (see `warehouse.table_set.Table`).

    With `arrow_texts` texts come as Arrow strings, which take a tenth of the memory. A number that says its own unit is
    brought to the column's: ``3万`` is 3 in a column of 10,000 CNY and 30,000 in one of CNY, ``12%`` is 12 in one of
    percent.

    Raises
    ------
    InputError
        A value is not of that type; names file, row, column, value and how many there are.
    """
    column = table.columns[name]
    converter = _Converter(table, name, kind, column, unit_of(unit, is_unit=True) if unit else unit_of(name))
    if kind in TEXT_TYPES:
        return Converted(converter.arrow_text() if arrow_texts else converter.text())
    values = converter.times() if kind in TIME_TYPES else converter.numbers()
    return Converted(values, converter.findings)


class _Converter:
    def __init__(self, table: RawTable, name: str, kind: ColumnType, column: RawColumn, unit: str | None) -> None:
        self.table = table
        self.name = name
        self.kind = kind
        self.column = column
        self.unit = unit
        self.findings: list[Finding] = []

    def text(self) -> np.ndarray:
        if not self.column.is_string:
            return np.array(self.arrow_text().to_numpy(zero_copy_only=False), dtype=object)
        texts, codes = self._texts()
        words = np.empty(len(texts) + 1, dtype=object)
        words[:-1] = texts.to_pylist()
        words[-1] = None
        return words.take(codes)

    def arrow_text(self) -> Any:
        array = self.column.array
        if self.column.is_string:
            texts, codes = self._texts()
            if len(texts) == len(codes):  # each row has a text of its own
                return texts
            return texts.take(pa.array(codes, mask=codes < 0))
        if pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
            array = self._whole_numbers(array)
        return pc.cast(array, pa.string())

    def _texts(self) -> tuple[Any, np.ndarray]:
        texts, codes = self.column.distinct
        return (_without_point_zero(texts) if self.kind == "id" else texts), codes

    def numbers(self) -> np.ndarray:
        numbers = self._numbers_of_text() if self.column.is_string else self._numbers_of_typed()
        if self.kind == "integer":
            return self._integers(numbers)
        if self.kind == "boolean":
            self._require(np.isnan(numbers) | (numbers == 0) | (numbers == 1))
            return numbers
        return self._finite(numbers)

    def times(self) -> np.ndarray:
        kind = self.column.array.type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            times = self._times_of_typed()
        elif self._are_serials():
            times = self._times_of_serials()
        else:
            times = self._times_of_text()
        return times.astype("datetime64[D]").astype("datetime64[ns]") if self.kind == "date" else times

    def _numbers_of_text(self) -> np.ndarray:
        texts, codes = self.column.distinct
        if self.kind == "boolean":
            values, ok = parse_booleans(texts)
        else:
            found = self.column.numbers
            values, ok = self._in_the_unit(found), found.ok | self._marks(texts, codes)
            self._note("formatted_numbers", _per_row(found.written, codes))
            if self.unit not in _TOLD_UNITS and not (found.scaled | found.percent).all():
                self._note("mixed_units", _per_row(found.scaled | found.percent, codes))
        self._require(_per_row(ok, codes, for_null=True))
        return np.append(values, np.nan).take(codes)

    def _marks(self, texts: Any, codes: np.ndarray) -> np.ndarray:
        """Return which texts only say that a value is missing, and tell of them."""
        if not self.column.is_untyped:
            return np.zeros(len(texts), dtype=bool)
        marks = are_missing_marks(texts)
        self._note("missing_marks", _per_row(marks, codes))
        return marks

    def _in_the_unit(self, found: NumbersInText) -> np.ndarray:
        """Return the numbers in the column's unit; those that say none are in it already."""
        if self.unit == "10k CNY":
            return np.where(found.scaled, found.numbers / 1e4, found.numbers)
        return np.where(found.percent, found.numbers * 100, found.numbers) if self.unit == "percent" else found.numbers

    def _numbers_of_typed(self) -> np.ndarray:
        array = self.column.array
        is_number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
        if not (is_number or pa.types.is_boolean(array.type) or pa.types.is_decimal(array.type)):
            self._require(array.is_null().to_numpy(zero_copy_only=False))
            return np.full(len(array), np.nan)
        return np.array(pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)

    def _integers(self, numbers: np.ndarray) -> np.ndarray:
        null = np.isnan(numbers)
        self._require(null | (numbers == np.floor(numbers)) & np.isfinite(numbers))
        if null.any():
            return numbers
        if np.abs(numbers).max(initial=0.0) < _MAX_EXACT:
            return numbers.astype(np.int64)
        return self._long_integers()

    def _long_integers(self) -> np.ndarray:
        """Return integers past 2**53, which a float does not hold exactly."""
        try:
            if not self.column.is_string:
                return np.array(pc.cast(self.column.array, pa.int64()).to_numpy(zero_copy_only=False))
            texts, codes = self.column.distinct
            return np.array([int(text) for text in texts.to_pylist()], dtype=np.int64).take(codes)
        except (pa.ArrowInvalid, ValueError, OverflowError) as error:
            raise self._error(msg("a value is too large for an integer"), fix=msg("Declare the type id.")) from error

    def _finite(self, numbers: np.ndarray) -> np.ndarray:
        infinite = np.isinf(numbers)
        if infinite.any():
            self._note("infinite_values", infinite)
            numbers = np.where(infinite, np.nan, numbers)
        with np.errstate(invalid="ignore"):
            extreme = np.abs(numbers) > _EXTREME
        self._note("extreme_values", extreme)
        return numbers

    def _times_of_text(self) -> np.ndarray:
        column = self.column
        if not column.is_string:
            array = column.array
            is_float = pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)
            column = RawColumn(pc.cast(self._whole_numbers(array) if is_float else array, pa.string()))
        texts, codes = column.distinct
        found = parse_times(_without_point_zero(texts), short_forms=True)
        ok = found.ok | self._marks(texts, codes)
        self._require(_per_row(ok, codes, for_null=True), fix=_fix_of_dates(texts, ok))
        self._note("outside_dates", _per_row(found.outside, codes))
        self._note("month_dates", _per_row(found.month_only, codes))
        self._note("zoned_times", _per_row(found.zoned, codes))
        if found.is_ambiguous:
            self._note("ambiguous_dates", codes >= 0)
        if 0 < found.zoned.sum() < found.ok.sum():
            self._note("mixed_zones", _per_row(~found.zoned, codes))
        return np.append(found.times, _NAT).take(codes)

    def _times_of_typed(self) -> np.ndarray:
        array = self.column.array
        if pa.types.is_timestamp(array.type) and array.type.tz is not None:
            unit = array.type.unit
            shift = pa.scalar(CHINA_UTC_OFFSET_HOURS * 3600, pa.duration("s")).cast(pa.duration(unit))
            array = pc.add(pc.cast(array, pa.timestamp(unit)), shift)
            self._note("zoned_times", array.is_valid().to_numpy(zero_copy_only=False))
        unit = array.type.unit if pa.types.is_timestamp(array.type) else "s"
        times = pc.cast(array, pa.timestamp(unit)).to_numpy(zero_copy_only=False)
        years = times.astype("datetime64[Y]").astype(np.int64) + 1970
        outside = ~np.isnat(times) & ((years < 1678) | (years > 2261))
        self._note("outside_dates", outside)
        return np.where(outside, _NAT, times).astype("datetime64[ns]")

    def _are_serials(self) -> bool:
        kind = self.column.array.type
        if self.column.serial_epoch is None or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return False
        largest = pc.max(self.column.array).as_py()
        return largest is not None and 0 < largest < _MAX_SERIAL

    def _times_of_serials(self) -> np.ndarray:
        serials = self._numbers_of_typed()
        self._require(np.isnan(serials) | (serials > 0))
        filled = np.where(np.isnan(serials), 0.0, serials)
        seconds = np.round(filled * 86_400).astype(np.int64).astype("timedelta64[s]")
        self._note("serial_dates", ~np.isnan(serials))
        times = np.asarray(self.column.serial_epoch, dtype="datetime64[s]") + seconds
        return np.where(np.isnan(serials), _NAT, times).astype("datetime64[ns]")

    def _whole_numbers(self, array: Any) -> Any:
        """Return floats without a fraction as integers; keys with nulls often come as floats."""
        numbers = np.array(pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        null = np.isnan(numbers)
        self._require(null | (numbers == np.floor(numbers)) & (np.abs(numbers) <= _MAX_EXACT))
        return pa.array(np.where(null, 0, numbers).astype(np.int64), mask=null)

    def _require(self, ok: np.ndarray, *, fix: MessageLike = "") -> None:
        """Raise where a row is not ok, naming the first."""
        if ok.all():
            return
        wrong = ~ok
        row = int(wrong.argmax())
        raise self._error(
            msg(
                "{n} values are not of type {type}, first {value}",
                n=int(wrong.sum()),
                type=self.kind,
                value=_shown(self.column.array[row].as_py()),
            ),
            row=row,
            fix=fix or msg("Correct the values in the file, or the type in the data model."),
        )

    def _error(self, message: MessageLike, *, row: int | None = None, fix: MessageLike = "") -> InputError:
        where = f"{self.table.source.name or self.table.name}, column {self.name}"
        return InputError(
            message, where=where if row is None else self.table.place(row, self.name), fix=fix, code="bad_value"
        )

    def _note(self, code: str, rows: np.ndarray) -> None:
        n_rows = int(rows.sum())
        if n_rows:
            severity, message = _NOTES[code]
            where = f"{self.table.name}, column {self.name}"
            self.findings.append(Finding(code, severity, message(n_rows), where=where))


def _fix_of_dates(texts: Any, ok: np.ndarray) -> MessageLike:
    """Return what to do about texts that are no dates; which day 45292 is depends on the workbook it comes from."""
    wrong = texts.filter(pa.array(~ok))
    if len(wrong) and pc.all(pc.match_substring_regex(wrong, r"^\d{5}(\.\d+)?$")).as_py():
        return msg("These look like day numbers of Excel: format the column as a date there, and save the file again.")
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _per_row(mask: np.ndarray, codes: np.ndarray, *, for_null: bool = False) -> np.ndarray:
    return np.append(mask, for_null).take(codes)


def _without_point_zero(texts: Any) -> Any:
    """Return keys such as ``17.0`` as ``17`` where all keys are whole numbers."""
    if not pc.any(pc.match_substring_regex(texts, r"^\d+\.0+$")).as_py():
        return texts
    if not pc.all(pc.match_substring_regex(texts, r"^\d+(?:\.0+)?$")).as_py():
        return texts
    return pc.replace_substring_regex(texts, r"\.0+$", "")
