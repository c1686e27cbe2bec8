"""Quotients are found where they tell what no column does, and nowhere else."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from automl.label import Cutoff, LabelSpec
from automl.spec import TrainSpec
from automl.split import SplitSpec
from core.errors import CancelledError
from core.i18n import msg
from core.progress import CallbackProgress, SilentProgress
from features.matrix import FeatureMatrix, build_matrix
from features.planning import make_plan
from features.proposal import propose
from features.quotients import find_quotients
from features.spec import FeatureSpec
from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.table_set import TableSet
from workbench.flows.feature_building import build

N = 2_000


def table_set(columns: dict[str, np.ndarray]) -> TableSet:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": np.arange(n).astype(str), **columns})
    specs = {"id": ColumnSpec(type="id", role="key"), **{name: ColumnSpec(type="number") for name in columns}}
    model = DataModel(tables={"cases": TableSpec(columns=specs, primary_key=["id"])})
    return TableSet.from_frames({"cases": frame}, model)


def matrix_of(columns: dict[str, np.ndarray]) -> FeatureMatrix:
    tables = table_set(columns)
    plan = make_plan(tables, "cases", "id", propose(tables, "cases", FeatureSpec()))
    n = len(tables.frame("cases"))
    return build_matrix(tables, plan, np.arange(n).astype(str).astype(object), np.full(n, np.datetime64("2030-01-01")))


def world(seed: int = 1, n: int = N) -> dict[str, np.ndarray]:
    """Return two amounts of wide ranges, a number beside them, and noise."""
    rng = np.random.default_rng(seed)
    amounts = {name: np.exp(rng.normal(10, 2, n)) for name in ("debt", "sales", "stock")}
    return {**amounts, "age": rng.normal(size=n), "noise": rng.normal(size=n)}


def drawn(log_odds: np.ndarray, seed: int = 2) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(float)


def names(found: list) -> set[frozenset[str]]:
    return {frozenset((item.column, item.second)) for item in found}


def test_a_quotient_that_decides_is_found_first_and_alone_needed() -> None:
    columns = world()
    y = drawn(1.5 * np.sin(3 * np.log(columns["debt"] / columns["sales"])) + 0.5 * columns["age"] - 1)
    found = find_quotients(matrix_of(columns), y, np.arange(N), 10)
    assert frozenset((found[0].column, found[0].second)) == {"debt", "sales"}
    assert {item.primitive for item in found} == {"ratio"}
    assert len(find_quotients(matrix_of(columns), y, np.arange(N), 1)) == 1
    assert find_quotients(matrix_of(columns), y, np.arange(N), 0) == []


def test_two_columns_that_differ_for_the_bad_only_are_told_apart_by_their_quotient() -> None:
    columns, rng = world(3), np.random.default_rng(4)
    y = drawn(np.full(N, -1.5))
    is_off = (y == 1) & (rng.random(N) < 0.5)
    columns["debt_again"] = columns["debt"] * np.where(is_off, 0.9 + 0.05 * rng.random(N), 1.0)
    found = find_quotients(matrix_of(columns), y, np.arange(N), 5)
    assert {"debt", "debt_again"} in names(found)


@pytest.mark.parametrize("seed", range(3))
def test_where_nothing_or_only_the_columns_themselves_tell_none_is_found(seed: int) -> None:
    columns = world(seed)
    matrix = matrix_of(columns)
    assert find_quotients(matrix, drawn(np.full(N, -1.0), seed), np.arange(N), 10) == []
    apart = np.where(columns["stock"] > 2e4, 0.5, -1.5) + columns["age"]
    assert find_quotients(matrix, drawn(apart, seed), np.arange(N), 10) == []


def test_other_rows_and_rows_without_an_outcome_are_never_looked_at() -> None:
    columns = world()
    y = drawn(1.5 * np.sin(3 * np.log(columns["debt"] / columns["sales"])) - 1)
    rows = np.arange(0, N, 2)
    matrix = matrix_of(columns)
    before = find_quotients(matrix, y, rows, 5)
    turned = y.copy()
    turned[1::2] = 1 - turned[1::2]
    assert [item.alias for item in find_quotients(matrix, turned, rows, 5)] == [item.alias for item in before]
    unknown = y.copy()
    unknown[1::2] = np.nan
    assert [item.alias for item in find_quotients(matrix, unknown, np.arange(N), 5)] == [item.alias for item in before]


@pytest.mark.filterwarnings("error")
def test_nulls_zeros_infinite_and_huge_numbers_do_no_harm() -> None:
    columns = world()
    y = drawn(1.5 * np.sin(3 * np.log(columns["debt"] / columns["sales"])) - 1)
    columns["sales"][:200] = np.nan
    columns["debt"][200:400] = 0.0
    columns["stock"][:300] = 0.0
    columns["stock"][300:310] = 1e308
    columns["noise"][:] = np.nan
    assert {"debt", "sales"} in names(find_quotients(matrix_of(columns), y, np.arange(N), 10))


def test_too_few_bads_are_no_ground_to_search_on() -> None:
    columns = world()
    y = np.zeros(N)
    y[:49] = 1
    assert find_quotients(matrix_of(columns), y, np.arange(N), 10) == []


@pytest.mark.parametrize("n_entities", [1, 4, 45])
def test_bads_of_few_entities_are_no_ground_to_search_on(n_entities: int) -> None:
    columns = world()
    y = np.zeros(N)
    y[:400] = 1
    entities = np.where(y == 1, np.arange(N) % n_entities, np.arange(N) + 1_000)
    assert find_quotients(matrix_of(columns), y, np.arange(N), 10, groups=entities) == []


def test_a_cancel_is_heard() -> None:
    columns = world()
    y = drawn(1.5 * np.sin(3 * np.log(columns["debt"] / columns["sales"])) - 1)

    def cancel(fraction: float, _: object) -> None:
        if fraction > 0:
            raise CancelledError(msg("cancelled"))

    with pytest.raises(CancelledError):
        find_quotients(matrix_of(columns), y, np.arange(N), 10, progress=CallbackProgress(cancel))


def test_a_build_takes_them_as_features_with_names_and_proof() -> None:
    columns = world()
    y = drawn(1.5 * np.sin(3 * np.log(columns["debt"] / columns["sales"])) + 0.5 * columns["age"] - 1)
    tables = table_set({**columns, "bad": y})
    label = LabelSpec(
        name="bad",
        root_table="cases",
        key_column="id",
        column="bad",
        bad_values=[1],
        cutoff=Cutoff(date=date(2030, 1, 1)),
    )
    split = TrainSpec(split=SplitSpec(holdout_share=0.3, calibration_share=0))
    built = build(tables, label, FeatureSpec(), split, progress=SilentProgress())
    (item,) = [each for each in built.matrix.plan.definitions if {each.column, each.second} == {"debt", "sales"}]
    above, below = (columns[name] for name in (item.column, item.second))
    rows = np.array([int(key) for key in built.matrix.keys])
    np.testing.assert_array_equal(built.matrix.column(item.alias), above[rows] / below[rows])
    assert item.names["en"].lower() in {"debt over sales", "sales over debt"}
    assert item.names["zh"]
    assert built.certificate.is_clean
    none = build(tables, label, FeatureSpec(quotients=0), split, progress=SilentProgress())
    assert not [each for each in none.matrix.plan.definitions if each.primitive == "ratio"]
