"""Live scores take reference features from a dated snapshot: the bits of the matrix, and never silently an old one."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError, IntegrityError, NotFoundError, UnavailableError
from features.definitions import PEER_STATISTICS, FeatureDefinition, PathStep
from features.matrix import build_matrix
from features.online import snapshot_columns
from features.plan import ReferenceSettings
from features.planning import make_plan
from features.preparation import entity_rows
from features.reference import ReferenceSnapshot, compute_live, reference_fingerprint
from features.reference_publishing import make_snapshot, publish_reference
from tests.features.test_peers import MEAN_SALES, asked, feature, plan_of, random_world
from tests.features.test_peers import model as model_of_peers
from warehouse.data_model import ColumnSpec, TableSpec
from warehouse.table_set import Table, TableSet

AS_OF = np.datetime64("2023-12-31")
MONTHS = PathStep("down", "economy", "", "")


@pytest.fixture(scope="module")
def world():
    """Return firms with sales, and the months of the economy."""
    import pandas as pd

    tables = dict(random_world(11, n_firms=90, n_sales=1_200).tables)
    months = pd.date_range("2021-01-31", "2023-12-31", freq="ME")
    event, number = ColumnSpec(type="date", role="event_time"), ColumnSpec(type="number")
    spec = TableSpec(columns={"month": event, "pmi": number}, event_time="month", known_at_lag_days=3, is_macro=True)
    tables["economy"] = Table(spec, pd.DataFrame({"month": months, "pmi": np.sin(np.arange(len(months)))}))
    data_model = model_of_peers()
    return TableSet(tables, data_model.model_copy(update={"tables": {**data_model.tables, "economy": spec}}))


def definitions():
    return [
        *(feature(statistic) for statistic in PEER_STATISTICS),
        *(feature(statistic, base=((PathStep("up", "firm", "firm_id", "firm_id"),), "capital", "identity"), window=None,
                  by=()) for statistic in ("z_score", "percentile")),
        FeatureDefinition.create((MONTHS,), "pmi", "last"),
        FeatureDefinition.create(*MEAN_SALES, window="24m"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def plan(world):
    return plan_of(world, definitions())


@pytest.fixture(scope="module")
def snapshot(world, plan):
    return make_snapshot(world, plan, as_of=AS_OF)


def live(world, plan, snapshot, keys, cutoffs):
    rows = [
        compute_live(plan, snapshot, sent(world, plan, key), keys[i : i + 1], cutoffs[i : i + 1])
        for i, key in enumerate(keys)
    ]
    return np.concatenate([values for values, _ in rows]), [use for _, uses in rows for use in uses]


def sent(world, plan, key):
    """Return the rows that a caller sends: the tables joined by time are not among them."""
    return {name: rows for name, rows in entity_rows(world, plan, key).items() if name not in plan.keyless_tables}


def test_live_values_are_the_bits_of_the_matrix(world, plan, snapshot):
    keys, cutoffs = asked(world)
    expected = build_matrix(world, plan, keys, cutoffs).values
    again = ReferenceSnapshot.from_json(snapshot.to_json(plan), plan)
    for reference in (snapshot, again):
        found, uses = live(world, plan, reference, keys, cutoffs)
        assert found.tobytes() == expected.tobytes()
        assert {(use.date, use.warning) for use in uses} == {("2023-12-31", None)}
    assert np.isfinite(expected).mean() > 0.6


def test_rows_of_several_months_are_answered_together_as_alone(world, plan, snapshot):
    keys, cutoffs = asked(world)
    tables = {name: [] for name in plan.tables if name not in plan.keyless_tables}
    for key in keys[:8]:
        for name, rows in sent(world, plan, key).items():
            tables[name] += [row for row in rows if row not in tables[name]]
    together, _ = compute_live(plan, snapshot, tables, keys[:8], cutoffs[:8])
    assert together.tobytes() == build_matrix(world, plan, keys[:8], cutoffs[:8]).values.tobytes()


def test_groups_are_read_by_name_and_small_ones_are_not_in_the_file(world, plan, snapshot):
    content = json.loads(snapshot.to_json(plan))
    levels = [level for months in content["peers"] for level in months["months"].values()]
    named = {tuple(group) for level in levels for group in level[0]["groups"]}
    assert named
    assert all(len(group) in (0, 2) and all(name.startswith("v") for name in group) for group in named)
    counts = np.concatenate(
        [table.levels[0].values[:, :, 0].ravel() for month in snapshot.peers.values() for table in month]
    )
    assert np.nanmin(counts) >= 3
    assert len(content["peers"][0]["months"]) == 24


# --- policies ---


def age(plan, **settings):
    return replace(plan, reference=replace(plan.reference, **settings))


def use(snapshot, plan, cutoff):
    return snapshot.use_at(plan, np.datetime64(cutoff, "ns"))


def test_the_first_month_after_the_day_is_still_exact_and_the_next_stands_in_with_a_warning(plan, snapshot):
    assert use(snapshot, plan, "2024-01-31T23:59").warning is None
    stale = use(snapshot, plan, "2024-02-20")
    january, february = (int(np.datetime64(month, "M").astype(int)) for month in ("2024-01", "2024-02"))
    assert stale.reference.tables == {february: snapshot.peers[january]}
    assert str(stale.warning) == "reference data reaches to 2023-12-31 only, which is before the month scored"
    assert not stale.is_missing


def test_what_is_too_old_is_refused_or_flagged(world, plan, snapshot):
    last = np.datetime64("2024-01-01") + np.timedelta64(62, "D")
    tables_only = plan_of(world, [feature("z_score")])
    of_peers = make_snapshot(world, tables_only, as_of=AS_OF)
    assert not use(of_peers, tables_only, last).is_missing
    with pytest.raises(
        UnavailableError, match="there is no reference data for 2024-03-04: what there is reaches to 2023-12-31"
    ):
        use(of_peers, tables_only, last + np.timedelta64(1, "D"))
    assert not use(of_peers, age(tables_only, max_age_days=90), last + np.timedelta64(1, "D")).is_missing
    flagging = age(plan, missing="flag")
    keys = asked(world)[0][:1]
    found, uses = live(world, flagging, snapshot, keys, np.array(["2024-06-01"], dtype="datetime64[ns]"))
    assert np.isnan(found[0, :9]).all()
    assert uses[0].is_missing
    assert "its features are null" in str(uses[0].warning)


def test_a_month_before_all_others_is_never_served_by_a_later_one(world):
    short = plan_of(world, [feature("z_score")], n_months=2)
    snapshot = make_snapshot(world, short, as_of=AS_OF)
    assert sorted(snapshot.peers) == [int(np.datetime64(month, "M").astype(int)) for month in ("2023-12", "2024-01")]
    with pytest.raises(UnavailableError, match="2023-11-30"):
        use(snapshot, short, "2023-11-30")


def test_a_table_joined_by_time_serves_while_the_snapshot_is_not_too_old(world):
    macro = make_plan(world, "application", "app_id", [FeatureDefinition.create((MONTHS,), "pmi", "last")])
    snapshot = make_snapshot(world, macro, as_of=AS_OF)
    assert macro.reference == ReferenceSettings()
    assert use(snapshot, macro, "2023-02-01").warning is None  # as of any earlier moment its rows tell themselves
    assert use(snapshot, macro, "2024-03-02").warning is not None
    with pytest.raises(UnavailableError, match="2024-03-03"):
        use(snapshot, macro, "2024-03-03T00:01")


def test_without_a_snapshot_no_live_value_is_given(world, plan):
    keys, cutoffs = asked(world)
    with pytest.raises(UnavailableError, match="there is no reference data"):
        compute_live(plan, None, sent(world, plan, keys[0]), keys[:1], cutoffs[:1])


# --- files ---


def test_a_published_file_is_read_for_its_own_plan_only(world, plan, tmp_path):
    path = tmp_path / "online" / "reference.json"
    assert publish_reference(world, path, plan, as_of=AS_OF) == "2023-12-31"
    assert [file.name for file in path.parent.iterdir()] == ["reference.json"]
    assert ReferenceSnapshot.load(path, plan).date == "2023-12-31"
    for other in (plan_of(world, [feature("z_score", window="24m")]), age(plan, min_size=4)):
        with pytest.raises(IntegrityError, match="made for another plan"):
            ReferenceSnapshot.load(path, other)
    assert reference_fingerprint(plan) == reference_fingerprint(age(plan, missing="flag", max_age_days=40))
    path.write_text("{}")
    with pytest.raises(IntegrityError, match="no reference data"):
        ReferenceSnapshot.load(path, plan)
    with pytest.raises(NotFoundError):
        ReferenceSnapshot.load(tmp_path / "nothing.json", plan)


def test_a_snapshot_of_files_is_that_of_the_tables(world, plan, snapshot, tmp_path):
    world.save(tmp_path / "tables")
    for engine in (None, "stream"):
        assert make_snapshot(tmp_path / "tables", plan, as_of=AS_OF, engine=engine).to_json(plan) == snapshot.to_json(
            plan
        )
    with pytest.raises(InputError, match="say up to which day"):
        make_snapshot(tmp_path / "tables", plan)


def test_a_plan_without_reference_features_has_none(world, plan):
    plain = plan.select([plan.aliases[-1]])
    assert make_snapshot(world, plain) is None
    assert not plain.needs_reference


def test_the_online_snapshot_leaves_tables_joined_by_time_to_the_reference(plan):
    columns, keys = snapshot_columns([plan])
    assert "economy" not in columns
    assert "economy" not in keys
    assert {"sector", "city", "capital"} <= set(columns["firm"])


def test_live_reference_features_import_no_heavy_library():
    heavy = ("pandas", "featuretools", "duckdb", "sklearn", "scipy", "optbinning", "pyarrow", "pydantic")
    code = f"import sys, features.reference\nprint([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
