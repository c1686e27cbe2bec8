"""Directions of a training: what a project may say, and what is found of a model that runs against them."""

from collections.abc import Callable

import numpy as np
import pytest

from automl.directing import direction_array, directions_of, interaction_groups, model_violations
from automl.families.interface import TrainingData
from automl.scorecard.directions import DEFAULT_RULES
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from core.errors import InputError
from features.definitions import FeatureDefinition, PathStep
from features.plan import FeaturePlan, TableSchema


def _plan() -> FeaturePlan:
    path = (PathStep("down", "repay", "loan_id", "id"),)
    items = (
        FeatureDefinition.create((), "amount", "identity"),
        FeatureDefinition.create(path, "overdue_days", "max", window="6m"),
        FeatureDefinition.create(path, "overdue_days", "std"),
        FeatureDefinition.create(path, None, "count"),
    )
    schemas = {
        "loan": TableSchema({"id": "key", "amount": "number"}),
        "repay": TableSchema({"loan_id": "foreign_key", "overdue_days": "number", "paid_on": "time"}),
    }
    return FeaturePlan("loan", "id", items, schemas)


def test_the_dictionary_gives_each_rule_in_both_languages() -> None:
    assert {"overdue", "query", "profit"} <= {rule.code for rule in DEFAULT_RULES}
    assert all(rule.title["en"] and rule.title["zh"] for rule in DEFAULT_RULES)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (0, 1, 0, 0)),
        ({"overdue_days": 0}, (0, 0, 0, 0)),
        ({"repay.overdue_days": -1}, (0, -1, 0, 0)),
        ({"amount": 1, "repay": 1}, (1, 1, 0, 1)),
        ({"overdue_days": -1, "repay_by_loan_id__overdue_days__max__6m": 1}, (0, 1, 0, 0)),
    ],
)
def test_a_project_speaks_of_columns_tables_and_features(given: dict[str, int], expected: tuple[int, ...]) -> None:
    assert direction_array(_plan(), TrainSpec(directions=given)) == expected


def test_without_the_dictionary_only_what_is_given_counts() -> None:
    assert direction_array(_plan(), TrainSpec(use_dictionary=False)) == (0, 0, 0, 0)


def test_a_name_of_nothing_is_told_and_harms_nothing() -> None:
    _, found = directions_of(_plan(), TrainSpec(directions={"profits": -1}))
    assert [(item.code, item.where) for item in found] == [("direction_without_feature", "profits")]


def test_features_of_no_group_stand_alone() -> None:
    assert interaction_groups(_plan(), [["amount", "repay.overdue_days"]]) == ((0, 1, 2), (3,))
    assert interaction_groups(_plan(), []) == ()


def test_a_family_that_cannot_limit_interactions_stays_out_and_is_named(world: Callable) -> None:
    matrix, labels = world()
    given = [["x0", "x1"]]
    spec = TrainSpec(
        n_trials=1, families=["logistic", "forest", "catboost"], bootstrap_draws=50, interactions=given, folds=3
    )
    found = train(matrix, labels, make_split(labels, spec), spec)
    assert {trial.family for trial in found.trials} == {"logistic"}
    told = [item for item in found.findings if item.code == "family_cannot_limit_interactions"]
    assert {item.where for item in told} == {"forest", "catboost"}
    assert any("CatBoost" in item.message.text("zh") for item in told)


def test_a_race_that_no_family_may_enter_is_refused(world: Callable) -> None:
    matrix, labels = world()
    spec = TrainSpec(n_trials=1, families=["catboost"], interactions=[["x0", "x1"]])
    with pytest.raises(InputError, match="act together"):
        train(matrix, labels, make_split(labels, spec), spec)


class _Sine:
    family, n_features = "sine", 7

    def margin(self, X: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.nan_to_num(X[:, 0]))


def test_a_model_that_runs_against_its_direction_is_found(world: Callable) -> None:
    matrix, labels = world(600)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    for sign, is_wrong in ((1, True), (0, False)):
        directions, _ = directions_of(matrix.plan, TrainSpec(directions={"x0": sign}))
        found = model_violations(_Sine(), data, directions, 1)  # type: ignore[arg-type]
        assert [item.where for item in found] == (["x0"] if is_wrong else [])


def test_a_training_keeps_the_directions_and_says_what_they_cost(world: Callable) -> None:
    matrix, labels = world(1_200, by_time=True)
    spec = TrainSpec(n_trials=1, families=["lightgbm"], bootstrap_draws=50, directions={"x0": -1, "nothing": 1})
    result = train(matrix, labels, make_split(labels, spec), spec)
    grid = np.repeat(matrix.values[:20], 15, axis=0)
    grid[:, 0] = np.tile(np.linspace(-3, 3, 15), 20)
    assert np.diff(result.model.margin(grid).reshape(20, 15), axis=1).max() <= 1e-9
    codes = {item.code: item for item in result.findings}
    assert {"price_of_directions", "model_against_direction", "direction_without_feature"} <= set(codes)
    assert codes["model_against_direction"].where == "x0"
    price = codes["price_of_directions"].message.values
    assert float(price["value"]) > 0.02  # x0 is a true cause, so keeping it from rising must cost
