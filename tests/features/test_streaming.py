"""Block by block from Parquet files: the same bits as in memory, and within the memory and disk asked for."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CancelledError, ConfigurationError, InputError, IntegrityError, NotFoundError
from core.progress import CallbackProgress
from features import streaming, streaming_routes
from features.definitions import FeatureDefinition, PathStep
from features.matrix import FeatureMatrix, build_matrix
from features.planning import make_plan
from features.proposal import propose
from features.spec import FeatureSpec
from features.streaming import stream_matrix
from features.streaming_routes import hash_texts, plan_routes
from sample_data import DEMO_PROJECT, generate_world
from tests.features.test_engine import asked, definitions
from tests.features.worlds import APPLICATIONS, LOANS, PAYMENTS, Recipe, make_world
from warehouse.data_model import ColumnSpec, DataModel, Relationship, TableSpec
from warehouse.table_set import TableSet

RECIPE = Recipe(seed=4, n_firms=40, n_applications=120, n_loans=400, n_payments=3_000, late=True, lag_days=3.5)


@pytest.fixture(scope="module")
def world():
    return make_world(RECIPE)


@pytest.fixture(scope="module")
def stored(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "world"
    world.save(folder)
    return folder


@pytest.fixture(scope="module")
def plan(world):
    keys, cutoffs = asked(world)
    return make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)


def small_blocks(monkeypatch, n_blocks=7, batch_rows=150):
    """Cut into many blocks whatever the memory."""
    plan_cuts = streaming.plan_cuts
    monkeypatch.setattr(
        streaming,
        "plan_cuts",
        lambda *args, **kwargs: [
            replace(cut, n_blocks=n_blocks, batch_rows=batch_rows) for cut in plan_cuts(*args, **kwargs)
        ],
    )


@pytest.mark.parametrize("n_blocks", [1, 7, 200])
def test_blocks_give_the_bits_of_memory(world, stored, plan, monkeypatch, n_blocks):
    small_blocks(monkeypatch, n_blocks)
    keys, cutoffs = asked(world)
    expected = build_matrix(world, plan, keys, cutoffs).values
    assert build_matrix(stored, plan, keys, cutoffs).values.tobytes() == expected.tobytes()
    assert build_matrix(stored, plan, keys, cutoffs, engine="memory").values.tobytes() == expected.tobytes()


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    recipe=st.builds(
        Recipe, seed=st.integers(0, 10_000), n_firms=st.sampled_from([1, 5, 30]),
        n_loans=st.sampled_from([0, 1, 90]), null_rate=st.sampled_from([0.0, 0.4, 1.0]),
        step_hours=st.sampled_from([1, 24 * 30]), late=st.booleans(), timed_loans=st.booleans(),
    ),
    n_blocks=st.sampled_from([1, 3, 11]),
)  # fmt: skip
def test_blocks_give_the_bits_of_memory_on_generated_schemas(tmp_path_factory, recipe, n_blocks):
    world = make_world(replace(recipe, n_applications=25, n_payments=200))
    folder = tmp_path_factory.mktemp("tables") / "world"
    world.save(folder)
    keys, cutoffs = asked(world)
    plan = make_plan(world, "application", "application_id", definitions(), keys=keys, cutoffs=cutoffs)
    with pytest.MonkeyPatch.context() as patch:
        small_blocks(patch, n_blocks, 60)
        values = stream_matrix(folder, plan, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_a_root_that_is_the_entity_itself_and_two_chains_of_parents_give_the_bits_of_memory(tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    world, plan = two_parents()
    world.save(tmp_path / "world")
    keys = world.frame("deal")["deal"].to_numpy()
    cutoffs = world.frame("deal")["at"].to_numpy()
    assert len(plan_routes(plan, range(len(plan.definitions)))) == 2
    values = stream_matrix(tmp_path / "world", plan, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def two_parents():
    """Deals between a buyer and a seller of one table of firms, and a group above the buyer."""
    rng = np.random.default_rng(3)
    n_firms, n_deals = 30, 400
    firms = pd.DataFrame(
        {"firm": [f"f{i}" for i in range(n_firms)], "holding": [None if i % 5 == 0 else f"g{i % 4}" for i in range(30)]}
    )
    deals = pd.DataFrame(
        {
            "deal": [f"d{i}" for i in range(n_deals)],
            "buyer": [f"f{i}" if i < n_firms + 3 else None for i in rng.integers(0, n_firms + 6, n_deals)],
            "seller": [f"f{i}" for i in rng.integers(0, n_firms, n_deals)],
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, n_deals), unit="D"),
            "price": rng.normal(1e6, 1e5, n_deals),
            "kind": rng.choice(["a", "b", "c"], n_deals),
        }
    )
    groups = pd.DataFrame({"holding": [f"g{i}" for i in range(4)], "size": [1.0, 2.0, 3.0, 4.0]})

    def columns(**types):
        return {name: ColumnSpec(type=kind) for name, kind in types.items()}

    model = DataModel(
        tables={
            "deal": TableSpec(
                columns=columns(deal="id", buyer="id", seller="id", at="date", price="number", kind="category"),
                primary_key=["deal"], event_time="at",
            ),
            "firm": TableSpec(columns=columns(firm="id", holding="id"), primary_key=["firm"]),
            "holding": TableSpec(columns=columns(holding="id", size="number"), primary_key=["holding"]),
        },
        relationships=[
            Relationship(parent="firm", parent_column="firm", child="deal", child_column="buyer"),
            Relationship(parent="firm", parent_column="firm", child="deal", child_column="seller"),
            Relationship(parent="holding", parent_column="holding", child="firm", child_column="holding"),
        ],
    )  # fmt: skip
    world = TableSet.from_frames({"deal": deals, "firm": firms, "holding": groups}, model)
    buyer, seller = PathStep("up", "firm", "buyer", "firm"), PathStep("up", "firm", "seller", "firm")
    bought, sold = PathStep("down", "deal", "buyer", "firm"), PathStep("down", "deal", "seller", "firm")
    group, members = PathStep("up", "holding", "holding", "holding"), PathStep("down", "firm", "holding", "holding")
    found = [
        FeatureDefinition.create((), "price", "identity"),
        FeatureDefinition.create((buyer, group), "size", "identity"),
        FeatureDefinition.create((buyer, group, members, sold), "kind", "mode", kind="category"),
        FeatureDefinition.create((buyer, group, members, bought), "price", "sum", window="30d"),
    ]
    for up in (buyer, seller):
        for down in (bought, sold):
            found += [FeatureDefinition.create((up, down), "price", name) for name in ("sum", "std", "last")]
            found += [FeatureDefinition.create((up, down), None, "count", window="90d")]
    return world, make_plan(world, "deal", "deal", found)


def test_firms_asked_about_directly_many_times_and_in_any_order(world, stored, monkeypatch):
    small_blocks(monkeypatch)
    found = [
        FeatureDefinition.create((), "sector", "identity", kind="category"),
        FeatureDefinition.create((LOANS,), "amount", "sum", window="6m"),
        FeatureDefinition.create((LOANS, PAYMENTS), "channel", "num_unique"),
        FeatureDefinition.create((APPLICATIONS,), None, "count"),
    ]
    plan = make_plan(world, "firm", "firm_id", found)
    rng = np.random.default_rng(0)
    keys = rng.choice(world.frame("firm")["firm_id"].to_numpy(), 300)
    cutoffs = np.datetime64("2021-06-01", "ns") + rng.integers(0, 700, 300).astype("timedelta64[D]")
    values = stream_matrix(stored, plan, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_parquet_of_other_types_and_several_files_is_read_as_the_same_tables(world, plan, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    files = {}
    for name in world.names:
        rows = pa.Table.from_pandas(world.frame(name), preserve_index=False)
        for place, column in enumerate(rows.column_names):
            kind = rows.schema.field(column).type
            if pa.types.is_timestamp(kind):
                rows = rows.set_column(place, column, rows.column(column).cast(pa.timestamp("us")))
            elif pa.types.is_string(kind) and column in ("sector", "product", "loan_id"):
                rows = rows.set_column(place, column, rows.column(column).combine_chunks().dictionary_encode())
        (tmp_path / name).mkdir()
        half = rows.num_rows // 2
        pq.write_table(rows.slice(0, half), tmp_path / name / "part-0.parquet", row_group_size=100)
        pq.write_table(rows.slice(half), tmp_path / name / "part-1.parquet")
        files[name] = tmp_path / name if name != "loan" else sorted((tmp_path / name).iterdir())
    keys, cutoffs = asked(world)
    values = build_matrix(files, plan, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_a_matrix_written_as_it_is_computed_is_the_saved_matrix(world, stored, plan, tmp_path):
    keys, cutoffs = asked(world)
    matrix = build_matrix(stored, plan, keys, cutoffs, folder=tmp_path / "matrix")
    assert isinstance(matrix.values, np.memmap)
    expected = build_matrix(world, plan, keys, cutoffs)
    assert FeatureMatrix.load(tmp_path / "matrix").fingerprint == expected.fingerprint
    assert FeatureMatrix.load(tmp_path / "matrix", mapped=True).values.tobytes() == expected.values.tobytes()


def test_progress_is_told_and_a_cancel_stops_and_leaves_nothing_behind(world, stored, plan, tmp_path, monkeypatch):
    small_blocks(monkeypatch)
    keys, cutoffs = asked(world)
    told = []
    stream_matrix(stored, plan, keys, cutoffs, progress=CallbackProgress(lambda share, _: told.append(share)))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)

    def cancel(share, _):
        if share > 0.5:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        stream_matrix(stored, plan, keys, cutoffs, temporary=tmp_path, progress=CallbackProgress(cancel))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_and_a_key_that_comes_twice_are_refused(world, stored, plan, tmp_path):
    _, cutoffs = asked(world)
    with pytest.raises(NotFoundError, match="no history of 'a9999'"):
        stream_matrix(stored, plan, np.array(["a9999"]), cutoffs[:1])
    firms = pa.Table.from_pandas(pd.concat([world.frame("firm"), world.frame("firm")[:1]]), preserve_index=False)
    pq.write_table(firms, tmp_path / "firm.parquet")
    files = {name: stored / f"{name}.parquet" for name in plan.tables} | {"firm": tmp_path / "firm.parquet"}
    with pytest.raises(InputError, match="'f0' comes more than once"):
        stream_matrix(files, plan, *asked(world))


def test_a_key_that_comes_twice_is_refused_also_where_its_rows_lie_in_different_blocks(world, stored, plan, tmp_path):
    for name, key in (("loan", "loan_id"), ("application", "application_id")):
        frame = world.frame(name)
        other = frame[frame["firm_id"] != frame["firm_id"].iloc[0]].iloc[:1].copy()
        other[key] = frame[key].iloc[0]
        pq.write_table(
            pa.Table.from_pandas(pd.concat([frame, other]), preserve_index=False), tmp_path / "twice.parquet"
        )
        files = {n: stored / f"{n}.parquet" for n in plan.tables} | {name: tmp_path / "twice.parquet"}
        with pytest.raises(InputError, match=f"{frame[key].iloc[0]!r} comes more than once"):
            stream_matrix(files, plan, *asked(world))


def test_keys_that_share_a_hash_by_chance_change_nothing(world, stored, plan, monkeypatch):
    small_blocks(monkeypatch)
    whole = hash_texts
    for module in (streaming, streaming_routes):
        monkeypatch.setattr(module, "hash_texts", lambda texts: whole(texts) % np.uint64(150) + np.uint64(1))
    few = ("firm__loan__payment__paid__sum", "firm__loan__count", "amount")
    part, (keys, cutoffs) = plan.select(few), asked(world)
    keys, cutoffs = keys[:1], cutoffs[:1]
    monkeypatch.setattr(streaming.Cut, "blocks_of", lambda cut, _: block_of_first(cut))
    values = stream_matrix(stored, part, keys, cutoffs).values
    assert values.tobytes() == build_matrix(world, part, keys, cutoffs).values.tobytes()


def block_of_first(cut):
    """Find the block of the first root row among those of all keys with its hash, by looking for the row."""
    for block in range(cut.n_blocks):
        rows = streaming.read_block(
            cut.folder, "application", cut.plan.tables["application"], block, cut.n_blocks
        ).column("application_id")
        if "a0" in rows.to_pylist():
            return np.array([block])
    raise AssertionError("the row is nowhere")


def test_the_sample_project_block_by_block_gives_the_bits_of_memory(tmp_path, monkeypatch):
    small_blocks(monkeypatch, batch_rows=500)
    project = yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))
    world = generate_world(60, 5).table_set
    spec = FeatureSpec.model_validate(project["features"])
    label = project["labels"][0]
    frame = world.frame(label["root_table"])
    rows = frame[frame[label["cutoff"]["column"]].notna()]
    keys, cutoffs = rows[label["key_column"]].to_numpy(), rows[label["cutoff"]["column"]].to_numpy()
    found = propose(world, label["root_table"], spec, keys=keys, cutoffs=cutoffs)
    plan = make_plan(world, label["root_table"], label["key_column"], found, keys=keys, cutoffs=cutoffs)
    world.save(tmp_path / "world")
    values = build_matrix(tmp_path / "world", plan, keys, cutoffs).values
    assert values.shape[1] > 100
    assert values.tobytes() == build_matrix(world, plan, keys, cutoffs).values.tobytes()


def test_files_that_are_missing_changed_or_of_other_kinds_are_refused(world, stored, plan, tmp_path):
    keys, cutoffs = asked(world)
    files = {name: stored / f"{name}.parquet" for name in plan.tables}
    with pytest.raises(NotFoundError, match="no Parquet file of the table loan"):
        stream_matrix({name: file for name, file in files.items() if name != "loan"}, plan, keys, cutoffs)
    world.save(tmp_path / "world")
    pq.write_table(pq.read_table(files["loan"]).slice(1), tmp_path / "world" / "loan.parquet")
    with pytest.raises(IntegrityError, match=r"loan\.parquet"):
        stream_matrix(tmp_path / "world", plan, keys, cutoffs)
    loans = pq.read_table(files["loan"])
    pq.write_table(loans.drop_columns(["rate", "made_at"]), tmp_path / "a.parquet")
    with pytest.raises(ConfigurationError, match="needs the columns made_at"):
        stream_matrix(files | {"loan": tmp_path / "a.parquet"}, plan, keys, cutoffs)
    zoned = loans.column("made_at").cast(pa.timestamp("ns", tz="UTC"))
    for column, bad in (("made_at", zoned), ("recovered", loans.column("status")), ("status", zoned)):
        place = loans.column_names.index(column)
        pq.write_table(loans.set_column(place, column, bad), tmp_path / "b.parquet")
        with pytest.raises(InputError, match=f"loan, column {column}: expected"):
            stream_matrix(files | {"loan": tmp_path / "b.parquet"}, plan, keys, cutoffs)
    with pytest.raises(InputError, match="reads Parquet files"):
        build_matrix(world, plan, keys, cutoffs, engine="stream")


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=30), st.integers(0, 5))
def test_equal_texts_have_equal_hashes_wherever_they_stand(texts, start):
    hashes = hash_texts(pa.array(texts, pa.string()).slice(start))
    expected = {}
    for text, value in zip(texts[start:], hashes.tolist(), strict=True):
        assert expected.setdefault(text, value) == value
    assert len(set(expected.values())) == len(expected)
    assert expected.get(None, 0) == 0
