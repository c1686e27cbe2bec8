"""Stability by month: what does not differ is near 0 whatever the rows per month, what differs is its PSI."""

import numpy as np
import pytest

from features.binning import psi
from features.stability import month_psi, periods

RNG = np.random.default_rng(8)
MONTHS = np.array([f"2024-{month:02d}-15" for month in range(1, 11)], dtype="datetime64[ns]")


def test_months_run_together_until_each_period_has_rows_enough():
    sizes = [250, 90, 90, 90, 300, 10]
    cutoffs = np.repeat(MONTHS[:6], sizes)
    assert np.bincount(periods(cutoffs)).tolist() == [250, 270, 310]
    assert periods(cutoffs[::-1]).tolist() == periods(cutoffs)[::-1].tolist()


@pytest.mark.parametrize("rows_per_month", [200, 2_000])
def test_chance_alone_is_taken_off(rows_per_month):
    cutoffs = np.repeat(MONTHS, rows_per_month)
    found = [month_psi({"a": RNG.integers(0, 10, len(cutoffs))}, cutoffs)["a"] for _ in range(20)]
    assert np.mean(found) < 0.004


def test_a_difference_is_its_psi():
    cutoffs = np.repeat(MONTHS, 5_000)
    share = np.where(np.arange(len(cutoffs)) < 25_000, 0.2, 0.6)
    bins = (RNG.random(len(cutoffs)) < share).astype(int)
    expected = (psi([60, 40], [80, 20]) + psi([60, 40], [40, 60])) / 2
    assert month_psi({"a": bins}, cutoffs)["a"] == pytest.approx(expected, rel=0.05)


def test_too_few_months_say_nothing():
    assert month_psi({"a": np.zeros(500, dtype=int)}, np.repeat(MONTHS[:2], 250)) == {}
