"""Bins for weights that are fitted together: fine ones first, joined where their weights turn out alike."""

from collections.abc import Mapping, Sequence

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import BinTable, CharacteristicBins
from automl.scorecard.classing import Classing, ClassingData, merge_bins
from automl.scorecard.directions import Suggestion
from automl.scorecard.joint import JointWeights, bin_positions, fit_joint, groups_alike

__all__ = ["join_alike", "strongest_together"]

_MOST_ROWS = 20_000


def join_alike(
    fine: Sequence[CharacteristicBins], data: ClassingData, directions: Mapping[str, Suggestion], *, most: int,
    max_bins: int, least_step: float, penalty: float, control: FitControl,
) -> Classing:  # fmt: skip
    """Return the `most` characteristics that move the score most, their fine bins joined where weights are alike.

    Parameters
    ----------
    fine : sequence of CharacteristicBins
        Fine bins of more characteristics than are wanted.
    data : ClassingData
        Training rows; at most 20,000, spread evenly, are looked at.
    directions : mapping of str to Suggestion
        By alias.
    most, max_bins : int
        Characteristics, and plain bins of each.
    least_step : float
        Log-odds that two bins are apart at least, such as those of one point.
    penalty : float
        See `fit_joint`.
    control : FitControl
        Asked before each step.
    """
    classing = Classing(tuple(fine), dict(directions))
    tables = classing.tables(data)
    kept, weights = strongest_together(classing, tables, data, most, penalty, control)
    joined = []
    for index, found in zip(kept, weights.weights, strict=True):
        groups = groups_alike(found, tables[index], max_bins, least_step)
        joined.append(merge_bins(tables[index].bins, groups))
    return Classing(tuple(joined), dict(directions))


def strongest_together(
    classing: Classing, tables: Sequence[BinTable], data: ClassingData, most: int, penalty: float, control: FitControl
) -> tuple[list[int], JointWeights]:
    """Return which `most` characteristics move the score most, strongest first, and their weights without the rest."""
    rows = np.arange(0, len(data.y), max(len(data.y) // _MOST_ROWS, 1))
    positions = [bin_positions(table, data.column(table.bins.alias)[rows]) for table in tables]

    def fitted(indices: Sequence[int]) -> JointWeights:
        chosen = [tables[i] for i in indices]
        ways = [classing.direction(table.bins.alias) for table in chosen]
        return fit_joint(chosen, [positions[i] for i in indices], data.y[rows], penalty, ways, control)

    everything = [i for i, table in enumerate(tables) if table.bins.n_bins > 1]
    weights = fitted(everything)
    spread = weights.spread([tables[i] for i in everything])
    order = np.argsort(-spread, kind="stable")
    kept = [everything[i] for i in order if spread[i] > 0][:most]
    if kept == everything:
        return kept, weights
    return kept, fitted(kept)
