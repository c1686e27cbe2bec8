"""The rows of a child table sorted once by parent row and event time, and found again by binary search."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

__all__ = ["NO_TIME", "Clock", "History", "OrderKey"]

NO_TIME: Final = np.iinfo(np.int64).min
_BITS: Final = 63


class OrderKey(Protocol):
    """A column that orders rows of one moment; an array, or what gives the values of a few rows as one."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """Return the values of `rows`."""
        ...


@dataclass(frozen=True)
class Clock:
    """Event times as small integers that keep their order: 1, 2, ... and 0 for no time.

    Where all times are multiples of one step (a second, a day) the ticks count steps; where the span would be too long
    to pack with the parent row into 64 bits, they count distinct times.
    """

    first: int
    last: int
    step: int
    distinct: np.ndarray | None
    n_ticks: int

    @classmethod
    def of(cls, times: np.ndarray, max_ticks: int) -> "Clock":
        """Return the clock of `times` (int64 nanoseconds) with at most `max_ticks` ticks where that can be."""
        real = times[times != NO_TIME]
        if not real.size:
            return cls(0, 0, 1, None, 1)
        first, last = int(real.min()), int(real.max())
        if last - first < 1 << 62:
            step = int(np.gcd.reduce(real - first)) or 1
            if (last - first) // step < max_ticks:
                return cls(first, last, step, None, (last - first) // step + 1)
        distinct = np.unique(real)
        return cls(first, last, 1, distinct, distinct.size)

    def ticks(self, times: np.ndarray) -> np.ndarray:
        """Return the tick of each of the times the clock was made of."""
        safe = np.where(times == NO_TIME, self.first, times)
        if self.distinct is not None:
            ticks: np.ndarray = np.searchsorted(self.distinct, safe) + 1
        else:
            ticks = (safe - self.first) // self.step + 1
        return np.where(times == NO_TIME, 0, ticks)

    def ticks_before(self, moments: np.ndarray) -> np.ndarray:
        """Return for each moment the tick t such that a time lies before the moment exactly where its tick is below t.

        Rows without a time count as lying before every moment.
        """
        if self.distinct is not None:
            return np.searchsorted(self.distinct, moments) + 1
        inside = np.clip(moments, self.first, min(self.last + 1, np.iinfo(np.int64).max))
        ticks: np.ndarray = 1 - (self.first - inside) // self.step
        return ticks


@dataclass(frozen=True)
class History:
    """Rows of a child table in order of parent row, event time and key.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
        Row numbers in the child table.
    events : ndarray of shape (n,), int64
        Event time of each, `NO_TIME` for none.
    seen_from : ndarray of shape (n,), int64, or None
        From when each row counts; None where that is its event time (or always, for a table without time).
    packed : ndarray of shape (n,), int64
        Parent row and tick in one ascending number.
    clock : Clock
        How times become ticks.
    """

    rows: np.ndarray
    events: np.ndarray
    seen_from: np.ndarray | None
    packed: np.ndarray
    clock: Clock

    @classmethod
    def build(
        cls,
        rows: np.ndarray,
        anchors: np.ndarray,
        events: np.ndarray,
        seen_from: np.ndarray | None,
        order_keys: Sequence[OrderKey],
        n_anchors: int,
    ) -> "History":
        """Sort `rows` by anchor (parent row), event time, the time they count from, and `order_keys` of the table."""
        if seen_from is not None and np.array_equal(seen_from, events):
            seen_from = None
        clock = Clock.of(events, (1 << (_BITS - 1)) // max(n_anchors, 1) - 2)
        packed = anchors * (clock.n_ticks + 2) + clock.ticks(events)
        order = _argsort_stable(packed)
        packed = packed[order]
        order = _settle_ties(order, packed, seen_from, rows, order_keys)
        return cls(
            rows=rows[order],
            events=events[order],
            seen_from=None if seen_from is None else seen_from[order],
            packed=packed,
            clock=clock,
        )

    def positions(self, anchors: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Return where the rows of `anchors` at or after `moments` begin; both of one shape."""
        wanted = anchors * (self.clock.n_ticks + 2) + self.clock.ticks_before(moments)
        found: np.ndarray = np.searchsorted(self.packed, wanted)
        return found

    def first_positions(self, anchors: np.ndarray) -> np.ndarray:
        """Return where the rows of `anchors` begin."""
        return np.searchsorted(self.packed, anchors * (self.clock.n_ticks + 2))


def _argsort_stable(values: np.ndarray) -> np.ndarray:
    """Sort non-negative integers; one fast sort of (value, position) pairs packed in 64 bits where they fit."""
    n = values.size
    bits = max(n - 1, 0).bit_length()
    if n == 0 or int(values.max()).bit_length() + bits > _BITS:
        return np.argsort(values, kind="stable")
    packed = (values << bits) | np.arange(n)
    packed.sort()
    return packed & ((1 << bits) - 1)


def _settle_ties(
    order: np.ndarray,
    packed: np.ndarray,
    seen_from: np.ndarray | None,
    rows: np.ndarray,
    order_keys: Sequence[OrderKey],
) -> np.ndarray:
    """Order rows of one parent and moment by the time they count from, then by primary key, then as they came."""
    same = packed[1:] == packed[:-1]
    if not same.any() or (seen_from is None and not order_keys):
        return order
    tied = np.zeros(packed.size, dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    members = order[places]
    keys = [_ranks(key[rows[members]]) for key in reversed(order_keys)]
    if seen_from is not None:
        keys.append(seen_from[members])
    order = order.copy()
    order[places] = members[np.lexsort([*keys, packed[places]])]
    return order


def _ranks(values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values
    return np.unique(values.astype(str), return_inverse=True)[1]
