"""Quotients of two numbers of one row that tell what no model of the columns themselves finds, such as debt over sales.

Trees cut one column at a time: what two of them tell by their quotient alone costs many cuts, and often stays unseen.
Quotients are sought where boosted trees on all features leave something unexplained, and taken only if trees with them
are better on rows that neither the trees nor the search have seen.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix

__all__ = ["find_quotients"]

_MOST_ROWS: Final = 8_000
_LEAST_OF_A_CLASS: Final = 50
"""Groups of rows, such as entities, with a bad among them, and with a good."""
_MOST_COLUMNS: Final = 60
_LEAST_VALUES: Final = 20
_FOLDS, _INNER_FOLDS = 5, 2
_BINS: Final = 10
_MOST_ALIKE: Final = 0.95
_LEAST_SCORE: Final = 40.0
"""Chi-square of the bins of a quotient on what is unexplained: by chance one of some 100,000 quotients reaches it."""
_ERRORS: Final = 2.0
"""Standard errors, over the folds, by which trees with the quotients must be better."""
_LARGEST: Final = 1e30
_TREES: Final = {"max_iter": 80, "learning_rate": 0.1, "max_leaf_nodes": 15, "min_samples_leaf": 20}


@dataclass(frozen=True)
class _Rows:
    """What is looked at: features, outcome, and the group of each row, such as its entity."""

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> "_Rows":
        return _Rows(self.X[rows], self.y[rows], self.groups[rows])

    def folds(self, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
        from sklearn.model_selection import StratifiedGroupKFold

        splitter = StratifiedGroupKFold(n, shuffle=True, random_state=1)
        return list(splitter.split(self.X, self.y, self.groups))


def find_quotients(
    matrix: FeatureMatrix,
    y: np.ndarray,
    rows: np.ndarray,
    most: int,
    *,
    groups: np.ndarray | None = None,
    progress: Progress | None = None,
) -> list[FeatureDefinition]:
    """Return quotients of two columns of one row, the most telling first; none where they do not clearly help.

    Parameters
    ----------
    matrix : FeatureMatrix
        Features, among them columns as they are (of the root row, or of a row above it).
    y : ndarray of float, shape (n_rows,)
        1 bad, 0 good, NaN unknown.
    rows : ndarray of int
        Rows to look at, those of training; at most 8,000 with an outcome, spread evenly.
    most : int
        Quotients at most.
    groups : ndarray, shape (n_rows,), optional
        Whom each row is about: one group is in one fold only.
    progress : Progress, optional
        Told of each fold; a cancel stops between two.
    """
    pairs = _candidates(matrix, rows)
    known = rows[~np.isnan(y[rows])]
    known = known[np.linspace(0, len(known) - 1, min(len(known), _MOST_ROWS)).astype(np.int64)]
    owners = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    # Groups, not rows, are dealt out to folds: each needs some of both classes.
    n_groups = [len(np.unique(owners[known][y[known] == value])) for value in (0, 1)]
    if not pairs or not most or min(n_groups) < _LEAST_OF_A_CLASS:
        return []
    seen = _Rows(matrix.values[known], y[known], owners[known])

    def said(part: int) -> None:
        (progress or SilentProgress()).report(part / (_FOLDS + 1), msg("looking for quotients of two numbers"))

    said(0)
    # One thread: two processes that each take all processors for such small fits only wait for one another.
    with _one_thread():
        chosen = _telling(seen, pairs, most)
        said(1)
        if not chosen or not _help(seen, pairs, most, said):
            return []
    definitions = matrix.plan.definitions
    return [_quotient(definitions[first], definitions[second]) for first, second in chosen]


def _one_thread() -> AbstractContextManager[object]:
    import sklearn.ensemble  # noqa: F401  # only a library that is loaded is limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limited: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="openmp")
    return limited


def _candidates(matrix: FeatureMatrix, rows: np.ndarray) -> list[tuple[int, int]]:
    """Return the positions of two numbers as they stand in one row, the one with fewer zeros below."""
    of_row: dict[object, list[int]] = {}
    for at, item in enumerate(matrix.plan.definitions):
        if item.primitive == "identity" and item.kind == "number" and item.column is not None:
            column = matrix.values[rows, at]
            if len(np.unique(column[np.isfinite(column)])) >= _LEAST_VALUES:
                of_row.setdefault(item.path, []).append(at)
    zeros = {at: float((matrix.values[rows, at] == 0).mean()) for columns in of_row.values() for at in columns}
    return [
        (above, below)
        for columns in of_row.values()
        for place, first in enumerate(columns[:_MOST_COLUMNS])
        for second in columns[place + 1 : _MOST_COLUMNS]
        for below, above in [sorted((first, second), key=lambda at: (zeros[at], at))]
    ]


def _telling(seen: _Rows, pairs: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return the quotients that tell most of what trees on all features leave unexplained, none twice."""
    left = seen.y.copy()
    for train, test in seen.folds(_INNER_FOLDS):
        left[test] -= _fitted(seen.take(train))(seen.X[test])
    information = (seen.y - left) * (1 - (seen.y - left))
    scores = np.array([_score(_divided(seen.X, pair), left, information) for pair in pairs])
    chosen: list[tuple[int, int]] = []
    ranks: list[np.ndarray] = []
    for at in np.argsort(-scores, kind="stable"):
        if scores[at] < _LEAST_SCORE or len(chosen) == most:
            break
        rank = _rank(_divided(seen.X, pairs[at]))
        if all(abs(float(rank @ other)) < _MOST_ALIKE for other in ranks):
            chosen.append(pairs[at])
            ranks.append(rank)
    return chosen


def _help(seen: _Rows, pairs: list[tuple[int, int]], most: int, said: Callable[[int], None]) -> bool:
    """Return whether trees with quotients are better on rows that had no part in the search for them."""
    from sklearn.metrics import roc_auc_score

    gains = []
    for number, (train, test) in enumerate(seen.folds(_FOLDS)):
        inside, outside = seen.take(train), seen.take(test)
        chosen = _telling(inside, pairs, most)
        before, after = (roc_auc_score(outside.y, _fitted(inside, each)(outside.X)) for each in ((), chosen))
        gains.append(after - before)
        said(number + 2)
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    return bool(np.mean(gains) > max(_ERRORS * error, 0.0))


def _fitted(seen: _Rows, quotients: Sequence[tuple[int, int]] = ()) -> Callable[[np.ndarray], np.ndarray]:
    """Fit boosted trees; return what gives the probability of bad of rows of features."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    def whole(X: np.ndarray) -> np.ndarray:
        more = [_divided(X, pair)[:, None] for pair in quotients]
        # Levels as numbers, for they are sought for something else; beyond float32 a library may refuse a number.
        return np.asarray(np.clip(np.hstack([X, *more]), -_LARGEST, _LARGEST))

    learnt = whole(seen.X)
    usable = ~np.isnan(learnt).all(axis=0)  # the library trips over a column without any number
    model = HistGradientBoostingClassifier(**_TREES, early_stopping=False, random_state=1)
    model.fit(learnt[:, usable], seen.y)
    return lambda X: np.asarray(model.predict_proba(whole(X)[:, usable])[:, 1])


def _divided(X: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    below = X[:, pair[1]]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(X[:, pair[0]] / np.where(below == 0, np.nan, below))


def _score(x: np.ndarray, left: np.ndarray, information: np.ndarray) -> float:
    """Return the score statistic of the tenths of `x`, null apart, on what is left: chi-square of chance."""
    finite = np.isfinite(x)
    if finite.sum() < _BINS * _LEAST_VALUES:
        return 0.0
    edges = np.unique(np.quantile(x[finite], np.linspace(0, 1, _BINS + 1)[1:-1]))
    # A value that many rows share, such as 1 of numbers that are the same twice, is a bin of its own.
    bins = np.searchsorted(edges, x, side="left") + np.searchsorted(edges, x, side="right")
    n = 2 * len(edges) + 2
    bins[~finite] = n - 1
    gradient, weight = np.bincount(bins, left, n), np.bincount(bins, information, n)
    return float((gradient**2 / np.maximum(weight, 1e-9))[weight > 1.0].sum())


def _rank(x: np.ndarray) -> np.ndarray:
    """Return ranks of length 1 and mean 0, nulls in the middle."""
    order = np.argsort(np.argsort(np.where(np.isfinite(x), x, np.nanmedian(x[np.isfinite(x)])), kind="stable"))
    centred = order - order.mean()
    return np.asarray(centred / np.linalg.norm(centred))


def _quotient(first: FeatureDefinition, second: FeatureDefinition) -> FeatureDefinition:
    return FeatureDefinition.create(first.path, first.column, "ratio", second=second.column)
