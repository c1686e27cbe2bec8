"""One score by every way, on many rows with nulls and unseen levels: `benchmarks.parity`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.parity import Case, compare, sample_case, uci_case
from tests.journeys.real_data import data_folder


def check(case: Case, place: Path, families: tuple[str, ...], n_rows: int) -> None:
    made = compare(case, place, families)
    assert made.n_rows >= n_rows
    assert made.n_null > n_rows / 10
    assert made.n_unseen > n_rows / 20
    assert made.max_rel_diff <= 1e-9
    assert made.different_features == 0
    assert made.max_rel_diff_onnx <= 1e-6


def sample(n_rows: int) -> Case:
    return sample_case(n_rows)


def uci(n_rows: int) -> Case:
    return uci_case(data_folder("uci_credit_card").parent, n_rows)


def test_every_way_gives_one_score(tmp_path: Path) -> None:
    check(sample(500), tmp_path, ("logistic",), 500)


@pytest.mark.long
@pytest.mark.parametrize("make", [sample, pytest.param(uci, marks=pytest.mark.real_data)])
def test_every_way_gives_one_score_on_ten_thousand_rows(make: Callable[[int], Case], tmp_path: Path) -> None:
    check(make(10_000), tmp_path, ("lightgbm", "xgboost", "logistic"), 10_000)
