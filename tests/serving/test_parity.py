"""One score by every way, on many rows with nulls and unseen levels: `benchmarks.parity`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.parity import Case, compare, sample_case, uci_case
from features.plan import FeaturePlan
from tests.journeys.real_data import data_folder
from warehouse.modelling.edits import apply_edit
from warehouse.table_set import TableSet


def check(case: Case, place: Path, families: tuple[str, ...], n_rows: int) -> None:
    made = compare(case, place, families)
    assert made.n_rows >= n_rows
    assert made.n_null > n_rows / 10
    assert made.n_unseen > n_rows / 20
    assert made.max_rel_diff <= 1e-9
    assert made.different_features == 0
    assert {name: far for name, far in made.onnx_by_family.items() if far > 1e-6} == {}


def sample(n_rows: int) -> Case:
    return sample_case(n_rows)


def uci(n_rows: int) -> Case:
    return uci_case(data_folder("uci_credit_card").parent, n_rows)


def in_yuan(case: Case) -> Case:
    """Return the case with features in yuan of all amounts, which the tables hold in 10,000 yuan."""

    def changed(tables: TableSet) -> TableSet:
        model = tables.data_model
        for table, spec in model.tables.items():
            for column, its in spec.columns.items():
                if its.unit == "10k CNY" and its.type in ("number", "integer"):
                    edit = {"do": "set_column", "table": table, "column": column, "field": "feature_unit"}
                    model = apply_edit(model, {**edit, "value": "CNY"})
        return TableSet.from_frames({name: tables.frame(name) for name in tables.names}, model)

    return replace(case, tables=changed(case.tables), spoilt=changed(case.spoilt))


def test_every_way_gives_one_score_of_features_in_another_unit_than_the_rows(tmp_path: Path) -> None:
    check(in_yuan(sample(500)), tmp_path, ("logistic",), 500)
    plan = FeaturePlan.load(tmp_path / "logistic" / "plan.json")
    assert "CNY" in plan.units.values()
    assert any(schema.factors for schema in plan.tables.values())


@pytest.mark.long
@pytest.mark.parametrize("make", [sample, pytest.param(uci, marks=pytest.mark.real_data)])
def test_every_way_gives_one_score_on_ten_thousand_rows(make: Callable[[int], Case], tmp_path: Path) -> None:
    check(make(10_000), tmp_path, ("lightgbm", "xgboost", "logistic"), 10_000)
