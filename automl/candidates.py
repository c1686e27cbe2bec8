"""The leaderboard: who won, by how much, and whether that can be told at all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from automl.calibration import sigmoid
from automl.evaluation import Metric
from automl.families.titles import family_title
from automl.metrics import metrics_with_intervals, paired_auc_difference
from automl.search import FamilySearch, SearchResult
from automl.spec import TrainSpec
from core.i18n import Message, msg

__all__ = ["Candidate", "PairedDifference", "Ranking", "rank_candidates"]


@dataclass(frozen=True)
class PairedDifference:
    """AUC of the best candidate minus AUC of this one, over the same rows.

    Parameters
    ----------
    value, low, high : float
        Difference and its 95 % interval by paired bootstrap.
    """

    value: float
    low: float
    high: float

    @property
    def can_be_told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Candidate:
    """One family's best, as cross-validated.

    Parameters
    ----------
    family : str
        Name of the family.
    simplicity : int
        Lower is simpler.
    auc : Metric
        Pooled out-of-fold AUC with its interval.
    log_loss : Metric
        Out-of-fold log-loss before calibration.
    params : mapping
        Parameters of the best trial.
    best_trial, n_trials : int
        Number of the best trial, and of trials in all.
    seconds : float
        Time the family took.
    behind : PairedDifference, optional
        Distance to the best candidate; None for the best itself.
    """

    family: str
    simplicity: int
    auc: Metric
    log_loss: Metric
    params: Mapping[str, Any]
    best_trial: int
    n_trials: int
    seconds: float
    behind: PairedDifference | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as JSON values; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Candidate":
        """Read what `to_json` wrote."""
        metrics = {name: Metric(**data[name]) for name in ("auc", "log_loss")}
        behind = PairedDifference(**data["behind"]) if data["behind"] else None
        return cls(**{**data, **metrics, "behind": behind})


@dataclass(frozen=True)
class Ranking:
    """The candidates, best first, and what follows.

    Parameters
    ----------
    candidates : tuple of Candidate
        Best first.
    simplest_as_good : str
        Family of the simplest candidate that cannot be told apart from the best (the best itself where none is).
    chosen : str
        Family of the model that is kept.
    verdict : Message
        The outcome in one sentence.
    """

    candidates: tuple[Candidate, ...]
    simplest_as_good: str
    chosen: str
    verdict: Message


def rank_candidates(searches: Sequence[FamilySearch], y: np.ndarray, spec: TrainSpec) -> Ranking:
    """Rank the best of each search by out-of-fold AUC, with the paired difference to the first.

    Parameters
    ----------
    searches : sequence of FamilySearch
        Finished searches, at least one with a result.
    y : ndarray of float
        Outcomes of the training rows.
    spec : TrainSpec
        Seed, draws, and which candidate to choose.
    """
    found = [search for search in searches if search.result is not None]
    candidates = sorted((_candidate(search, y, spec) for search in found), key=lambda one: -one.auc.value)
    margins = {search.family.name: search.result.margin for search in found if search.result is not None}
    best = candidates[0]
    ranked = [best]
    for other in candidates[1:]:
        rng = np.random.default_rng(spec.seed)
        difference = paired_auc_difference(y, margins[best.family], margins[other.family], spec.bootstrap_draws, rng)
        ranked.append(Candidate(**{**vars(other), "behind": PairedDifference(*difference)}))
    as_good = [one for one in ranked if one.behind is None or not one.behind.can_be_told]
    simplest = min(as_good, key=lambda one: one.simplicity)
    chosen = simplest if spec.choose == "simplest_as_good" else best
    return Ranking(tuple(ranked), simplest.family, chosen.family, _verdict(ranked, simplest))


def _candidate(search: FamilySearch, y: np.ndarray, spec: TrainSpec) -> Candidate:
    result = search.result
    assert isinstance(result, SearchResult)  # noqa: S101  # only searches with a result come here
    metrics = metrics_with_intervals(y, sigmoid(result.margin), spec.bootstrap_draws, np.random.default_rng(spec.seed))
    return Candidate(
        family=search.family.name,
        simplicity=search.family.simplicity,
        auc=metrics["auc"],
        log_loss=metrics["log_loss"],
        params=dict(result.best.params),
        best_trial=result.best.number,
        n_trials=len(search.trials),
        seconds=round(sum(trial.seconds for trial in search.trials), 1),
    )


def _verdict(ranked: list[Candidate], simplest: Candidate) -> Message:
    best = ranked[0]
    if len(ranked) == 1:
        return msg("{family} is the only candidate", family=family_title(best.family))
    if simplest is not best:
        assert simplest.behind is not None  # noqa: S101  # every candidate but the best has it
        return msg(
            "{best} and {simplest} cannot be told apart: the AUC differs by {difference} {interval}; the simpler "
            "of them is {simplest}",
            best=family_title(best.family), simplest=family_title(simplest.family), **_texts(simplest.behind),
        )  # fmt: skip
    second = ranked[1]
    assert second.behind is not None  # noqa: S101  # every candidate but the best has it
    if second.behind.can_be_told:
        return msg(
            "{best} is better than {second}: the AUC differs by {difference} {interval}",
            best=family_title(best.family), second=family_title(second.family), **_texts(second.behind),
        )  # fmt: skip
    return msg(
        "{best} and {second} cannot be told apart: the AUC differs by {difference} {interval}; {best} is the "
        "simpler too",
        best=family_title(best.family), second=family_title(second.family), **_texts(second.behind),
    )  # fmt: skip


def _texts(difference: PairedDifference) -> dict[str, str]:
    low, high = _signed(difference.low), _signed(difference.high)
    return {"difference": _signed(difference.value), "interval": f"[{low}, {high}]"}


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("0.", ".", 1)
