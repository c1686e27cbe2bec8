"""Definitions, plans and matrices: stable names, JSON that reads back, refusals."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from core.errors import ConfigurationError, InputError, IntegrityError, NotFoundError
from core.i18n import render
from features.definitions import Condition, FeatureDefinition, PathStep, Stage, make_alias, parse_window
from features.matrix import FeatureMatrix, build_matrix
from features.plan import FeaturePlan, sort_windows
from features.planning import make_plan
from features.primitives.vocabulary import AGGREGATIONS
from features.spec import FeatureSpec
from tests.features.test_engine import asked, definitions
from tests.features.worlds import LOANS, PAYMENTS, UP, Recipe, make_world
from warehouse.table_set import TableSet


@pytest.fixture(scope="module")
def matrix():
    world = make_world(Recipe(seed=1, n_applications=20, late=True))
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    return build_matrix(world, plan, keys, cutoffs)


def test_a_plan_reads_back_what_it_wrote(matrix, tmp_path):
    matrix.plan.save(tmp_path / "plan.json")
    again = FeaturePlan.load(tmp_path / "plan.json")
    assert again == matrix.plan
    assert again.fingerprint == matrix.plan.fingerprint


def test_what_levels_are_called_travels_with_the_plan_and_changes_nothing_else(matrix):
    world = make_world(Recipe(seed=1, n_applications=20, late=True))
    keys, cutoffs = asked(world)
    alias = FeatureDefinition.create((UP,), "sector", "identity", kind="category").alias
    first, second = matrix.plan.levels[alias][:2]
    levels = {first: {"en": "trade", "zh": "批发"}, second: {"en": "trade"}, "elsewhere": {"en": "mining"}}
    firm = world.spec("firm")
    column = firm.columns["sector"].model_copy(update={"levels": levels})
    firm = firm.model_copy(update={"columns": {**firm.columns, "sector": column}})
    model = world.data_model.model_copy(update={"tables": {**world.data_model.tables, "firm": firm}})
    named_world = TableSet.from_frames({name: world.frame(name) for name in world.names}, model)
    expected = {first: {"en": f"trade ({first})", "zh": "批发"}, second: {"en": f"trade ({second})"}}  # one name twice
    for known in ({"keys": keys, "cutoffs": cutoffs}, {}):
        plan = make_plan(named_world, "application", "application_id", definitions(), **known)
        assert plan.level_names[alias] == expected
    plan = make_plan(named_world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    assert plan.fingerprint == matrix.plan.fingerprint
    assert FeaturePlan.from_json(plan.to_json()) == plan
    assert plan.select([alias]).level_names == {alias: expected}
    assert render(plan.named_level(alias, first), "zh") == "批发"
    assert plan.named_level(alias, "nowhere") == "nowhere"
    assert build_matrix(named_world, plan, keys, cutoffs).values.tobytes() == matrix.values.tobytes()
    assert "level_names" not in matrix.plan.to_json()


def test_a_feature_in_the_unit_of_its_column_grows_with_it():
    world = make_world(Recipe(seed=1, n_applications=20))
    keys, cutoffs = asked(world)
    path, stacked = (UP, LOANS, PAYMENTS), (Stage("max"),)
    items = [
        FeatureDefinition.create(path, "paid", name) for name, one in AGGREGATIONS.items() if "number" in one.reads
    ]
    keepers = [item.alias for item in items if AGGREGATIONS[item.primitive].keeps_unit]
    items += [FeatureDefinition.create(path, "paid", name, stack=stacked) for name in ("mean", "skew")]
    items += [FeatureDefinition.create(path, "paid", "sum", **more) for more in ({"second": "due"}, {"against": "6m"})]
    payment = world.spec(PAYMENTS.table)
    paid = payment.columns["paid"].model_copy(update={"unit": "CNY"})
    payment = payment.model_copy(update={"columns": {**payment.columns, "paid": paid}})
    model = world.data_model.model_copy(update={"tables": {**world.data_model.tables, PAYMENTS.table: payment}})
    frames = {name: world.frame(name) for name in world.names}
    dearer = {**frames, PAYMENTS.table: frames[PAYMENTS.table].assign(paid=lambda frame: frame["paid"] * 1024)}
    plan = make_plan(TableSet.from_frames(frames, model), "application", "application_id", items)
    assert list(plan.units) == [*keepers, items[-4].alias]
    assert FeaturePlan.from_json(plan.to_json()) == plan
    assert plan.select(plan.aliases[:2]).units == {alias: "CNY" for alias in plan.aliases[:2] if alias in keepers}
    values, grown = (
        build_matrix(TableSet.from_frames(each, model), plan.select(list(plan.units)), keys, cutoffs).values
        for each in (frames, dearer)
    )
    assert np.nanmax(np.abs(values)) > 0
    np.testing.assert_allclose(grown, values * 1024, rtol=1e-12)


def test_something_else_is_not_a_plan():
    for text in ("{}", "[1]", '{"format": 99}', "not json"):
        with pytest.raises(InputError, match="not a feature plan"):
            FeaturePlan.from_json(text)


def test_a_selected_plan_needs_only_the_tables_of_its_features(matrix):
    alias = FeatureDefinition.create((UP,), "sector", "identity").alias
    plan = matrix.plan.select([alias])
    assert set(plan.tables) == {"application", "firm"}
    assert set(plan.levels) == {alias}
    assert plan.windows == matrix.plan.windows
    with pytest.raises(NotFoundError, match="no feature nothing"):
        plan.select(["nothing"])


@pytest.mark.parametrize("column", ["金额", "a,b", "a b", "a[1]", "x" * 300, "a__b", "", 'quote"', "{}", "-"])
def test_aliases_are_safe_for_every_model_library_and_tell_columns_apart(column):
    alias = FeatureDefinition.create((LOANS,), column, "sum", window="6m").alias
    other = FeatureDefinition.create((LOANS,), column + "!", "sum", window="6m").alias
    assert re.fullmatch(r"[A-Za-z0-9_]{1,120}", alias)
    assert alias != other


def test_an_alias_does_not_depend_on_the_other_features():
    assert make_alias("id", ["a", "b"]) == "a__b"
    assert make_alias("id one", ["a__b"]) != make_alias("id two", ["a", "b"])


def test_parallel_relationships_get_different_aliases():
    given, taken = (PathStep("down", "edge", column, "ent_id") for column in ("from_ent", "to_ent"))
    aliases = {FeatureDefinition.create((step,), "amount", "sum").alias for step in (given, taken)}
    assert aliases == {"edge_by_from_ent__amount__sum", "edge_by_to_ent__amount__sum"}


def variations():
    """One definition of each kind beyond path, column, primitive and window, and neighbours of them."""

    def create(**more):
        return FeatureDefinition.create((UP, LOANS, PAYMENTS), "paid", "sum", window="6m", **more)

    level, amount = Condition("channel", "==", "v1"), Condition("due", ">", 10)
    return [
        create(), create(where=level), create(where=Condition("channel", "!=", "v1")), create(where=amount),
        create(second="due"), create(against="24m"), create(against="12m"), create(stack=(Stage("mean"),)),
        create(stack=(Stage("mean", window="12m"),)), create(stack=(Stage("max"),)),
        create(stack=(Stage("mean", where=Condition("product", "==", "v1")),)), create(where=level, second="due"),
    ]  # fmt: skip


def test_variations_have_their_own_ids_and_safe_aliases_and_read_back():
    items = variations()
    assert len({item.id for item in items}) == len({item.alias for item in items}) == len(items)
    for item in items:
        assert re.fullmatch(r"[A-Za-z0-9_]{1,120}", item.alias)
        assert FeatureDefinition.from_json(json.loads(json.dumps(item.to_json()))) == item


def test_ids_and_aliases_of_variations_stay_as_they_are():
    found = {item.id.partition(":")[2]: item.alias.partition("paid__")[2] for item in variations()[1:8:3]}
    assert found == {
        "sum(paid)@6m|channel=='v1'": "sum__6m__channel__is__v1_1a55766d",
        "sum(paid)@6m%due": "sum__6m__per__due_123cecaa",
        "sum(paid)@6m;mean[1]": "sum__6m__mean_7c490395",
    }


def test_one_condition_has_one_id_however_its_number_is_written():
    assert Condition("due", ">", 10) == Condition("due", ">", 10.0)
    assert str(Condition("due", ">", 10)) == "due>10.0"


def test_a_plain_definition_is_written_as_ever():
    """What the new kinds brought is written only where it is used, so old plans keep their fingerprints."""
    assert set(variations()[0].to_json()) == {
        "id", "alias", "names", "kind", "path", "column", "primitive", "window", "liveness"
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "6", "m6", "0d", "1.5m", "-3d", "6months"])
def test_a_window_that_is_none_is_refused(text):
    with pytest.raises(ConfigurationError, match="a window is"):
        parse_window(text)
    with pytest.raises(ValidationError, match="a window is"):
        FeatureSpec(windows=[text])


def test_windows_are_ordered_longest_first():
    assert sort_windows(["30d", "6m", None, "24m", "90d", "6m"]) == (None, "24m", "6m", "90d", "30d")


def test_two_features_of_one_alias_are_refused():
    world = make_world(Recipe())
    twice = [FeatureDefinition.create((), "amount", "identity")] * 2
    with pytest.raises(ConfigurationError, match="amount comes twice"):
        make_plan(world, "application", "application_id", twice)


def test_a_feature_of_a_column_that_is_not_there_is_refused():
    with pytest.raises(ConfigurationError, match="no column nothing"):
        make_plan(
            make_world(Recipe()),
            "application",
            "application_id",
            [FeatureDefinition.create((UP,), "nothing", "identity")],
        )


def test_a_key_is_not_a_feature():
    definition = FeatureDefinition.create((), "firm_id", "identity", kind="category")
    with pytest.raises(ConfigurationError, match="firm_id is a key"):
        make_plan(make_world(Recipe()), "application", "application_id", [definition])


def test_levels_are_frozen_as_the_training_rows_see_them_most_frequent_first():
    world = make_world(Recipe(seed=5, n_firms=40, n_applications=80, n_levels=8, null_rate=0.0))
    keys, cutoffs = asked(world)
    definition = FeatureDefinition.create((UP,), "sector", "identity", kind="category")
    plan = make_plan(
        world, "application", "application_id", [definition], keys=keys[:30], cutoffs=cutoffs[:30], max_levels=3
    )
    firms = world.frame("application").iloc[:30].merge(world.frame("firm"), on="firm_id")
    counts = firms["sector"].value_counts()
    expected = sorted(counts.index, key=lambda level: (-counts[level], level))[:3]
    assert plan.levels[definition.alias] == tuple(expected)
    assert build_matrix(world, plan, keys, cutoffs).values.max() == 3.0


def test_a_matrix_reads_back_what_it_wrote_and_notices_changed_bytes(matrix, tmp_path):
    matrix.save(tmp_path)
    again = FeatureMatrix.load(tmp_path)
    assert again.fingerprint == matrix.fingerprint
    assert again.frame.equals(matrix.frame)
    values = np.load(tmp_path / "values.npy")
    np.save(tmp_path / "values.npy", np.nan_to_num(values) + 1)
    with pytest.raises(IntegrityError):
        FeatureMatrix.load(tmp_path)
    with pytest.raises(NotFoundError):
        FeatureMatrix.load(tmp_path / "nowhere")
    # The plan alone does not ask for the values, broken or gone; its own bytes are still checked.
    assert FeatureMatrix.load_plan(tmp_path) == again.plan
    (tmp_path / "values.npy").unlink()
    assert FeatureMatrix.load_plan(tmp_path) == again.plan
    (tmp_path / "plan.json").write_text((tmp_path / "plan.json").read_text() + " ")
    with pytest.raises(IntegrityError):
        FeatureMatrix.load_plan(tmp_path)
    with pytest.raises(NotFoundError):
        FeatureMatrix.load_plan(tmp_path / "nowhere")


def test_rows_and_columns_are_taken_in_the_order_asked_for(matrix):
    part = matrix.take(np.array([3, 1])).select(matrix.plan.aliases[:2][::-1])
    assert part.keys.tolist() == [matrix.keys[3], matrix.keys[1]]
    assert np.array_equal(part.values, matrix.values[[3, 1]][:, [1, 0]], equal_nan=True)


def test_the_live_path_imports_no_heavy_library():
    heavy = ("pandas", "featuretools", "duckdb", "sklearn", "scipy", "optbinning", "pyarrow", "pydantic")
    code = (
        "import sys, features.engine, features.payload, features.binning\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
