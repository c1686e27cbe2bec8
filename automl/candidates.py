"""The leaderboard: who won, by how much, and whether that can be told at all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from automl.calibration import sigmoid
from automl.delong import delong_paired
from automl.entrants import ENSEMBLE, Entrant, Price
from automl.evaluation import Metric
from automl.families.titles import family_title
from automl.metrics import entity_codes, metrics_with_intervals
from automl.spec import TrainSpec
from core.i18n import Message, msg
from core.i18n.formats import signed

__all__ = ["Candidate", "PairedDifference", "Ranking", "rank_candidates"]


_WIDTH_IN_ERRORS = 2 * 1.96


@dataclass(frozen=True)
class PairedDifference:
    """AUC of the best candidate minus AUC of this one, over the same rows.

    Parameters
    ----------
    value, low, high : float
        Difference and its 95 % interval (DeLong, DeLong and Clarke-Pearson, 1988).
    """

    value: float
    low: float
    high: float

    @property
    def can_be_told(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    @property
    def is_within_one_error(self) -> bool:
        """Whether it is no larger than its standard error, a quarter of the interval's width as of a normal one."""
        return self.value <= (self.high - self.low) / _WIDTH_IN_ERRORS


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
        Parameters of the best trial; of an ensemble the shares of its members.
    best_trial, n_trials : int
        Number of the best trial, and of trials in all.
    seconds : float
        Time the family took.
    behind : PairedDifference, optional
        Distance to the best candidate; None for the best itself.
    price : Price, optional
        What it costs to keep and to use; None in the record of a run that did not measure it.
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
    price: Price | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the candidate as JSON values; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Candidate":
        """Read what `to_json` wrote."""
        metrics = {name: Metric(**data[name]) for name in ("auc", "log_loss")}
        behind = PairedDifference(**data["behind"]) if data["behind"] else None
        price = Price(**data["price"]) if data.get("price") else None
        return cls(**{**data, **metrics, "behind": behind, "price": price})


@dataclass(frozen=True)
class Ranking:
    """The candidates, best first, and what follows.

    Parameters
    ----------
    candidates : tuple of Candidate
        Best first.
    simplest_as_good : str
        Family of the simplest candidate within one standard error of the best (the best itself where none is).
    chosen : str
        Family of the model that is kept: where the most accurate is asked for the best, or the ensemble where it cannot
        be told from the best.
    verdict : Message
        The outcome in one sentence.
    """

    candidates: tuple[Candidate, ...]
    simplest_as_good: str
    chosen: str
    verdict: Message


def rank_candidates(
    entrants: Sequence[Entrant],
    y: np.ndarray,
    spec: TrainSpec,
    values: np.ndarray | None = None,
    entities: np.ndarray | None = None,
) -> Ranking:
    """Rank by out-of-fold AUC, with the paired difference to the first.

    Parameters
    ----------
    entrants : sequence of Entrant
        At least one.
    y : ndarray of float
        Outcomes of the training rows.
    spec : TrainSpec
        Seed, draws, and which candidate to choose.
    values : ndarray of shape (n_rows, n_features), optional
        Rows on which the price of each candidate is measured; left out, none is.
    entities : ndarray, shape (n_rows,), optional
        Who each training row is about; rows of one entity are counted together in intervals.
    """
    codes = entity_codes(entities)
    candidates = sorted((_candidate(one, y, spec, values, codes) for one in entrants), key=lambda one: -one.auc.value)
    margins = {one.name: one.compared for one in entrants}
    best = candidates[0]
    ranked = [best]
    for other in candidates[1:]:
        difference = delong_paired(y, margins[best.family], margins[other.family], codes)
        ranked.append(replace(other, behind=PairedDifference(difference.value, difference.low, difference.high)))
    as_good = [one for one in ranked if one.behind is None or one.behind.is_within_one_error]
    simplest = min(as_good, key=lambda one: one.simplicity)
    # The best of several on the same rows is ahead by some luck, a mean of them by less: in doubt the mean is better.
    untold = (one for one in ranked if one.behind is None or not one.behind.can_be_told)
    mixed = next((one for one in untold if one.family == ENSEMBLE), best)
    chosen = simplest if spec.choose == "simplest_as_good" else mixed
    return Ranking(tuple(ranked), simplest.family, chosen.family, _verdict(ranked, simplest))


def _candidate(
    one: Entrant, y: np.ndarray, spec: TrainSpec, values: np.ndarray | None, codes: np.ndarray | None
) -> Candidate:
    rng = np.random.default_rng(spec.seed)
    metrics = metrics_with_intervals(y, sigmoid(one.compared), spec.bootstrap_draws, rng, codes)
    return Candidate(
        family=one.name,
        simplicity=one.simplicity,
        auc=metrics["auc"],
        log_loss=metrics["log_loss"],
        params=dict(one.params),
        best_trial=one.lead.best.number,
        n_trials=one.n_trials,
        seconds=one.seconds,
        price=None if values is None else one.price(values),
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
    if second.simplicity < best.simplicity:
        return msg(
            "{best} and {second} cannot be told apart: the AUC differs by {difference} {interval}; {second} is the "
            "simpler, but more than a standard error behind",
            best=family_title(best.family), second=family_title(second.family), **_texts(second.behind),
        )  # fmt: skip
    return msg(
        "{best} and {second} cannot be told apart: the AUC differs by {difference} {interval}; {best} is the "
        "simpler too",
        best=family_title(best.family), second=family_title(second.family), **_texts(second.behind),
    )  # fmt: skip


def _texts(difference: PairedDifference) -> dict[str, str]:
    low, high = signed(difference.low), signed(difference.high)
    return {"difference": signed(difference.value), "interval": f"[{low}, {high}]"}
