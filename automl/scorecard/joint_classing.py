"""Bins for weights that are fitted together: fine ones first, joined where boosting finds them alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import BinTable, CharacteristicBins
from automl.scorecard.boosted import fit_boosted
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import Direction, Suggestion
from automl.scorecard.joint import JointWeights, bin_positions, fit_joint, groups_alike
from automl.scorecard.reshaping import merge_bins

__all__ = ["Weighing", "join_alike", "looked_at", "weigh"]

_MOST_ROWS, _LEAST_OF_A_CLASS = 20_000, 1_000


@dataclass(frozen=True)
class Weighing:
    """How bins are weighed together.

    Parameters
    ----------
    kind : {"boosted", "joint"}
        See `automl.scorecard.boosted.fit_boosted` and `automl.scorecard.joint.fit_joint`.
    rounds : int
        Of the boosting, by which bins are joined, too.
    penalty : float
        Of joint weights.
    """

    kind: str
    rounds: int
    penalty: float


def looked_at(y: np.ndarray) -> np.ndarray:
    """Return the rows that bins are weighed on: some 20,000, more where else fewer than 1,000 of a class would be."""
    n_rarer = int(min(y.sum(), (1 - y).sum()))
    return np.arange(0, len(y), max(min(len(y) // _MOST_ROWS, n_rarer // _LEAST_OF_A_CLASS), 1))


def join_alike(
    fine: Sequence[CharacteristicBins], data: ClassingData, directions: Mapping[str, Suggestion], *, rounds: int,
    most: int | None, max_bins: int, least_step: float, control: FitControl,
) -> tuple[Classing, int]:  # fmt: skip
    """Return the characteristics that move the score most, strongest first, fine bins joined where weights are alike.

    Parameters
    ----------
    fine : sequence of CharacteristicBins
        Fine bins of all that may be wanted.
    data : ClassingData
        Training rows.
    directions : mapping of str to Suggestion
        By alias.
    rounds : int
        Of the boosting.
    most : int, optional
        Characteristics; left out, all of `fine`, in their order.
    max_bins : int
        Plain bins of each.
    least_step : float
        Log-odds that two bins are apart at least, such as those of one point.
    control : FitControl
        Asked before each step; once it is over, the boosting ends.

    Returns
    -------
    tuple of (Classing, int)
        The bins, and the rounds that were made.
    """
    classing = Classing(tuple(fine), dict(directions))
    tables = classing.tables(data)
    found, made = fit_boosted(tables, *_rows(tables, data), rounds, _ways(tables, classing), control)
    spread = found.spread(tables)
    kept = range(len(fine)) if most is None else [i for i in np.argsort(-spread, kind="stable") if spread[i] > 0][:most]
    joined = [merge_bins(tables[i].bins, groups_alike(found.weights[i], tables[i], max_bins, least_step)) for i in kept]
    held = {item.alias for item in joined}
    return Classing(tuple(joined), {alias: way for alias, way in directions.items() if alias in held}), made


def weigh(
    classing: Classing, tables: Sequence[BinTable], data: ClassingData, how: Weighing, control: FitControl
) -> tuple[list[int], JointWeights]:
    """Return which of `tables` move the score at all, strongest first, and the weights of their bins."""
    tried = [i for i, table in enumerate(tables) if table.bins.n_bins > 1]
    if not tried:
        return [], JointWeights((), 0.0)
    chosen = [tables[i] for i in tried]
    positions, y = _rows(chosen, data)
    ways = _ways(chosen, classing)
    if how.kind == "boosted":
        found, _ = fit_boosted(chosen, positions, y, how.rounds, ways, control)
    else:
        found = fit_joint(chosen, positions, y, how.penalty, ways, control)
    spread = found.spread(chosen)
    order = [int(i) for i in np.argsort(-spread, kind="stable") if spread[i] > 0]
    return [tried[i] for i in order], replace(found, weights=tuple(found.weights[i] for i in order))


def _rows(tables: Sequence[BinTable], data: ClassingData) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the bins, and the outcomes, of the rows that are looked at."""
    rows = looked_at(data.y)
    return [bin_positions(table, data.column(table.bins.alias)[rows]) for table in tables], data.y[rows]


def _ways(tables: Sequence[BinTable], classing: Classing) -> list[Direction | None]:
    return [classing.direction(table.bins.alias) for table in tables]
