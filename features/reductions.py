"""What primitives see: stretches of visible rows, cut by window, with what several primitives share.

The visible rows of each root row lie one after another, oldest first, cut at the lower ends of the windows into
*pieces*. Most primitives reduce each piece once and add pieces up from the cutoff backwards, so a row is read once,
whatever the number of windows; the others reduce the rows of each window, which end where the root row's rows end.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

import numpy as np

from features.histories import NO_TIME

__all__ = ["DAY_NS", "Codes", "Numbers", "Pieces", "Rows", "add_levels", "days_from", "run_lengths"]

DAY_NS: Final = 86_400_000_000_000
_FEW_LEVELS: Final = 64
_MAX_CELLS: Final = 1 << 21


@dataclass(frozen=True)
class Pieces:
    """Visible rows of a block of root rows, cut into pieces.

    Parameters
    ----------
    rows : ndarray of shape (n_visible,), int64
        Row numbers in the child table, root row after root row, each in order of event time.
    starts : ndarray of shape (n_roots, n_pieces), int64
        Where each piece begins in `rows`; the first piece of a root row is its oldest.
    lengths : ndarray of shape (n_roots, n_pieces), int64
        Rows per piece.
    rank : ndarray of shape (n_roots, n_pieces) or None
        For each window the number of its oldest piece; None where window i begins with piece i.
    """

    rows: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    rank: np.ndarray | None

    @cached_property
    def counts(self) -> np.ndarray:
        """Rows per window, shape (n_roots, n_windows)."""
        return self.from_cutoff(np.add, self.lengths)

    def from_cutoff(self, ufunc: np.ufunc, pieces: np.ndarray) -> np.ndarray:
        """Accumulate `pieces` (..., n_roots, n_pieces) from the cutoff backwards; returns one value per window."""
        return self.by_window(ufunc.accumulate(pieces[..., ::-1], axis=-1)[..., ::-1])

    def by_window(self, reached: np.ndarray) -> np.ndarray:
        """Return for each window the value at its oldest piece."""
        if self.rank is None:
            return reached
        rank = np.broadcast_to(self.rank, reached.shape)
        return np.take_along_axis(reached, rank, axis=-1)

    def reduce(self, ufunc: np.ufunc, values: np.ndarray, identity: float) -> np.ndarray:
        """Reduce `values` (n_columns, n_visible) piece by piece; returns (n_columns, n_roots, n_pieces)."""
        padded = np.empty((values.shape[0], values.shape[1] + 1))
        padded[:, :-1] = values
        padded[:, -1] = identity
        # The last start, at the padding, ends the last piece: what lies behind must not even take part in the order in
        # which numpy adds up.
        starts = np.append(self.starts.ravel(), values.shape[1])
        reduced = ufunc.reduceat(padded, starts, axis=1)[:, :-1].reshape(-1, *self.starts.shape)
        return np.where(self.lengths > 0, reduced, identity)

    def spread(self, per_piece: np.ndarray) -> np.ndarray:
        """Return (n_columns, n_roots, n_pieces) values repeated for each row, shape (n_columns, n_visible)."""
        return np.repeat(per_piece.reshape(len(per_piece), -1), self.lengths.ravel(), axis=1)

    @cached_property
    def begins(self) -> np.ndarray:
        """Where each window begins in `rows`, shape (n_roots, n_windows)."""
        return self.by_window(self.starts)

    @cached_property
    def ends(self) -> np.ndarray:
        """Where the rows of each root row, and all its windows, end in `rows`, shape (n_roots,)."""
        return np.asarray(self.starts[:, -1] + self.lengths[:, -1])

    @cached_property
    def per_root(self) -> np.ndarray:
        """Visible rows per root row."""
        return np.asarray(self.lengths.sum(axis=1))

    def to_rows(self, per_root: np.ndarray) -> np.ndarray:
        """Return (..., n_roots) values repeated for each visible row, shape (..., n_visible)."""
        return np.repeat(per_root, self.per_root, axis=-1)

    def reduce_from(self, ufunc: np.ufunc, values: np.ndarray, begins: np.ndarray, identity: float) -> np.ndarray:
        """Reduce `values` (..., n_visible) from `begins` (n_roots,) to the ends; returns (..., n_roots)."""
        padded = np.concatenate([values, np.full((*values.shape[:-1], 1), identity, dtype=values.dtype)], axis=-1)
        places = np.stack([begins, self.ends], axis=1).ravel()
        reduced = ufunc.reduceat(padded, places, axis=-1)[..., ::2] if places.size else values[..., :0]
        return np.where(begins < self.ends, reduced, identity)

    def keep(self, wanted: np.ndarray) -> "Pieces":
        """Return the pieces with only the `wanted` of the visible rows."""
        if wanted.all():
            return self
        kept = np.concatenate([[0], np.cumsum(wanted)])
        starts = kept[self.starts]
        return replace(self, rows=self.rows[wanted], starts=starts, lengths=kept[self.starts + self.lengths] - starts)


class Rows:
    """Visible rows without a column: how many, and when.

    Parameters
    ----------
    pieces : Pieces
        The rows.
    events : ndarray of shape (n_table_rows,), int64, or None
        Event time of every row of the table.
    cutoffs : ndarray of shape (n_roots,), int64
        The moments that times are measured from.
    holds : ndarray of shape (n_visible,), bool, or None
        Whether the condition of the feature holds for each row.
    """

    def __init__(
        self, pieces: Pieces, events: np.ndarray | None, cutoffs: np.ndarray, holds: np.ndarray | None = None
    ) -> None:
        self.pieces = pieces
        self.events = events
        self.cutoffs = cutoffs
        self.holds = holds

    @cached_property
    def times(self) -> np.ndarray:
        """Event time per visible row, `NO_TIME` for none."""
        if self.events is None or not self.events.size:
            return np.full(self.pieces.rows.shape, NO_TIME)
        return np.asarray(self.events[self.pieces.rows])

    @cached_property
    def timed(self) -> "Rows":
        """Only the rows that have a time."""
        return Rows(self.pieces.keep(self.times != NO_TIME), self.events, self.cutoffs)

    def days_to_cutoff(self, places: np.ndarray) -> np.ndarray:
        """Return the days from the event at `places` (n_roots, n_windows) to the cutoff; NaN in an empty window."""
        if not self.times.size:
            return np.full(places.shape, np.nan)
        times = self.times[np.clip(places, 0, self.times.size - 1)]
        known = (self.pieces.counts > 0) & (times != NO_TIME)
        return np.where(known, (self.cutoffs[:, None] - np.where(known, times, 0)) / DAY_NS, np.nan)


class Numbers:
    """Values of number columns over pieces, with what several primitives share.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_visible), float64
        NaN for null.
    pieces : Pieces
        How they are cut.
    has_nulls : bool
        Whether any value may be NaN.
    rows : Rows
        When the rows happened.
    """

    def __init__(self, values: np.ndarray, pieces: Pieces, has_nulls: bool, rows: Rows) -> None:
        self.values = values
        self.pieces = pieces
        self.rows = rows
        self.null = np.isnan(values) if has_nulls else None

    def filled(self, value: float) -> np.ndarray:
        """Return the values with `value` for null."""
        return self.values if self.null is None else np.where(self.null, value, self.values)

    @cached_property
    def piece_counts(self) -> np.ndarray:
        """Values that are not null, per column, root row and piece."""
        if self.null is None:
            return np.broadcast_to(self.pieces.lengths, (self.values.shape[0], *self.pieces.lengths.shape))
        return self.pieces.reduce(np.add, (~self.null).astype(np.float64), 0.0)

    @cached_property
    def piece_sums(self) -> np.ndarray:
        """Sum per column, root row and piece."""
        return self.pieces.reduce(np.add, self.filled(0.0), 0.0)

    @cached_property
    def counts(self) -> np.ndarray:
        """Values that are not null, per column, root row and window."""
        return self.pieces.from_cutoff(np.add, self.piece_counts)

    @cached_property
    def sums(self) -> np.ndarray:
        """Sum per column, root row and window."""
        return self.pieces.from_cutoff(np.add, self.piece_sums)

    def known(self, column: int) -> tuple[Pieces, np.ndarray]:
        """Return the pieces and values of one column without its nulls."""
        values = self.values[column]
        if self.null is None:
            return self.pieces, values
        kept = ~self.null[column]
        return self.pieces.keep(kept), values[kept]

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the values at `places` (n_roots, n_windows); NaN in an empty window."""
        if not self.pieces.rows.size:
            return np.full((len(self.values), *places.shape), np.nan)
        found = self.values[:, np.clip(places, 0, self.pieces.rows.size - 1)]
        return np.where(self.pieces.counts > 0, found, np.nan)


class Codes:
    """Levels of a category column over pieces.

    Parameters
    ----------
    codes : ndarray of shape (n_visible,), int
        -1 for null.
    n_levels : int
        Levels of the column.
    pieces : Pieces
        How they are cut.
    weights : ndarray of shape (n_visible,), float64, or None
        What each row weighs, by default one; a row counts only where its weight is positive.
    """

    def __init__(self, codes: np.ndarray, n_levels: int, pieces: Pieces, weights: np.ndarray | None = None) -> None:
        self.codes = codes
        self.n_levels = n_levels
        self.pieces = pieces
        self.weights = weights

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the codes at `places` (n_roots, n_windows); -1 in an empty window."""
        if not self.codes.size:
            return np.full(places.shape, -1)
        return np.where(self.pieces.counts > 0, self.codes[np.clip(places, 0, self.codes.size - 1)], -1)

    def tallies(self) -> Iterator[tuple[slice, np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
        """Yield runs of root rows, what their levels weigh, and what turns numbers of levels into codes.

        Weights have shape (n_roots, n_local_levels, n_windows); how many levels there are besides those of a root row
        depends on the other root rows, so nothing may be added up over levels in an order that depends on it.
        """
        n_roots, n_pieces = self.pieces.starts.shape
        known = self.codes >= 0 if self.weights is None else (self.codes >= 0) & (self.weights > 0)
        cell = np.repeat(np.arange(n_roots * n_pieces), self.pieces.lengths.ravel())[known]
        weights = None if self.weights is None else self.weights[known]
        root, piece = np.divmod(cell, n_pieces)
        levels = _Levels.of(root, self.codes[known].astype(np.int64), self.n_levels, n_roots)
        step = max(_MAX_CELLS // (levels.width * n_pieces), 1)
        for begin in range(0, n_roots, step):
            end = min(begin + step, n_roots)
            inside = slice(*np.searchsorted(root, (begin, end)))
            place = ((root[inside] - begin) * levels.width + levels.local[inside]) * n_pieces + piece[inside]
            shape = (end - begin, levels.width, n_pieces)
            inside_weights = None if weights is None else weights[inside]
            tally = np.bincount(place, inside_weights, minlength=math.prod(shape)).reshape(shape)
            reached = np.cumsum(tally[..., ::-1], axis=-1)[..., ::-1]
            if self.pieces.rank is not None:
                rank = np.broadcast_to(self.pieces.rank[begin:end, None, :], shape)
                reached = np.take_along_axis(reached, rank, axis=-1)
            yield slice(begin, end), reached, partial(levels.decode, begin)

    def nth_most_common(self, place: int) -> np.ndarray:
        """Return the code of the level with the greatest tally but `place`, shape (n_roots, n_windows).

        Among equal tallies the first in order of the levels comes first; -1 where there are no more levels.
        """
        result = np.empty(self.pieces.starts.shape, dtype=np.int64)
        for block, tally, decode in self.tallies():
            left = tally
            for _ in range(place):
                left = left.copy()
                np.put_along_axis(left, left.argmax(axis=1)[:, None, :], 0, axis=1)
            best = left.argmax(axis=1)
            is_there = np.take_along_axis(left, best[:, None, :], axis=1)[:, 0] > 0
            result[block] = np.where(is_there, decode(best), -1)
        return result

    def per_window(self, reduce: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Reduce tallies (n_roots, n_local_levels, n_windows) over their levels; returns (n_roots, n_windows)."""
        result = np.empty(self.pieces.starts.shape)
        for block, tally, _ in self.tallies():
            result[block] = reduce(tally)
        return result


def days_from(earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Return the days between moments in order; right for spans too long for signed nanoseconds too."""
    return np.asarray((later - earlier).view(np.uint64) / DAY_NS)


def run_lengths(pieces: Pieces, holds: np.ndarray) -> np.ndarray:
    """Return for each visible row how many rows in a row of its root row hold, itself the last; 0 where it does not."""
    places = np.arange(holds.size)
    broken = np.maximum.accumulate(np.where(holds, -1, places))
    return np.asarray(places - np.maximum(broken, pieces.to_rows(pieces.starts[:, 0]) - 1))


def add_levels(tally: np.ndarray) -> np.ndarray:
    """Add up (n_roots, n_local_levels, n_windows) over the levels, strictly one after another.

    The same bits however many empty levels there are besides.
    """
    return np.asarray(np.cumsum(tally, axis=1)[:, -1])


@dataclass(frozen=True)
class _Levels:
    """Levels numbered from 0 within each root row, so that the table of counts stays small however many there are.

    Parameters
    ----------
    local : ndarray of shape (n_known,), int64
        Number of each value's level within its root row.
    width : int
        Most levels in one root row.
    first, codes : ndarray or None
        Root row i has the levels ``codes[first[i] : first[i + 1]]``, ascending; None where numbers are codes already.
    """

    local: np.ndarray
    width: int
    first: np.ndarray | None = None
    codes: np.ndarray | None = None

    @classmethod
    def of(cls, root: np.ndarray, codes: np.ndarray, n_levels: int, n_roots: int) -> "_Levels":
        if n_levels <= _FEW_LEVELS:
            return cls(codes, max(n_levels, 1))
        distinct, inverse = np.unique(root * n_levels + codes, return_inverse=True)
        first = np.searchsorted(distinct, np.arange(n_roots + 1) * n_levels)
        return cls(inverse - first[root], int(max(np.diff(first).max(initial=0), 1)), first, distinct % n_levels)

    def decode(self, begin: int, local: np.ndarray) -> np.ndarray:
        """Return the codes of `local` (n_roots, n_windows) numbers of the root rows from `begin` on."""
        if self.first is None or self.codes is None:
            return local
        first = self.first[begin : begin + len(local), None]
        return self.codes[np.minimum(first + local, self.codes.size - 1)] if self.codes.size else local
