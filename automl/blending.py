"""Weights of an ensemble: greedy selection on log-odds (Caruana and others, 2004), bagged over rows.

Each candidate answers for every row by a model that did not see it. The candidate whose share lowers the log-loss most
is added again and again, so that weights are shares of additions. Where bads are few the first additions are given: an
equal share for each of the `anchors`, because then an equal mean is hard to beat and easy to overfit away from. All of
it is repeated on random halves of the rows, and the weights are averaged: what helped by chance on one half is diluted.
"""

from dataclasses import dataclass

import numpy as np

from automl.metrics import auc

__all__ = ["Blend", "best_mean", "blend", "greedy_weights", "n_losses"]

_STEPS = 20
_BAGS = 8
_MOST_ROWS = 20_000
_LEAST_WEIGHT = 0.03
_FEW_BADS = 300.0
"""Bads at which the anchors weigh as much as all greedy additions."""


@dataclass(frozen=True)
class Blend:
    """An ensemble's weights and its honest answers.

    Parameters
    ----------
    weights : ndarray of float, shape (n_candidates,)
        Sum to 1; zero for those left out.
    margin : ndarray of float, shape (n_rows,)
        Log-odds of each row, by weights that were chosen without the rows of its fold.
    """

    weights: np.ndarray
    margin: np.ndarray


def blend(margins: np.ndarray, y: np.ndarray, folds: np.ndarray, seed: int, anchors: np.ndarray | None = None) -> Blend:
    """Choose weights on all rows, and once more without each fold for the answers of that fold.

    Parameters
    ----------
    margins : ndarray of float, shape (n_candidates, n_rows)
        Log-odds of each row by models that did not see it.
    y : ndarray of float, shape (n_rows,)
        0 or 1.
    folds : ndarray of int, shape (n_rows,)
        Fold of each row.
    seed : int
        Of the halves.
    anchors : ndarray of int, optional
        Candidates that are given an equal share where bads are few, such as the best of each family.
    """
    anchors = np.empty(0, dtype=np.int64) if anchors is None else anchors
    honest = np.empty(len(y))
    for k in range(int(folds.max()) + 1):
        others = np.flatnonzero(folds != k)
        weights = _bagged(margins, y, others, anchors, seed + 1 + k)
        honest[folds == k] = weights @ margins[:, folds == k]
    return Blend(_bagged(margins, y, np.arange(len(y)), anchors, seed), honest)


def greedy_weights(
    margins: np.ndarray, y: np.ndarray, steps: int = _STEPS, start: np.ndarray | None = None
) -> np.ndarray:
    """Return the shares of `start` and of `steps` greedy additions, shape (n_candidates,); they sum to 1."""
    chosen = np.zeros(len(margins)) if start is None else start.astype(np.float64)
    total = chosen @ margins
    sign = np.where(y == 1, -1.0, 1.0)
    for size in chosen.sum() + np.arange(1, steps + 1):
        losses = [np.logaddexp(0.0, sign * (total + margin) / size).mean() for margin in margins]
        best = int(np.argmin(losses))
        chosen[best] += 1
        total += margins[best]
    return np.asarray(chosen / chosen.sum())


def best_mean(
    margins: np.ndarray, y: np.ndarray, folds: np.ndarray, most: int, values: np.ndarray
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Return which candidates' plain mean orders the rows best: on all folds, and on all but each.

    The best candidate is joined by the one that raises the mean AUC of the folds most, and so on; none joins that does
    not raise it.

    Parameters
    ----------
    margins : ndarray of float, shape (n_candidates, n_rows)
        Log-odds of each row by models that did not see it.
    y, folds : ndarray, shape (n_rows,)
        Outcome, 0 or 1, and fold of each row.
    most : int
        Candidates in the mean.
    values : ndarray of float, shape (n_candidates, n_folds)
        AUC of each candidate in each fold.
    """
    known: dict[tuple[int, ...], np.ndarray] = {(i,): value for i, value in enumerate(values)}

    def of(members: tuple[int, ...]) -> np.ndarray:
        if members not in known:
            mean = margins[list(members)].mean(axis=0)
            known[members] = np.array([auc(y[folds == k], mean[folds == k]) for k in range(values.shape[1])])
        return known[members]

    def chosen(counted: np.ndarray) -> tuple[int, ...]:
        members: tuple[int, ...] = ()
        while len(members) < most:
            tried = [tuple(sorted((*members, i))) for i in range(len(margins)) if i not in members]
            best = max(tried, key=lambda one: of(one)[counted].mean(), default=())
            if not best or (members and of(best)[counted].mean() <= of(members)[counted].mean()):
                break
            members = best
        return members

    n_folds = values.shape[1]
    return chosen(np.arange(n_folds)), [chosen(np.delete(np.arange(n_folds), k)) for k in range(n_folds)]


def n_losses(n_candidates: int, n_rows: int, n_folds: int) -> int:
    """Return how many losses of a row `blend` looks at."""
    return _STEPS * _BAGS * n_candidates * min(n_rows // 2, _MOST_ROWS) * (n_folds + 1)


def _bagged(margins: np.ndarray, y: np.ndarray, rows: np.ndarray, anchors: np.ndarray, seed: int) -> np.ndarray:
    if len(margins) == 1:
        return np.ones(1)
    rng = np.random.default_rng(seed)
    n_drawn = min(max(len(rows) // 2, 1), _MOST_ROWS)
    start = np.zeros(len(margins))
    if len(anchors):
        n_bad = float(y[rows].sum())
        start[anchors] = _STEPS * _FEW_BADS / (_FEW_BADS + n_bad) / len(anchors)
    weights = np.zeros(len(margins))
    for _ in range(_BAGS):
        drawn = rng.permutation(rows)[:n_drawn]
        weights += greedy_weights(margins[:, drawn], y[drawn], start=start)
    weights /= weights.sum()
    kept = np.where(weights >= _LEAST_WEIGHT, weights, 0.0)
    return np.asarray(kept / kept.sum()) if kept.sum() else weights
