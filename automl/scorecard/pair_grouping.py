"""Rows and columns of a matrix: bins of two characteristics put together where what is left unexplained is alike."""

from dataclasses import dataclass

import numpy as np

__all__ = ["MOST_GROUPS", "Sums", "grouped"]

MOST_GROUPS = 5
"""Groups of plain bins; nulls and special codes are apart."""
_LEAST_ROWS = 20


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of data in each bin of the first and of the second, each of shape (n_bins, n_bins).

    Parameters
    ----------
    gradient, information, rows : ndarray of float
        See `automl.scorecard.pair_search.Residuals`.
    """

    gradient: np.ndarray
    information: np.ndarray
    rows: np.ndarray

    def joined(self, rows: list[list[int]], columns: list[list[int]]) -> "Sums":
        """Return the sums over groups of bins."""
        tables = (self.gradient, self.information, self.rows)
        return Sums(*(_added(_added(table, rows).T, columns).T for table in tables))


def grouped(
    sums: Sums, orders: tuple[list[int], list[int]], penalty: float, most: int = MOST_GROUPS
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the group of each bin of the first and of the second.

    The two neighbours, of rows or of columns, whose union loses least are put together until there are no more than
    `most` of either, and as long as two are no further apart than chance makes them. Nulls and special codes have a
    group each; those of few rows share one, which stays neutral.

    Parameters
    ----------
    sums : Sums
        What is left unexplained.
    orders : tuple of list of int
        The plain bins of each in their order.
    penalty : float
        By which the weights of cells are shrunk.
    most : int
        Groups of plain bins of each.
    """
    sides = [[[index] for index in order] for order in orders]
    rest = [_apart(table.rows.sum(axis=1), order) for table, order in zip((sums, _turned(sums)), orders, strict=True)]
    while True:
        table = sums.joined(sides[0], sides[1])
        found = [
            (is_over, cost, axis, at)
            for axis, one in enumerate((table, _turned(table)))
            if (costs := _costs(one, penalty)).size
            for at, cost in [(int(np.argmin(costs)), float(costs.min()))]
            for is_over in [len(sides[axis]) > most]
            if is_over or (len(sides[axis]) > 2 and cost < one.rows.shape[1])
        ]
        if not found:
            break
        _, _, axis, at = min(found, key=lambda item: (not item[0], item[1], item[2]))
        sides[axis][at : at + 2] = [sides[axis][at] + sides[axis][at + 1]]
    rows, columns = (_numbers(side + apart, n) for side, apart, n in zip(sides, rest, sums.rows.shape, strict=True))
    return rows, columns


def _turned(sums: Sums) -> Sums:
    return Sums(sums.gradient.T, sums.information.T, sums.rows.T)


def _added(table: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    return np.stack([table[group].sum(axis=0) for group in groups])


def _apart(n_rows: np.ndarray, order: list[int]) -> list[list[int]]:
    others = [index for index in range(len(n_rows)) if index not in order]
    thin = [index for index in others if n_rows[index] < _LEAST_ROWS]
    return [*([index] for index in others if index not in thin), *([thin] if thin else [])]


def _costs(sums: Sums, penalty: float) -> np.ndarray:
    """Return how much worse each two neighbouring rows are told by weights in common."""
    weights = sums.gradient / (sums.information + penalty)
    information = sums.information + 1e-9
    held = information[:-1] * information[1:] / (information[:-1] + information[1:])
    return np.asarray((held * np.diff(weights, axis=0) ** 2).sum(axis=1))


def _numbers(groups: list[list[int]], n_bins: int) -> tuple[int, ...]:
    number = {index: place for place, group in enumerate(groups) for index in group}
    return tuple(number[index] for index in range(n_bins))
