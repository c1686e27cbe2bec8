"""Fairness, counterfactuals, pairs and the course of reasons: against SHAP, by hand, and by properties."""

import warnings

import numpy as np
import pytest

from automl.calibration import IDENTITY, sigmoid
from automl.counterfactual import Counterfactual, changeable_features, find_counterfactual
from automl.course import reasons_over_time
from automl.fairness import treatment_by_segment
from automl.interacting import Interactions, find_interactions
from automl.predictions import Predictions
from core.findings import NotApplicable


class _Linear:
    """Log-odds that are a weighted sum."""

    family, additivity = "logistic", 1e-9

    def __init__(self, *weights: float) -> None:
        self.weights = np.array(weights)
        self.n_features = len(weights)

    def margin(self, X: np.ndarray) -> np.ndarray:
        return X @ self.weights - 2.0

    def contributions(self, X: np.ndarray) -> np.ndarray:
        return np.column_stack([X * self.weights, np.full(len(X), -2.0)])


_REFERENCE = np.random.default_rng(0).uniform(0, 4, (500, 3))


def _found(row: list[float], target: float, **settings: object) -> Counterfactual | NotApplicable:
    given = {"reference": _REFERENCE, "changeable": (0, 1, 2), "names": ("a", "b", "c")} | settings
    return find_counterfactual(_Linear(1.0, 0.5, -0.3), IDENTITY, np.array(row), target, **given)


def test_one_change_is_taken_where_one_will_do_and_it_reaches_the_target() -> None:
    found = _found([3.0, 1.0, 1.0], float(sigmoid(np.array([0.2]))[0]))
    assert isinstance(found, Counterfactual)
    (change,) = found.changes
    assert change.alias == "a"
    assert change.after < change.before == 3.0
    assert found.after <= float(sigmoid(np.array([0.2]))[0]) < found.before
    assert change.distance == pytest.approx(((_REFERENCE[:, 0] >= change.after) & (_REFERENCE[:, 0] <= 3.0)).mean())


def test_the_nearest_of_all_single_changes_is_taken() -> None:
    target = float(sigmoid(np.array([0.9]))[0])
    found = _found([3.0, 1.0, 1.0], target)
    model, costs = _Linear(1.0, 0.5, -0.3), []
    for column in range(3):
        for value in np.unique(np.quantile(_REFERENCE[:, column], np.linspace(0.01, 0.99, 15), method="inverted_cdf")):
            row = np.array([[3.0, 1.0, 1.0]])
            before, row[0, column] = row[0, column], value
            if sigmoid(model.margin(row))[0] <= target:
                low, high = sorted((before, value))
                costs.append(((_REFERENCE[:, column] >= low) & (_REFERENCE[:, column] <= high)).mean())
    assert sum(change.distance for change in found.changes) == pytest.approx(min(costs))


def test_more_features_change_only_where_fewer_will_not_do() -> None:
    found = _found([3.9, 3.9, 0.1], float(sigmoid(np.array([-2.5]))[0]))
    assert isinstance(found, Counterfactual)
    assert len(found.changes) >= 2


def test_what_may_not_change_does_not_and_a_direction_is_kept() -> None:
    target = float(sigmoid(np.array([0.5]))[0])
    kept = _found([3.0, 3.0, 1.0], target, changeable=(1, 2))
    assert {change.alias for change in kept.changes} <= {"b", "c"}
    # Were risk said to fall as `a` grows, nobody may be told to lower it.
    bound = _found([3.0, 3.0, 1.0], target, directions=(-1, 1, -1))
    assert "a" not in {change.alias for change in bound.changes}
    assert all(change.after < change.before for change in bound.changes if change.alias == "b")


def test_where_no_change_will_do_the_best_there_is_is_said() -> None:
    answer = _found([3.0, 1.0, 1.0], 1e-6)
    assert isinstance(answer, NotApplicable)
    assert "at best" in answer.text()


def test_a_case_within_the_target_needs_nothing() -> None:
    assert "already" in _found([0.0, 0.0, 4.0], 0.9).text()


def test_only_numbers_of_the_case_itself_can_be_influenced(plan) -> None:
    assert changeable_features(plan) == tuple(range(6))
    assert changeable_features(plan, ["loan.x1", "x4"]) == (0, 2, 3, 5)


def _predictions(n: int = 4_000) -> tuple[Predictions, np.ndarray]:
    rng = np.random.default_rng(2)
    levels = np.where(rng.random(n) < 0.3, "small", "large").astype(object)
    margin = rng.normal(-2.0, 1.0, n) + (levels == "small") * 0.9
    probability = sigmoid(margin)
    y = (rng.random(n) < probability).astype(float)
    keys = np.arange(n).astype(str).astype(object)
    part = np.where(np.arange(n) < n // 2, "train", "unseen").astype(object)
    cutoffs = np.full(n, np.datetime64("2023-05-01", "ns"))
    return Predictions(keys, keys, cutoffs, y, part, np.ones(n, dtype=bool), margin, probability), levels


def test_the_impact_ratio_is_the_approval_rate_over_the_highest_and_is_adverse_only_with_its_whole_interval() -> None:
    predictions, levels = _predictions()
    found = {one.slice.name: one for one in treatment_by_segment(predictions, levels, 0.12)}
    rows = predictions.judging
    rates = {name: (predictions.probability[rows[levels[rows] == name]] <= 0.12).mean() for name in found}
    assert found["small"].impact_ratio == pytest.approx(rates["small"] / rates["large"])
    assert (found["large"].impact_ratio, found["large"].impact_low) == (1.0, 1.0)
    assert found["small"].is_adverse
    assert found["small"].impact_low < found["small"].impact_ratio < found["small"].impact_high < 0.8
    assert found["small"].ratio_low < 1 < found["small"].ratio_high
    assert found["small"].n_approved == round(rates["small"] * found["small"].n_applicants)


def test_segments_drawn_alike_are_not_called_adverse() -> None:
    predictions, _ = _predictions()
    levels = np.array([("a", "b")[i % 2] for i in range(len(predictions))], dtype=object)
    assert not any(one.is_adverse for one in treatment_by_segment(predictions, levels, 0.12))


def test_a_model_that_adds_up_has_no_pairs_and_says_so() -> None:
    answer = find_interactions(_Linear(1.0, 2.0), np.ones((5, 2)), ("a", "b"))
    assert "adds its features up" in answer.text()


def _boosted(categorical: bool):
    import lightgbm

    from automl.families.lightgbm import LightGBMModel

    rng = np.random.default_rng(1)
    X = rng.normal(size=(1_500, 4))
    X[:, 3] = rng.integers(0, 5, 1_500)
    y = (rng.random(1_500) < sigmoid(2 * X[:, 0] * X[:, 1] + (X[:, 3] == 2))).astype(int)
    data = lightgbm.Dataset(X, y, categorical_feature=[3] if categorical else [])
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_leaves": 8, "seed": 1}, data, 40)
    return LightGBMModel(booster.model_to_string()), X


def test_pairs_equal_those_of_shap_and_the_pair_that_was_drawn_stands_first() -> None:
    model, X = _boosted(categorical=False)
    found = find_interactions(model, X[:80], ("a", "b", "c", "d"))
    assert isinstance(found, Interactions)
    assert {found.pairs[0].first, found.pairs[0].second} == {"a", "b"}
    assert found.largest_error < 1e-6
    import lightgbm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

    table = shap.TreeExplainer(lightgbm.Booster(model_str=model.text)).shap_interaction_values(X[:80])
    assert found.pairs[0].mean_abs == pytest.approx(2 * np.abs(table[:, 0, 1]).mean(), rel=1e-9)
    assert found.n_rows == 80


def test_native_categories_are_not_answered_at_all() -> None:
    model, X = _boosted(categorical=True)
    answer = find_interactions(model, X[:20], ("a", "b", "c", "d"))
    assert isinstance(answer, NotApplicable)
    assert "categories" in answer.text()


def test_the_course_of_reasons_sees_a_feature_grow() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, 12))
    values[300:, 0] *= 5
    cutoffs = np.repeat(np.array(["2022-02-01", "2022-09-01"], dtype="datetime64[ns]"), 300)
    found = reasons_over_time(_Linear(*np.linspace(1, 0.1, 12)), values, cutoffs, tuple(f"x{i}" for i in range(12)))
    assert found.periods == ("2022-01", "2022-07")
    first, second = found.shares["x0"]
    assert second > 2 * first
    assert found.overlap[0] == 1.0
    assert found.n_rows == (300, 300)
