"""The calendar of the sample world: its months, its as-of day, and arithmetic on whole days."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AS_OF_DAY",
    "NEVER",
    "N_MONTHS",
    "Array",
    "add_months",
    "day",
    "day_numbers",
    "generator",
    "month_end",
    "month_of",
    "month_start",
    "timestamps",
    "year_of",
]

Array = NDArray[Any]

FIRST_MONTH = np.datetime64("2017-01", "M")  # the first month with histories: 24 months before the first application
N_MONTHS = 96  # up to and including 2024-12
_EPOCH_MONTH = int(FIRST_MONTH.astype(np.int64))


def day(date: str) -> int:
    """Return the day number (days since 1970-01-01) of an ISO date.

    Examples
    --------
    >>> day("1970-01-31")
    30
    """
    return int(np.datetime64(date, "D").astype(np.int64))


AS_OF_DAY = day("2024-12-31")
NEVER = -(10**6)  # the day number of what did not happen; becomes a null time


def generator(seed: int, part: str) -> np.random.Generator:
    """Return the random stream of one part of the world; parts do not disturb each other."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


def month_of(days: Array) -> Array:
    """Return the month index (0 is 2017-01) of day numbers; negative before."""
    months: Array = np.asarray(days).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) - _EPOCH_MONTH
    return months


def month_start(months: Array | int) -> Array:
    """Return the day number of the first day of month indices."""
    starts: Array = (np.asarray(months) + _EPOCH_MONTH).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return starts


def month_end(months: Array | int) -> Array:
    """Return the day number of the last day of month indices."""
    return month_start(np.asarray(months) + 1) - 1


def year_of(days: Array) -> Array:
    """Return the calendar year of day numbers."""
    years: Array = np.asarray(days).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def add_months(days: Array, months: Array | int) -> Array:
    """Return day numbers moved by whole months; the day of the month is held within the month's length.

    Examples
    --------
    >>> int(add_months(np.array([day("2023-01-31")]), 1)[0]) == day("2023-02-28")
    True
    """
    start = month_of(days)
    target = start + months
    moved: Array = np.minimum(month_start(target) + (days - month_start(start)), month_end(target))
    return moved


def day_numbers(times: Any, missing: int = NEVER) -> Array:
    """Return the day numbers of times (a column or an array), `missing` for NaT."""
    days = np.asarray(times).astype("datetime64[D]")
    numbers: Array = np.where(np.isnat(days), missing, days.astype(np.int64))
    return numbers


def timestamps(days: Array, seconds: Array | int = 0) -> Array:
    """Return day numbers as naive nanosecond timestamps; `NEVER` becomes NaT."""
    days = np.asarray(days)
    stamps = (days.astype(np.int64) * 86_400 + seconds).astype("datetime64[s]").astype("datetime64[ns]")
    return np.where(days == NEVER, np.datetime64("NaT", "ns"), stamps)
