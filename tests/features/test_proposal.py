"""What is proposed: the tables' own schema decides, every name is readable, settings are obeyed."""

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from core.errors import ConfigurationError
from features.definitions import Condition, FeatureDefinition, PathStep, Stage
from features.matrix import build_matrix
from features.naming import FeatureNamer
from features.plan import FeaturePlan, ReferenceSettings
from features.planning import make_plan
from features.primitives.vocabulary import AGGREGATIONS, GROUPS
from features.proposal import propose
from features.spec import FeatureSpec, PeerSpec
from sample_data import DEMO_PROJECT
from tests.features.worlds import LOANS, PAYMENTS, UP, Recipe, make_world
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet


@pytest.fixture(scope="module")
def world():
    return make_world(Recipe(seed=2, n_firms=10, n_applications=40, n_loans=80, n_payments=300))


def proposed(world, **settings):
    cutoffs = {"keys": world.frame("application")["application_id"].to_numpy()}
    cutoffs["cutoffs"] = world.frame("application")["asked_on"].to_numpy()
    return propose(world, "application", FeatureSpec(**settings), **cutoffs)


def test_features_come_from_the_row_its_parents_and_what_lies_below_the_entity(world):
    paths = {item.path for item in proposed(world)}
    assert {(), (UP,), (UP, LOANS), (UP, LOANS, PAYMENTS)} <= paths


def test_what_is_proposed_can_be_computed(world):
    found = proposed(world)
    keys = world.frame("application")["application_id"].to_numpy()
    matrix = build_matrix(
        world, make_plan(world, "application", "application_id", found), keys, world.frame("application")["asked_on"]
    )
    assert matrix.values.shape == (40, len(found))
    assert len(set(matrix.plan.aliases)) == len(found)
    assert not np.isnan(matrix.values).all(axis=0).all()


def test_settings_leave_out_tables_columns_windows_and_primitives(world):
    found = proposed(world, windows=["90d"], primitives=["sum", "identity"], ignore={"payment": [], "loan": ["rate"]})
    assert {item.primitive for item in found} == {"sum", "identity"}
    assert {item.window for item in found if item.path[-1:] == (LOANS,)} == {"90d"}
    assert not any(step.table == "payment" for item in found for step in item.path)
    assert "rate" not in {item.column for item in found}
    assert {s.table for item in proposed(world, tables=["firm"]) for s in item.path} == {"firm"}


def test_a_limit_takes_from_every_path_in_turn(world):
    found = proposed(world, max_features=30)
    assert len(found) == 30
    assert {(UP, LOANS), (UP, LOANS, PAYMENTS)} <= {item.path for item in found}


def test_a_path_on_which_nothing_is_ever_known_is_left_out():
    empty = make_world(Recipe(seed=2, n_applications=10, n_payments=0))
    assert (UP, LOANS, PAYMENTS) not in {item.path for item in proposed(empty)}


def test_keys_texts_and_known_at_columns_never_become_features(world):
    assert not {"firm_id", "loan_id", "application_id", "closed_at"} & {item.column for item in proposed(world)}


def test_depth_one_stays_with_the_row_and_its_parents(world):
    assert all(len(item.path) <= 1 for item in proposed(world, max_depth=1))


def test_unknown_tables_and_columns_in_the_settings_are_refused(world):
    for settings in ({"entity_table": "nobody"}, {"ignore": {"nobody": []}}, {"ignore": {"loan": ["nothing"]}}):
        with pytest.raises(ConfigurationError):
            proposed(world, **settings)


def labelled_model():
    def column(kind, en, zh, role="feature"):
        return ColumnSpec(type=kind, role=role, label={"en": en, "zh": zh})

    return DataModel(
        tables={
            "enterprise": TableSpec(columns={"ent_id": column("id", "Enterprise", "企业", "key")}),
            "vat": TableSpec(
                label={"en": "VAT returns", "zh": "增值税申报"},
                columns={"ent_id": column("id", "Enterprise", "企业", "foreign_key"),
                         "sales": column("number", "VAT sales", "增值税销售额"),
                         "amount": column("number", "Amount", "金额")},
            ),
            "edge": TableSpec(
                label={"en": "Guarantees", "zh": "对外担保"},
                columns={"from_ent": column("id", "Guarantor", "担保企业", "foreign_key"),
                         "to_ent": column("id", "Guaranteed firm", "被担保企业", "foreign_key"),
                         "amount": column("number", "Amount", "金额")},
            ),
        },
        relationships=[
            Relationship(parent="enterprise", parent_column="ent_id", child="vat", child_column="ent_id"),
            Relationship(parent="enterprise", parent_column="ent_id", child="edge", child_column="from_ent"),
            Relationship(parent="enterprise", parent_column="ent_id", child="edge", child_column="to_ent"),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("step", "column", "primitive", "window", "en", "zh"),
    [
        ("vat", "sales", "sum", "6m", "sum of VAT sales, last 6 months", "近6个月增值税销售额合计"),
        ("vat", "amount", "mean", "90d", "mean of amount (VAT returns), last 90 days", "近90天金额（增值税申报）均值"),
        ("vat", None, "count", None, "number of rows in VAT returns", "增值税申报条数"),
        ("edge", "amount", "max", None, "maximum of amount (Guarantees / Guarantor)",
         "金额（对外担保 / 担保企业）最大值"),
    ],
)  # fmt: skip
def test_names_are_put_together_from_labels_in_both_languages(step, column, primitive, window, en, zh):
    link = PathStep("down", step, "from_ent" if step == "edge" else "ent_id", "ent_id")
    names = FeatureNamer(labelled_model(), "enterprise").names(
        FeatureDefinition.create((link,), column, primitive, window=window)
    )
    assert names == {"en": en, "zh": zh}


def test_the_default_settings_propose_what_they_always_did(world):
    """New primitives are chosen by name: the plan is, to its fingerprint, that of the first release."""
    rows = {"keys": world.frame("application")["application_id"].to_numpy()}
    rows["cutoffs"] = world.frame("application")["asked_on"].to_numpy()
    plan = make_plan(world, "application", "application_id", proposed(world), **rows)
    assert plan.fingerprint == "1fdfe9354c1547ff629d7ebf4c692106bb3a140d8ac72eccc1d31125a7adea95"


def test_the_sample_project_chooses_no_more_than_the_default_primitives():
    spec = FeatureSpec(**yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))["features"])
    assert set(spec.chosen) <= set(GROUPS["default"])
    assert (spec.chosen_ratios, spec.chosen_levels, spec.chosen_stack, spec.pairs, spec.conditions) == (
        (),
        0,
        (),
        [],
        [],
    )


def credit(world, **settings):
    return proposed(world, primitives=["credit"], max_depth=3, max_features=20_000, **settings)


def test_the_credit_group_turns_on_conditions_ratios_stacks_and_its_primitives(world):
    found = credit(world)
    names = {item.primitive for item in found} | {stage.primitive for item in found for stage in item.stack}
    # No column of these tables weighs or holds texts, and streaks of conditions stand beside those of numbers.
    assert names >= set(GROUPS["credit"]) - {"month", "weekday", "contains"}
    assert any(item.where for item in found)
    assert {(item.window, item.against) for item in found if item.against} == {("6m", "24m")}
    stacked = [item for item in found if item.stack]
    assert {item.path for item in stacked} == {(UP, LOANS, PAYMENTS)}
    assert {item.stack for item in stacked} == {(Stage("mean"),), (Stage("max"),)}


def test_settings_turn_off_what_the_credit_group_brings(world):
    found = credit(world, frequent_levels=0, window_ratios=[], stack=[])
    assert all(item.extras == "" for item in found if item.where is None)
    assert not any(item.where or item.stack or item.against for item in found)


def test_all_primitives_can_be_proposed_and_computed(world):
    found = proposed(world, primitives=["all"], max_depth=3, max_features=20_000, windows=["12m"], frequent_levels=1)
    assert {item.primitive for item in found} >= set(AGGREGATIONS)
    keys = world.frame("application")["application_id"].to_numpy()
    plan = make_plan(world, "application", "application_id", found)
    values = build_matrix(world, plan, keys, world.frame("application")["asked_on"]).values
    assert not np.isinf(values).any()
    assert FeaturePlan.from_json(plan.to_json()) == plan
    assert FeaturePlan.from_json(plan.to_json()).fingerprint == plan.fingerprint


def test_conditions_and_pairs_of_the_settings_become_features(world):
    conditions = [{"table": "payment", "column": "due", "op": ">", "value": 10}]
    pairs = [{"table": "payment", "column": "paid", "second": "due"},
             {"table": "payment", "column": "channel", "second": "paid"}]  # fmt: skip
    found = proposed(world, conditions=conditions, pairs=pairs, windows=["12m"])
    below = [item for item in found if item.path == (UP, LOANS, PAYMENTS)]
    assert {(item.column, item.primitive) for item in below if item.where} == {
        (None, "count"), ("paid", "sum"), (None, "time_since_last")
    }  # fmt: skip
    assert {(item.column, item.second, item.primitive) for item in below if item.second} == {
        *(("paid", "due", name) for name in ("mean", "max", "last", "trend")),
        *(("channel", "paid", name) for name in ("largest_share", "herfindahl")),
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"primitives": ["magic"]},
        {"stack": ["mode"]},
        {"window_ratios": [("6m", "6m")]},
        {"window_ratios": [("6m", "all")]},
        {"conditions": [{"table": "loan", "column": "x", "op": "~", "value": 1}]},
        {"pairs": [{"table": "loan", "column": "x"}]},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValidationError):
        FeatureSpec(**settings)


@pytest.mark.parametrize(
    ("settings", "en", "zh"),
    [
        ({"column": "sales", "primitive": "median", "window": "6m", "where": Condition("sales", ">=", 5.0)},
         "median of VAT sales where VAT sales is at least 5, last 6 months",
         "近6个月增值税销售额不低于5的增值税销售额中位数"),
        ({"column": "sales", "primitive": "sum", "window": "6m", "against": "24m"},
         "sum of VAT sales, last 6 months against last 24 months", "增值税销售额合计（近6个月与近24个月之比）"),
        ({"column": "sales", "primitive": "trend", "second": "amount", "window": "12m"},
         "trend per day of VAT sales over amount, last 12 months", "近12个月增值税销售额与金额之比日均变化趋势"),
        ({"column": None, "primitive": "longest_streak", "where": Condition("sales", "==", 0.0)},
         "longest streak of VAT returns where VAT sales is 0", "增值税销售额为0的增值税申报最长连续次数"),
    ],
)  # fmt: skip
def test_variations_are_named_in_both_languages(settings, en, zh):
    step = PathStep("down", "vat", "ent_id", "ent_id")
    item = FeatureDefinition.create((step,), settings.pop("column"), settings.pop("primitive"), **settings)
    assert FeatureNamer(labelled_model(), "enterprise").names(item) == {"en": en, "zh": zh}


def test_stacks_are_named_by_the_rows_between():
    model = make_world(Recipe()).data_model
    stage = Stage("mean", window="12m", where=Condition("product", "==", "v1"))
    item = FeatureDefinition.create((UP, LOANS, PAYMENTS), "paid", "sum", window="6m", stack=(stage,))
    assert FeatureNamer(model, "application").names(item) == {
        "en": "mean of sum of paid, last 6 months per row of loan where product is v1, last 12 months",
        "zh": "近12个月product为v1的每条loan的近6个月paid合计均值",
    }


def test_a_condition_on_a_table_or_column_that_is_not_there_is_refused(world):
    for settings in (
        {"conditions": [{"table": "nobody", "column": "x", "value": 1}]},
        {"pairs": [{"table": "payment", "column": "paid", "second": "nothing"}]},
    ):
        with pytest.raises(ConfigurationError):
            proposed(world, **settings)


def test_comparisons_with_peers_are_proposed_where_they_are_asked_for():
    world = make_world(Recipe(n_firms=30, n_applications=20))
    rows = {
        "keys": world.frame("application")["application_id"].to_numpy(),
        "cutoffs": world.frame("application")["asked_on"],
    }
    assert not any(item.peers for item in propose(world, "application", FeatureSpec(), **rows))
    spec = FeatureSpec(peers=PeerSpec(by=["firm.sector"], max_features=9))
    made = [item for item in propose(world, "application", spec, **rows) if item.peers]
    assert len(made) == 9
    assert [str(item.peers) for item in made[:3]] == [
        "ratio_to_median(sector)",
        "z_score(sector)",
        "percentile(sector)",
    ]
    assert all(item.steps_up[-1].table == "firm" for item in made)
    assert made[0].name("zh").endswith("，与sector相同的同类主体中位数之比")
    picked = FeatureSpec(
        peers=PeerSpec(by=["firm.sector"], statistics=["n_peers"], of=["firm__capital", "*loan__rate__mean__12m"])
    )
    made = [item for item in propose(world, "application", picked, **rows) if item.peers]
    assert [item.base.alias for item in made] == ["firm__capital", "firm__loan__rate__mean__12m"]
    plan = make_plan(world, "application", "application_id", made, **rows, reference=picked.reference)
    assert plan.reference == ReferenceSettings(min_size=20)


@pytest.mark.parametrize(
    ("peers", "problem"),
    [
        (PeerSpec(by=["loan.product"]), "peers share columns of firm"),
        (PeerSpec(by=["firm.capital"]), "peers share a category, not capital"),
        (PeerSpec(by=["firm.nothing"]), "no such column"),
        (PeerSpec(by=["firm.sector"], of=["nothing*"]), "none of the proposed features"),
    ],
)
def test_peers_that_cannot_be_are_refused(peers, problem):
    world = make_world(Recipe())
    with pytest.raises(ConfigurationError, match=problem):
        propose(world, "application", FeatureSpec(peers=peers))


def with_columns(world, table, **columns):
    """Return the world with other columns of one table in its data model."""
    spec = world.spec(table)
    merged = {**spec.columns, **columns}
    model = world.data_model
    changed = DataModel(tables={**model.tables, table: TableSpec(**{**spec.model_dump(exclude_unset=True), "columns": {
        name: column.model_dump(exclude_unset=True) for name, column in merged.items()}})},
        relationships=model.relationships)  # fmt: skip
    return TableSet.from_frames({name: world.frame(name) for name in world.names}, changed)


@pytest.mark.parametrize("role", ["target", "personal", "forbidden"])
def test_no_feature_is_made_of_closed_columns_whoever_asks(world, role):
    closed = with_columns(world, "loan", rate=ColumnSpec(type="number", role=role))
    assert "rate" in {item.column for item in proposed(world)}
    assert "rate" not in {item.column for item in proposed(closed)}
    with pytest.raises(ConfigurationError, match=r"loan\.rate: no feature is made of it"):
        proposed(closed, conditions=[{"table": "loan", "column": "rate", "op": ">", "value": 1.0}])


def test_shares_and_rates_are_not_summed(world):
    def made(items):
        return {item.primitive for item in items if item.column == "rate" and item.path[-1:] == (LOANS,)}

    condition = {"table": "loan", "column": "amount", "op": ">", "value": 1.0}
    found = proposed(
        with_columns(world, "loan", rate=ColumnSpec(type="number", unit="percent")), conditions=[condition]
    )
    assert "sum" in made(proposed(world, conditions=[condition]))
    assert "mean" in made(found)
    assert "sum" not in made(found)
