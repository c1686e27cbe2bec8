"""Points of all bins weighed together: the evidence of each bin, and how far it departs from it beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from automl.control import FitControl
from automl.ridge import fit_ridge
from automl.scorecard.bins import BinTable
from automl.scorecard.directions import Direction
from automl.scorecard.weights import LEAST_ROWS

__all__ = ["JointWeights", "bin_positions", "fit_joint", "groups_alike", "is_thin", "rows_of"]

_SMOOTHING_ROWS = 10.0
_PENALTY_OF_EVIDENCE = 10.0
_MOST_STEPS = 30


@dataclass(frozen=True)
class JointWeights:
    """What each bin of each characteristic adds to the log-odds of good.

    Parameters
    ----------
    weights : tuple of ndarray of float, each of shape (n_bins,)
        Per characteristic; their mean over the rows is 0.
    intercept : float
        Log-odds of good of an average row.
    """

    weights: tuple[np.ndarray, ...]
    intercept: float

    def spread(self, tables: Sequence[BinTable]) -> np.ndarray:
        """Return how far each characteristic moves the log-odds: the deviation of its weights over the rows."""
        found = [np.sqrt(np.average(w**2, weights=rows_of(t))) for w, t in zip(self.weights, tables, strict=True)]
        return np.array(found)


def fit_joint(
    tables: Sequence[BinTable],
    positions: Sequence[np.ndarray],
    y: np.ndarray,
    penalty: float,
    directions: Sequence[Direction | None],
    control: FitControl,
) -> JointWeights:
    """Fit the weights of all bins at once (ridge logistic regression).

    Each characteristic has one column with its smoothed evidence, and columns for how its bins depart from that: of a
    number the step from each bin to the next, so that neighbours stay alike, of a category and for nulls and special
    codes the bin itself. The less the departures are punished, the more the bins make up for one another; with a large
    `penalty` the usual card on weights of evidence is left. Bins of nulls and special codes with few rows stay at 0.
    Along a number with a direction, weights that contradict it are pooled.

    Parameters
    ----------
    tables : sequence of BinTable
        Counts of each characteristic.
    positions : sequence of ndarray of int, each of shape (n_rows,)
        The bin of each row, as `bin_positions` gives it.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    penalty : float
        Of the squared departures.
    directions : sequence of {"rising", "falling"} or None
        How the bad rate of each must run.
    control : FitControl
        Asked before each step.
    """
    bases = [_Basis.of(table) for table in tables]
    scale = np.sqrt(penalty / _PENALTY_OF_EVIDENCE)
    maps = [np.column_stack([scale * base.evidence, base.departures]) for base in bases]
    X = np.hstack([columns[place] for columns, place in zip(maps, positions, strict=True)])
    found, intercept, _ = fit_ridge(X, 1.0 - y, penalty, control, most_steps=_MOST_STEPS)
    weights, begin = [], 0
    for columns, table, direction in zip(maps, tables, directions, strict=True):
        raw = columns @ found[begin : begin + columns.shape[1]]
        begin += columns.shape[1]
        ordered = _in_direction(raw, table, direction)
        mean = float(np.average(ordered, weights=rows_of(table)))
        centred = np.where(is_thin(table), 0.0, ordered - mean)
        if table.bins.missing_as is not None:
            centred[table.bins.n_plain] = centred[table.bins.missing_as]
        weights.append(centred)
        intercept += mean
    return JointWeights(tuple(weights), intercept)


def bin_positions(table: BinTable, x: np.ndarray) -> np.ndarray:
    """Return the bin of each value, nulls in the plain bin that they are counted with."""
    assigned = table.bins.assign(x)
    if table.bins.missing_as is None:
        return assigned
    return np.where(assigned == table.bins.n_plain, table.bins.missing_as, assigned)


def groups_alike(weights: np.ndarray, table: BinTable, most: int, least_step: float) -> list[list[int]]:
    """Return the plain bins in groups of weights alike: neighbours of a number, any of a category.

    The two groups whose union costs least (squared distance from its mean, by rows) are joined until there are no more
    than `most`, and as long as two are no further apart than `least_step`.
    """
    n = rows_of(table)[: table.bins.n_plain]
    order = np.arange(len(n)) if table.bins.kind == "number" else np.argsort(weights[: len(n)], kind="stable")
    groups = [([int(i)], float(n[i]), float(weights[i])) for i in order]
    while len(groups) > 1:
        costs = [a[1] * b[1] / (a[1] + b[1]) * (a[2] - b[2]) ** 2 for a, b in pairwise(groups)]
        gaps = [abs(a[2] - b[2]) for a, b in pairwise(groups)]
        at = int(np.argmin(costs)) if len(groups) > most else int(np.argmin(gaps))
        if len(groups) <= most and gaps[at] > least_step:
            break
        first, second = groups[at], groups.pop(at + 1)
        rows = first[1] + second[1]
        mean = (first[1] * first[2] + second[1] * second[2]) / rows
        groups[at] = (first[0] + second[0], rows, mean)
    return [sorted(members) for members, _, _ in groups]


@dataclass(frozen=True)
class _Basis:
    """Columns over the bins of one characteristic."""

    evidence: np.ndarray
    departures: np.ndarray

    @classmethod
    def of(cls, table: BinTable) -> "_Basis":
        n_bins, n_plain = table.bins.n_bins, table.bins.n_plain
        thin = is_thin(table)
        evidence = np.where(thin, 0.0, _smoothed(table))
        own = np.eye(n_bins)[:, ~thin]
        if table.bins.kind == "category":
            return cls(evidence, own)
        index = np.arange(n_bins)
        steps = ((index[:, None] >= np.arange(1, n_plain)[None]) & (index < n_plain)[:, None]).astype(np.float64)
        return cls(evidence, np.hstack([steps, own[:, (~thin)[:n_plain].sum() :]]))


def _smoothed(table: BinTable) -> np.ndarray:
    good, bad = np.asarray(table.good, dtype=np.float64), np.asarray(table.bad, dtype=np.float64)
    rate = bad.sum() / (bad.sum() + good.sum())
    odds = (good + _SMOOTHING_ROWS * (1 - rate)) / (bad + _SMOOTHING_ROWS * rate)
    return np.asarray(np.log(odds) - np.log((1 - rate) / rate))


def is_thin(table: BinTable) -> np.ndarray:
    """Return which bins have no weight of their own: of nulls and special codes those of few rows."""
    thin = np.asarray(table.n) < LEAST_ROWS
    thin[: table.bins.n_plain] = False
    if table.bins.missing_as is not None:
        thin[table.bins.n_plain] = True
    return thin


def rows_of(table: BinTable) -> np.ndarray:
    """Return the rows of each bin, those of nulls once, and none less than a trace."""
    n = np.asarray(table.n, dtype=np.float64).copy()
    if table.bins.missing_as is not None:
        n[table.bins.n_plain] = 0.0
    return np.maximum(n, 1e-6)


def _in_direction(weights: np.ndarray, table: BinTable, direction: Direction | None) -> np.ndarray:
    if direction is None or table.bins.kind != "number" or table.bins.n_plain < 2:
        return weights
    from sklearn.isotonic import isotonic_regression

    n_plain = table.bins.n_plain
    pooled = weights.copy()
    pooled[:n_plain] = isotonic_regression(
        weights[:n_plain], sample_weight=rows_of(table)[:n_plain], increasing=direction == "falling"
    )
    return pooled
