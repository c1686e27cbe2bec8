"""Rows of a live request: the same values as from tables, or a clear refusal."""

import numpy as np
import pytest

from core.errors import InputError
from features.engine import EngineData, compute
from features.planning import make_plan
from features.preparation import entity_rows
from tests.features.test_engine import asked, definitions
from tests.features.worlds import Recipe, make_world


@pytest.fixture(scope="module")
def live():
    world = make_world(Recipe(seed=7, n_loans=60, n_payments=100, late=True))
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    return plan, keys[0], cutoffs[0], entity_rows(world, plan, keys[0])


def values(live, tables):
    plan, key, cutoff, _ = live
    return compute(plan, EngineData.from_rows(plan, tables), np.array([key]), np.array([cutoff]))


def test_order_of_rows_and_needless_columns_change_nothing(live):
    tables = {name: [{**row, "extra": object()} for row in rows[::-1]] for name, rows in live[3].items()}
    assert values(live, tables).tobytes() == values(live, live[3]).tobytes()


def test_a_table_left_out_is_refused_and_an_empty_one_is_not(live):
    tables = {name: rows for name, rows in live[3].items() if name != "payment"}
    with pytest.raises(InputError, match=r"lacks the tables payment.*empty list"):
        values(live, tables)
    counts = values(live, {**tables, "payment": []})
    assert counts[0, live[0].positions["firm__loan__payment__count"]] == 0.0


@pytest.mark.parametrize(
    ("column", "bad", "expected"),
    [
        ("recovered", "12", "a number"),
        ("recovered", [1], "a number"),
        ("made_at", "yesterday", "a local date"),
        ("made_at", "2024-05-31T00:00:00Z", "a local date"),
        ("made_at", "2024-05-31T00:00:00+08:00", "a local date"),
        ("made_at", "2999-12-31", "a local date"),
        ("made_at", 20240531, "a local date"),
        ("status", {"a": 1}, "a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(live, column, bad, expected):
    rows = [dict(row) for row in live[3]["loan"]]
    rows[1][column] = bad
    with pytest.raises(InputError, match=expected) as caught:
        values(live, {**live[3], "loan": rows})
    assert "loan" in caught.value.where
    assert column in caught.value.where
    assert str(bad) not in str(caught.value)


def test_a_column_left_out_is_null_and_said_so_but_a_key_or_time_is_refused(live):
    plan, _, _, tables = live
    without = {**tables, "loan": [{k: v for k, v in row.items() if k != "recovered"} for row in tables["loan"]]}
    data = EngineData.from_rows(plan, without)
    assert [str(warning) for warning in data.warnings] == ["loan has no column recovered: taken as null"]
    for column in ("firm_id", "made_at"):
        without = {**tables, "loan": [{k: v for k, v in row.items() if k != column} for row in tables["loan"]]}
        with pytest.raises(InputError, match=f"must have the column {column}"):
            EngineData.from_rows(plan, without)


def test_a_key_that_comes_twice_is_refused(live):
    with pytest.raises(InputError, match="comes more than once"):
        values(live, {**live[3], "firm": live[3]["firm"] * 2})


def test_codes_given_as_numbers_are_the_texts_they_stand_for(live):
    tables = {name: [dict(row) for row in rows] for name, rows in live[3].items()}
    plan = live[0]
    tables["firm"][0]["sector"] = 17
    alias = next(item.alias for item in plan.definitions if item.column == "sector")
    assert values(live, tables)[0, plan.positions[alias]] == len(plan.levels[alias])
