"""Numbers and times as a person reads them: one way everywhere, a dash where there is none."""

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from core.i18n.message import Message, msg

__all__ = [
    "MISSING",
    "ago",
    "count",
    "difference",
    "interval",
    "metric",
    "money_cny",
    "number",
    "percent",
    "quantity",
    "signed",
    "until",
    "when",
]

MISSING = "–"
"""What stands where a value is missing."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_DAYS_SHOWN = 60
_SIGNIFICANT_DIGITS = 4
_LARGE = 1e15
_CNY_OF: Final = {"CNY": 1.0, "10k CNY": 1e4}
_MONEY = {
    "en": ((1e9, "CNY {} billion"), (1e6, "CNY {} million")),
    "zh": ((1e8, "{} 亿元"), (1e4, "{} 万元")),
}


def metric(value: float | None) -> str:
    """Return a metric with three significant digits and no zero before the point.

    Examples
    --------
    >>> metric(0.4018), metric(-0.05), metric(1), metric(12.34), metric(1234.5), metric(None)
    ('.402', '-.0500', '1.00', '12.3', '1,234', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    figure = f"{value:#.3g}".removesuffix(".")
    sign, digits = ("-", figure[1:]) if figure.startswith("-") else ("", figure)
    return sign + digits.removeprefix("0")


def difference(value: float | None) -> str:
    """Return how far two metrics are apart, with four decimals: a smaller difference is none.

    Examples
    --------
    >>> difference(0.0031), difference(-0.12), difference(0.000028), difference(1.5), difference(None)
    ('.0031', '-.1200', '0', '1.5000', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    figure = f"{value:.4f}"
    if not float(figure):
        return "0"
    sign, digits = ("-", figure[1:]) if figure.startswith("-") else ("", figure)
    return sign + (digits.removeprefix("0") if digits.startswith("0.") else digits)


def signed(value: float | None) -> str:
    """Return a difference with its sign, also where it is positive.

    Examples
    --------
    >>> signed(0.0031), signed(-0.12), signed(0)
    ('+.0031', '-.1200', '0')
    """
    text = difference(value)
    return text if text in {"0", MISSING} or text.startswith("-") else f"+{text}"


def interval(low: float | None, high: float | None, write: Callable[[float | None], str] = metric) -> str:
    """Return an interval of a metric, or of what else `write` writes.

    Examples
    --------
    >>> interval(0.361, 0.441), interval(None, 0.4), interval(-0.00001, 0.0021, difference)
    ('[.361, .441]', '–', '[0, .0021]')
    """
    ends = write(low), write(high)
    return MISSING if MISSING in ends else f"[{ends[0]}, {ends[1]}]"


def percent(ratio: float | None, digits: int = 1) -> str:
    """Return a ratio as a percentage.

    Examples
    --------
    >>> percent(0.1234), percent(1), percent(float("nan"))
    ('12.3%', '100.0%', '–')
    """
    return MISSING if ratio is None or not math.isfinite(ratio) else f"{100 * ratio:.{digits}f}%"


def count(number: float | None) -> str:
    """Return a whole number with its thousands separated.

    Examples
    --------
    >>> count(1234567), count(None)
    ('1,234,567', '–')
    """
    return MISSING if number is None or not math.isfinite(number) else f"{number:,.0f}"


def number(value: float) -> str:
    """Return a number as a person writes it: whole numbers whole, others with four significant digits.

    Examples
    --------
    >>> number(12345678.0), number(12.3), number(0.012345)
    ('12,345,678', '12.3', '0.01235')
    """
    if abs(value) >= _LARGE or not math.isfinite(value):
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    digits = max(_SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def quantity(value: float, unit: str | None, language: str = "en") -> str:
    """Return a number with its unit, as the data model has units; what a person counts goes without.

    Examples
    --------
    >>> quantity(485, "10k CNY"), quantity(485, "10k CNY", "zh"), quantity(34.5, "percent"), quantity(3, "queries")
    ('CNY 4.85 million', '485 万元', '34.5%', '3')
    >>> quantity(12, "months"), quantity(1, "days"), quantity(0.045, "ratio per year", "zh"), quantity(0.5, None)
    ('12 months', '1 day', '每年 4.5%', '0.5')
    """
    if unit in _CNY_OF and abs(value) < _LARGE:
        return money_cny(value * _CNY_OF[unit], language)
    if unit == "percent":
        return f"{number(value)}%"
    if unit == "ratio per year":
        return msg("{value}% a year", value=number(100 * value)).text(language)
    if unit == "days":
        return (msg("1 day") if value == 1 else msg("{n} days", n=number(value))).text(language)
    if unit == "months":
        return (msg("1 month") if value == 1 else msg("{n} months", n=number(value))).text(language)
    return number(value)


def money_cny(amount: float | None, language: str = "en") -> str:
    """Return an amount in yuan: in 万 and 亿 for Chinese readers, in millions and billions for others.

    Examples
    --------
    >>> money_cny(5_000_000, "zh"), money_cny(123_400_000, "zh"), money_cny(860, "zh")
    ('500 万元', '1.234 亿元', '860 元')
    >>> money_cny(5_250_000), money_cny(1_500_000_000), money_cny(-12_345), money_cny(None)
    ('CNY 5.25 million', 'CNY 1.5 billion', 'CNY -12,345', '–')
    """
    if amount is None or not math.isfinite(amount):
        return MISSING
    for unit, pattern in _MONEY.get(language, _MONEY["en"]):
        if abs(amount) >= unit:
            figure = amount / unit
            return pattern.format(f"{figure:.4g}" if abs(figure) < 1000 else f"{figure:,.0f}")
    return f"{amount:,.0f} 元" if language == "zh" else f"CNY {amount:,.0f}"


def when(moment: date | datetime | None, language: str = "en") -> str:
    """Return a day, or a moment in the machine's time zone (one without a zone as it is).

    Examples
    --------
    >>> when(date(2026, 11, 3)), when(datetime(2026, 11, 3, 7, 5), "zh"), when(None)
    ('2026-11-03', '2026年11月3日 07:05', '–')
    """
    if moment is None or moment != moment:  # pandas' NaT differs from itself
        return MISSING
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone()
    day = f"{moment.year}年{moment.month}月{moment.day}日" if language == "zh" else f"{moment:%Y-%m-%d}"
    return f"{day} {moment:%H:%M}" if isinstance(moment, datetime) else day


def ago(moment: datetime | None, now: datetime | None = None, language: str = "en") -> str:
    """Return how long ago a moment was.

    Parameters
    ----------
    moment, now : datetime
        Both with a time zone, or both without; `now` left out is the present.

    Examples
    --------
    >>> noon = datetime(2026, 11, 3, 12, 0)
    >>> ago(datetime(2026, 11, 3, 11, 57), noon), ago(datetime(2026, 11, 1, 12, 0), noon, "en"), ago(None)
    ('3 min ago', '2 days ago', '–')
    """
    if moment is None or moment != moment:  # pandas' NaT differs from itself
        return MISSING
    seconds = ((now or datetime.now(moment.tzinfo)) - moment).total_seconds()
    if seconds < -_MINUTE or seconds >= _DAYS_SHOWN * _DAY:
        return when(moment, language)
    return _elapsed(seconds).text(language)


def until(moment: datetime | None, now: datetime | None = None, language: str = "en") -> str:
    """Return how far off a moment is.

    Parameters
    ----------
    moment, now : datetime
        Both with a time zone, or both without; `now` left out is the present.

    Examples
    --------
    >>> noon = datetime(2026, 11, 3, 12, 0)
    >>> until(datetime(2026, 11, 3, 20, 30), noon), until(datetime(2026, 11, 3, 12, 0, 20), noon), until(None)
    ('in 8 h', 'now', '–')
    """
    if moment is None or moment != moment:  # pandas' NaT differs from itself
        return MISSING
    seconds = (moment - (now or datetime.now(moment.tzinfo))).total_seconds()
    if seconds >= _DAYS_SHOWN * _DAY:
        return when(moment, language)
    return _ahead(seconds).text(language)


def _ahead(seconds: float) -> Message:
    if seconds < _MINUTE:
        return msg("now")
    if seconds < _HOUR:
        return msg("in {n} min", n=int(seconds // _MINUTE))
    if seconds < 2 * _DAY:
        return msg("in {n} h", n=int(seconds // _HOUR))
    return msg("in {n} days", n=int(seconds // _DAY))


def _elapsed(seconds: float) -> Message:
    if seconds < _MINUTE:
        return msg("just now")
    if seconds < _HOUR:
        return msg("{n} min ago", n=int(seconds // _MINUTE))
    if seconds < _DAY:
        return msg("{n} h ago", n=int(seconds // _HOUR))
    if seconds < 2 * _DAY:
        return msg("1 day ago")
    return msg("{n} days ago", n=int(seconds // _DAY))
