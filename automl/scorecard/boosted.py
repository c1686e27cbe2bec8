"""Points of all bins by boosting one characteristic at a time: shapes that add up, found slowly and so kept smooth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import BinTable
from automl.scorecard.directions import Direction
from automl.scorecard.joint import JointWeights, is_thin, rows_of

__all__ = ["fit_boosted"]

_SIGNS: dict[Direction | None, int] = {"rising": 1, "falling": -1, None: 0}


def fit_boosted(
    tables: Sequence[BinTable], positions: Sequence[np.ndarray], y: np.ndarray, rounds: int,
    directions: Sequence[Direction | None], control: FitControl, seed: int = 1,
) -> tuple[JointWeights, int]:  # fmt: skip
    """Fit what each bin adds to the log-odds, by gradient boosting with stumps (LightGBM).

    A stump asks one question of one characteristic, so that the sum of all of them is a sum over characteristics: one
    weight per bin, without rest (Lou, Caruana and Gehrke, 2012). Bins of a number are asked for in their order, along
    a direction only its way; levels, nulls and special codes one by one. Bins of nulls and special codes with few rows
    stay at 0.

    Parameters
    ----------
    tables : sequence of BinTable
        Counts of each characteristic.
    positions : sequence of ndarray of int, each of shape (n_rows,)
        The bin of each row, as `automl.scorecard.joint.bin_positions` gives it.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    rounds : int
        Stumps.
    directions : sequence of {"rising", "falling"} or None
        How the bad rate of each must run.
    control : FitControl
        Asked every ten rounds; once it is over, what was reached is returned.
    seed : int
        Of the rows and characteristics that each stump looks at.

    Returns
    -------
    tuple of (JointWeights, int)
        The weights, and the rounds made.
    """
    # Not part of a scoring host, where cards are looked up and never fitted.
    from automl.families.lightgbm_stumps import boost_stumps

    columns = [_Columns.of(table, direction) for table, direction in zip(tables, directions, strict=True)]
    X = np.hstack([each.values[place] for each, place in zip(columns, positions, strict=True)])
    categories = [int(i) for i in np.flatnonzero(np.hstack([each.categories for each in columns]))]
    signs = [int(sign) for each in columns for sign in each.signs]
    booster, made = boost_stumps(X, y, rounds, control, categories=categories, signs=signs, seed=seed)
    base = -float(booster.predict(np.full((1, X.shape[1]), np.nan), raw_score=True)[0])
    weights, intercept, begin = [], base, 0
    for each, table in zip(columns, tables, strict=True):
        width = each.values.shape[1]
        grid = np.full((len(each.values), X.shape[1]), np.nan)
        grid[:, begin : begin + width] = each.values
        begin += width
        raw = -np.asarray(booster.predict(grid, raw_score=True)) - base
        mean = float(np.average(raw, weights=rows_of(table)))
        centred = np.where(is_thin(table), 0.0, raw - mean)
        if table.bins.missing_as is not None:
            centred[table.bins.n_plain] = centred[table.bins.missing_as]
        weights.append(centred)
        intercept += mean
    return JointWeights(tuple(weights), intercept), made


@dataclass(frozen=True)
class _Columns:
    """What the boosting reads of one characteristic: per bin its place in the order or its level, and special codes."""

    values: np.ndarray
    categories: tuple[bool, ...]
    signs: tuple[int, ...]

    @classmethod
    def of(cls, table: BinTable, direction: Direction | None) -> "_Columns":
        index = np.arange(table.bins.n_bins, dtype=np.float64)
        if table.bins.kind == "category":
            return cls(index[:, None], (True,), (0,))
        n_plain, n_own = table.bins.n_plain, table.bins.bins.n_bins
        order = np.where(index < n_plain, index, np.nan)
        specials = [(index == n_own + k).astype(np.float64) for k in range(len(table.bins.specials))]
        values = np.column_stack([order, *specials])
        return cls(values, (False,) * values.shape[1], (_SIGNS[direction], *[0] * len(specials)))
