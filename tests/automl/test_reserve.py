"""The end of a training has its time kept, by what was measured; all the rest of the budget is searched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.control import FitControl, Supervisor
from automl.families.interface import FoldFit, TrainingData
from automl.race import Race
from automl.reserve import Reserve
from automl.search import SearchResult, TrialRecord
from automl.spec import TrainSpec
from automl.split import grouped_folds
from core.progress import SilentProgress

ROWS = 1_000
DRAW, ANSWER, REASON = 1e-6, 1e-5, 1e-2
"""Seconds of a row in a bootstrap draw, of an answer, of the reasons of a row."""


class Clock:
    """Stands still but where work is said to take time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowModel:
    """Answers zero, and takes its time by the clock."""

    family, n_features, additivity, n_leaves = "slow", 3, 1e-9, 1

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def margin(self, X: np.ndarray) -> np.ndarray:
        self.clock.now += ANSWER * len(X)
        return np.zeros(len(X))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        self.clock.now += REASON * len(X)
        return np.zeros((len(X), self.n_features + 1))


class SlowFamily:
    """A fit takes `seconds` by the clock."""

    name, simplicity, is_tuned, limits_interactions, is_sum, most_averaged = "slow", 1, True, True, False, 1

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def prepare(self, data: TrainingData) -> None:
        pass

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:  # noqa: ARG002
        return [{"x": 0.5}]

    def suggest(self, trial: Any, data: TrainingData) -> dict[str, Any]:  # noqa: ARG002
        return {"x": trial.suggest_float("x", 0, 1)}

    def fit(self, params: Any, data: TrainingData, train: Any, test: Any, *, control: FitControl, **_: Any) -> FoldFit:  # noqa: ARG002
        self.clock.now += self.seconds
        control.check()
        return FoldFit(SlowModel(self.clock), np.nan_to_num(data.values[test, 0]), 1, 1)

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:  # noqa: ARG002
        return fit

    def bag(self, models: Any) -> Any:
        return models[0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    def drawn(y: np.ndarray, probability: np.ndarray, n_draws: int, rng: Any) -> None:
        clock.now += 0.5 + DRAW * len(y) * n_draws  # half a second goes once, whatever the draws

    monkeypatch.setattr("automl.reserve.metrics_with_intervals", drawn)
    return clock


def _reserve(clock: Clock, n_judged: int = 2_000, **settings: Any) -> Reserve:
    spec = TrainSpec(**{"budget_seconds": 1_000, **settings})
    return Reserve(np.zeros((ROWS, 3)), np.arange(ROWS) % 2.0, [n_judged], spec, clock=clock)


def _results(clock: Clock, n: int) -> list[SearchResult]:
    record = TrialRecord(0, "slow", {}, "complete", 0.7, (0.7,), (1,), 2.0)
    fits = tuple(FoldFit(SlowModel(clock), np.zeros(1), 1, 1) for _ in range(5))
    noise = np.random.default_rng(1).normal(size=(n, ROWS))  # each knows something that the others do not
    margins = np.where(np.arange(ROWS) % 2, 1.0, -1.0) + noise
    return [SearchResult(SlowFamily(clock, 1), replace(record, number=i), fits, margins[i]) for i in range(n)]


def test_what_is_kept_is_what_was_measured(clock: Clock) -> None:
    found = _reserve(clock).seconds([_results(clock, 2)])
    bootstraps = 500 * DRAW * (3 * ROWS + 2_000)  # the candidate, the ensemble, the training sample; the unseen one
    # Of the two, five folds each: 40 seconds of reasons at .1 a row, again a hundred rows, and 30 for the prices.
    models = 10 * ANSWER * 2_000 + 0.04 * 1_000 + (100 + 30) * 10 * REASON + 0.1
    assert found == pytest.approx(1.1 * (bootstraps + models + 0.5))


def test_more_rows_more_members_and_more_draws_have_more_kept(clock: Clock) -> None:
    base = _reserve(clock).seconds([_results(clock, 2)])
    assert _reserve(clock, n_judged=20_000).seconds([_results(clock, 2)]) > base
    assert _reserve(clock, bootstrap_draws=5_000).seconds([_results(clock, 2)]) > base
    assert _reserve(clock).seconds([_results(clock, 4)]) > base
    five, forty = (_reserve(clock).seconds([_results(clock, n)]) for n in (5, 40))
    assert forty <= five * 1.001  # no more than five of a family are taken


def test_it_keeps_neither_everything_nor_nothing(clock: Clock) -> None:
    assert _reserve(clock, n_judged=10**9).seconds([]) == 450
    assert _reserve(clock).seconds([]) == 30


def test_a_race_spends_all_but_what_is_kept(world: Callable, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only fits and answers move, so that a busy machine changes nothing."""
    monkeypatch.setattr("time.monotonic", clock)
    matrix, labels = world(400)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    spec = TrainSpec(budget_seconds=1_000, folds=2)
    race = Race(
        [SlowFamily(clock, 10.0)], data, grouped_folds(data.y, data.entities, 2, 1), spec, Supervisor(SilentProgress())
    )
    reserve = Reserve(data.values, data.y, [100], spec, clock=clock)
    race.keep_budget(1_000, reserve)
    race.run()
    kept = reserve.seconds([search.results for search in race.searches])
    assert 0 < kept < 450
    assert 1_000 - kept - 20 <= clock.now <= 1_000 - kept + 20  # a trial takes twenty seconds
    assert len(race.trials) > 20
