"""How good a model is for parts of its unseen rows: by segment, by month, and for new and returning entities."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from automl.delong import delong
from automl.evaluating import jeffreys_interval, score_psi
from automl.evaluation import Metric
from automl.label import LEAST_OF_A_CLASS
from automl.metrics import metrics_with_intervals
from automl.predictions import Predictions
from core.findings import NotApplicable
from core.i18n import MessageLike, msg
from core.i18n.formats import count

__all__ = ["MISSING_LEVEL", "OTHER_LEVEL", "Slice", "capture", "level_names", "periods_of", "slices_by_month",
    "slices_by_segment",
]  # fmt: skip

MISSING_LEVEL, OTHER_LEVEL = "(missing)", "(other)"
_MOST_LEVELS = 12


@dataclass(frozen=True)
class Slice:
    """The rows of one segment or month.

    Parameters
    ----------
    name : str
        Level of the segment, or ``2023-04``.
    n, n_bad : int
        Labelled rows and bads.
    n_unlabelled : int
        Rows of the slice without an outcome.
    mean_probability : float
        Mean calibrated probability of the labelled rows; NaN where there are none.
    bad_rate, low, high : float
        What came, with its 95 % Jeffreys interval.
    metrics : mapping of str to Metric
        By `automl.evaluation.METRIC_NAMES`, with bootstrap intervals; empty where outcomes are too few.
    auc_delong : tuple of (float, float), optional
        95 % interval of the AUC after DeLong.
    psi : Metric, optional
        PSI of the score from the training rows (of the whole sample) to all rows of the slice.
    not_applicable : NotApplicable, optional
        Why there are no metrics.
    """

    name: str
    n: int
    n_bad: int
    n_unlabelled: int
    mean_probability: float
    bad_rate: float
    low: float
    high: float
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    auc_delong: tuple[float, float] | None = None
    psi: Metric | None = None
    not_applicable: NotApplicable | None = None

    @property
    def observed_to_expected(self) -> float:
        """Bads seen over bads expected; 1 is calibrated."""
        expected = self.n * self.mean_probability
        return self.n_bad / expected if expected > 0 else float("nan")


def slices_by_segment(
    predictions: Predictions, levels: np.ndarray, *, n_draws: int = 300, seed: int = 0
) -> tuple[Slice, ...]:
    """Return the figures of each level on the rows that judge the model, the largest first.

    Parameters
    ----------
    predictions : Predictions
        Of all rows.
    levels : ndarray of object, shape (n_rows,)
        Level of each row; null is a level of its own, and levels beyond the twelve largest are put together.
    n_draws, seed : int
        Of the bootstrap.
    """
    rows = predictions.applicants
    names = level_names(levels[rows])
    order = sorted(set(names.tolist()), key=lambda name: (name == OTHER_LEVEL, -int((names == name).sum()), name))
    reference = predictions.probability[predictions.part == "train"]
    return tuple(
        _slice(name, predictions.take(rows[names == name]), reference, n_draws=n_draws, seed=seed) for name in order
    )


def slices_by_month(
    predictions: Predictions, *, months: int = 1, n_draws: int = 300, seed: int = 0
) -> tuple[Slice, ...]:
    """Return the figures of each period of `months` months on the rows that judge the model, in order of time."""
    rows = predictions.applicants
    reference = predictions.probability[predictions.part == "train"]
    return tuple(
        _slice(name, predictions.take(rows[inside]), reference, n_draws=n_draws, seed=seed)
        for name, inside in periods_of(predictions.cutoffs[rows], months)
    )


def periods_of(cutoffs: np.ndarray, months: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each period of `months` months with a mask of its rows, in order of time."""
    month = cutoffs.astype("datetime64[M]")
    start = month.astype(np.int64) // months * months
    for first in np.unique(start):
        yield str(np.datetime64(int(first), "M")), start == first


def level_names(levels: np.ndarray) -> np.ndarray:
    """Return levels as names: null is one of its own, and all beyond the twelve largest are put together."""
    names = np.array([MISSING_LEVEL if _is_null(level) else str(level) for level in levels], dtype=object)
    known, counts = np.unique(names.astype(str), return_counts=True)
    kept = set(known[np.argsort(-counts, kind="stable")][:_MOST_LEVELS])
    if len(known) > _MOST_LEVELS:
        names[[name not in kept for name in names]] = OTHER_LEVEL
    return names


def _is_null(level: object) -> bool:
    return level is None or level != level  # NaN and pandas' NaT differ from themselves


def _slice(name: str, rows: Predictions, reference: np.ndarray, *, n_draws: int, seed: int) -> Slice:
    known = ~np.isnan(rows.y)
    y, probability, entities = rows.y[known], rows.probability[known], rows.entities[known]
    n, n_bad = len(y), int(y.sum())
    low, high = jeffreys_interval(n_bad, n) if n else (float("nan"), float("nan"))
    psi = score_psi(reference, rows.probability, n_bad, n_draws=n_draws, seed=seed) if len(reference) else None
    enough = min(n_bad, n - n_bad) >= LEAST_OF_A_CLASS
    estimate = delong(y, probability, entities) if enough else None
    rng = np.random.default_rng(seed)
    return Slice(
        name=name,
        n=n,
        n_bad=n_bad,
        n_unlabelled=int((~known).sum()),
        mean_probability=float(probability.mean()) if n else float("nan"),
        bad_rate=n_bad / n if n else float("nan"),
        low=low,
        high=high,
        metrics=metrics_with_intervals(y, probability, n_draws, rng, entities) if enough else {},
        auc_delong=(estimate.low, estimate.high) if estimate else None,
        psi=psi,
        not_applicable=None if enough else NotApplicable(_too_few(n, n_bad)),
    )


def _too_few(n: int, n_bad: int) -> MessageLike:
    return msg(
        "{n_bad} bads among {n} rows with an outcome; at least {least} bads and goods are needed",
        n_bad=count(n_bad), n=count(n), least=LEAST_OF_A_CLASS,
    )  # fmt: skip


def capture(n_bad: Sequence[int], n: Sequence[int]) -> tuple[tuple[float, float], ...]:
    """Return (share of rows, share of bads) caught from the riskiest group on, beginning at (0, 0).

    Examples
    --------
    >>> capture([3, 1], [10, 10])
    ((0.0, 0.0), (0.5, 0.75), (1.0, 1.0))
    """
    rows, bads = np.cumsum(n) / max(np.sum(n), 1), np.cumsum(n_bad) / max(np.sum(n_bad), 1)
    return ((0.0, 0.0), *zip(rows.tolist(), bads.tolist(), strict=True))
