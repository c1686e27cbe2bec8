"""Who stands at the end of the race: each family's best trial, and an ensemble of trials of all families."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from automl.blending import best_mean, blend
from automl.calibration import IDENTITY, Calibration
from automl.families import save_model
from automl.families.ensemble import EnsembleModel
from automl.families.interface import Model, TrainingData
from automl.search import FamilySearch, SearchResult

__all__ = ["ENSEMBLE", "MOST_OF_A_FAMILY", "Entrant", "Member", "Price", "entrants", "seconds_per_reason"]

ENSEMBLE = "ensemble"
_ENSEMBLE_SIMPLICITY = 9
MOST_OF_A_FAMILY = 5
_FAR_BEHIND = 0.02
_TIMED_ROWS = 15
_EXPLAINED_ROWS = 10
_MOST_TIMED_SECONDS = 0.5


@dataclass(frozen=True)
class Member:
    """A trial in an ensemble, and its share."""

    result: SearchResult
    weight: float


@dataclass(frozen=True)
class Price:
    """What a model costs to keep and to use, measured on this machine with one thread.

    Parameters
    ----------
    n_leaves : int
        Leaves of all trees, or entries of all tables.
    size_bytes : int
        Of its files.
    row_ms : float
        Milliseconds to answer for one row, the median of a few.
    explain_seconds : float
        Seconds to give the reasons of 1,000 rows.
    """

    n_leaves: int
    size_bytes: int
    row_ms: float
    explain_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the price as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Entrant:
    """A model that may be chosen.

    Parameters
    ----------
    name : str
        Family, or ``"ensemble"``.
    simplicity : int
        Lower is simpler.
    margin : ndarray of float, shape (n_rows,)
        Log-odds of each training row by a model that did not see it.
    members : tuple of Member
        What it is made of; one, but for an ensemble and for a family whose trials are averaged.
    n_trials : int
        Trials behind it.
    seconds : float
        Time they took.
    data : TrainingData
        The training rows.
    judged : ndarray of float, shape (n_rows,), optional
        Log-odds by which it is compared with others, where they are not `margin`: free of the luck of being chosen.
    """

    name: str
    simplicity: int
    margin: np.ndarray
    members: tuple[Member, ...]
    n_trials: int
    seconds: float
    data: TrainingData
    judged: np.ndarray | None = None

    @property
    def compared(self) -> np.ndarray:
        """Log-odds by which it is compared with others."""
        return self.margin if self.judged is None else self.judged

    @property
    def lead(self) -> SearchResult:
        """The member that weighs most."""
        return max(self.members, key=lambda member: member.weight).result

    @cached_property
    def model(self) -> Model:
        """The mean of all its fold models as one model; of scorecards as one card."""
        return self.handed_on(IDENTITY)[0]

    @property
    def holds_calibration(self) -> bool:
        """Whether the model takes a straight calibration into itself."""
        return self.name != ENSEMBLE and self.lead.family.holds_calibration

    def handed_on(self, calibration: Calibration) -> tuple[Model, Calibration]:
        """Return the model as it is used, and what is left to calibrate it."""
        if self.name == ENSEMBLE:
            return self._bag, calibration
        return self.lead.family.hand_on(self._bag, self.data, calibration)

    @cached_property
    def _bag(self) -> Model:
        return self._mean([member.result.model() for member in self.members])

    @property
    def fold_models(self) -> list[Model]:
        """The model of each fold."""
        by_member = [member.result.fold_models for member in self.members]
        return [self._mean(list(models)) for models in zip(*by_member, strict=True)]

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of its trial; of several the share of each."""
        if len(self.members) == 1:
            return self.lead.best.params
        return {
            f"{member.result.family.name} #{member.result.best.number + 1}": round(member.weight, 4)
            for member in self.members
        }

    def price(self, values: np.ndarray) -> Price:
        """Measure what it costs on some of the rows `values`."""
        with tempfile.TemporaryDirectory() as folder:
            save_model(self.model, Path(folder))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        row_ms = 1_000 * _median_seconds(self.model.margin, values, _TIMED_ROWS)
        explain = 1_000 * seconds_per_reason(self.model, values)
        return Price(self.model.n_leaves, size, round(row_ms, 3), round(explain, 2))

    def _mean(self, models: list[Model]) -> Model:
        if len(models) == 1:
            return models[0]
        if self.name != ENSEMBLE:
            return self.lead.family.bag(models)
        return EnsembleModel(models, [member.weight for member in self.members])


def entrants(
    searches: Sequence[FamilySearch], y: np.ndarray, folds: np.ndarray, seed: int, *, with_ensemble: bool
) -> list[Entrant]:
    """Return the best of each family that has one, and an ensemble of the best trials where it has several members.

    A family that averages its trials by itself makes no ensemble alone: that would be the same, in a form less plain.

    Parameters
    ----------
    searches : sequence of FamilySearch
        Finished searches.
    y, folds : ndarray, shape (n_rows,)
        Outcome and fold of the training rows.
    seed : int
        Of the choice of weights.
    with_ensemble : bool
        Whether one is made.
    """
    found = [_of_family(search, y, folds) for search in searches if search.result is not None]
    averages_itself = len(found) == 1 and found[0].lead.family.most_averaged > 1
    if with_ensemble and not averages_itself and sum(len(search.results) for search in searches) > 1:
        ensemble = _ensemble(searches, y, folds, seed, found)
        if len(ensemble.members) > 1:
            found.append(ensemble)
    return found


def _of_family(search: FamilySearch, y: np.ndarray, folds: np.ndarray) -> Entrant:
    """Return the best trial of a family, or the mean of the trials that are best together where it averages them.

    The rows of a fold are judged by what is best on the *other* folds, so free of the luck of having been chosen.
    """
    results, family = search.results, search.family
    margins = np.array([result.margin for result in results])
    values = np.array([one.best.fold_values for one in results])
    chosen, elsewhere = best_mean(margins, y, folds, family.most_averaged, values)
    judged = np.empty(len(y))
    for k, others in enumerate(elsewhere):
        judged[folds == k] = margins[list(others)][:, folds == k].mean(axis=0)
    members = tuple(Member(results[i], 1 / len(chosen)) for i in chosen)
    seconds = round(sum(trial.seconds for trial in search.trials), 1)
    margin = margins[list(chosen)].mean(axis=0)
    return Entrant(family.name, family.simplicity, margin, members, search.n_tried, seconds, search.data, judged)


def _ensemble(
    searches: Sequence[FamilySearch], y: np.ndarray, folds: np.ndarray, seed: int, others: list[Entrant]
) -> Entrant:
    """Return an ensemble of the best trials of each family; each best is an anchor where it is not far behind.

    Families that only add up features stay out where others have models. In cross-validation they add nothing to these,
    and out of time, where what single levels told wears off first, they take away.
    """
    mixed_ones = [search for search in searches if search.results and not search.family.is_sum]
    pools = [sorted(search.results, key=lambda one: -one.value)[:MOST_OF_A_FAMILY] for search in mixed_ones or searches]
    pools = [pool for pool in pools if pool]
    best = [result for pool in pools for result in pool]
    firsts = np.cumsum([0, *[len(pool) for pool in pools[:-1]]])
    top = max(one.value for one in best)
    anchors = np.array([i for i in firsts if best[i].value > top - _FAR_BEHIND])
    mixed = blend(np.array([one.margin for one in best]), y, folds, seed, anchors)
    members = tuple(
        Member(result, float(weight)) for result, weight in zip(best, mixed.weights, strict=True) if weight > 0
    )
    n_trials, seconds = sum(one.n_trials for one in others), sum(one.seconds for one in others)
    data = searches[0].data
    return Entrant(ENSEMBLE, _ENSEMBLE_SIMPLICITY, mixed.margin, members, n_trials, round(seconds, 1), data)


def seconds_per_reason(model: Model, values: np.ndarray) -> float:
    """Return the time that the reasons of a row take, among a few at once."""
    rows = values[:_EXPLAINED_ROWS]
    started = time.perf_counter()
    model.contributions(rows)
    return (time.perf_counter() - started) / max(len(rows), 1)


def _median_seconds(answer: Any, values: np.ndarray, n_rows: int) -> float:
    """Return the median time to answer for one of the rows, after one that is not counted."""
    answer(values[:1])
    times: list[float] = []
    for row in range(min(n_rows, len(values))):
        started = time.perf_counter()
        answer(values[row : row + 1])
        times.append(time.perf_counter() - started)
        if sum(times) > _MOST_TIMED_SECONDS:
            break
    return float(np.median(times))
