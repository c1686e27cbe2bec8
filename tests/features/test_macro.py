"""Tables that are joined by time alone: the months of the economy, as published before the cutoff."""

import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigurationError
from features.definitions import FeatureDefinition, PathStep, Peers
from features.engine import EngineData, compute
from features.leakage import prove_no_leakage
from features.matrix import build_matrix
from features.plan import FeaturePlan
from features.planning import make_plan
from features.preparation import entity_rows
from features.proposal import propose
from features.spec import FeatureSpec
from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.table_set import TableSet

MONTHS = PathStep("down", "economy", "", "")
KEYS = np.array(["a", "b", "c"], dtype=object)
CUTOFFS = np.array(["2022-03-10", "2022-03-11", "2021-01-01"], dtype="datetime64[ns]")


def model(**economy):
    number, category = ColumnSpec(type="number"), ColumnSpec(type="category")
    event, known = ColumnSpec(type="date", role="event_time"), ColumnSpec(type="date", role="known_at")
    return DataModel(
        tables={
            "loan": TableSpec(
                columns={"loan_id": ColumnSpec(type="id", role="key"), "amount": number,
                         "asked_on": ColumnSpec(type="date")},
                primary_key=["loan_id"],
            ),
            "economy": TableSpec(
                columns={"month": event, "published_on": known, "pmi": number, "mood": category},
                **{"event_time": "month", "known_at": "published_on", "is_macro": True, **economy},
            ),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def world():
    """Return three loans, and months that are each published on the tenth of the next."""
    loan = pd.DataFrame({"loan_id": KEYS, "amount": [1.0, 2.0, 3.0], "asked_on": CUTOFFS})
    months = pd.date_range("2021-01-31", "2022-12-31", freq="ME")
    economy = pd.DataFrame(
        {
            "month": months,
            "published_on": months + pd.Timedelta(days=10),
            "pmi": 40.0 + np.arange(len(months)),
            "mood": ["up", "down"] * (len(months) // 2),
        }
    )
    return TableSet.from_frames({"loan": loan, "economy": economy.sample(frac=1, random_state=0)}, model())


def features():
    return [
        FeatureDefinition.create((MONTHS,), "pmi", "last"),
        FeatureDefinition.create((MONTHS,), "pmi", "mean", window="3m"),
        FeatureDefinition.create((MONTHS,), None, "count"),
        FeatureDefinition.create((MONTHS,), "mood", "last", kind="category"),
        FeatureDefinition.create((), "amount", "identity"),
    ]


def test_the_last_month_published_before_the_cutoff_counts(world):
    plan = make_plan(world, "loan", "loan_id", features())
    found = build_matrix(world, plan, KEYS, CUTOFFS).values
    # February is published on 10 March at midnight: not known at that very moment, known a day later.
    assert plan.levels[features()[3].alias] == ("down", "up")
    expected = [[52.0, 51.5, 13, 1, 1], [53.0, 52.0, 14, 0, 2], [np.nan, np.nan, 0, np.nan, 3]]
    np.testing.assert_array_equal(found, expected)
    assert [item.liveness for item in plan.definitions] == ["reference"] * 4 + ["self"]
    assert plan.keyless_tables == ("economy",)
    assert FeaturePlan.from_json(plan.to_json()) == plan


def test_live_rows_and_files_give_the_same_bits(world, tmp_path):
    plan = make_plan(world, "loan", "loan_id", features())
    expected = build_matrix(world, plan, KEYS, CUTOFFS).values
    for row, key in enumerate(KEYS):
        data = EngineData.from_rows(plan, entity_rows(world, plan, key))
        live = compute(plan, data, KEYS[row : row + 1], CUTOFFS[row : row + 1])
        assert live.tobytes() == expected[row : row + 1].tobytes()
    world.save(tmp_path / "tables")
    for engine in ("memory", "stream"):
        assert (
            build_matrix(tmp_path / "tables", plan, KEYS, CUTOFFS, engine=engine).values.tobytes() == expected.tobytes()
        )


def test_the_proof_covers_them(world):
    plan = make_plan(world, "loan", "loan_id", features())
    certificate = prove_no_leakage(world, plan, KEYS, CUTOFFS, seed=1, n_cutoffs=3)
    assert certificate.is_clean
    assert certificate.n_control_detected > 0
    assert certificate.n_records_changed > 0


def test_a_table_that_says_so_is_proposed(world):
    spec = FeatureSpec(primitives=["last", "mean", "trend", "identity"], windows=["6m", "12m"])
    found = propose(world, "loan", spec, keys=KEYS, cutoffs=CUTOFFS)
    assert [item.alias for item in found if item.liveness == "reference"] == [
        "economy__pmi__last", "economy__pmi__trend__12m"
    ]  # fmt: skip
    without = FeatureSpec(primitives=["last", "identity"], ignore={"economy": []})
    assert not any(item.path for item in propose(world, "loan", without, keys=KEYS, cutoffs=CUTOFFS))


def test_it_stands_alone_on_its_path_and_needs_a_time():
    with pytest.raises(ConfigurationError, match="joined by time alone stands alone"):
        FeatureDefinition.create((PathStep("up", "firm", "firm_id", "firm_id"), MONTHS), "pmi", "last")
    with pytest.raises(ConfigurationError, match="same for all peers"):
        FeatureDefinition.create((MONTHS,), "pmi", "last", peers=Peers("z_score", ()))
    with pytest.raises(ConfigurationError, match="needs a time"):
        model(event_time=None, known_at=None).check()


def test_a_model_without_such_a_table_keeps_its_fingerprint():
    tables = {"loan": TableSpec(columns={"loan_id": ColumnSpec(type="id")})}
    assert DataModel(tables=tables).fingerprint == "f644fbae29769a369fcc560b8d52c18f8dcc8d96aa19f31874ba47286f731d17"
