"""Weights of an ensemble: they find what helps, leave out what does not, and are honest about how much."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.blending import best_mean, blend, greedy_weights
from automl.control import Supervisor
from automl.families import make_family
from automl.families.interface import FoldFit, TrainingData
from automl.metrics import auc
from automl.search import FamilySearch, common_rounds, honest_rounds
from automl.spec import TrainSpec
from automl.split import grouped_folds
from core.progress import SilentProgress


def _world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outcome, two log-odds that each see half of the truth, and noise."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    y = (rng.random(n) < 1 / (1 + np.exp(-(first + second)))).astype(float)
    return y, np.array([first, second, rng.normal(size=n)]), np.arange(n) % 5


def test_what_complements_is_mixed_and_noise_is_left_out() -> None:
    y, margins, folds = _world(4_000, 1)
    mixed = blend(margins, y, folds, seed=3)
    assert mixed.weights[2] == 0
    assert mixed.weights[:2] == pytest.approx([0.5, 0.5], abs=0.06)
    assert auc(y, mixed.margin) > max(auc(y, margin) for margin in margins) + 0.05


def test_the_answer_of_a_fold_does_not_depend_on_its_outcomes() -> None:
    y, margins, folds = _world(600, 2)
    turned = np.where(folds == 2, 1 - y, y)
    before, after = blend(margins, y, folds, seed=3), blend(margins, turned, folds, seed=3)
    np.testing.assert_array_equal(before.margin[folds == 2], after.margin[folds == 2])
    assert not np.array_equal(before.margin, after.margin)


def test_among_pure_noise_the_honest_answers_are_no_better_than_chance() -> None:
    rng = np.random.default_rng(4)
    y = (rng.random(1_500) < 0.3).astype(float)
    margins = rng.normal(size=(30, 1_500))
    mixed = blend(margins, y, np.arange(1_500) % 5, seed=1)
    assert abs(auc(y, mixed.margin) - 0.5) < 0.04


def _by_fold(margins: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    return np.array([[auc(y[folds == k], margin[folds == k]) for k in range(5)] for margin in margins])


def test_the_best_mean_takes_what_complements_and_leaves_out_noise() -> None:
    y, margins, folds = _world(2_000, 5)
    chosen, elsewhere = best_mean(margins, y, folds, 3, _by_fold(margins, y, folds))
    assert chosen == (0, 1)
    assert elsewhere == [(0, 1)] * 5
    alone, _ = best_mean(margins, y, folds, 1, _by_fold(margins, y, folds))
    assert alone == (int(_by_fold(margins, y, folds).mean(axis=1).argmax()),)


def test_what_is_averaged_for_a_fold_does_not_depend_on_its_outcomes() -> None:
    rng = np.random.default_rng(6)
    y, folds, margins = (rng.random(300) < 0.4).astype(float), np.arange(300) % 5, rng.normal(size=(8, 300))
    turned = np.where(folds == 2, 1 - y, y)
    before, after = (best_mean(margins, each, folds, 3, _by_fold(margins, each, folds)) for each in (y, turned))
    assert before[1][2] == after[1][2]
    assert before != after


def test_equals_are_not_averaged_in_vain() -> None:
    y, margins, folds = _world(500, 7)
    twice = margins[[0, 0]]
    assert best_mean(twice, y, folds, 3, _by_fold(twice, y, folds))[0] == (0,)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_greedy_weights_are_shares_and_the_first_choice_is_the_best_alone(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.random(80) < 0.4).astype(float)
    margins = rng.normal(size=(n, 80))
    weights = greedy_weights(margins, y, steps=1)
    losses = [np.logaddexp(0, np.where(y == 1, -margin, margin)).mean() for margin in margins]
    assert np.flatnonzero(weights).tolist() == [int(np.argmin(losses))]
    assert greedy_weights(margins, y).sum() == pytest.approx(1)


def test_a_fold_has_no_say_in_its_own_number_of_rounds() -> None:
    rng = np.random.default_rng(0)
    curves = [tuple(rng.random(12)) for _ in range(4)]
    fits = [FoldFit(None, np.zeros(1), 12, 12, losses=curve) for curve in curves]  # type: ignore[arg-type]
    before = honest_rounds(fits)
    fits[1] = FoldFit(None, np.zeros(1), 12, 12, losses=tuple(rng.random(12)))  # type: ignore[arg-type]
    assert honest_rounds(fits)[1] == before[1]


def test_rounds_are_chosen_where_the_curve_is_low_around_and_not_at_a_round_of_luck() -> None:
    rounds = np.arange(1, 401)
    curve = 0.3 + 1e-6 * (rounds - 200.0) ** 2
    curve[20] = 0.2
    fits = [FoldFit(None, np.zeros(1), 400, 400, losses=tuple(curve)) for _ in range(3)]  # type: ignore[arg-type]
    assert common_rounds(fits) == pytest.approx(200, abs=10)
    assert honest_rounds(fits) == [common_rounds(fits)] * 3


def test_the_models_of_all_folds_are_cut_alike_and_each_row_is_answered_by_rounds_it_had_no_say_in(
    world: Callable,
) -> None:
    matrix, labels = world(400)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    folds = grouped_folds(data.y, data.entities, 3, 1)
    spec, supervisor = TrainSpec(n_trials=1, folds=3), Supervisor(SilentProgress())
    search = FamilySearch(make_family("lightgbm"), data, folds, spec, supervisor)
    search.step()
    (result,) = search.results
    common = max(fit.best_rounds for fit in result.fits)
    assert [fit.best_rounds for fit in result.fits] == [min(common, fit.rounds) for fit in result.fits]
    assert [auc(data.y[folds == k], result.margin[folds == k]) for k in range(3)] == pytest.approx(
        list(result.best.fold_values)
    )
