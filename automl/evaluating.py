"""Fills the records of `automl.evaluation` from outcomes and probabilities."""

import numpy as np

from automl.backtest import backtest
from automl.decomposition import brier_parts
from automl.delong import delong
from automl.evaluation import Bucket, Histogram, Metric, SampleEvaluation
from automl.metrics import interval, metrics_with_intervals
from automl.scale import ScoreScale

__all__ = ["evaluate_sample", "score_psi"]

_N_BUCKETS = 10
_N_BINS = 30
_N_ROC_POINTS = 199


def evaluate_sample(
    sample: str,
    y: np.ndarray,
    probability: np.ndarray,
    scale: ScoreScale,
    *,
    n_draws: int,
    seed: int,
    is_fitted: bool = False,
    entities: np.ndarray | None = None,
) -> SampleEvaluation:
    """Return all figures of one sample.

    Parameters
    ----------
    sample : str
        Its name, one of those `SampleEvaluation` lists.
    y, probability : ndarray of float, shape (n_rows,)
        Outcome 0 or 1, both present, and calibrated probability of default.
    scale : ScoreScale
        For points and grades.
    n_draws, seed : int
        Of the bootstrap.
    is_fitted : bool, default=False
        Whether the calibration was fitted on these rows.
    entities : ndarray, shape (n_rows,), optional
        Who each row is about: intervals of the metrics count the rows of one entity together.
    """
    buckets = _buckets(y, probability)
    area = delong(y, probability, entities)
    return SampleEvaluation(
        sample=sample,
        n=len(y),
        n_bad=int(y.sum()),
        metrics=metrics_with_intervals(y, probability, n_draws, np.random.default_rng(seed), entities),
        roc=_roc(y, probability),
        deciles=tuple(reversed(buckets)),
        calibration=buckets,
        distribution=_distribution(y, scale.points(probability)),
        grades=_grades(y, probability, scale),
        auc_delong=(area.low, area.high),
        brier_parts=brier_parts(y, probability),
        calibration_test=backtest(y, probability, scale, is_fitted=is_fitted),
    )


def score_psi(expected: np.ndarray, actual: np.ndarray, n_bad: int, *, n_draws: int, seed: int) -> Metric:
    """Return the PSI of the score from `expected` to `actual` over deciles of `expected`, with its interval.

    Parameters
    ----------
    expected, actual : ndarray of float
        Probabilities, or anything in their order.
    n_bad : int
        Bads among `actual`, for the record.
    n_draws, seed : int
        Of the bootstrap.
    """
    from features.binning import psi

    inner = np.unique(np.quantile(expected, np.arange(1, _N_BUCKETS) / _N_BUCKETS))
    counts = [
        np.bincount(np.searchsorted(inner, x, side="right"), minlength=len(inner) + 1) for x in (expected, actual)
    ]
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(count.sum(), count / count.sum(), size=n_draws) for count in counts]
    low, high = interval(np.array([psi(first, second) for first, second in zip(*drawn, strict=True)]))
    return Metric("psi", float(psi(*counts)), float(low), float(high), len(actual), n_bad)


def _roc(y: np.ndarray, probability: np.ndarray) -> tuple[tuple[float, float], ...]:
    order = np.argsort(-probability, kind="stable")
    is_last_of_tie = np.append(np.diff(probability[order]) != 0, True)
    true_rate = np.concatenate([[0.0], np.cumsum(y[order])[is_last_of_tie] / y.sum()])
    false_rate = np.concatenate([[0.0], np.cumsum(1 - y[order])[is_last_of_tie] / (1 - y).sum()])
    kept = np.unique(np.linspace(0, len(true_rate) - 1, _N_ROC_POINTS).astype(int))
    kept = np.union1d(kept, np.argmax(true_rate - false_rate))
    return tuple((float(false_rate[i]), float(true_rate[i])) for i in kept)


def _buckets(y: np.ndarray, probability: np.ndarray) -> tuple[Bucket, ...]:
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(_N_BUCKETS, len(order)))
    return tuple(_bucket(y[rows], probability[rows]) for rows in parts)


def _bucket(y: np.ndarray, probability: np.ndarray) -> Bucket:
    n, n_bad = len(y), int(y.sum())
    low, high = jeffreys_interval(n_bad, n)
    return Bucket(
        float(probability.min()), float(probability.max()), n, n_bad, float(probability.mean()), n_bad / n, low, high
    )


def jeffreys_interval(n_bad: int, n: int) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of a rate (Brown, Cai and DasGupta, 2001)."""
    from scipy.stats import beta

    low = 0.0 if n_bad == 0 else float(beta.ppf(0.025, n_bad + 0.5, n - n_bad + 0.5))
    high = 1.0 if n_bad == n else float(beta.ppf(0.975, n_bad + 0.5, n - n_bad + 0.5))
    return low, high


def _distribution(y: np.ndarray, points: np.ndarray) -> Histogram:
    low, high = np.quantile(points, [0.001, 0.999])
    edges = np.linspace(np.floor(low), max(np.ceil(high), np.floor(low) + 1), _N_BINS + 1)
    inside = np.clip(points, edges[0], edges[-1])
    good, bad = (np.histogram(inside[y == value], edges)[0] for value in (0, 1))
    return Histogram(tuple(edges.tolist()), tuple(good.tolist()), tuple(bad.tolist()))


def _grades(y: np.ndarray, probability: np.ndarray, scale: ScoreScale) -> tuple[tuple[str, int, int], ...]:
    index = scale.master.index(probability)
    n_grades = len(scale.master.grades)
    n = np.bincount(index, minlength=n_grades)
    n_bad = np.bincount(index, weights=y, minlength=n_grades)
    return tuple((grade.name, int(n[i]), int(n_bad[i])) for i, grade in enumerate(scale.master.grades))
