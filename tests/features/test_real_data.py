"""The proof and the live path on data that nobody made for us: 1.1 million invoices of 425 firms."""

import os
from pathlib import Path

import numpy as np
import pytest

from features.engine import EngineData, compute
from features.leakage import prove_no_leakage
from features.matrix import build_matrix
from features.planning import make_plan
from features.preparation import entity_rows
from features.proposal import propose
from features.spec import FeatureSpec
from warehouse.importing import import_tables

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def invoices():
    root = os.environ.get("WORKBENCH_TEST_DATA")
    if not root or not Path(root, "sme_invoices").is_dir():
        pytest.skip(f"the data set sme_invoices is not there (WORKBENCH_TEST_DATA is {root!r})")
    table_set = import_tables(Path(root, "sme_invoices")).table_set
    keys = table_set.frame("enterprises")["enterprise_id"].to_numpy()
    cutoffs = np.datetime64("2020-02-22", "ns") - np.arange(len(keys)) % 700 * np.timedelta64(1, "D")
    spec = FeatureSpec(ignore={"enterprises": ["credit_grade", "defaulted"]})
    plan = make_plan(
        table_set, "enterprises", "enterprise_id", propose(table_set, "enterprises", spec), keys=keys, cutoffs=cutoffs
    )
    return table_set, plan, keys, cutoffs


def test_nothing_leaks(invoices):
    table_set, plan, keys, cutoffs = invoices
    certificate = prove_no_leakage(table_set, plan, keys, cutoffs, seed=1, n_cutoffs=10, rows_per_cutoff=5)
    assert certificate.is_clean
    assert certificate.n_control_detected == certificate.n_control_cases == 20


def test_a_live_firm_gives_the_bits_of_the_batch(invoices):
    table_set, plan, keys, cutoffs = invoices
    matrix = build_matrix(table_set, plan, keys[:40], cutoffs[:40])
    for row in range(0, 40, 8):
        live = EngineData.from_rows(plan, entity_rows(table_set, plan, keys[row]))
        values = compute(plan, live, keys[row : row + 1], cutoffs[row : row + 1])
        assert values.tobytes() == matrix.values[row : row + 1].tobytes()


def test_windows_hold_the_invoices_of_their_days_before_the_cutoff(invoices):
    table_set, plan, keys, cutoffs = invoices
    matrix = build_matrix(table_set, plan, keys, cutoffs)
    rows = table_set.frame("output_invoices").merge(
        table_set.frame("enterprises")[["enterprise_id"]].assign(cutoff=cutoffs), on="enterprise_id"
    )
    rows = rows[
        (rows["invoice_date"] < rows["cutoff"]) & (rows["invoice_date"] >= rows["cutoff"] - np.timedelta64(90, "D"))
    ]
    counts = rows.groupby("enterprise_id").size().reindex(keys, fill_value=0)
    assert matrix.column("output_invoices__count__90d").tolist() == counts.tolist()
