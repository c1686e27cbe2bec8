"""Stability by month: what does not differ is near 0 whatever the rows per month, what differs is its PSI."""

import numpy as np
import pytest

from features.binning import fit_bins, psi, woe_table
from features.stability import goes_on_telling, last_third, month_psi, periods

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


def test_the_last_third_keeps_rows_of_one_moment_together():
    cutoffs = np.repeat(MONTHS[:5], [10, 10, 10, 2, 10])
    order = RNG.permutation(len(cutoffs))
    assert last_third(cutoffs).tolist() == [False] * 20 + [True] * 22
    assert (last_third(cutoffs[order]) == last_third(cutoffs)[order]).all()
    assert last_third(np.repeat(MONTHS[:1], 5)).all()


def drawn(n, slope, shift=0.0):
    x = RNG.normal(size=n)
    return x + shift, (RNG.random(n) < 1 / (1 + np.exp(2 - slope * x))).astype(float)


def evidence_from(x, y):
    """Return what tells the weights of evidence of later rows, with their outcomes."""
    learnt = woe_table(fit_bins(x, y, "number", alias="a", levels=()), x, y)
    return lambda later, outcomes: (learnt.transform(later), outcomes)


def test_of_features_that_tell_nothing_later_one_of_a_hundred_passes():
    told = evidence_from(*drawn(20_000, 0.5))
    passed = [goes_on_telling([told(*drawn(300, 0.0)), told(*drawn(300, 0.0))]) for _ in range(2_000)]
    assert 0.004 < np.mean(passed) < 0.018


def test_what_is_less_than_an_information_value_of_two_hundredths_tells_nothing():
    told = evidence_from(*drawn(200_000, 1.0))
    passes = {slope: goes_on_telling([told(*drawn(200_000, slope))]) for slope in (1.0, 0.1, 0.01, -1.0)}
    assert passes == {1.0: True, 0.1: True, 0.01: False, -1.0: False}
    assert not goes_on_telling([told(*drawn(20_000, 1.0, shift=8.0))])  # all in the last bin: nothing left to tell
    assert not goes_on_telling([told(*drawn(20_000, 1.0)), told(*drawn(60, 1.0))])  # too few bads to see
