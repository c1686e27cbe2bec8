"""Reducing stretches of rows to one value per window: sums, extremes, deviations, distinct levels, the most frequent.

The visible rows of each root row lie one after another, cut at the lower ends of the windows into *pieces*. Every
primitive reduces each piece once and adds pieces up from the cutoff backwards, so a row is read once, whatever the
number of windows.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np

__all__ = ["NUMBER_REDUCTIONS", "Pieces", "count", "last_rows", "mode_codes", "num_unique"]

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
    """

    def __init__(self, values: np.ndarray, pieces: Pieces, has_nulls: bool) -> None:
        self.values = values
        self.pieces = pieces
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


def sum_(numbers: Numbers) -> np.ndarray:
    """Sum of the values; 0 where there are none."""
    return numbers.sums


def mean(numbers: Numbers) -> np.ndarray:
    """Mean of the values; NaN where there are none."""
    return np.asarray(numbers.sums / numbers.counts)


def max_(numbers: Numbers) -> np.ndarray:
    """Greatest value; NaN where there are none."""
    reached = numbers.pieces.from_cutoff(
        np.maximum, numbers.pieces.reduce(np.maximum, numbers.filled(-np.inf), -np.inf)
    )
    return np.where(numbers.counts > 0, reached, np.nan)


def min_(numbers: Numbers) -> np.ndarray:
    """Least value; NaN where there are none."""
    reached = numbers.pieces.from_cutoff(np.minimum, numbers.pieces.reduce(np.minimum, numbers.filled(np.inf), np.inf))
    return np.where(numbers.counts > 0, reached, np.nan)


def std(numbers: Numbers) -> np.ndarray:
    """Sample standard deviation (divisor n - 1); NaN for fewer than two values.

    Two passes within each piece; pieces are joined by the update of Chan, Golub and LeVeque (1983), whose terms are all
    positive. All values of a root row are first measured from the mean of its newest piece, so that the means which
    are compared when pieces are joined keep their digits on large amounts too.
    """
    pieces, n = numbers.pieces, numbers.piece_counts
    origin = _newest_mean(numbers)
    values = numbers.values - pieces.spread(np.broadcast_to(origin[..., None], n.shape))
    sums = pieces.reduce(np.add, values if numbers.null is None else np.where(numbers.null, 0.0, values), 0.0)
    centre = np.divide(sums, n, out=np.zeros_like(sums), where=n > 0)
    deviation = values - pieces.spread(centre)
    if numbers.null is not None:
        deviation[numbers.null] = 0.0
    squares = pieces.reduce(np.add, np.square(deviation, out=deviation), 0.0)
    joined = np.empty_like(squares)
    joined_n, joined_mean, joined_squares = n[..., -1], centre[..., -1], squares[..., -1]
    joined[..., -1] = joined_squares
    for piece in range(squares.shape[-1] - 2, -1, -1):
        total = joined_n + n[..., piece]
        share = np.divide(n[..., piece], total, out=np.zeros_like(joined_mean), where=total > 0)
        gap = centre[..., piece] - joined_mean
        joined_squares = joined_squares + squares[..., piece] + gap * gap * joined_n * share
        joined_mean = joined_mean + gap * share
        joined_n = total
        joined[..., piece] = joined_squares
    degrees = numbers.counts - 1.0
    variance = np.divide(pieces.by_window(joined), degrees, out=np.full_like(joined, np.nan), where=degrees > 0)
    return np.asarray(np.sqrt(variance))


def _newest_mean(numbers: Numbers) -> np.ndarray:
    """Return the mean of the newest piece that has a value, per column and root row; 0 where there is none."""
    n, sums = numbers.piece_counts, numbers.piece_sums
    newest = n.shape[-1] - 1 - np.argmax(n[..., ::-1] > 0, axis=-1)[..., None]
    count_there = np.take_along_axis(n, newest, axis=-1)[..., 0]
    sum_there = np.take_along_axis(sums, newest, axis=-1)[..., 0]
    return np.asarray(np.divide(sum_there, count_there, out=np.zeros_like(sum_there), where=count_there > 0))


NUMBER_REDUCTIONS: Final[dict[str, Callable[[Numbers], np.ndarray]]] = {
    "sum": sum_,
    "mean": mean,
    "max": max_,
    "min": min_,
    "std": std,
}


def count(pieces: Pieces) -> np.ndarray:
    """Rows per window."""
    return pieces.counts.astype(np.float64)


def last_rows(pieces: Pieces) -> np.ndarray:
    """Row number of the latest row in each window, -1 where it is empty; shape (n_roots, n_windows)."""
    if not pieces.rows.size:
        return np.full(pieces.starts.shape, -1)
    ends = pieces.starts[:, -1] + pieces.lengths[:, -1]
    last = pieces.rows[np.maximum(ends - 1, 0)]
    return np.where(pieces.counts > 0, last[:, None], -1)


def num_unique(codes: np.ndarray, n_levels: int, pieces: Pieces) -> np.ndarray:
    """Count distinct levels per window; NaN for a window without rows."""
    result = np.empty(pieces.starts.shape)
    for block, tally, _ in _level_counts(codes, n_levels, pieces):
        result[block] = (tally > 0).sum(axis=1)
    return np.where(pieces.counts > 0, result, np.nan)


def mode_codes(codes: np.ndarray, n_levels: int, pieces: Pieces) -> np.ndarray:
    """Code of the most frequent level per window, the first in order among equals; -1 where there is none."""
    result = np.empty(pieces.starts.shape, dtype=np.int64)
    for block, tally, decode in _level_counts(codes, n_levels, pieces):
        best = tally.argmax(axis=1)
        has_any = np.take_along_axis(tally, best[:, None, :], axis=1)[:, 0] > 0
        result[block] = np.where(has_any, decode(best), -1)
    return result


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


def _level_counts(
    codes: np.ndarray, n_levels: int, pieces: Pieces
) -> Iterator[tuple[slice, np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Yield runs of root rows, their counts (n_roots, n_local_levels, n_windows), and what turns numbers into codes."""
    n_roots, n_pieces = pieces.starts.shape
    known = codes >= 0
    cell = np.repeat(np.arange(n_roots * n_pieces), pieces.lengths.ravel())[known]
    root, piece = np.divmod(cell, n_pieces)
    levels = _Levels.of(root, codes[known].astype(np.int64), n_levels, n_roots)
    step = max(_MAX_CELLS // (levels.width * n_pieces), 1)
    for begin in range(0, n_roots, step):
        end = min(begin + step, n_roots)
        inside = slice(*np.searchsorted(root, (begin, end)))
        place = ((root[inside] - begin) * levels.width + levels.local[inside]) * n_pieces + piece[inside]
        shape = (end - begin, levels.width, n_pieces)
        tally = np.bincount(place, minlength=math.prod(shape)).reshape(shape)
        reached = np.cumsum(tally[..., ::-1], axis=-1)[..., ::-1]
        if pieces.rank is not None:
            rank = np.broadcast_to(pieces.rank[begin:end, None, :], shape)
            reached = np.take_along_axis(reached, rank, axis=-1)
        yield slice(begin, end), reached, partial(levels.decode, begin)
