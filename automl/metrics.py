"""Metrics of a probability against an outcome, and their bootstrap intervals (numpy only).

Where an entity has several rows, whole entities are drawn: its rows are not as many witnesses. All metrics are computed
from the counts of bads and goods at each distinct score, so a bootstrap draw costs two histograms and a few sums, not a
sort.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.evaluation import METRIC_NAMES, Metric

__all__ = [
    "ScoreCounts", "auc", "auc_with_interval", "entity_codes", "interval", "metrics_with_intervals",
    "paired_auc_difference", "paired_differences",
]  # fmt: skip

_LIFT_SHARE = 0.1
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class ScoreCounts:
    """Distinct scores, ascending, and where each bad and each good falls.

    Parameters
    ----------
    scores : ndarray of float, shape (n_scores,)
        Distinct scores; higher is riskier.
    bad_groups, good_groups : ndarray of int
        Index into `scores` of each bad and each good.
    """

    scores: np.ndarray
    bad_groups: np.ndarray
    good_groups: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, scores: np.ndarray) -> "ScoreCounts":
        """Group rows by score; `y` is 0 or 1 and has both."""
        distinct, groups = np.unique(scores, return_inverse=True)
        return cls(distinct, groups[y == 1], groups[y == 0])

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return bads and goods at each distinct score."""
        return self._histogram(self.bad_groups), self._histogram(self.good_groups)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of one bootstrap draw of rows; the number of bads varies as from sample to sample."""
        return self.of_rows(*draw_rows(len(self.bad_groups), len(self.good_groups), rng))

    def of_rows(self, bad: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts of these bads and goods, by their positions; one may come several times."""
        return self._histogram(self.bad_groups[bad]), self._histogram(self.good_groups[good])

    def weighted(self, bad: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the counts where each bad and each good comes so often."""
        n = len(self.scores)
        return np.bincount(self.bad_groups, bad, n), np.bincount(self.good_groups, good, n)

    def _histogram(self, groups: np.ndarray) -> np.ndarray:
        return np.bincount(groups, minlength=len(self.scores)).astype(np.float64)


def entity_codes(entities: np.ndarray | None) -> np.ndarray | None:
    """Return the entities as numbers from 0; None where nobody has two rows, so that rows can be drawn one by one."""
    if entities is None:
        return None
    distinct, codes = np.unique(entities, return_inverse=True)
    return None if len(distinct) == len(codes) else codes


class _Draws:
    """Bootstrap draws of rows, or of whole entities where one has several rows."""

    def __init__(self, y: np.ndarray, entities: np.ndarray | None) -> None:
        codes = entity_codes(entities)
        self._n_bad, self._n_good = int((y == 1).sum()), int((y == 0).sum())
        self._codes = None if codes is None else (codes[y == 1], codes[y == 0])
        self._n_entities = 0 if codes is None else int(codes.max()) + 1

    def draw(self, rng: np.random.Generator, scores: Sequence[ScoreCounts]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the counts of bads and goods of each of the scores in one draw, the same for all."""
        if self._codes is None:
            rows = draw_rows(self._n_bad, self._n_good, rng)
            return [one.of_rows(*rows) for one in scores]
        bad = good = np.zeros(0)
        while not (bad.any() and good.any()):
            drawn = rng.integers(0, self._n_entities, self._n_entities)
            times = np.bincount(drawn, minlength=self._n_entities).astype(np.float64)
            bad, good = times[self._codes[0]], times[self._codes[1]]
        return [one.weighted(bad, good) for one in scores]


def draw_rows(n_bad: int, n_good: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return which bads and which goods one bootstrap draw of all rows holds; at least one of each.

    Drawing the classes apart, with fixed numbers, would leave the bad rate without doubt, and the Brier score and the
    log-loss with intervals several times too narrow.
    """
    n = n_bad + n_good
    drawn_bad = int(np.clip(rng.binomial(n, n_bad / n), 1, n - 1))
    return rng.integers(0, n_bad, drawn_bad), rng.integers(0, n_good, n - drawn_bad)


def auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count half.

    Examples
    --------
    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    return float(_auc(*ScoreCounts.of(np.asarray(y), np.asarray(scores)).counts()))


def metrics_with_intervals(
    y: np.ndarray, probability: np.ndarray, n_draws: int, rng: np.random.Generator, entities: np.ndarray | None = None
) -> dict[str, Metric]:
    """Return AUC, KS, Gini, lift, Brier and log-loss with 95 % percentile intervals.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1, both present.
    probability : ndarray of float, shape (n_rows,)
        Inside 0 and 1.
    n_draws : int
        Bootstrap draws.
    rng : numpy Generator
        Source of the draws.
    entities : ndarray, shape (n_rows,), optional
        Who each row is about: where one has several rows, entities are drawn. Left out, every row stands alone.
    """
    grouped = ScoreCounts.of(y, probability)
    drawing = _Draws(y, entities)
    losses = _losses(grouped.scores)
    values = _all_metrics(losses, *grouped.counts())
    draws = np.array([_all_metrics(losses, *drawing.draw(rng, [grouped])[0]) for _ in range(n_draws)])
    bounds = interval(draws)
    n, n_bad = len(y), len(grouped.bad_groups)
    return {
        name: Metric(name, float(values[i]), float(bounds[0, i]), float(bounds[1, i]), n, n_bad)
        for i, name in enumerate(METRIC_NAMES)
    }


def auc_with_interval(
    y: np.ndarray, scores: np.ndarray, n_draws: int, rng: np.random.Generator, entities: np.ndarray | None = None
) -> tuple[float, float, float]:
    """Return the AUC of any scores and its 95 % interval; `entities` as in `metrics_with_intervals`."""
    grouped, drawing = ScoreCounts.of(y, scores), _Draws(y, entities)
    low, high = interval(np.array([_auc(*drawing.draw(rng, [grouped])[0]) for _ in range(n_draws)]))
    return _auc(*grouped.counts()), float(low), float(high)


def paired_auc_difference(
    y: np.ndarray,
    scores: np.ndarray,
    other_scores: np.ndarray,
    n_draws: int,
    rng: np.random.Generator,
    entities: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Return AUC of `scores` minus AUC of `other_scores` and its 95 % interval; both see the same draws.

    Where `entities` says that somebody has several rows, entities are drawn, as in `metrics_with_intervals`.
    """
    grouped, drawing = [ScoreCounts.of(y, one) for one in (scores, other_scores)], _Draws(y, entities)

    def difference(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
        return _auc(*first) - _auc(*second)

    low, high = interval(np.array([difference(*drawing.draw(rng, grouped)) for _ in range(n_draws)]))
    return difference(*(one.counts() for one in grouped)), float(low), float(high)


def paired_differences(
    y: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    n_draws: int,
    rng: np.random.Generator,
    entities: np.ndarray | None = None,
) -> dict[str, tuple[float, float, float, float, float]]:
    """Return for each metric (of `first`, of `second`, difference, low, high); both see the same draws.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1, both present.
    first, second : ndarray of float, shape (n_rows,)
        Probabilities inside 0 and 1.
    n_draws : int
        Bootstrap draws.
    rng : numpy Generator
        Source of the draws.
    entities : ndarray, shape (n_rows,), optional
        Who each row is about, as in `metrics_with_intervals`.
    """
    grouped = [ScoreCounts.of(y, scores) for scores in (first, second)]
    losses = [_losses(one.scores) for one in grouped]
    drawing = _Draws(y, entities)
    values = [_all_metrics(loss, *one.counts()) for loss, one in zip(losses, grouped, strict=True)]
    draws = np.empty((n_draws, len(METRIC_NAMES)))
    for i in range(n_draws):
        drawn = drawing.draw(rng, grouped)
        draws[i] = _all_metrics(losses[0], *drawn[0]) - _all_metrics(losses[1], *drawn[1])
    low, high = interval(draws)
    return {
        name: (
            float(values[0][i]),
            float(values[1][i]),
            float(values[0][i] - values[1][i]),
            float(low[i]),
            float(high[i]),
        )
        for i, name in enumerate(METRIC_NAMES)
    }


def interval(draws: np.ndarray) -> np.ndarray:
    """Return the 95 % percentile interval of draws along the first axis: shape (2, ...)."""
    tail = (1 - _CONFIDENCE) / 2
    return np.asarray(np.quantile(draws, [tail, 1 - tail], axis=0))


def _auc(bads: np.ndarray, goods: np.ndarray) -> float:
    goods_below = np.cumsum(goods) - goods / 2
    return _dot(bads, goods_below) / float(bads.sum() * goods.sum())


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """Return the sum of products, in one thread: starting BLAS threads for so little work costs more than it brings."""
    return float((a * b).sum())


def _losses(scores: np.ndarray) -> np.ndarray:
    """Return squared error and log-loss of a bad and of a good at each score, shape (4, n_scores)."""
    return np.array([(1 - scores) ** 2, scores**2, -np.log(scores), -np.log1p(-scores)])


def _all_metrics(losses: np.ndarray, bads: np.ndarray, goods: np.ndarray) -> np.ndarray:
    n_bad, n_good = bads.sum(), goods.sum()
    n = n_bad + n_good
    area = _auc(bads, goods)
    ks = np.abs(np.cumsum(bads) / n_bad - np.cumsum(goods) / n_good).max()
    brier = (_dot(losses[0], bads) + _dot(losses[1], goods)) / n
    log_loss = (_dot(losses[2], bads) + _dot(losses[3], goods)) / n
    return np.array([area, ks, 2 * area - 1, _lift(bads, goods), brier, log_loss])


def _lift(bads: np.ndarray, goods: np.ndarray) -> float:
    """Return the share of bads among the riskiest 10 % of rows over that share of rows; ties count in proportion."""
    rows = np.concatenate([[0.0], np.cumsum((bads + goods)[::-1])])
    caught = np.concatenate([[0.0], np.cumsum(bads[::-1])])
    wanted = np.interp(_LIFT_SHARE * rows[-1], rows, caught)
    return float(wanted / caught[-1] / _LIFT_SHARE)
