"""What is asked: for which rows, before which moments; and the way from them up to their parents."""

from dataclasses import dataclass

import numpy as np

from features.definitions import PathStep
from features.engine_data import EngineData
from features.plan import FeatureGroup

__all__ = ["Query", "anchor_rows", "climb"]


@dataclass(frozen=True)
class Query:
    """What is asked.

    Parameters
    ----------
    roots : ndarray of shape (n_rows,), int64
        Row numbers in the table that the question is about.
    limits : ndarray of shape (n_rows,), int64
        A row counts where it is known strictly before this moment.
    cutoffs : ndarray of shape (n_rows,), int64
        The moment that times are measured from.
    visited : tuple of (str, ndarray of shape (n_rows,), int64)
        Tables, and the row of each question in them, below which the question came about. A path never leads back to
        one of these: nobody is his own counterparty.
    """

    roots: np.ndarray
    limits: np.ndarray
    cutoffs: np.ndarray
    visited: tuple[tuple[str, np.ndarray], ...] = ()


def climb(
    data: EngineData, table: str, rows: np.ndarray, limits: np.ndarray, steps: tuple[PathStep, ...]
) -> tuple[str, np.ndarray]:
    """Return the table at the end of the `steps` up from `table`, and each row's row in it (-1: none known)."""
    for step in steps:
        rows = data.parent_rows(table, step, rows, limits)
        table = step.table
    return table, rows


def anchor_rows(
    data: EngineData, table: str, rows: np.ndarray, limits: np.ndarray, group: FeatureGroup
) -> tuple[str, np.ndarray]:
    """Return the table whose rows the steps down of `group` begin at, and the row of each of `rows` (-1: none known).

    Rows that are joined by time alone all hang on the first.
    """
    base, anchors = climb(data, table, rows, limits, group.up)
    return base, np.zeros_like(anchors) if group.down and group.down[0].is_keyless else anchors
