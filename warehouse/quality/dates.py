"""Dates of a row in an order that the other rows do not have."""

from collections.abc import Collection, Iterable
from itertools import combinations
from typing import Final

import numpy as np

from core.findings import Severity
from core.i18n import msg
from warehouse.quality.faults import Array, Fault, TableCase, place

__all__ = ["swapped_dates"]

_MIN_ROWS: Final = 50
_MOST: Final = 0.995
_LEAST_GAP_PERCENT: Final = 5


def swapped_dates(case: TableCase, ruled: Collection[frozenset[str]] = ()) -> Iterable[Fault]:
    """Yield rows in which two dates stand in an order that at most one in two hundred rows has, and as far apart.

    Swapped dates lie as far apart as others do: a gap below the fifth percentile of the usual ones is an overrun, such
    as a loan paid back a few days late.

    Parameters
    ----------
    case : TableCase
        The table; only pairs that at least 50 rows have both of are judged.
    ruled : collection of frozenset of str
        Pairs that a rule asks for already.
    """
    columns = case.time_columns
    values = {name: case.column(name).to_numpy(dtype="datetime64[ns]") for name in columns}
    is_day = {name: case.spec.columns[name].type == "date" for name in columns}
    for one, other in combinations(columns, 2):
        if frozenset((one, other)) in ruled:
            continue
        gap = _days_between(values[one], values[other], in_days=is_day[one] or is_day[other])
        n_both, n_after, n_before = int(np.isfinite(gap).sum()), int((gap < 0).sum()), int((gap > 0).sum())
        if n_both < _MIN_ROWS or not 0 < min(n_after, n_before) <= (1 - _MOST) * n_both:
            continue
        is_after = n_after < n_before
        usual = gap if is_after else -gap  # above zero where the order is the usual one
        rows = place(usual <= -np.percentile(usual[usual > 0], _LEAST_GAP_PERCENT))
        if len(rows):
            yield _fault((one, other) if is_after else (other, one), rows, n_both)


def _days_between(one: Array, other: Array, *, in_days: bool) -> Array:
    """Return the days from `one` to `other`, NaN where one is missing; whole ones where either has no time of day."""
    if in_days:
        one, other = one.astype("datetime64[D]"), other.astype("datetime64[D]")
    gap = other - one
    days = gap / (np.timedelta64(1, "D") if in_days else np.timedelta64(86_400_000_000_000, "ns"))
    result: Array = np.where(np.isnat(gap), np.nan, days)
    return result


def _fault(pair: tuple[str, str], rows: Array, n_both: int) -> Fault:
    return Fault(
        "dates_out_of_order",
        "consistency",
        Severity.WATCH,
        pair,
        msg(
            "in {n} rows {first} lies after {second}, in the other {others} it does not",
            n=len(rows),
            first=pair[0],
            second=pair[1],
            others=n_both - len(rows),
        ),
        msg("Look whether the two were swapped."),
        rows,
        total=n_both,
    )
