"""Features in another unit than the data: the same on every way in, by a rule that travels in the plan."""

import json

import numpy as np
import pytest

from core.errors import ConfigurationError, InputError
from features.conditions import Condition
from features.definitions import FeatureDefinition
from features.engine import EngineData, compute
from features.leakage import prove_no_leakage
from features.matrix import build_matrix
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from tests.features.test_engine import asked, definitions
from tests.features.worlds import LOANS, UP, Recipe, make_world
from warehouse.modelling.edits import apply_edit
from warehouse.table_set import TableSet

CONVERTED = [("application", "amount"), ("loan", "recovered"), ("payment", "paid")]
FACTOR = 1e-4
RECIPE = Recipe(seed=6, n_firms=20, n_applications=60, n_loans=200, n_payments=900, late=True, level=3e5, scale=1e5)
LARGE = FeatureDefinition.create((UP, LOANS), None, "count", where=Condition("recovered", ">", 30.0))


def in_yuan():
    """The tables as they come, in CNY, with a data model that wants features in 10,000 CNY."""
    plain = make_world(RECIPE)
    model = plain.data_model
    for table, column in CONVERTED:
        place = {"do": "set_column", "table": table, "column": column}
        model = apply_edit(model, {**place, "field": "unit", "value": "CNY"})
        model = apply_edit(model, {**place, "field": "feature_unit", "value": "10k CNY"})
    return TableSet.from_frames({name: plain.frame(name) for name in plain.names}, model)


def converted_by_hand():
    plain = make_world(RECIPE)
    frames = {name: plain.frame(name).copy() for name in plain.names}
    for table, column in CONVERTED:
        frames[table][column] = frames[table][column] * FACTOR
    return TableSet.from_frames(frames, plain.data_model)


def plan_of(world):
    keys, cutoffs = asked(world)
    items = [*definitions(), LARGE]
    return make_plan(world, "application", "application_id", items, keys=keys, cutoffs=cutoffs)


@pytest.fixture(scope="module")
def world():
    return in_yuan()


@pytest.fixture(scope="module")
def plan(world):
    return plan_of(world)


@pytest.fixture(scope="module")
def expected():
    by_hand = converted_by_hand()
    return build_matrix(by_hand, plan_of(by_hand), *asked(by_hand)).values


def test_features_have_the_values_of_tables_converted_by_hand(world, plan, expected):
    values = build_matrix(world, plan, *asked(world)).values
    assert values.tobytes() == expected.tobytes()
    raw = make_world(RECIPE)
    unconverted = build_matrix(raw, plan_of(raw), *asked(raw)).values
    np.testing.assert_array_equal(values[:, 0], unconverted[:, 0] * FACTOR)  # the amount itself
    large = plan.positions[LARGE.alias]  # a condition is in the unit of features too
    assert 0 < values[:, large].sum() < unconverted[:, large].sum()


def test_live_rows_in_the_unit_of_the_data_give_the_bits_of_training(world, plan, expected):
    for row, (key, cutoff) in enumerate(zip(*asked(world), strict=True)):
        live = EngineData.from_rows(plan, entity_rows(world, plan, key))
        values = compute(plan, live, np.array([key], dtype=object), np.array([cutoff]))
        assert values.tobytes() == expected[row : row + 1].tobytes()


def test_stored_tables_give_the_bits_of_training(world, plan, expected, tmp_path):
    world.save(tmp_path / "world")
    assert build_matrix(tmp_path / "world", plan, *asked(world)).values.tobytes() == expected.tobytes()


def test_the_rule_travels_in_the_plan_and_changes_its_fingerprint(plan):
    again = FeaturePlan.from_json(plan.to_json())
    assert again == plan
    assert {name: dict(schema.factors) for name, schema in again.tables.items() if schema.factors} == {
        table: {column: FACTOR} for table, column in CONVERTED
    }
    raw = plan_of(make_world(RECIPE))
    assert raw.fingerprint != plan.fingerprint
    assert "factors" not in raw.to_json()
    assert set(plan.units.values()) == {"10k CNY"}
    without = plan.select([alias for alias in plan.aliases if "paid" not in alias])
    assert "payment" not in without.tables or not without.tables["payment"].factors


def test_a_plan_of_before_is_read_as_it_was():
    raw = plan_of(make_world(RECIPE))
    content = json.loads(raw.to_json())
    assert all("factors" not in table for table in content["tables"].values())
    assert FeaturePlan.from_json(raw.to_json()).fingerprint == raw.fingerprint


def test_the_leakage_proof_holds_for_converted_features(world, plan):
    certificate = prove_no_leakage(world, plan, *asked(world), seed=1, n_cutoffs=10)
    assert certificate.is_clean
    assert certificate.control_passed


def test_live_rows_that_become_infinite_by_the_conversion_are_refused(world):
    model = world.data_model
    place = {"do": "set_column", "table": "application", "column": "amount"}
    for field, unit in (("unit", "10k CNY"), ("feature_unit", "CNY")):
        model = apply_edit(model, {**place, "field": field, "value": unit})
    other = TableSet.from_frames({name: world.frame(name) for name in world.names}, model)
    item = FeatureDefinition.create((), "amount", "identity")
    plan = make_plan(other, "application", "application_id", [item], keys=asked(other)[0], cutoffs=asked(other)[1])
    with pytest.raises(InputError, match="finite"):
        EngineData.from_rows(plan, {"application": [{"application_id": "a", "amount": 1e306}]})


@pytest.mark.parametrize(
    ("table", "column", "fields"),
    [
        ("application", "amount", {"feature_unit": "10k CNY"}),
        ("application", "amount", {"unit": "days", "feature_unit": "10k CNY"}),
        ("loan", "product", {"unit": "CNY", "feature_unit": "10k CNY"}),
    ],
)
def test_what_cannot_be_converted_is_refused_with_its_place(table, column, fields):
    model = make_world(Recipe()).data_model
    for field, value in fields.items():
        model = apply_edit(
            model, {"do": "set_column", "table": table, "column": column, "field": field, "value": value}
        )
    with pytest.raises(ConfigurationError, match=f"{table}, column {column}.*cannot be converted to 10k CNY"):
        model.check()
