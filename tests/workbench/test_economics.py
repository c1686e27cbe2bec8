"""Contracts with what became of them, read from stored tables; on the complete world, what it says of itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from automl.economics.assumptions import estimate, recovery_course
from automl.economics.spec import EconomicsSpec
from automl.predictions import Predictions
from warehouse.data_model import DataModel
from workbench.flows.economics import records_of
from workbench.flows.stored_columns import StoredColumns

_COLUMNS = {
    "contract": {"cid": "id", "loan_id": "id", "amount": "number", "start": "date", "end": "date", "share": "number",
                 "fee": "number"},
    "paid": {"pid": "id", "cid": "id", "on": "date", "total": "number", "bank": "number"},
    "back": {"pid": "id", "on": "date", "amount": "number", "channel": "category"},
}  # fmt: skip
_SPEC = {
    "amount": "loan.amount",
    "term_months": "loan.term",
    "contract": {"table": "contract", "key": "cid", "root_key": "loan_id", "amount": "amount", "start": "start",
                 "end": "end", "fee_rate": "fee", "guarantor_share": "share"},
    "subrogation": {"table": "paid", "key": "pid", "contract": "cid", "time": "on", "amount": "total", "bank": "bank"},
    "recovery": {"table": "back", "subrogation": "pid", "time": "on", "amount": "amount",
                 "left_out": {"column": "back.channel", "values": ["write_off"]}},
}  # fmt: skip


def _predictions(keys: list[str], y: list[float]) -> Predictions:
    n = len(keys)
    names, nothing = np.array(keys, dtype=object), np.zeros(n)
    return Predictions(
        names, names, np.full(n, np.datetime64("2023-01-01", "ns")), np.array(y), np.full(n, "unseen", dtype=object),
        np.zeros(n, dtype=bool), nothing, nothing,
    )  # fmt: skip


def test_contracts_carry_their_outcome_subrogation_and_what_came_back_month_by_month(tmp_path: Path) -> None:
    pd.DataFrame(
        {"cid": ["C1", "C2", "C3", "C4"], "loan_id": ["L1", "L2", "L3", "L9"], "amount": [100.0, 200.0, 300.0, 400.0],
         "start": pd.to_datetime(["2022-01-01", "2022-01-01", "2023-06-01", None]),
         "end": pd.to_datetime(["2023-01-01", "2023-01-01", "2024-06-01", "2025-01-01"]),
         "share": [0.4, 0.4, 0.3, 0.3], "fee": [0.01, 0.01, 0.008, 0.008]}
    ).to_parquet(tmp_path / "contract.parquet")  # fmt: skip
    pd.DataFrame(
        {"pid": ["P1", "P2"], "cid": ["C1", "C3"], "on": pd.to_datetime(["2023-03-01", "2024-02-01"]),
         "total": [90.0, 250.0], "bank": [18.0, 50.0]}
    ).to_parquet(tmp_path / "paid.parquet")  # fmt: skip
    pd.DataFrame(
        {"pid": ["P1", "P1", "P1", "P2"],
         "on": pd.to_datetime(["2023-03-15", "2023-05-10", "2023-05-11", "2024-02-20"]),
         "amount": [5.0, 7.0, 70.0, 9.0], "channel": ["self", "self", "write_off", "self"]}
    ).to_parquet(tmp_path / "back.parquet")  # fmt: skip
    tables = {name: {"columns": {column: {"type": kind} for column, kind in columns.items()}}
              for name, columns in _COLUMNS.items()}  # fmt: skip
    stored = StoredColumns(tmp_path, DataModel.model_validate({"tables": tables}))
    spec = EconomicsSpec.model_validate(_SPEC)
    predictions = _predictions(["L1", "L2", "L3"], [1.0, 0.0, np.nan])
    found = records_of(stored, spec, predictions, np.datetime64("2024-04-01"))
    # C4 was never disbursed. C3 runs on: that it was subrogated already is no reason to count it as over.
    assert found.amount.tolist() == [100, 200, 300]
    assert found.is_over.tolist() == [True, True, False]
    assert found.subrogated.tolist() == [90, 0, 250]
    assert found.age_months[[0, 2]] == pytest.approx([13.04, 1.97], abs=0.01)
    assert np.isnan(found.age_months[1])
    np.testing.assert_array_equal(found.y, [1.0, 0.0, np.nan])
    assert found.recovered[0, :4].tolist() == [5, 0, 7, 0]  # the write-off brought no money
    assert found.recovered[2, 0] == 9
    assert found.borne["bank"][[0, 2]].tolist() == [18, 50]


@pytest.mark.long
def test_the_complete_world_recovers_what_it_says_it_does(tmp_path: Path) -> None:
    """Its recoveries are drawn as 12 % in a year and 30 % in three, 55 % with a property pledged."""
    from sample_data import DEMO_PROJECT
    from sample_data.world import generate_world

    world = generate_world(size="demo")
    for name in ("application", "contract", "compensation", "recovery"):
        world.table_set.frame(name).to_parquet(tmp_path / f"{name}.parquet")
    values = yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))["economics"]
    recovery = {"table": "recovery", "subrogation": "comp_id", "time": "date", "amount": "amount"}  # write-offs too
    spec = EconomicsSpec.model_validate(values | {"by_hand": {}, "recovery": recovery})
    outcome = world.oracle["outcome"].isin(["overdue_cured", "subrogated"]).astype(float).tolist()
    predictions = _predictions(world.oracle["app_id"].tolist(), outcome)
    stored = StoredColumns(tmp_path, world.table_set.data_model)
    records = records_of(stored, spec, predictions, np.datetime64("2024-12-31"))
    rows = records.subrogated > 0
    course = recovery_course(records.subrogated[rows], records.age_months[rows], records.recovered[rows])
    assert course[:12].sum() == pytest.approx(0.12, abs=0.03)
    assert course[:36].sum() == pytest.approx(0.30, abs=0.06)
    found = estimate(records, spec.by_hand)
    assert (
        found.items["loss_given_default"].low
        < found.value("loss_given_default")
        < found.items["loss_given_default"].high
    )
    assert sum(found.shares.values()) == pytest.approx(1 - 0.386, abs=0.02)
