"""What is wrong with tables is refused with its place or brought in order, alike on every way into the engine."""

import datetime as dt
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import ConfigurationError, InputError
from features.definitions import FeatureDefinition, PathStep, Stage
from features.engine import EngineData, compute
from features.matrix import build_matrix
from features.planning import make_plan
from features.proposal import propose
from features.spec import FeatureSpec
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.importing import import_tables
from warehouse.table_set import TableSet


def columns(**types):
    return {name: ColumnSpec(type=kind) for name, kind in types.items()}


MODEL = DataModel(
    tables={
        "loan": TableSpec(columns=columns(loan="id", asked="datetime"), primary_key=["loan"]),
        "pay": TableSpec(
            columns=columns(pay="id", loan="id", at="datetime", x="number", kind="category"),
            primary_key=["pay"],
            event_time="at",
        ),
    },
    relationships=[Relationship(parent="loan", parent_column="loan", child="pay", child_column="loan")],
)
DOWN = PathStep("down", "pay", "loan", "loan")
KEYS = np.array(["1", "2"], dtype=object)
CUTOFFS = np.array(["2024-06-01"] * 2, dtype="datetime64[ns]")
RIGHT = [[3.0, 2.0], [3.0, 1.0]]


def make(loans=("1", "2"), **changed):
    pays = {
        "pay": ["p0", "p1", "p2"], "loan": ["1", "1", "2"], "at": pd.to_datetime(["2024-01-01"] * 3),
        "x": [1.0, 2.0, 3.0], "kind": ["a", "b", "a"],
    }  # fmt: skip
    asked = pd.to_datetime(["2024-06-01"] * len(loans))
    frames = {"loan": pd.DataFrame({"loan": loans, "asked": asked}), "pay": pd.DataFrame(pays | changed)}
    return TableSet.from_frames(frames, MODEL)


def planned(world):
    items = [FeatureDefinition.create((DOWN,), "x", "sum"), FeatureDefinition.create((DOWN,), None, "count")]
    return make_plan(world, "loan", "loan", items)


def in_memory(world):
    return build_matrix(world, planned(world), KEYS, CUTOFFS).values.tolist()


def live(**changed):
    plan = planned(make())
    row = {"pay": "p", "loan": "1", "at": "2024-01-01", "x": 1.0} | changed
    loans = [{"loan": "1", "asked": "2024-06-01"}]
    data = EngineData.from_rows(plan, {"loan": loans, "pay": [row]})
    return compute(plan, data, KEYS[:1], CUTOFFS[:1]).tolist()


def from_parquet(folder, **changed):
    world = make()
    world.save(folder / "world")
    rows = pq.read_table(folder / "world" / "pay.parquet")
    for name, values in changed.items():
        rows = rows.set_column(rows.column_names.index(name), name, values)
    pq.write_table(rows, folder / "pay.parquet")
    files = {"loan": folder / "world" / "loan.parquet", "pay": folder / "pay.parquet"}
    return build_matrix(files, planned(world), KEYS, CUTOFFS).values.tolist()


@pytest.mark.parametrize(
    ("loans", "keys"),
    [
        ([1, 2], ["1", "1", "2"]), (["1", "2"], [1, 1, 2]), ([1, 2], [1.0, 1.0, 2.0]), ([1, "2"], ["1", 1, 2]),
        (["1", "2"], pd.array([1, 1, 2], dtype="Int64")),
    ],
)  # fmt: skip
def test_keys_as_texts_and_as_whole_numbers_are_the_same_keys(loans, keys):
    assert in_memory(make(loans, loan=keys)) == RIGHT


def test_keys_as_numbers_are_the_same_keys_in_requests_and_parquet(tmp_path):
    assert live(loan=1) == live(loan=1.0) == live() == [[1.0, 1.0]]
    assert from_parquet(tmp_path, loan=pa.array([1, 1, 2])) == RIGHT


def test_a_key_with_a_fraction_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"pay, column loan.*no fraction"):
        make(loan=[1.5, 1.0, 2.0])
    with pytest.raises(InputError, match=r"pay, column loan: expected a text"):
        live(loan=1.5)
    with pytest.raises(InputError, match=r"pay, column loan: expected texts"):
        from_parquet(tmp_path, loan=pa.array([1.5, 1.0, 2.0]))


def test_orphans_and_null_keys_are_nobodys_rows_and_the_import_counts_them(tmp_path):
    assert in_memory(make(loan=["1", "9", None])) == [[1.0, 1.0], [0.0, 0.0]]
    n = 30
    pd.DataFrame({"loan_id": range(n), "amount": np.arange(n) * 1.5}).to_csv(tmp_path / "loans.csv", index=False)
    keys = pd.array([*range(n - 2), 999, None], dtype="Int64")
    pays = pd.DataFrame({"pay_id": range(n), "loan_id": keys, "paid": np.arange(n) * 0.5})
    pays.to_csv(tmp_path / "pays.csv", index=False)
    told = {finding.code: finding.text() for finding in import_tables(tmp_path).findings}
    assert "1 of 30" in told["orphan_rows"]
    assert "1 of 30" in told["null_foreign_key"]


@pytest.mark.parametrize(
    "times",
    [
        [dt.datetime(9999, 12, 31), dt.datetime(2024, 1, 1), None],  # noqa: DTZ001 - our times have no zone
        np.array(["1600-01-01", "2024-01-01", "2024-01-01"], dtype="datetime64[s]"),
        pd.to_datetime(["2024-01-01"] * 3).tz_localize("UTC"),
        [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None],  # noqa: DTZ001
    ],
    ids=["9999", "1600", "zoned", "zoned and not"],
)
def test_times_out_of_range_or_with_a_zone_are_refused_in_tables(times):
    with pytest.raises(ConfigurationError, match="pay, column at"):
        make(at=times)


@pytest.mark.parametrize("moment", ["9999-12-31", "1600-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00+08:00"])
def test_times_out_of_range_or_with_a_zone_are_refused_in_requests(moment):
    with pytest.raises(InputError, match="pay, row 1, column at: expected a local date from 1678 to 2261"):
        live(at=moment)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.timestamp("us", tz="UTC")])
def test_times_out_of_range_or_with_a_zone_are_refused_in_parquet(tmp_path, kind):
    year = 2024 if pa.types.is_timestamp(kind) and kind.tz else 9999
    moments = pa.array([dt.datetime(year, 1, 1)] * 3, pa.timestamp("us")).cast(kind)  # noqa: DTZ001
    with pytest.raises(InputError, match="pay, column at: expected local dates or times from 1678 to 2261"):
        from_parquet(tmp_path, at=moments)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinities_are_refused_with_their_place(tmp_path, value):
    with pytest.raises(InputError, match="pay, column x: the column holds infinite values"):
        in_memory(make(x=[1.0, value, 2.0]))
    with pytest.raises(InputError, match="pay, row 1, column x: expected a finite number"):
        live(x=value)
    with pytest.raises(InputError, match="pay, column x: the column holds infinite values"):
        from_parquet(tmp_path, x=pa.array([1.0, value, 2.0]))


def test_a_hundred_thousand_levels_are_counted_and_capped_in_seconds():
    n = 100_000
    pays = {
        "pay": np.arange(2 * n).astype(str), "loan": np.repeat(["1", "2"], n), "x": np.ones(2 * n),
        "at": np.full(2 * n, np.datetime64("2024-01-01", "ns")),
        "kind": [f"k{i // 2 if i < n else n + i % 60}" for i in range(2 * n)],
    }  # fmt: skip
    world = make(**pays)
    start = time.perf_counter()
    names = ("num_unique", "entropy", "mode", "last")
    items = [FeatureDefinition.create((DOWN,), "kind", name, kind="category" if name in ("mode", "last") else "number")
             for name in names]  # fmt: skip
    plan = make_plan(world, "loan", "loan", items)
    values = build_matrix(world, plan, KEYS, CUTOFFS).values
    assert time.perf_counter() - start < 60
    assert values[:, 0].tolist() == [n / 2, 60.0]
    assert values[:, 1] == pytest.approx([np.log(n / 2), np.log(60)], rel=1e-3)
    # The three hundred most frequent levels are kept apart; all of the others are one.
    assert [len(levels) for levels in plan.levels.values()] == [300, 300]
    assert values[:, 2].tolist() == [60.0, 0.0]  # behind the sixty frequent ones stands the first of the rare


CYCLE = DataModel(
    tables={
        "firm": TableSpec(
            columns=columns(firm="id", holding="id", owner="id", since="date", size="number"), primary_key=["firm"],
            event_time="since",
        ),
        "holding": TableSpec(columns=columns(holding="id", head="id", worth="number"), primary_key=["holding"]),
    },
    relationships=[
        Relationship(parent="holding", parent_column="holding", child="firm", child_column="holding"),
        Relationship(parent="firm", parent_column="firm", child="holding", child_column="head"),
        Relationship(parent="firm", parent_column="firm", child="firm", child_column="owner"),
    ],
)  # fmt: skip


def circle():
    firms = pd.DataFrame(
        {"firm": ["f0", "f1", "f2"], "holding": ["h0", "h1", "h0"], "owner": ["f0", "f0", "f1"],
         "since": pd.to_datetime(["2020-01-01"] * 3), "size": [1.0, 2.0, 4.0]}
    )  # fmt: skip
    holdings = pd.DataFrame({"holding": ["h0", "h1"], "head": ["f1", "f0"], "worth": [10.0, 20.0]})
    return TableSet.from_frames({"firm": firms, "holding": holdings}, CYCLE)


@pytest.mark.parametrize("primitives", [["default"], ["credit"], ["default", "network"]])
def test_relationships_that_run_in_a_circle_end_the_proposal_no_later(primitives):
    world = circle()
    found = propose(world, "firm", FeatureSpec(primitives=primitives, max_depth=3))
    tables = {(step.direction, step.table) for item in found for step in item.path}
    assert {("up", "holding"), ("down", "holding")} <= tables
    plan = make_plan(world, "firm", "firm", found)
    keys = np.array(["f0", "f1", "f2"], dtype=object)
    assert build_matrix(world, plan, keys, np.repeat(CUTOFFS[:1], 3)).values.shape == (3, len(found))


def test_paths_round_a_circle_are_computed_without_the_row_itself():
    world = circle()
    owned, member = PathStep("down", "firm", "owner", "firm"), PathStep("down", "firm", "holding", "holding")
    headed, up = PathStep("down", "holding", "head", "firm"), PathStep("up", "holding", "holding", "holding")
    items = [
        FeatureDefinition.create((owned,), "size", "sum"),  # f0 owns itself, which does not count, and f1
        FeatureDefinition.create((owned, owned), "size", "sum"),
        FeatureDefinition.create((headed, member), "size", "sum", stack=(Stage("sum"),)),
        FeatureDefinition.create((up, member), "size", "sum"),
    ]
    plan = make_plan(world, "firm", "firm", items)
    keys = np.array(["f0", "f1", "f2"], dtype=object)
    values = build_matrix(world, plan, keys, np.repeat(CUTOFFS[:1], 3)).values
    # f0 owns f1, f1 owns f2; f1 heads h0 with f0 and f2, f0 heads h1 with f1 alone.
    assert values[:, 0].tolist() == [2.0, 4.0, 0.0]
    assert values[:, 2].tolist() == [2.0, 5.0, 0.0]
    assert values[:, 3].tolist() == [5.0, 2.0, 5.0]
    assert values[:, 1].tolist() == [4.0, 0.0, 0.0]
