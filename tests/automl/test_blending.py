"""Weights of an ensemble: they find what helps, leave out what does not, and are honest about how much."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.blending import blend, greedy_weights
from automl.families.interface import FoldFit
from automl.metrics import auc
from automl.search import honest_rounds


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
    others = np.array(curves).sum(axis=0) - np.array(curves[1])
    assert before[1] == int(np.argmin(others)) + 1
