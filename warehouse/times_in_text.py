"""Dates and times written as text: ISO, slashes, yyyymmdd, Chinese; each checked against the calendar."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CHINA_UTC_OFFSET_HOURS", "TimesInText", "parse_times"]

CHINA_UTC_OFFSET_HOURS: Final = 8
_CLOCK: Final = (
    r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?"
    r"[ ]?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$"
)
_DAY_FORMS: Final = (
    r"^(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
    r"^(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})",
    r"^(?P<y>\d{4})\.(?P<m>\d{1,2})\.(?P<d>\d{1,2})",
    r"^(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日",
    r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
)
_YEAR_LAST: Final = r"^(?P<a>\d{1,2})[/-](?P<b>\d{1,2})[/-](?P<y>\d{4})"
_MONTH_NAME: Final = r"^(?P<d>\d{1,2})[- ](?P<m>[A-Za-z]{3})[a-z]*[- ](?P<y>\d{4}|\d{2})$"
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_FORM: Final = r"^(?P<y>\d{4})[-/年](?P<m>\d{1,2})月?$"
_SHORT_MONTH: Final = r"^(?P<y>(?:19|20)\d{2})(?P<m>\d{2})$"
_YEAR_FORM: Final = r"^(?P<y>(?:19|20)\d{2})$"
_SHORT_DAY: Final = r"^(?P<y>\d{2})(?P<m>\d{2})(?P<d>\d{2})"
_CENTURY_TURN: Final = 30  # two-digit years up to 30 are of this century, later ones of the last
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # what datetime64[ns] holds
_CHINESE_DIGITS: Final = str.maketrans("〇零一二三四五六七八九", "00123456789")
_MAX_CHINESE: Final = 20_000
_BLOCK: Final = 1_000_000
_FIELDS: Final = ("times", "ok", "outside", "month_only", "zoned", "has_clock")


@dataclass
class TimesInText:
    """What became of the texts.

    Parameters
    ----------
    times : ndarray of datetime64[ns]
        The times, NaT where the text is none or lies outside of the years 1678 to 2261.
    ok : ndarray of bool
        Whether the text is a date of the calendar, or an all-zero placeholder.
    outside : ndarray of bool
        Whether it is a date such as 9999-12-31 or 0000-00-00 that stands for "none".
    month_only : ndarray of bool
        Whether no day is given; the time is then the last day of the month or year.
    zoned : ndarray of bool
        Whether a time zone is given; the time is then brought to China's clock.
    has_clock : ndarray of bool
        Whether a time of day other than midnight is given.
    is_ambiguous : bool
        Whether ``03/04/2024`` could be read both ways in the whole column; it is read month first.
    """

    times: np.ndarray
    ok: np.ndarray
    outside: np.ndarray
    month_only: np.ndarray
    zoned: np.ndarray
    has_clock: np.ndarray
    is_ambiguous: bool = False

    @classmethod
    def empty(cls, n: int) -> "TimesInText":
        """Return the answer for `n` texts none of which is a time."""
        ok, outside, month_only, zoned, has_clock = (np.zeros(n, dtype=bool) for _ in range(5))
        times = np.full(n, np.datetime64("NaT"), dtype="datetime64[ns]")
        return cls(times, ok, outside, month_only, zoned, has_clock)


def parse_times(texts: Any, *, short_forms: bool = False) -> TimesInText:
    """Read an Arrow array of non-null `texts` as times.

    Parameters
    ----------
    texts : pyarrow.Array of strings
        Distinct values of a column.
    short_forms : bool, default=False
        Whether to read ``yyyy`` (its last day), ``yyyymm`` and ``yymmdd`` too, which look like numbers.

    Examples
    --------
    >>> found = parse_times(pa.array(["2024-02-29", "20240230", "2024/3/1", "9999-12-31", "二〇二四年三月五日"]))
    >>> found.ok.tolist()
    [True, False, True, True, True]
    >>> found.times.astype("datetime64[D]").tolist()[2::2]
    [datetime.date(2024, 3, 1), datetime.date(2024, 3, 5)]
    """
    reading = _find_reading(texts, short_forms=short_forms)
    parts = [
        _parse_block(texts.slice(start, _BLOCK), reading, short_forms=short_forms)
        for start in range(0, max(len(texts), 1), _BLOCK)
    ]
    if len(parts) == 1:
        return parts[0]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS}
    return TimesInText(**arrays, is_ambiguous=reading.is_ambiguous)


@dataclass(frozen=True)
class _Reading:
    """How the forms are read that one text alone leaves open; all texts of a column decide together."""

    is_day_first: bool = False
    is_ambiguous: bool = False
    are_six_digits_months: bool = False


def _find_reading(texts: Any, *, short_forms: bool) -> _Reading:
    large_first = large_second = any_last = False
    n_months = n_six = 0
    are_months = True
    for start in range(0, len(texts), _BLOCK):
        block = texts.slice(start, _BLOCK)
        last = np.flatnonzero(_matches(block, _YEAR_LAST + _CLOCK))
        if last.size:
            parts = _parts(block, last, _YEAR_LAST + _CLOCK)
            any_last = True
            large_first = large_first or bool((_integers(parts["a"]) > 12).any())
            large_second = large_second or bool((_integers(parts["b"]) > 12).any())
        if short_forms:
            months = np.flatnonzero(_matches(block, _SHORT_MONTH))
            n_months += months.size
            n_six += int(_matches(block, _SHORT_DAY + _CLOCK).sum())
            if months.size:
                month = _integers(_parts(block, months, _SHORT_MONTH)["m"])
                are_months = are_months and bool(((month >= 1) & (month <= 12)).all())
    return _Reading(
        large_first, any_last and not large_first and not large_second, 0 < n_months == n_six and are_months
    )


def _matches(texts: Any, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False), dtype=bool)


def _parse_block(texts: Any, reading: _Reading, *, short_forms: bool) -> TimesInText:
    found = TimesInText.empty(len(texts))
    found.is_ambiguous = reading.is_ambiguous
    for form in _DAY_FORMS:
        _fill_days(found, texts, form)
    _fill_year_last(found, texts, reading)
    _fill_month_names(found, texts)
    _fill_months(found, texts, _MONTH_FORM)
    if short_forms:
        _fill_short(found, texts, reading)
        _fill_years(found, texts)
    _fill_chinese(found, texts)
    return found


def _rest(found: TimesInText, texts: Any, pattern: str) -> np.ndarray:
    """Return the positions not read yet that match `pattern`."""
    rest = np.flatnonzero(~found.ok)
    if rest.size == 0:
        return rest
    matches = pc.match_substring_regex(texts.take(pa.array(rest)), pattern)
    return rest.compress(matches.to_numpy(zero_copy_only=False))


def _parts(texts: Any, at: np.ndarray, pattern: str) -> dict[str, Any]:
    parts = pc.extract_regex(texts.take(pa.array(at)), pattern)
    return {field.name: parts.field(field.name) for field in parts.type}


def _integers(texts: Any) -> np.ndarray:
    filled = pc.if_else(pc.equal(texts, ""), "0", texts)
    return np.asarray(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False))


def _fill_days(found: TimesInText, texts: Any, form: str) -> None:
    at = _rest(found, texts, form + _CLOCK)
    if at.size:
        parts = _parts(texts, at, form + _CLOCK)
        _put(found, at, _integers(parts["y"]), _integers(parts["m"]), _integers(parts["d"]), parts)


def _fill_year_last(found: TimesInText, texts: Any, reading: _Reading) -> None:
    at = _rest(found, texts, _YEAR_LAST + _CLOCK)
    if at.size == 0:
        return
    parts = _parts(texts, at, _YEAR_LAST + _CLOCK)
    first, second = _integers(parts["a"]), _integers(parts["b"])
    month, day = (second, first) if reading.is_day_first else (first, second)
    _put(found, at, _integers(parts["y"]), month, day, parts)


def _fill_month_names(found: TimesInText, texts: Any) -> None:
    at = _rest(found, texts, _MONTH_NAME)
    if at.size:
        parts = _parts(texts, at, _MONTH_NAME)
        names = pc.index_in(pc.utf8_lower(parts["m"]), pa.array(_MONTHS)).fill_null(-1)
        month = names.to_numpy(zero_copy_only=False).astype(np.int64) + 1
        _put(found, at, _full_year(_integers(parts["y"])), month, _integers(parts["d"]))


def _full_year(year: np.ndarray) -> np.ndarray:
    """Return two-digit years with their century."""
    century = np.where(year <= _CENTURY_TURN, 2000, 1900)
    return np.where(year < 100, century + year, year)


def _fill_months(found: TimesInText, texts: Any, form: str) -> None:
    at = _rest(found, texts, form)
    if at.size == 0:
        return
    parts = _parts(texts, at, form)
    year, month = _integers(parts["y"]), _integers(parts["m"])
    _put(found, at, year, month, _month_length(year, month))
    found.month_only[at] = found.ok[at]


def _fill_short(found: TimesInText, texts: Any, reading: _Reading) -> None:
    if reading.are_six_digits_months:
        _fill_months(found, texts, _SHORT_MONTH)
        return
    at = _rest(found, texts, _SHORT_DAY + _CLOCK)
    if at.size:
        parts = _parts(texts, at, _SHORT_DAY + _CLOCK)
        _put(found, at, _full_year(_integers(parts["y"])), _integers(parts["m"]), _integers(parts["d"]), parts)


def _fill_years(found: TimesInText, texts: Any) -> None:
    at = _rest(found, texts, _YEAR_FORM)
    if at.size:
        year = _integers(_parts(texts, at, _YEAR_FORM)["y"])
        _put(found, at, year, np.full(at.size, 12), np.full(at.size, 31))
        found.month_only[at] = True


def _fill_chinese(found: TimesInText, texts: Any) -> None:
    at = _rest(found, texts, r"^[〇零一二三四五六七八九]{4}年")[:_MAX_CHINESE]
    if at.size:
        arabic = pa.array([_arabic(texts[int(index)].as_py()) for index in at])
        inner = TimesInText.empty(len(arabic))
        _fill_days(inner, arabic, _DAY_FORMS[3])
        _fill_months(inner, arabic, _MONTH_FORM)
        found.times[at], found.ok[at], found.month_only[at] = inner.times, inner.ok, inner.month_only


def _arabic(text: str) -> str:
    """Return ``二〇二四年十二月二十三日`` as ``2024年12月23日``."""
    year, _, rest = text.partition("年")
    month, _, day = rest.partition("月")
    day = day.removesuffix("日")
    shown = f"{year.translate(_CHINESE_DIGITS)}年{_small_number(month)}月"
    return shown + (f"{_small_number(day)}日" if day else "")


def _small_number(text: str) -> str:
    tens, ten, ones = text.partition("十")
    if not ten:
        return text.translate(_CHINESE_DIGITS)
    return (tens.translate(_CHINESE_DIGITS) or "1") + (ones.translate(_CHINESE_DIGITS) or "0")


def _put(
    found: TimesInText,
    at: np.ndarray,
    year: np.ndarray,
    month: np.ndarray,
    day: np.ndarray,
    clock: dict[str, Any] | None = None,
) -> None:
    """Write the times of positions `at`, where year, month, day and clock are of the calendar."""
    placeholder = (year == 0) & (month == 0) & (day == 0)
    real = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    real[real] = day[real] <= _month_length(year[real], month[real])
    inside = real & (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    days = _month_start(np.where(inside, year, 2000), np.where(inside, month, 1)) + (np.where(inside, day, 1) - 1)
    times = days.astype("datetime64[ns]")
    if clock is not None:
        since_midnight, valid, zoned, offset = _clock(clock)
        real, inside = real & valid, inside & valid
        found.has_clock[at] = inside & (since_midnight != np.timedelta64(0, "ns"))
        found.zoned[at] = inside & zoned
        times = times + since_midnight + offset
    found.times[at] = np.where(inside, times, np.datetime64("NaT"))
    found.ok[at] = real | placeholder
    found.outside[at] = (real & ~inside) | placeholder


def _clock(parts: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return time since midnight, whether the clock is valid, whether zoned, and the way to China's clock."""
    hour, minute, second = (_integers(parts[name]) for name in ("hour", "minute", "second"))
    fraction = _integers(pc.utf8_rpad(parts["fraction"], 9, "0"))
    nanoseconds = ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction
    valid = (hour <= 23) & (minute <= 59) & (second <= 59)
    zone = pc.replace_substring(pc.if_else(pc.equal(parts["zone"], "Z"), "+0000", parts["zone"]), ":", "")
    zoned = np.asarray(pc.not_equal(zone, "").to_numpy(zero_copy_only=False))
    digits = _integers(pc.utf8_slice_codeunits(zone, 1))
    minutes = digits // 100 * 60 + digits % 100
    minutes = np.where(np.asarray(pc.starts_with(zone, "-").to_numpy(zero_copy_only=False)), -minutes, minutes)
    offset = np.where(zoned, CHINA_UTC_OFFSET_HOURS * 60 - minutes, 0)
    return (
        nanoseconds.astype("timedelta64[ns]"),
        valid & (minutes >= -18 * 60) & (minutes <= 18 * 60),
        zoned,
        (offset * 60_000_000_000).astype("timedelta64[ns]"),
    )


def _month_start(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    months = np.asarray((year - 1970) * 12 + (month - 1))
    return months.astype("datetime64[M]").astype("datetime64[D]")


def _month_length(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = (_month_start(year, month + 1) - _month_start(year, month)).astype(np.int64)
    return lengths
