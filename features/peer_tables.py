"""What is known of the peers in one month: how many have a value, mean, deviation and quantiles, group by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from features.definitions import PeerStatistic

__all__ = ["GRID", "PeerLevel", "PeerTable", "cell_numbers", "compare", "no_peers"]

GRID: Final = np.array([0.0, 0.01, 0.025, *(np.arange(1, 20) / 20), 0.975, 0.99, 1.0])
"""The quantiles that are kept; a percentile is read off between them."""

_N, _MEAN, _STD, _QUANTILES = 0, 1, 2, slice(3, None)
_MEDIAN: Final = 3 + int(np.flatnonzero(GRID == 0.5)[0])
_WIDTH: Final = 3 + GRID.size


@dataclass(frozen=True)
class PeerLevel:
    """The groups of one width.

    Parameters
    ----------
    cells : ndarray of shape (n_groups,), int64
        Ascending numbers of the groups with enough peers: the codes of the columns that they share, as one number.
    values : ndarray of shape (n_groups, n_features, 3 + n_quantiles), float64
        Count, mean, deviation and quantiles of the peers' values; NaN where too few have one.
    """

    cells: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class PeerTable:
    """The peers of one month, as known before its first moment.

    Parameters
    ----------
    sizes : tuple of int
        Number of levels of each of the columns that peers share.
    levels : tuple of PeerLevel
        Groups that share all of the columns, then all but the last, down to one group of all.
    """

    sizes: tuple[int, ...]
    levels: tuple[PeerLevel, ...]

    @classmethod
    def build(cls, values: np.ndarray, codes: np.ndarray, sizes: Sequence[int], min_size: int) -> "PeerTable":
        """Reduce the values of all peers, in whatever order they come: the bits depend on which there are alone.

        Parameters
        ----------
        values : ndarray of shape (n_peers, n_features)
            Their values; what is not finite does not count.
        codes : ndarray of shape (n_peers, n_columns)
            Codes of the columns that they share; NaN for null, `sizes` or more for a level that is not known.
        sizes : sequence of int
            Number of levels of each column.
        min_size : int
            Fewest values of a group.
        """
        # Sorted by value once; what is grouped from that stays in order.
        orders = [_finite_order(column) for column in values.T]
        levels = []
        for depth in range(len(sizes), -1, -1):
            cells = cell_numbers(codes, sizes, depth)
            levels.append(_level(values, cells, orders, min_size))
        return cls(tuple(sizes), tuple(levels))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """Return for rows with `codes` (n_rows, n_columns) what is known of their peers.

        Returns
        -------
        ndarray of shape (n_rows, n_features, 3 + n_quantiles)
            Of the narrowest group that has enough; NaN where none has.
        """
        n_features = self.levels[-1].values.shape[1]
        found = np.full((len(codes), n_features, _WIDTH), np.nan)
        for depth, level in zip(range(len(self.sizes), -1, -1), self.levels, strict=True):
            if not level.cells.size:
                continue
            cells = cell_numbers(codes, self.sizes, depth)
            places = np.minimum(np.searchsorted(level.cells, cells), level.cells.size - 1)
            here = level.values[places]
            take = (level.cells[places] == cells)[:, None] & np.isnan(found[:, :, _N]) & ~np.isnan(here[:, :, _N])
            found[take] = here[take]
        return found


def no_peers(sizes: Sequence[int], n_features: int) -> PeerTable:
    """Return a table in which nobody has a peer."""
    nothing = PeerLevel(np.empty(0, dtype=np.int64), np.empty((0, n_features, _WIDTH)))
    return PeerTable(tuple(sizes), (nothing,) * (len(sizes) + 1))


def cell_numbers(codes: np.ndarray, sizes: Sequence[int], depth: int) -> np.ndarray:
    """Return one number per row for its first `depth` codes, -1 where one of them is null or not known."""
    numbers = np.zeros(len(codes), dtype=np.int64)
    for column, size in zip(codes.T[:depth], sizes, strict=False):
        known = column < size  # False for NaN
        numbers = np.where((numbers >= 0) & known, numbers * size + np.where(known, column, 0).astype(np.int64), -1)
    return numbers


def compare(statistic: PeerStatistic, values: np.ndarray, peers: np.ndarray) -> np.ndarray:
    """Return the `statistic` of `values` (...) among `peers` (..., 3 + n_quantiles); NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if statistic == "difference_from_mean":
            told = values - peers[..., _MEAN]
        elif statistic == "difference_from_median":
            told = values - peers[..., _MEDIAN]
        elif statistic == "ratio_to_median":
            told = values / np.where(peers[..., _MEDIAN] == 0, np.nan, peers[..., _MEDIAN])
        elif statistic == "z_score":
            told = (values - peers[..., _MEAN]) / np.where(peers[..., _STD] == 0, np.nan, peers[..., _STD])
        elif statistic == "percentile":
            told = _percentile(values, peers[..., _QUANTILES])
        else:
            told = peers[..., _N]
    return np.where(np.isfinite(values) & ~np.isnan(peers[..., _N]), told, np.nan)


def _percentile(values: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return the share of peers below each value, read off between the quantiles; of equal ones the middle."""
    below = (quantiles < values[..., None]).sum(axis=-1)
    up_to = (quantiles <= values[..., None]).sum(axis=-1)
    last = GRID.size - 1
    left, right = np.maximum(below - 1, 0), np.minimum(below, last)
    low, high = (np.take_along_axis(quantiles, place[..., None], axis=-1)[..., 0] for place in (left, right))
    part = np.where(high > low, (values - low) / np.where(high > low, high - low, 1.0), 0.0)
    between = GRID[left] + (GRID[right] - GRID[left]) * part
    equal = (GRID[right] + GRID[np.maximum(up_to - 1, 0)]) / 2
    outside = np.where(below == 0, 0.0, 1.0)
    return np.where(up_to > below, equal, np.where((below == 0) | (below > last), outside, between))


def _finite_order(values: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(np.isfinite(values))
    return rows[np.argsort(values[rows], kind="stable")]


def _level(values: np.ndarray, cells: np.ndarray, orders: Sequence[np.ndarray], min_size: int) -> PeerLevel:
    numbers, places = np.unique(cells, return_inverse=True)
    places = places.astype(np.int16 if numbers.size < 1 << 15 else np.int64)  # 16 bits are sorted by radix
    stored = np.full((numbers.size, len(orders), _WIDTH), np.nan)
    for number, order in enumerate(orders):
        here = places[order]
        counts = np.bincount(here, minlength=numbers.size)
        enough = (counts >= max(min_size, 2)) & (numbers >= 0)
        kept = order[enough[here]]
        grouped = kept[np.argsort(places[kept], kind="stable")]
        stored[enough, number] = _summaries(values[grouped, number], counts[enough])
    some = ~np.isnan(stored[:, :, _N]).all(axis=1)
    return PeerLevel(numbers[some].astype(np.int64), stored[some])


def _summaries(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return count, mean, deviation and quantiles of stretches of ascending `values`, shape (n_stretches, 3 + ...)."""
    found = np.empty((counts.size, _WIDTH))
    if not counts.size:
        return found
    starts = np.cumsum(counts) - counts
    places = (counts[:, None] - 1) * GRID
    low = np.floor(places).astype(np.int64)
    first, second = (values[starts[:, None] + np.minimum(low + step, counts[:, None] - 1)] for step in (0, 1))
    quantiles = first + (second - first) * (places - low)
    is_constant = quantiles[:, 0] == quantiles[:, -1]
    mean = np.where(is_constant, quantiles[:, 0], _sums(values, starts) / counts)
    deviations = values - np.repeat(mean, counts)
    found[:, _N], found[:, _MEAN], found[:, _QUANTILES] = counts, mean, quantiles
    found[:, _STD] = np.sqrt(_sums(deviations * deviations, starts) / (counts - 1))
    return found


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    # The last start, at the padding, ends the last stretch, as in `features.reductions.Pieces.reduce`.
    sums: np.ndarray = np.add.reduceat(np.append(values, 0.0), np.append(starts, values.size))[:-1]
    return sums
