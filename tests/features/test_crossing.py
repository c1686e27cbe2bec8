"""What is proposed across link tables: the other side's attributes, and on request what its rows tell."""

import os
from pathlib import Path

import numpy as np
import pytest

from features.definitions import Condition, FeatureDefinition, Stage
from features.matrix import build_matrix
from features.naming import FeatureNamer
from features.plan import FeaturePlan
from features.planning import make_plan
from features.proposal import propose
from features.spec import FeatureSpec
from tests.features.networks import (
    CASES,
    EVENTS,
    GIVEN,
    GUARANTEED,
    GUARANTOR,
    HOLDER,
    RECEIVED,
    STAKES,
    UP,
    NetRecipe,
    make_network,
)
from tests.features.test_networks import asked
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.importing import import_tables

create = FeatureDefinition.create
HOLDERS, OVER, BACK = (UP, STAKES, HOLDER), (UP, GIVEN, GUARANTEED), (UP, RECEIVED, GUARANTOR)
NETWORK = {"primitives": ["default", "network"], "max_features": 20_000}


@pytest.fixture(scope="module")
def world():
    return make_network(NetRecipe(seed=2, n_firms=30, n_applications=60, n_edges=120, n_stakes=60, n_cases=120))


def linked(world, root="application", **settings):
    keys, cutoffs = asked(world)
    rows = {"keys": keys, "cutoffs": cutoffs} if root == "application" else {}
    found = propose(world, root, FeatureSpec(**settings), **rows)
    return [item for item in found if item.is_linked]


def test_by_default_the_other_side_of_a_link_table_is_told_by_its_attributes(world):
    found = linked(world)
    assert {item.path for item in found} == {HOLDERS}
    assert {(item.column, item.primitive, item.stack) for item in found} == {
        (None, "num_unique", ()), ("wealth", "mean", ()), ("wealth", "sum", ()), ("wealth", "max", ()),
        ("city", "num_unique", ()), ("city", "mode", ()), ("born", "days_since", (Stage("max"),)),
        ("born", "days_since", (Stage("min"),)),
    }  # fmt: skip


def test_the_entity_as_root_and_one_behind_a_parent_have_the_same_link_tables(world):
    assert {(UP, *item.path) for item in linked(world, "firm")} == {HOLDERS}


def test_counterparties_are_told_in_both_directions_when_asked_and_in_bounded_number(world):
    found = linked(world, **NETWORK)
    paths = [item.path for item in found]
    assert {OVER, BACK, HOLDERS, (*OVER, CASES), (*BACK, CASES)} <= set(paths)
    assert max(paths.count(path) for path in set(paths)) <= 24
    stacked = [item for item in found if item.path == (*OVER, CASES)]
    assert {stage.primitive for item in stacked for stage in item.stack} == {"sum", "mean", "max"}
    assert {(item.column, item.primitive) for item in stacked} == {
        (None, "count"), ("sued", "sum"), ("paid", "sum")
    }  # fmt: skip
    assert {item.window for item in stacked} == {"24m", "6m"}
    # Neither back along the link table nor down to the entities themselves.
    assert not any(item.path[3:4] and item.path[3].table in ("edge", "firm") for item in found)


def test_what_is_proposed_can_be_computed_read_back_and_is_marked(world):
    keys, cutoffs = asked(world)
    found = linked(world, **NETWORK)
    plan = make_plan(world, "application", "application_id", found, keys=keys, cutoffs=cutoffs)
    assert {item.path for item in plan.definitions if item.liveness == "self"} == {HOLDERS}
    assert len(set(plan.aliases)) == len(plan.aliases)
    assert FeaturePlan.from_json(plan.to_json()) == plan
    values = build_matrix(world, plan, keys, cutoffs).values
    assert not np.isnan(values).all(axis=0).any()


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"links": False}, set()),
        ({"links": False, "counterparties": ["max"], "tables": ["firm", "edge", "case"]},
         {OVER, BACK, (*OVER, CASES), (*BACK, CASES)}),
        ({**NETWORK, "counterparties": []}, {HOLDERS}),
        ({"ignore": {"person": []}}, set()),
        ({"counterparties": ["sum"], "ignore": {"edge": []}}, {HOLDERS}),
    ],
)  # fmt: skip
def test_settings_turn_it_on_and_off(world, settings, paths):
    assert {item.path for item in linked(world, **settings)} == paths


def test_a_link_table_that_leads_nowhere_known_is_left_out():
    world = make_network(NetRecipe(seed=2, n_firms=30, n_applications=60, n_persons=0, n_edges=0))
    assert linked(world, **NETWORK) == []


def test_a_table_that_refers_to_the_root_or_to_its_entity_again_is_no_link_table():
    """A contract that names application and firm leads to nobody else."""
    model = make_network(NetRecipe()).data_model
    doubled = [*model.relationships, Relationship(parent="firm", parent_column="firm_id", child="event",
                                                  child_column="event_id")]  # fmt: skip
    world = make_network(NetRecipe(seed=2, n_firms=30, n_applications=60))
    tables = {name: world.frame(name) for name in world.names}
    again = type(world).from_frames(tables, DataModel(tables=model.tables, relationships=doubled))
    assert {item.path for item in linked(again)} == {HOLDERS}


def labelled():
    def column(kind, en, zh, role="feature"):
        return ColumnSpec(type=kind, role=role, label={"en": en, "zh": zh})

    firm = column("id", "Enterprise", "企业", "foreign_key")
    return DataModel(
        tables={
            "firm": TableSpec(
                label={"en": "Enterprises", "zh": "企业"},
                columns={"firm_id": column("id", "Enterprise", "企业", "key"),
                         "capital": column("number", "Registered capital", "注册资本"),
                         "sector": column("category", "Sector", "行业")},
            ),
            "edge": TableSpec(
                label={"en": "Guarantees", "zh": "对外担保"},
                columns={"from_firm": column("id", "Guarantor", "担保企业", "foreign_key"),
                         "to_firm": column("id", "Guaranteed enterprise", "被担保企业", "foreign_key"),
                         "kind": column("category", "Kind of guarantee", "担保类型")},
            ),
            "case": TableSpec(
                label={"en": "Enforcement cases", "zh": "被执行案件"},
                columns={"case_id": column("id", "Case", "案件", "key"), "firm_id": firm,
                         "sued": column("number", "Amount to enforce", "执行标的")},
            ),
            "event": TableSpec(
                label={"en": "Events", "zh": "事件"},
                columns={"case_id": column("id", "Case", "案件", "foreign_key"),
                         "cost": column("number", "Cost", "费用")},
            ),
            "person": TableSpec(columns={"person_id": ColumnSpec(type="id"), "born": ColumnSpec(type="date")}),
            "stake": TableSpec(columns={"firm_id": ColumnSpec(type="id"), "person_id": ColumnSpec(type="id")}),
        },
        relationships=[
            Relationship(parent=parent, parent_column=f"{parent}_id", child=child, child_column=column)
            for parent, child, column in (
                ("firm", "edge", "from_firm"), ("firm", "edge", "to_firm"), ("firm", "case", "firm_id"),
                ("case", "event", "case_id"), ("firm", "stake", "firm_id"), ("person", "stake", "person_id"),
            )
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "en", "zh"),
    [
        (create(OVER[1:], "capital", "sum"),
         "sum of each guaranteed enterprise's registered capital", "被担保企业的注册资本合计"),
        (create(BACK[1:], "sector", "mode", kind="category", window="24m"),
         "most frequent value of each guarantor's sector, last 24 months", "近24个月担保企业的行业众数"),
        (create(OVER[1:], None, "num_unique"),
         "number of different values of guaranteed enterprise", "被担保企业不同取值个数"),
        (create(OVER[1:], None, "count", where=Condition("sector", "==", "K")),
         "number of rows in guarantees where each guaranteed enterprise's sector is K",
         "被担保企业的行业为K的对外担保条数"),
        (create((*OVER[1:], CASES), None, "count", window="12m", stack=(Stage("sum"),)),
         "sum of each guaranteed enterprise's number of rows in enforcement cases, last 12 months",
         "被担保企业的近12个月被执行案件条数合计"),
        (create((*OVER[1:], CASES), "sued", "sum", window="12m", stack=(Stage("sum"),)),
         "sum of each guaranteed enterprise's amount to enforce, last 12 months", "被担保企业的近12个月执行标的合计"),
        (create((*BACK[1:], CASES), "sued", "sum", stack=(Stage("max", window="6m", where=Condition(
            "kind", "==", "joint")),)),
         "maximum of each guarantor's sum of amount to enforce where kind of guarantee is joint, last 6 months",
         "近6个月担保类型为joint的担保企业的执行标的合计最大值"),
        (create((*OVER[1:], CASES, EVENTS), "cost", "sum", stack=(Stage("sum"), Stage("max"))),
         "sum of each guaranteed enterprise's maximum of sum of cost per row of Enforcement cases",
         "被担保企业的每条被执行案件的费用合计最大值合计"),
        (create((*OVER[1:], GIVEN, GUARANTEED), "capital", "max", stack=(Stage("max"),)),
         "maximum of each guaranteed enterprise's maximum of each guaranteed enterprise's registered capital",
         "被担保企业的被担保企业的注册资本最大值最大值"),
        (create(HOLDERS[1:], "born", "days_since", stack=(Stage("max"),)),
         "maximum of each person's days since born", "person的born距今天数最大值"),
    ],
)  # fmt: skip
def test_names_say_whose_rows_are_meant(item, en, zh):
    assert FeatureNamer(labelled(), "firm").names(item) == {"en": en, "zh": zh}


@pytest.mark.real_data
def test_berka_loans_are_told_by_the_clients_of_their_account():
    root = os.environ.get("WORKBENCH_TEST_DATA")
    if not root or not Path(root, "berka_partial").is_dir():
        pytest.skip(f"the data set berka_partial is not there (WORKBENCH_TEST_DATA is {root!r})")
    world = import_tables(Path(root, "berka_partial")).table_set
    found = [item for item in propose(world, "loan", FeatureSpec(max_features=20_000)) if item.is_linked]
    assert {tuple(step.table for step in item.path) for item in found} == {("account", "disp", "client")}
    key = world.spec("loan").primary_key[0]
    loans = world.frame("loan")
    plan = make_plan(world, "loan", key, found)
    keys = loans[key].astype(str).to_numpy()
    matrix = build_matrix(world, plan, keys, loans["date"].to_numpy())
    clients = loans.merge(world.frame("disp"), on="account_id").groupby(key)["client_id"].nunique()
    alias = next(item.alias for item in found if item.column is None)
    assert matrix.column(alias).tolist() == clients.reindex(loans[key]).tolist()
