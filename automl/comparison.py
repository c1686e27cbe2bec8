"""Two scores on the same rows: what lies between them, and whether that can be told at all."""

from dataclasses import dataclass

import numpy as np

from automl.delong import PairedAuc, delong_paired
from automl.metrics import paired_differences
from core.i18n import Message, MessageLike, msg
from core.i18n.formats import count, difference, interval

__all__ = ["COMPARED", "Difference", "ScoreComparison", "compare_scores"]

COMPARED = ("auc", "ks", "brier", "log_loss")
"""Metrics that are compared, in the order they are shown."""


@dataclass(frozen=True)
class Difference:
    """One metric of both scores.

    Parameters
    ----------
    name : str
        One of `COMPARED`.
    first, second : float
        The metric of each.
    value, low, high : float
        First minus second, and its 95 % interval by paired bootstrap.
    """

    name: str
    first: float
    second: float
    value: float
    low: float
    high: float

    @property
    def can_be_told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class ScoreComparison:
    """What was found on the rows that both scores may be judged on.

    Parameters
    ----------
    n, n_bad : int
        Rows and bads.
    differences : tuple of Difference
        In the order of `COMPARED`.
    delong : PairedAuc
        The difference of the AUCs by DeLong's paired test.
    verdict : Message
        The outcome in one sentence.
    """

    n: int
    n_bad: int
    differences: tuple[Difference, ...]
    delong: PairedAuc
    verdict: Message

    @property
    def can_be_told(self) -> bool:
        """Whether both the bootstrap and DeLong find a difference of the AUCs."""
        return self.differences[0].can_be_told and self.delong.can_be_told


def compare_scores(
    y: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    names: tuple[MessageLike, MessageLike],
    n_draws: int = 500,
    seed: int = 0,
    entities: np.ndarray | None = None,
) -> ScoreComparison:
    """Compare two probabilities on the same rows.

    A difference is said to be there only where the paired bootstrap over rows and DeLong's paired test both find it.

    Parameters
    ----------
    y : ndarray of float, shape (n_rows,)
        0 or 1; at least two of each.
    first, second : ndarray of float, shape (n_rows,)
        Probabilities, strictly inside 0 and 1.
    names : tuple of Message or str
        What the two are called in the verdict.
    n_draws, seed : int
        Of the bootstrap.
    entities : ndarray, shape (n_rows,), optional
        Who each row is about; rows of one entity are counted together in intervals.
    """
    found = paired_differences(y, first, second, n_draws, np.random.default_rng(seed), entities)
    differences = tuple(Difference(name, *found[name]) for name in COMPARED)
    tested = delong_paired(y, first, second, entities)
    comparison = ScoreComparison(len(y), int(y.sum()), differences, tested, Message(""))
    return ScoreComparison(len(y), int(y.sum()), differences, tested, _verdict(comparison, names))


def _verdict(found: ScoreComparison, names: tuple[MessageLike, MessageLike]) -> Message:
    area = found.differences[0]
    better, worse = names if area.value >= 0 else names[::-1]
    sign = 1 if area.value >= 0 else -1
    low, high = sorted((sign * area.low, sign * area.high))
    figures = {
        "difference": difference(abs(area.value)),
        "interval": interval(low, high, difference),
        "n": count(found.n_bad),
    }
    if found.can_be_told:
        return msg(
            "{better} separates better than {worse}: the AUC differs by {difference} {interval} on {n} bads",
            better=better, worse=worse, **figures,
        )  # fmt: skip
    return msg(
        "{better} and {worse} cannot be told apart: the AUC differs by {difference} {interval} on {n} bads",
        better=better, worse=worse, **figures,
    )  # fmt: skip
