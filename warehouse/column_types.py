"""The type of one column, found out from all of its values and, where these leave it open, from its name."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.column_names import is_date_name, is_id_name
from warehouse.data_model import ColumnType
from warehouse.numbers_in_text import is_code
from warehouse.raw_table import RawColumn, RawTable, are_missing_marks
from warehouse.times_in_text import TimesInText, parse_times

__all__ = ["TypeGuess", "infer_type"]

_MAX_CATEGORIES: Final = 1_000
_MIN_DATES: Final = 10
_ALMOST: Final = 0.9
_TRUTH_WORDS: Final = frozenset({"true", "false", "是", "否"})
_USCC: Final = r"^[0-9A-HJ-NPQRTUWXY]{18}$"
_CREDIBLE_YEARS: Final = (np.datetime64("1950-01-01"), np.datetime64("2100-01-01"))


@dataclass(frozen=True)
class TypeGuess:
    """The type found, and what should be looked at."""

    type: ColumnType
    findings: tuple[Finding, ...] = ()


def infer_type(table: RawTable, name: str) -> TypeGuess:
    """Find the type of column `name` of `table`.

    All values count: one value that is no number makes a column text, with a finding where nine in ten are numbers.
    Digits with a leading zero or more than 15 of them are codes and stay text.
    """
    column = table.columns[name]
    if column.is_string:
        return _of_strings(table, name, column)
    kind = _of_typed(name, column.array)
    return TypeGuess(kind, _date_like(table, name, kind))


def _of_strings(table: RawTable, name: str, column: RawColumn) -> TypeGuess:
    texts, codes = column.distinct
    if len(texts) == 0:
        return TypeGuess("text")
    if len(texts) <= 2 and set(pc.utf8_lower(texts).to_pylist()) <= _TRUTH_WORDS:
        return TypeGuess("boolean")
    if column.is_untyped:
        numbers, marks = column.numbers, are_missing_marks(texts)
        if numbers.ok.any() and (numbers.ok | marks).all():
            kind = _of_number_texts(name, texts.filter(pa.array(~marks)), codes, numbers.numbers[~marks])
            return TypeGuess(kind, _date_like(table, name, kind))
    else:
        numbers = None
    if is_id_name(name):
        return TypeGuess("id")
    times = parse_times(texts, short_forms=column.is_untyped)
    if times.ok.all() or (column.is_untyped and times.ok.any() and (times.ok | marks).all()):
        return TypeGuess(_time_type(times))
    almost = () if numbers is None else _almost(table, name, codes, numbers.ok, msg("numbers"))
    almost = almost or _almost(table, name, codes, times.ok, msg("dates"))
    return TypeGuess(_of_words(texts, codes), almost)


def _of_number_texts(name: str, texts: Any, codes: np.ndarray, numbers: np.ndarray) -> ColumnType:
    if is_id_name(name) and bool((numbers == np.floor(numbers)).all()):
        return "id"
    if _are_dates(name, texts):
        return "date"
    if is_code(texts):
        return "category" if _repeats(len(texts), codes) else "id"
    whole = pc.match_substring_regex(texts, r"^[+-]?\d+$").to_numpy(zero_copy_only=False)
    return "integer" if whole.all() else "number"


def _are_dates(name: str, texts: Any) -> bool:
    """Whether texts of digits are dates: yyyymmdd by value, the short forms only with a name that says so."""
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    n_digits = int(lengths[0])
    if n_digits not in {6, 8} or (lengths != n_digits).any() or is_id_name(name):
        return False
    named = is_date_name(name)
    if not named and (n_digits == 6 or len(texts) < _MIN_DATES):
        return False
    times = parse_times(texts, short_forms=n_digits == 6)
    if not times.ok.all():
        return False
    inside = times.times[~times.outside]
    return inside.size > 0 and bool(((inside >= _CREDIBLE_YEARS[0]) & (inside < _CREDIBLE_YEARS[1])).all())


def _date_like(table: RawTable, name: str, kind: ColumnType) -> tuple[Finding, ...]:
    """Say where whole numbers under the name of a date are not what they may have been meant for.

    Digits such as 20240230 are no day of the calendar, and day numbers of a workbook are no dates until a person says
    so: both would be amounts to a model.
    """
    if kind not in {"integer", "number"} or not is_date_name(name):
        return ()
    column = table.columns[name]
    if not column.is_string:
        column = RawColumn(pc.cast(column.array, pa.string()))
    texts, codes = column.distinct
    if len(texts) and _all_match(texts, r"^\d{8}(\.0)?$"):
        return _almost(table, name, codes, parse_times(_digits(texts)).ok, msg("dates"), most=0.5, column=column)
    if len(texts) and _all_match(texts, r"^[1-7]\d{4}(\.\d+)?$"):
        message = msg(
            "these look like numbers of days (Excel counts from 1899-12-30, SAS from 1960-01-01, Unix from 1970-01-01);"
            " they were kept as numbers"
        )
        fix = msg("Declare the type date for a workbook; else write them as dates in the system that makes the file.")
        return (Finding("day_numbers", Severity.WATCH, message, f"{table.name}, column {name}", fix),)
    return ()


def _all_match(texts: Any, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())


def _digits(texts: Any) -> Any:
    return pc.replace_substring_regex(texts, r"\.0$", "")


def _of_words(texts: Any, codes: np.ndarray) -> ColumnType:
    if _repeats(len(texts), codes):
        return "category"
    is_credit_code = pc.match_substring_regex(texts, _USCC).to_numpy(zero_copy_only=False)
    if is_credit_code.all():
        return "id"
    return "text"


def _repeats(n_distinct: int, codes: np.ndarray) -> bool:
    n_values = int((codes >= 0).sum())
    return n_distinct <= _MAX_CATEGORIES and 2 * n_distinct <= n_values


def _of_typed(name: str, array: Any) -> ColumnType:
    kind = array.type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _type_of_times(array)
    if pa.types.is_integer(kind):
        if is_id_name(name):
            return "id"
        return "date" if is_date_name(name) and _are_dates_in_digits(name, array) else "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "id" if is_id_name(name) and _is_whole(array) else "number"
    return "text"


def _type_of_times(array: Any) -> ColumnType:
    if pa.types.is_date(array.type):
        return "date"
    if array.type.tz is not None:
        return "datetime"
    days = pc.floor_temporal(array, unit="day")
    return "date" if pc.all(pc.equal(array, days)).as_py() in {True, None} else "datetime"


def _are_dates_in_digits(name: str, array: Any) -> bool:
    texts = pc.cast(array.drop_null(), pa.string()).unique()
    return len(texts) > 0 and _are_dates(name, texts)


def _is_whole(array: Any) -> bool:
    numbers = pc.cast(array.drop_null(), pa.float64()).to_numpy(zero_copy_only=False)
    return bool(numbers.size) and bool((numbers == np.floor(numbers)).all())


def _time_type(times: TimesInText) -> ColumnType:
    return "datetime" if times.has_clock.any() or times.zoned.any() else "date"


def _almost(
    table: RawTable,
    name: str,
    codes: np.ndarray,
    ok: np.ndarray,
    kind: Any,
    *,
    most: float = 1 - _ALMOST,
    column: RawColumn | None = None,
) -> tuple[Finding, ...]:
    """Say where the values are, at most a share of `most`, that keep a column from being of `kind`."""
    filled = codes >= 0
    wrong = filled & ~ok[codes]
    n_wrong, n_values = int(wrong.sum()), int(filled.sum())
    if n_wrong == 0 or n_wrong > most * n_values:
        return ()
    row = int(wrong.argmax())
    texts, _ = (column or table.columns[name]).distinct
    finding = Finding(
        "mixed_values",
        Severity.WATCH,
        msg(
            "{n} of {total} values are no {kind}, first {value}; the column is kept as it stands",
            n=n_wrong,
            total=n_values,
            kind=kind,
            value=repr(texts[int(codes[row])].as_py()),
        ),
        where=table.place(row, name),
        fix=msg("Correct these values in the file, or declare the type in the data model."),
    )
    return (finding,)
