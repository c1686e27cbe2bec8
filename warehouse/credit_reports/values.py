"""The values of credit reports, read strictly: what is not exactly a date or a number is none."""

import calendar
import re
from datetime import datetime
from typing import Final

__all__ = ["Value", "parse"]

Value = str | float | int | datetime

_NUMBER: Final = re.compile(r"[-+]?\d{1,18}(\.\d{1,8})?", re.ASCII)
_DAY: Final = re.compile(r"(\d{4})([-./]?)(\d{2})\2(\d{2})", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4})[-./]?(\d{2})", re.ASCII)
_TIME: Final = re.compile(r"[T ]?(\d{2}):(\d{2}):(\d{2})(\.\d{1,6})?", re.ASCII)


def parse(text: str, kind: str) -> Value:
    """Return the value that a text says.

    Parameters
    ----------
    text : str
        Not empty.
    kind : ColumnType
        What its column holds. A month without a day is its last day.

    Raises
    ------
    ValueError
        It is no such value.

    Examples
    --------
    >>> parse("0012", "category"), parse("12.50", "number"), parse("2024-02", "date").day
    ('0012', 12.5, 29)
    >>> parse("20240230", "date")
    Traceback (most recent call last):
        ...
    ValueError: day is out of range for month
    """
    if kind in {"number", "integer"}:
        return _number(text, kind)
    if kind in {"date", "datetime"}:
        return _moment(text)
    return text


def _number(text: str, kind: str) -> float | int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    if kind == "integer":
        whole, _, rest = text.partition(".")
        if rest.strip("0"):
            raise ValueError(f"{text!r} is no whole number")
        return int(whole)
    return float(text)


def _moment(text: str) -> datetime:
    day = _DAY.match(text)
    if day is None:
        return _month_end(text)
    rest = text[day.end() :]
    time = _TIME.fullmatch(rest)
    if rest and time is None:
        raise ValueError(f"{text!r} is no time")
    hour, minute, second, fraction = time.groups(default="") if time else ("00", "00", "00", "")
    clock = f"{hour}:{minute}:{second}" + (f"{fraction:0<7}" if fraction else "")
    return datetime.fromisoformat(f"{day.group(1)}-{day.group(3)}-{day.group(4)}T{clock}")


def _month_end(text: str) -> datetime:
    month = _MONTH.fullmatch(text)
    if month is None:
        raise ValueError(f"{text!r} is no date")
    first = datetime.fromisoformat(f"{month.group(1)}-{month.group(2)}-01")
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])
