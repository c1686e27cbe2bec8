"""Values among peers are those of a hand-worked table and of plain pandas, and nothing that came later moves them."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.leakage_of_peers
import features.peer_reference
from core.errors import ConfigurationError
from features.comparisons import months_of
from features.definitions import PEER_STATISTICS, FeatureDefinition, GroupColumn, PathStep, Peers
from features.engine import EngineData, compute
from features.future import Touched, change_future
from features.leakage import LeakageCertificate, prove_no_leakage
from features.matrix import build_matrix
from features.peer_reference import peer_reference
from features.peer_tables import PeerTable, compare
from features.plan import FeaturePlan, ReferenceSettings
from features.planning import make_plan
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

UP = PathStep("up", "firm", "firm_id", "firm_id")
SALES = PathStep("down", "sale", "firm_id", "firm_id")
SECTOR, CITY = GroupColumn("sector"), GroupColumn("city")
MEAN_SALES = (UP, SALES), "amount", "mean"


def model():
    category, number = ColumnSpec(type="category"), ColumnSpec(type="number")
    key, link = ColumnSpec(type="id", role="key"), ColumnSpec(type="id", role="foreign_key")
    event, known = ColumnSpec(type="date", role="event_time"), ColumnSpec(type="date", role="known_at")
    tables = {
        "firm": TableSpec(
            columns={
                "firm_id": key, "founded": event, "sector": category, "city": category, "capital": number,
                "moved_on": known,
            },
            primary_key=["firm_id"],
            event_time="founded",
            late_columns=[LateColumns(columns=["city"], known_at="moved_on")],
        ),
        "sale": TableSpec(
            columns={"sale_id": key, "firm_id": link, "sold_on": event, "known_at": known, "amount": number},
            primary_key=["sale_id"],
            event_time="sold_on",
            known_at="known_at",
        ),
        "application": TableSpec(
            columns={"app_id": key, "firm_id": link, "asked_on": ColumnSpec(type="date"), "wanted": number},
            primary_key=["app_id"],
        ),
    }  # fmt: skip
    links = [
        Relationship(parent="firm", parent_column="firm_id", child="application", child_column="firm_id"),
        Relationship(parent="firm", parent_column="firm_id", child="sale", child_column="firm_id"),
    ]
    return DataModel(tables=tables, relationships=links)


def frames(firms, sales, applications):
    firm = pd.DataFrame(firms, columns=["firm_id", "founded", "sector", "city", "capital", "moved_on"])
    sale = pd.DataFrame(sales, columns=["firm_id", "sold_on", "known_at", "amount"])
    sale.insert(0, "sale_id", [f"s{number}" for number in range(len(sale))])
    application = pd.DataFrame(applications, columns=["app_id", "firm_id", "asked_on", "wanted"])
    for frame, columns in (
        (firm, ("founded", "moved_on")),
        (sale, ("sold_on", "known_at")),
        (application, ("asked_on",)),
    ):
        for column in columns:
            frame[column] = pd.to_datetime(frame[column])
    return TableSet.from_frames({"firm": firm, "sale": sale, "application": application}, model())


def random_world(seed=0, n_firms=60, n_sales=500, n_applications=40):
    """Return firms founded over time, some of which move, with sales that become known later."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2022-01-01")
    founded = start + rng.integers(-400, 500, n_firms)
    moved = np.where(rng.random(n_firms) < 0.3, founded + rng.integers(0, 300, n_firms), founded)
    sold = start + rng.integers(0, 700, n_sales)
    amounts = np.where(rng.random(n_sales) < 0.1, np.nan, rng.integers(0, 12, n_sales) * 10.0)
    names = [f"f{number}" for number in range(n_firms)]
    return frames(
        list(zip(names, founded, texts(rng, n_firms, 3), texts(rng, n_firms, 4), rng.normal(size=n_firms), moved,
                 strict=True)),
        list(zip(rng.choice(names, n_sales), sold, sold + rng.integers(0, 40, n_sales), amounts, strict=True)),
        [(f"a{number}", rng.choice(names), start + rng.integers(60, 700), 1.0) for number in range(n_applications)],
    )  # fmt: skip


def texts(rng, n, n_levels):
    found = np.array([f"v{code}" for code in rng.integers(0, n_levels, n)], dtype=object)
    found[rng.random(n) < 0.1] = None
    return found


def feature(statistic, base=MEAN_SALES, window="6m", by=(SECTOR, CITY), **more):
    return FeatureDefinition.create(*base, window=window, peers=Peers(statistic, tuple(by)), **more)


def all_statistics(**how):
    return [feature(statistic, **how) for statistic in PEER_STATISTICS]


def asked(world):
    application = world.frame("application")
    return application["app_id"].to_numpy(dtype=object), application["asked_on"].to_numpy()


def plan_of(world, definitions, **settings_):
    return make_plan(
        world, "application", "app_id", definitions, reference=ReferenceSettings(**{"min_size": 3, **settings_})
    )


def values_of(world, definitions, **settings_):
    keys, cutoffs = asked(world)
    return build_matrix(world, plan_of(world, definitions, **settings_), keys, cutoffs).values


# --- by hand ---


def hand_world():
    """Five old firms of one sector and city, whose only sales before June are 10, 20, 30, 40 and 100."""
    firms = [(f"f{number}", "2020-01-01", "C", "hz", 1.0, "2020-01-01") for number in range(5)]
    firms.append(("young", "2022-06-01", "C", "hz", 1.0, "2022-06-01"))  # known from the first moment of June: no peer
    sales = [
        (f"f{number}", "2022-05-10", "2022-05-20", amount)
        for number, amount in enumerate([10.0, 20.0, 30.0, 40.0, 100.0])
    ]
    sales.append(("f1", "2022-05-30", "2022-06-01", 980.0))  # known from the first moment of June on
    sales.append(("young", "2022-05-10", "2022-05-20", 5_000.0))
    return frames(firms, sales, [("a", "f3", "2022-06-15", 1.0), ("b", "f1", "2022-06-15", 1.0)])


def test_a_hand_worked_table_comes_out():
    # For a: 40 among 10, 20, 30, 40, 100: mean 40, median 30, variance (900 + 400 + 100 + 0 + 3600) / 4 = 1250. For b,
    # whose own second sale has become known since, 500 among the same.
    found = values_of(hand_world(), all_statistics())
    expected = [
        [0.0, 10.0, 40 / 30, 0.0, 0.75, 5.0],
        [460.0, 470.0, 500 / 30, 460 / np.sqrt(1250), 1.0, 5.0],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_peers_are_the_same_in_a_month_and_others_in_the_next():
    world = hand_world()
    plan = plan_of(world, [feature("difference_from_mean"), feature("n_peers")])
    keys = np.array(["a"] * 3, dtype=object)
    cutoffs = np.array(["2022-06-01", "2022-06-30T23:00", "2022-07-01"], dtype="datetime64[ns]")
    # In July the mean of f1 is 500 and the young firm is a peer: (10 + 500 + 30 + 40 + 100 + 5000) / 6.
    expected = [[0.0, 5.0], [0.0, 5.0], [40 - 5680 / 6, 6.0]]
    np.testing.assert_allclose(build_matrix(world, plan, keys, cutoffs).values, expected, rtol=1e-12)


def test_too_few_peers_are_sought_in_the_wider_group_and_at_last_nowhere():
    firms = [
        *((f"a{number}", "2020-01-01", "C", "hz", float(number), "2020-01-01") for number in range(3)),
        *((f"b{number}", "2020-01-01", "C", "nb", 10.0 + number, "2020-01-01") for number in range(2)),
        ("c", "2020-01-01", "D", "hz", 50.0, "2020-01-01"),
        ("nowhere", "2020-01-01", "C", None, 7.0, "2020-01-01"),
        ("nothing", "2020-01-01", None, "hz", 8.0, "2020-01-01"),
    ]
    applications = [(name, name, "2022-06-15", 1.0) for name in ("a0", "b0", "c", "nowhere", "nothing")]
    world = frames(firms, [], applications)
    capital = {"base": ((UP,), "capital", "identity"), "window": None}
    n_peers = [feature("n_peers", **capital)]
    # Three in C of hz; b0 widens to C: 3 + 2 + the one of no city; c, alone in D, to all 8, as does who has no sector.
    assert values_of(world, n_peers)[:, 0].tolist() == [3.0, 6.0, 8.0, 6.0, 8.0]
    assert np.isnan(values_of(world, n_peers, min_size=9)).all()


def test_a_null_has_no_peers_and_zero_divides_nothing():
    firms = [(f"f{n}", "2020-01-01", "C", "hz", value, "2020-01-01") for n, value in enumerate([0.0, 0.0, 0.0, None])]
    world = frames(firms, [], [("a", "f0", "2022-06-15", 1.0), ("b", "f3", "2022-06-15", 1.0)])
    found = values_of(world, all_statistics(base=((UP,), "capital", "identity"), window=None))
    np.testing.assert_array_equal(found[0], [0.0, 0.0, np.nan, np.nan, 0.5, 3.0])
    assert np.isnan(found[1]).all()


# --- in plain pandas ---


def plain_base(world, moment, window=6):
    """Return each firm's mean sale over the months before `moment`."""
    sale = world.frame("sale")
    start = moment - pd.DateOffset(months=window)
    seen = sale[(sale["known_at"] < moment) & (sale["sold_on"] < moment) & (sale["sold_on"] >= start)]
    return seen.groupby("firm_id")["amount"].mean()


def plain_group(firm, moment):
    """Return sector and city as known then; None for unknown."""
    city = firm["city"] if pd.notna(firm["city"]) and firm["moved_on"] < moment else None
    return (firm["sector"] if pd.notna(firm["sector"]) else None), city


def plain_peers(world, group, moment, min_size):
    """Return the values of the narrowest group that is large enough."""
    firms = world.frame("firm")
    firms = firms[firms["founded"] < moment]
    values = plain_base(world, moment)
    rows = [(*plain_group(firm, moment), values.get(firm["firm_id"], np.nan)) for _, firm in firms.iterrows()]
    for depth in (2, 1, 0):
        if None in group[:depth]:
            continue
        same = [row[2] for row in rows if row[:depth] == group[:depth] and row[2] == row[2]]
        if len(same) >= min_size:
            return pd.Series(same)
    return pd.Series(dtype=float)


def plain_row(world, key, min_size):
    application = world.frame("application").set_index("app_id").loc[key]
    firm = world.frame("firm").set_index("firm_id").loc[application["firm_id"]]
    cutoff = application["asked_on"]
    month = cutoff.to_period("M").to_timestamp()
    value = plain_base(world, cutoff).get(application["firm_id"], np.nan) if firm["founded"] < cutoff else np.nan
    peers = plain_peers(world, plain_group(firm, cutoff), month, min_size)
    if value != value or peers.empty:
        return [np.nan] * 4
    median, deviation = peers.median(), peers.std()
    ratio = value / median if median else np.nan
    score = (value - peers.mean()) / deviation if deviation else np.nan
    return [value - peers.mean(), ratio, score, float(len(peers))]


@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_those_of_plain_pandas(seed):
    world = random_world(seed)
    statistics = ["difference_from_mean", "ratio_to_median", "z_score", "n_peers"]
    found = values_of(world, [feature(statistic) for statistic in statistics], min_size=4)
    expected = np.array([plain_row(world, key, 4) for key in asked(world)[0]])
    assert np.isfinite(found[:, 0]).sum() > 15
    assert len({*found[~np.isnan(found[:, 3]), 3]}) > 3  # groups of several sizes
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@given(
    values=st.lists(st.sampled_from([-1e9, -2.5, 0.0, 0.1, 1.0, 1e9]) | st.floats(-1e6, 1e6), min_size=2, max_size=80),
    asked_for=st.floats(-2e6, 2e6),
)
@settings(max_examples=150, deadline=None)
def test_a_percentile_is_the_middle_rank_within_the_grid_and_the_rest_that_of_numpy(values, asked_for):
    array = np.array(values)
    table = PeerTable.build(array[:, None], np.empty((array.size, 0)), (), 2)
    for value in (asked_for, values[0]):
        peers = table.look_up(np.empty((1, 0)))[:, 0]
        of = np.array([value])
        rank = ((array < value).mean() + (array <= value).mean()) / 2
        assert abs(compare("percentile", of, peers)[0] - rank) <= 0.05 + 1 / array.size
        np.testing.assert_allclose(compare("difference_from_median", of, peers), value - np.median(array), atol=1e-6)
        np.testing.assert_allclose(compare("difference_from_mean", of, peers), value - array.mean(), atol=1e-3)
        deviation = array.std(ddof=1)
        if deviation > 1e-3:
            expected = (value - array.mean()) / deviation
            np.testing.assert_allclose(compare("z_score", of, peers), expected, rtol=1e-6, atol=1e-9)


@given(values=st.lists(st.floats(-100, 100), min_size=3, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_percentile_never_falls_and_the_order_of_peers_moves_no_bit(values, seed):
    array = np.array(values)
    table = PeerTable.build(array[:, None], np.empty((array.size, 0)), (), 2)
    shuffled = np.random.default_rng(seed).permutation(array)
    again = PeerTable.build(shuffled[:, None], np.empty((array.size, 0)), (), 2)
    assert table.levels[0].values.tobytes() == again.levels[0].values.tobytes()
    points = np.linspace(-120, 120, 41)
    found = compare("percentile", points, np.repeat(table.look_up(np.empty((1, 0)))[:, 0], 41, axis=0))
    assert all(low <= high for low, high in pairwise(found))
    assert (found[0], found[-1]) == (0.0, 1.0)


# --- what came later ---


@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 1.0))
@settings(max_examples=12, deadline=None)
def test_what_became_known_later_moves_no_bit(seed, share):
    world = random_world(seed % 3, n_firms=40, n_sales=250, n_applications=25)
    definitions = all_statistics() + all_statistics(base=((UP,), "capital", "identity"), window=None)
    plan, (keys, cutoffs) = plan_of(world, definitions), asked(world)
    moment = int(np.sort(cutoffs)[int((len(cutoffs) - 1) * share)].astype("datetime64[ns]").astype(np.int64))
    data = EngineData.from_table_set(plan, world)
    other = change_future(world, plan, data, moment, np.random.default_rng(seed), Touched())
    rows = np.flatnonzero(cutoffs.astype("datetime64[ns]").astype(np.int64) <= moment)
    before, after = (build_matrix(tables, plan, keys[rows], cutoffs[rows]).values for tables in (world, other))
    assert before.tobytes() == after.tobytes()


def test_a_cutoff_that_includes_would_be_noticed():
    world = hand_world()
    plan, (keys, cutoffs) = plan_of(world, [feature("difference_from_mean")]), asked(world)
    data = EngineData.from_table_set(plan, world)
    references = [peer_reference(world, plan, cutoffs, data=data, inclusive=inclusive) for inclusive in (False, True)]
    exact, leaking = (compute(plan, data, keys, cutoffs, reference=reference) for reference in references)
    assert (exact != leaking).all()


# --- the plan ---


def test_a_definition_reads_back_and_names_itself():
    items = [
        *all_statistics(),
        feature("z_score", by=()),
        feature("z_score", base=((UP,), "capital", "identity"), window=None),
    ]
    items.append(feature("percentile", by=[GroupColumn("level", (PathStep("up", "city", "city", "city"),))]))
    assert len({item.id for item in items}) == len({item.alias for item in items}) == len(items)
    for item in items:
        assert FeatureDefinition.from_json(json.loads(json.dumps(item.to_json()))) == item
        assert item.liveness == "reference"
        assert item.base.peers is None
    assert feature("z_score").id == ">firm[firm_id=firm_id]<sale[firm_id=firm_id]:mean(amount)@6m~z_score(sector,city)"
    assert feature("z_score").alias == "firm__sale__amount__mean__6m__z_score__sector__city_585a584c"
    assert items[-1].id.endswith("~percentile(city.level)")


def test_a_plan_reads_back_keeps_what_it_needs_and_its_values_whatever_is_left():
    world = random_world()
    plan = plan_of(world, [*all_statistics(), FeatureDefinition.create(*MEAN_SALES, window="24m")], max_age_days=40)
    assert FeaturePlan.from_json(plan.to_json()) == plan
    part = plan.select([plan.aliases[2]])
    assert part.reference == plan.reference
    assert {"sector", "city"} <= set(part.tables["firm"].columns)
    keys, cutoffs = asked(world)
    whole = build_matrix(world, plan, keys, cutoffs)
    assert build_matrix(world, part, keys, cutoffs).values.tobytes() == whole.column(plan.aliases[2]).tobytes()
    plain = plan.select([plan.aliases[-1]])
    assert plain.reference is None
    assert "reference" not in json.loads(plain.to_json())


def test_peers_share_a_category_and_compare_numbers():
    world = random_world()
    with pytest.raises(ConfigurationError, match="peers share a category, not capital"):
        plan_of(world, [feature("z_score", by=[GroupColumn("capital")])])
    with pytest.raises(ConfigurationError, match="only a number can be compared with peers"):
        feature("z_score", base=((UP,), "sector", "identity"), window=None, kind="category")
    with pytest.raises(ConfigurationError, match="only a number can be compared with peers"):
        feature("rank")


def test_without_a_reference_nothing_is_computed():
    world = hand_world()
    plan, (keys, cutoffs) = plan_of(world, [feature("z_score")]), asked(world)
    with pytest.raises(ConfigurationError, match="of whom nothing was given"):
        compute(plan, EngineData.from_table_set(plan, world), keys, cutoffs)


def test_a_ratio_of_two_windows_can_be_compared():
    assert np.isfinite(values_of(random_world(2), [feature("percentile", against="24m")])).sum() > 10


# --- where tables are large ---


@pytest.mark.parametrize("engine", ["memory", "stream"])
def test_every_engine_gives_the_same_bits(engine, tmp_path):
    world = random_world(4, n_firms=120, n_sales=2_000, n_applications=150)
    plan, (keys, cutoffs) = plan_of(world, [*all_statistics(), FeatureDefinition.create(*MEAN_SALES)]), asked(world)
    world.save(tmp_path / "tables")
    expected = build_matrix(world, plan, keys, cutoffs)
    found = build_matrix(
        tmp_path / "tables",
        plan,
        keys,
        cutoffs,
        engine=engine,
        folder=tmp_path / "matrix" if engine == "stream" else None,
    )
    assert found.values.tobytes() == expected.values.tobytes()
    assert np.isfinite(expected.values).mean() > 0.5


def test_of_too_many_peers_the_same_ones_are_taken_whoever_comes_later():
    world = random_world(5, n_firms=80)
    plan, (keys, cutoffs) = plan_of(world, [feature("n_peers", by=())], max_entities=25), asked(world)
    data = EngineData.from_table_set(plan, world)
    moment = int(np.median(cutoffs.astype("datetime64[ns]").astype(np.int64)))
    other = change_future(world, plan, data, moment, np.random.default_rng(1), Touched())
    rows = np.flatnonzero(cutoffs.astype("datetime64[ns]").astype(np.int64) <= moment)
    before, after = (build_matrix(tables, plan, keys[rows], cutoffs[rows]).values for tables in (world, other))
    assert before.tobytes() == after.tobytes()
    assert 0 < np.nanmax(before) <= 25


def test_a_month_is_that_of_the_calendar():
    moments = np.array(["1969-12-31T23:59", "1970-01-01", "2022-06-30T23:59:59"], dtype="datetime64[ns]")
    assert months_of(moments.view(np.int64)).tolist() == [-1, 0, 629]


# --- the proof ---


def prove(world, plan=None, **how):
    keys, cutoffs = asked(world)
    return prove_no_leakage(world, plan or plan_of(world, all_statistics()), keys, cutoffs, seed=1, n_cutoffs=6, **how)


@pytest.fixture(scope="module")
def proved_world():
    return random_world(7, n_firms=50, n_sales=700, n_applications=60)


def test_the_proof_covers_peers_and_its_control_notices_a_month_that_includes(proved_world):
    plan = plan_of(proved_world, [*all_statistics(), FeatureDefinition.create(*MEAN_SALES, window="6m")])
    certificate = prove(proved_world, plan)
    assert certificate.is_clean
    assert certificate.n_values_differing == 0
    assert certificate.n_peer_control_detected == certificate.n_peer_control_cases > 0
    assert 6 <= certificate.n_peer_rows_compared < certificate.n_rows_compared
    assert certificate.n_values_compared == certificate.n_rows_compared + 6 * certificate.n_peer_rows_compared
    assert LeakageCertificate.from_json(certificate.to_json()) == certificate


def test_peers_taken_at_the_end_of_the_month_are_found_out(proved_world, monkeypatch):
    def late(month):
        return int(np.datetime64(month + 1, "M").astype("datetime64[ns]").astype(np.int64))

    monkeypatch.setattr(features.peer_reference, "_first_moment", late)
    certificate = prove(proved_world)
    assert not certificate.is_clean
    assert certificate.n_values_differing > 0
    assert {alias.partition("6m__")[2].partition("__sector")[0] for alias in certificate.differing_features} >= {
        "z_score", "percentile", "difference_from_mean"
    }  # fmt: skip


def test_a_check_that_could_not_notice_is_not_clean(proved_world, monkeypatch):
    honest = features.leakage_of_peers.peer_reference
    monkeypatch.setattr(
        features.leakage_of_peers, "peer_reference", lambda *args, **how: honest(*args, **{**how, "inclusive": False})
    )
    certificate = prove(proved_world)
    assert certificate.n_values_differing == certificate.n_peer_control_detected == 0
    assert not certificate.is_clean
