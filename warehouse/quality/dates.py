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


def swapped_dates(case: TableCase, ruled: Collection[frozenset[str]] = ()) -> Iterable[Fault]:
    """Yield rows in which two dates stand in an order that at most one in two hundred rows has.

    Parameters
    ----------
    case : TableCase
        The table; only pairs that at least 50 rows have both of are judged.
    ruled : collection of frozenset of str
        Pairs that a rule asks for already.
    """
    columns = case.time_columns
    values = {name: case.frame[name].to_numpy(dtype="datetime64[ns]").view(np.int64) for name in columns}
    null = np.iinfo(np.int64).min
    for one, other in combinations(columns, 2):
        if frozenset((one, other)) in ruled:
            continue
        both = (values[one] != null) & (values[other] != null)
        n_both = int(both.sum())
        after, before = both & (values[one] > values[other]), both & (values[one] < values[other])
        n_after, n_before = int(after.sum()), int(before.sum())
        if n_both < _MIN_ROWS or not 0 < min(n_after, n_before) <= (1 - _MOST) * n_both:
            continue
        is_after = n_after < n_before
        rows = place(after if is_after else before)
        yield _fault((one, other) if is_after else (other, one), rows, n_both)


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
