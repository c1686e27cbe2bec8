"""Categories as numbers: the smoothed log-odds of each level, honest on the rows it was learnt from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl.families.interface import TrainingData
from automl.split import grouped_folds

__all__ = ["CategoryEncoding", "fit_encoding", "with_columns"]

_FOLDS = 4
_SMOOTHING_ROWS = 15.0


@dataclass(frozen=True)
class CategoryEncoding:
    """What stands for each level of each encoded column.

    Parameters
    ----------
    tables : mapping of int to ndarray of float
        By column: log-odds of bad of code 0, 1, ..., of a level never seen, and of missing.
    """

    tables: Mapping[int, np.ndarray] = field(default_factory=dict)

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return the values with codes replaced, shape as given; other columns are left as they are."""
        if not self.tables:
            return X
        encoded = np.array(X, dtype=np.float64)
        for column, table in self.tables.items():
            encoded[:, column] = table[_positions(encoded[:, column], len(table))]
        return encoded

    def to_json(self) -> dict[str, Any]:
        """Return the tables as JSON values; `from_json` reads them back bit for bit."""
        return {str(column): table.tolist() for column, table in self.tables.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Sequence[float]]) -> "CategoryEncoding":
        """Read what `to_json` wrote."""
        return cls({int(column): np.array(table, dtype=np.float64) for column, table in data.items()})

    def text(self) -> str:
        """Return the JSON text."""
        return json.dumps(self.to_json(), allow_nan=False)


def fit_encoding(
    data: TrainingData, train: np.ndarray, columns: Sequence[int], seed: int
) -> tuple[CategoryEncoding, dict[int, np.ndarray]]:
    """Learn the tables from the rows `train`, and return these rows encoded by tables of the other rows.

    A row's own outcome, and those of its entity, are in none of the numbers it is trained on; otherwise a tree would
    read the outcome off a rare level.

    Parameters
    ----------
    data : TrainingData
        All rows.
    train : ndarray of int
        The rows that may be learnt from.
    columns : sequence of int
        Category columns to encode.
    seed : int
        Of the inner folds.

    Returns
    -------
    tuple of (CategoryEncoding, dict of int to ndarray of shape (len(train),))
        The tables of all rows `train`, to be applied to other rows, and by column the numbers of `train`.
    """
    if not columns:
        return CategoryEncoding(), {}
    y = data.y[train]
    folds = grouped_folds(y, data.entities[train], _FOLDS, seed)
    tables, encoded = {}, {}
    for column in columns:
        size = len(data.plan.levels.get(data.plan.aliases[column], ())) + 2
        positions = _positions(data.values[train, column], size)
        tables[column] = _table(positions, y, size)
        encoded[column] = np.empty(len(train))
        for k in range(_FOLDS):
            is_other = folds != k
            encoded[column][~is_other] = _table(positions[is_other], y[is_other], size)[positions[~is_other]]
    return CategoryEncoding(tables), encoded


def with_columns(values: np.ndarray, columns: Mapping[int, np.ndarray]) -> np.ndarray:
    """Put `columns` in place of those of `values`, and return it."""
    for column, numbers in columns.items():
        values[:, column] = numbers
    return values


def _positions(codes: np.ndarray, size: int) -> np.ndarray:
    """Return where each code stands in a table of `size`; a code that is no level stands with the unseen."""
    known = np.where(np.isfinite(codes) & (codes >= 0) & (codes < size - 2), codes, size - 2)
    return np.where(np.isnan(codes), size - 1, known).astype(np.int64)


def _table(positions: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    rate = float(np.clip(y.mean(), 1e-6, 1 - 1e-6)) if len(y) else 0.5
    n = np.bincount(positions, minlength=size)
    n_bad = np.bincount(positions, weights=y, minlength=size)
    share = (n_bad + _SMOOTHING_ROWS * rate) / (n + _SMOOTHING_ROWS)
    return np.asarray(np.log(share / (1 - share)))
