"""Crossed characteristics: a matrix of points for two characteristics together, on top of the points of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from automl.scorecard.bins import CharacteristicBins
from core.errors import InputError
from core.i18n import msg

__all__ = ["MOST_PAIRS", "Pair", "extremes", "group_label", "group_runs"]

MOST_PAIRS: Final = 10
"""Most crossed characteristics of one card: each is a matrix that somebody has to read."""
Table = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Pair:
    """Points of two characteristics of a card together.

    Its rows are groups of bins of the first, its columns groups of bins of the second, so that they read as the
    characteristics themselves do. A row of data gets the points of its two bins and those of their cell.

    Parameters
    ----------
    first, second : str
        Aliases of two characteristics of the card.
    rows, columns : tuple of int
        Group of each bin of the first and of the second, those for null and for special codes too; from 0.
    units : tuple of tuple of int
        Points per row and column, in units of the card's last decimal; 0 is neutral.
    good, bad : tuple of tuple of int
        Rows of data per cell when it was fitted; empty where the points came from outside.
    """

    first: str
    second: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    units: Table
    good: Table = ()
    bad: Table = ()

    def __post_init__(self) -> None:
        shape = (len(set(self.rows)), len(set(self.columns)))
        if self.first == self.second:
            raise InputError(msg("a characteristic is crossed with another one"), where=self.first)
        if set(self.rows) != set(range(shape[0])) or set(self.columns) != set(range(shape[1])):
            raise InputError(msg("the groups of a matrix are numbered from 0 without a gap"), where=self.name)
        for table in (self.units, self.good, self.bad):
            if (table or table is self.units) and (len(table), *{len(row) for row in table}) != shape:
                raise InputError(
                    msg("the matrix needs {n} rows of {m} points", n=shape[0], m=shape[1]), where=self.name
                )

    @property
    def name(self) -> str:
        """Both aliases."""
        return f"{self.first} × {self.second}"

    @property
    def aliases(self) -> tuple[str, str]:
        """Both aliases, the first that of the rows."""
        return self.first, self.second

    def cells(self) -> np.ndarray:
        """Return units per bin of the first and bin of the second, shape (n_bins, n_bins)."""
        return np.array(self.units, dtype=np.int64)[np.ix_(self.rows, self.columns)]

    def tidied(self, first: CharacteristicBins, second: CharacteristicBins) -> "Pair":
        """Return the same points with groups of nulls and special codes joined to those that have the same points.

        Groups are numbered in the order of the bins, so that equal matrices are equal however they were made. Counts
        are left out: see `counted`.
        """
        rows = _joined(self.rows, first, [tuple(row) for row in self.units])
        columns = _joined(self.columns, second, [tuple(column) for column in zip(*self.units, strict=True)])
        units = np.zeros((max(rows) + 1, max(columns) + 1), dtype=np.int64)
        units[np.ix_(rows, columns)] = self.cells()
        return replace(self, rows=rows, columns=columns, units=_table(units), good=(), bad=())

    def counted(self, first: np.ndarray, second: np.ndarray, y: np.ndarray) -> "Pair":
        """Return the pair with goods (0) and bads (1) of `y` per cell, for the bins of each row, shape (n_rows,)."""
        shape = (len(self.units), len(self.units[0]))
        cells = np.array(self.rows)[first] * shape[1] + np.array(self.columns)[second]
        good, bad = (np.bincount(cells[y == value], minlength=shape[0] * shape[1]).reshape(shape) for value in (0, 1))
        return replace(self, good=_table(good), bad=_table(bad))

    def renamed(self, names: Mapping[str, str]) -> "Pair":
        """Return the pair with other aliases where `names` has them."""
        return replace(self, first=names.get(self.first, self.first), second=names.get(self.second, self.second))

    def to_json(self) -> dict[str, Any]:
        """Return the pair as JSON values."""
        tables = {name: [list(row) for row in getattr(self, name)] for name in ("units", "good", "bad")}
        return {
            "first": self.first, "second": self.second, "rows": list(self.rows), "columns": list(self.columns), **tables
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Pair":
        """Read what `to_json` wrote."""
        tables = [tuple(tuple(row) for row in data[name]) for name in ("units", "good", "bad")]
        return cls(data["first"], data["second"], tuple(data["rows"]), tuple(data["columns"]), *tables)


def group_runs(bins: CharacteristicBins, groups: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """Return groups with their plain bins in the order to read them; of a number each run of neighbours by itself."""
    runs: list[tuple[int, tuple[int, ...]]] = []
    for index in range(bins.n_plain):
        at = next((i for i, (group, _) in enumerate(runs) if group == groups[index]), None)
        if at is not None and (bins.kind == "category" or at == len(runs) - 1):
            runs[at] = (groups[index], (*runs[at][1], index))
        else:
            runs.append((groups[index], (index,)))
    return runs


def group_label(bins: CharacteristicBins, groups: Sequence[int], group: int, language: str = "en") -> str:
    """Return what a group of bins holds, in `language`: unions of intervals or levels, and what stands for no value."""
    texts = [_run_label(bins, members, language) for number, members in group_runs(bins, groups) if number == group]
    first = bins.n_plain if bins.missing_as is None else bins.n_plain + 1  # null that counts with a bin is told there
    rest = [index for index in range(first, bins.n_bins) if groups[index] == group]
    return ", ".join([*texts, *(bins.label(index, language) for index in rest)])


def extremes(widths: Sequence[np.ndarray], pairs: Sequence[tuple[int, int, np.ndarray]]) -> tuple[int, int]:
    """Return the least and the greatest sum of one entry per array of `widths` and the cells that they choose.

    One characteristic after the other is taken out: of each choice of those it is crossed with, the best of its own.

    Parameters
    ----------
    widths : sequence of ndarray of int, each of shape (n_bins,)
        Units per characteristic.
    pairs : sequence of tuple
        Positions of two characteristics, and cells of shape (n_bins of the first, n_bins of the second).
    """
    lowest = _least(list(widths), list(pairs))
    highest = -_least([-w for w in widths], [(i, j, -cells) for i, j, cells in pairs])
    return lowest, highest


def _least(widths: list[np.ndarray], pairs: list[tuple[int, int, np.ndarray]]) -> int:
    n = len(widths)
    parts: list[tuple[tuple[int, ...], np.ndarray]] = [((i,), units) for i, units in enumerate(widths)]
    parts += [((i, j), cells) if i < j else ((j, i), cells.T) for i, j, cells in pairs]
    total, left = 0, set(range(n))
    while left:
        beside = {i: {k for names, _ in parts if i in names for k in names} - {i} for i in left}
        out = min(left, key=lambda i: (len(beside[i]), i))
        left.remove(out)
        names = (out, *sorted(beside[out]))
        size = [len(widths[i]) for i in names]
        summed = np.zeros(size, dtype=np.int64)
        for part, values in parts:
            if out in part:
                order = sorted(range(len(part)), key=lambda k: names.index(part[k]))
                shape = [size[axis] if name in part else 1 for axis, name in enumerate(names)]
                summed += np.transpose(values, order).reshape(shape)
        best = summed.min(axis=0)
        parts = [part for part in parts if out not in part[0]]
        if len(names) == 1:
            total += int(best)
        else:
            parts.append((names[1:], best))
    return total


def _joined(groups: tuple[int, ...], bins: CharacteristicBins, points: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the groups, each null or special code in the first that has its points, numbered in order."""
    found = list(groups[: bins.n_plain])
    for group in groups[bins.n_plain :]:
        found.append(next((other for other in found if points[other] == points[group]), group))
    numbers = {group: number for number, group in enumerate(dict.fromkeys(found))}
    return tuple(numbers[group] for group in found)


def _table(values: np.ndarray) -> Table:
    return tuple(tuple(int(value) for value in row) for row in values)


def _run_label(bins: CharacteristicBins, members: tuple[int, ...], language: str) -> str:
    if bins.kind == "category":
        return ", ".join(bins.label(index, language) for index in sorted(members, key=bins.holds_others))
    return bins.span_label(members[0], members[-1])
