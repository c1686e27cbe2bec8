"""Whether a model leans on the same features from period to period."""

from dataclasses import dataclass

import numpy as np

from automl.explaining import checked_contributions
from automl.families.interface import Model
from automl.slices import periods_of

__all__ = ["ReasonCourse", "reasons_over_time"]

_MOST_ROWS = 400
_N_SHOWN = 6
_N_TOP = 10


@dataclass(frozen=True)
class ReasonCourse:
    """What the model leans on, period by period.

    Parameters
    ----------
    periods : tuple of str
        In order of time, ``2023-04``.
    shares : mapping of str to tuple of float
        By alias of the six features that weigh most over all: share of all movement in each period.
    overlap : tuple of float
        Share of the ten features that weigh most in the first period that are among the ten of each period.
    n_rows : tuple of int
        Rows explained in each period.
    """

    periods: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    overlap: tuple[float, ...]
    n_rows: tuple[int, ...]


def reasons_over_time(
    model: Model, values: np.ndarray, cutoffs: np.ndarray, aliases: tuple[str, ...], *, months: int = 6, seed: int = 0
) -> ReasonCourse:
    """Return the mean absolute contributions of each period as shares of their sum.

    Parameters
    ----------
    model : Model
        The model.
    values : ndarray of shape (n_rows, n_features)
        Rows of all periods.
    cutoffs : ndarray of datetime64, shape (n_rows,)
        When each row was asked about.
    aliases : tuple of str
        Names of the columns.
    months : int, default=6
        Length of a period.
    seed : int
        Of the at most 400 rows of each period that are explained.
    """
    rng = np.random.default_rng(seed)
    names, weights, counts = [], [], []
    for name, inside in periods_of(cutoffs, months):
        rows = np.flatnonzero(inside)
        rows = np.sort(rng.permutation(rows)[:_MOST_ROWS])
        contributions, _ = checked_contributions(model, values[rows])
        mean = np.abs(contributions[:, :-1]).mean(axis=0)
        names.append(name)
        weights.append(mean / (mean.sum() or 1.0))
        counts.append(len(rows))
    table = np.array(weights)
    order = np.argsort(-table.mean(axis=0), kind="stable")[:_N_SHOWN]
    tops = [set(np.argsort(-row, kind="stable")[:_N_TOP].tolist()) for row in table]
    return ReasonCourse(
        tuple(names),
        {aliases[i]: tuple(table[:, i].tolist()) for i in order},
        tuple(len(tops[0] & top) / len(tops[0]) for top in tops),
        tuple(counts),
    )
