"""The view of an entity shows the rows that the engine counts, and nothing that was not known or may not be seen."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ConfigurationError, InputError
from features import entity_view
from features.definitions import FeatureDefinition
from features.engine import EngineData, compute
from features.entity_view import ViewModel, read_view
from features.entity_view_publishing import make_view, publish_view
from features.online_file import FilePlace, FileSnapshot
from features.planning import make_plan
from tests.features.worlds import APPLICATIONS, LOANS, PAYMENTS, Recipe, make_world
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

PATHS = {"application": (APPLICATIONS,), "loan": (LOANS,), "payment": (LOANS, PAYMENTS)}
NUMBERS = {"application": ["amount"], "loan": ["amount", "rate", "recovered"], "payment": ["paid", "due", "failed"]}
CATEGORIES = {"loan": ["product", "status"], "payment": ["channel"]}


def published(world, folder, view):
    place = FilePlace(folder / "view.db")
    publish_view(world, place, view, as_of=np.datetime64("2024-01-01"))
    return FileSnapshot(place.path)


def rows_of(found):
    return {table.name: table.rows for table in found.tables}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    recipe=st.builds(
        Recipe, seed=st.integers(0, 10_000), late=st.booleans(), lag_days=st.sampled_from([0.0, 0.25, 17.0]),
        step_hours=st.sampled_from([1, 24, 24 * 30]), n_loans=st.sampled_from([0, 40]), timed_loans=st.booleans(),
        n_payments=st.just(120),
    ),
    day=st.integers(0, 760),
)  # fmt: skip
def test_the_rows_of_the_view_are_those_that_the_engine_counts(recipe, day, tmp_path_factory):
    world = make_world(recipe)
    items = [FeatureDefinition.create(path, None, "count") for path in PATHS.values()]
    items += [
        FeatureDefinition.create(PATHS[table], column, name)
        for table, columns in NUMBERS.items()
        for column in columns
        for name in ("sum", "max")
    ]
    items += [
        FeatureDefinition.create(PATHS[table], column, "num_unique")
        for table, columns in CATEGORIES.items()
        for column in columns
    ]
    plan = make_plan(world, "firm", "firm_id", items)
    keys = world.frame("firm")["firm_id"].to_numpy()
    moment = np.datetime64("2021-01-01", "ns") + np.timedelta64(day, "D")
    values = compute(plan, EngineData.from_table_set(plan, world), keys, np.full(len(keys), moment))
    model = make_view(world.data_model, "firm")
    with_rows = published(world, tmp_path_factory.mktemp("view"), model)
    for key, engine in zip(keys, values, strict=True):
        seen = rows_of(read_view(with_rows, model, key, moment))
        for item, value in zip(plan.definitions, engine, strict=True):
            rows = seen[item.path[-1].table]
            numbers = [row[item.column] for row in rows if item.column and row[item.column] is not None]
            if item.primitive == "count":
                assert len(rows) == value
            elif item.primitive == "num_unique":
                assert (len(set(numbers)) if rows else math.nan) == pytest.approx(value, nan_ok=True)
            elif item.primitive == "sum":
                assert sum(numbers) == pytest.approx(value, rel=1e-12, abs=1e-9)
            else:
                assert max(numbers, default=math.nan) == pytest.approx(value, nan_ok=True)


# A world small enough to know every answer.


def columns(**types):
    return {name: ColumnSpec(type=kind) for name, kind in types.items()}


MODEL = DataModel(
    tables={
        "person": TableSpec(columns=columns(person="id", name="text", born="date"), primary_key=["person"]),
        "firm": TableSpec(
            columns=columns(firm="id", boss="id", founded="date", status="category", since="date", oracle="number"),
            primary_key=["firm"],
            event_time="founded",
            late_columns=[LateColumns(columns=["status"], known_at="since")],
        ),
        "loan": TableSpec(
            columns=columns(loan="id", firm="id", made="date", known="datetime", amount="number", term="integer"),
            primary_key=["loan"],
            event_time="made",
            known_at="known",
        ),
        "payment": TableSpec(
            columns=columns(loan="id", paid="date", late="boolean", outcome="category", told="date"),
            event_time="paid",
            late_columns=[LateColumns(columns=["outcome"], known_at="told")],
        ),
        "pledge": TableSpec(columns=columns(giver="id", taker="id", value="number")),
        "rate": TableSpec(columns=columns(month="date", lpr="number"), event_time="month", is_macro=True),
        "island": TableSpec(columns=columns(spot="id")),
    },
    relationships=[
        Relationship(parent="person", parent_column="person", child="firm", child_column="boss"),
        Relationship(parent="firm", parent_column="firm", child="loan", child_column="firm"),
        Relationship(parent="loan", parent_column="loan", child="payment", child_column="loan"),
        Relationship(parent="firm", parent_column="firm", child="pledge", child_column="giver"),
        Relationship(parent="firm", parent_column="firm", child="pledge", child_column="taker"),
    ],
)


def day(text):
    return pd.Timestamp(text)


WORLD = TableSet.from_frames(
    {
        "person": pd.DataFrame({"person": ["p1", "p2"], "name": ["王某", "李某"], "born": [day("1970-05-01"), None]}),
        "firm": pd.DataFrame(
            {
                "firm": ["a", "b"], "boss": ["p1", "p2"], "founded": [day("2010-01-01"), day("2021-06-01")],
                "status": ["closed", "open"], "since": [day("2023-03-01"), None], "oracle": [0.9, 0.1],
            }
        ),
        "loan": pd.DataFrame(
            {
                "loan": ["l1", "l2", "l3"], "firm": ["a", "a", "a"],
                "made": [day("2020-01-01"), day("2022-01-01"), day("2022-02-01")],
                "known": [day("2020-02-01"), day("2022-01-05 12:00"), None],
                "amount": [1.5, 2.0, 9.0], "term": [12, None, 6],
            }
        ),
        "payment": pd.DataFrame(
            {
                "loan": ["l1", "l2", "l3"], "paid": [day("2020-03-01"), day("2022-01-02"), day("2022-03-01")],
                "late": [1, 0, None], "outcome": ["x", "y", "z"], "told": [day("2022-06-01"), None, None],
            }
        ),
        "pledge": pd.DataFrame({"giver": ["a", "b", "a"], "taker": ["b", "a", "a"], "value": [1.0, 2.0, 3.0]}),
        "rate": pd.DataFrame({"month": [day("2020-01-01")], "lpr": [3.0]}),
        "island": pd.DataFrame({"spot": ["s"]}),
    },
    MODEL,
)  # fmt: skip


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    model = make_view(MODEL, "firm", hidden={"firm": ["oracle"]}, personal={"person": ["name", "born"]})
    return model, published(WORLD, tmp_path_factory.mktemp("view"), model)


def seen(view, key, moment, **options):
    model, snapshot = view
    return read_view(snapshot, model, key, np.datetime64(moment, "ns"), **options)


def test_values_come_as_their_kind_and_the_newest_row_first(view):
    found = seen(view, "a", "2022-01-05T12:00:01")
    assert found.row == {"firm": "a", "boss": "p1", "founded": "2010-01-01", "status": None, "since": None}
    assert rows_of(found) == {
        "person": [{"person": "p1", "name": "王某", "born": "1970-05-01"}],
        "loan": [
            {"loan": "l2", "firm": "a", "made": "2022-01-01", "known": "2022-01-05T12:00:00"}
            | {"amount": 2.0, "term": None},
            {"loan": "l1", "firm": "a", "made": "2020-01-01", "known": "2020-02-01T00:00:00"}
            | {"amount": 1.5, "term": 12},
        ],
        "payment": [
            {"loan": "l2", "paid": "2022-01-02", "late": False, "outcome": None, "told": None},
            {"loan": "l1", "paid": "2020-03-01", "late": True, "outcome": None, "told": None},
        ],
        "pledge": [
            {"giver": "a", "taker": "b", "value": 1.0}, {"giver": "b", "taker": "a", "value": 2.0},
            {"giver": "a", "taker": "a", "value": 3.0},
        ],
    }  # fmt: skip


def test_the_moment_itself_is_out_and_a_row_hangs_on_its_parent(view):
    found = rows_of(seen(view, "a", "2022-01-05T12:00:00"))
    assert [row["loan"] for row in found["loan"]] == ["l1"]
    # The payment of l2 was made before, and comes with its loan only.
    assert [row["loan"] for row in found["payment"]] == ["l1"]


def test_what_is_filled_in_later_shows_neither_value_nor_date_before_its_time(view):
    assert {name: seen(view, "a", "2023-03-01").row[name] for name in ("status", "since")} == {
        "status": None, "since": None,
    }  # fmt: skip
    assert {name: seen(view, "a", "2023-03-02").row[name] for name in ("status", "since")} == {
        "status": "closed", "since": "2023-03-01",
    }  # fmt: skip


@pytest.mark.parametrize(("key", "moment"), [("nobody", "2024-01-01"), ("b", "2021-06-01"), ("a", "1999-01-01")])
def test_who_was_not_known_is_nobody(view, key, moment):
    assert seen(view, key, moment) is None


def test_tables_can_be_chosen_and_the_way_to_them_is_walked(view):
    assert rows_of(seen(view, "a", "2024-01-01", tables=["payment"])).keys() == {"payment"}
    assert len(rows_of(seen(view, "a", "2024-01-01", tables=["payment"]))["payment"]) == 2
    assert rows_of(seen(view, "a", "2024-01-01", tables=[])) == {}


def test_what_is_hidden_is_not_in_the_file(view, tmp_path):
    model, _ = view
    assert set(model.tables) == {"firm", "person", "loan", "payment", "pledge"}
    hiding = make_view(MODEL, "firm", hidden={"firm": ["status", "oracle"], "pledge": []})
    snapshot = published(WORLD, tmp_path, hiding)
    # With the status goes the date since when it is known.
    assert snapshot.about.columns["firm"] == ["firm", "boss", "founded"]
    assert set(snapshot.about.columns) == {"firm", "person", "loan", "payment"}
    assert b"closed" not in (tmp_path / "view.db").read_bytes()


@pytest.mark.parametrize("hidden", [{"loan": ["known"]}, {"loan": ["loan"]}, {"firm": ["founded"]}])
def test_a_key_or_time_cannot_be_hidden(hidden):
    with pytest.raises(ConfigurationError, match="key or time"):
        make_view(MODEL, "firm", hidden=hidden)


@pytest.mark.parametrize("root", ["payment", "nothing"])
def test_entities_need_a_key_of_one_column(root):
    with pytest.raises(ConfigurationError):
        make_view(MODEL, root)


def test_a_key_that_stands_for_many_is_refused(view, monkeypatch):
    monkeypatch.setattr(entity_view, "MOST_ROWS", 5)
    with pytest.raises(InputError) as refused:
        seen(view, "a", "2024-01-01")
    assert refused.value.code == "too_many_rows"
    assert len(rows_of(seen(view, "a", "2024-01-01", tables=["loan"]))["loan"]) == 2


def test_the_model_is_what_was_written(view):
    model, snapshot = view
    assert ViewModel.from_json(snapshot.about.view) == model
    with pytest.raises(ValueError, match="not a view"):
        ViewModel.from_json({"root": "firm"})
