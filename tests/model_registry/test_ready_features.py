"""Ready values are taken as strictly as rows: every alias, right types, and the same score as the matrix."""

import math
from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from model_registry.ready_features import ReadyFeatures
from tests.model_registry.tiny_world import ready_values, tiny_world

PLAN = tiny_world().matrix.plan
CITY = next(alias for alias in PLAN.category_aliases if "city" in alias)


def form() -> ReadyFeatures:
    return ReadyFeatures(PLAN)


def test_every_row_of_the_matrix_comes_back_bit_for_bit() -> None:
    values = tiny_world().matrix.values
    ready = form()
    for i in range(0, len(values), 40):
        np.testing.assert_array_equal(ready.row(ready_values(i)), values[i])


def test_many_rows_are_read_as_each_alone_and_refused_as_the_first_that_is_wrong() -> None:
    ready, chosen = form(), range(0, len(tiny_world().matrix.values), 40)
    features = [dict(reversed(ready_values(i).items())) for i in chosen]
    features[1][CITY], features[2][CITY] = "拉萨", None
    np.testing.assert_array_equal(ready.rows(features), np.stack([ready.row(one) for one in features]))
    alias = PLAN.aliases[0]
    missing = {name: value for name, value in features[0].items() if name != alias}
    for wrong in (missing, {**features[0], "stranger": 1}, {**missing, "stranger": 1}, {**features[0], CITY: 2},
                  {**features[0], "amount": math.inf}, {**features[0], "amount": 10**400},
                  {**features[0], "amount": True}):  # fmt: skip
        said = []
        for read in (lambda one=wrong: ready.row(one), lambda one=wrong: ready.rows([*features, one, {}])):
            with pytest.raises(InputError) as refused:
                read()
            said.append((refused.value.code, refused.value.where))
        assert said[0] == said[1]


def test_the_order_of_the_aliases_does_not_matter() -> None:
    features = ready_values(3)
    np.testing.assert_array_equal(form().row(dict(reversed(features.items()))), form().row(features))


def test_a_level_that_was_not_there_has_the_code_of_all_others_and_null_is_null() -> None:
    position = PLAN.positions[CITY]
    assert form().row({**ready_values(0), CITY: "拉萨"})[position] == len(PLAN.levels[CITY])
    assert math.isnan(form().row({**ready_values(0), CITY: None})[position])
    assert math.isnan(form().row({**ready_values(0), CITY: ""})[position])


@pytest.mark.parametrize("value", ["1.5", True, [1], {"a": 1}, math.inf, -math.inf, 10**400])
def test_a_number_of_a_wrong_type_is_refused_at_its_place(value: Any) -> None:
    with pytest.raises(InputError) as refused:
        form().row({**ready_values(0), "amount": value})
    assert [(point.code, point.where) for point in refused.value.findings] == [("wrong_type", "features.amount")]


@pytest.mark.parametrize("value", [1, 1.5, False, ["杭州"], {}])
def test_a_category_is_sent_as_its_text(value: Any) -> None:
    with pytest.raises(InputError) as refused:
        form().row({**ready_values(0), CITY: value})
    assert [(point.code, point.where) for point in refused.value.findings] == [("wrong_type", f"features.{CITY}")]


def test_every_problem_is_named_at_once() -> None:
    features = {**ready_values(0), CITY: 3, "stranger\n": 1}
    del features["amount"]
    with pytest.raises(InputError) as refused:
        form().row(features)
    assert [(point.code, point.where) for point in refused.value.findings] == [
        ("unknown_feature", "features.stranger?"),
        ("missing_feature", "features.amount"),
        ("wrong_type", f"features.{CITY}"),
    ]
