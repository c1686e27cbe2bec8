"""Shift is told as shift: by feature, later rows against training rows, no label looked at."""

import numpy as np
from sklearn.metrics import roc_auc_score

from features.shift import check_shift, measure_shift
from tests.features.test_selection import N, matrix

RNG = np.random.default_rng(2)
TRAIN, LATER = np.arange(2_000), np.arange(2_000, N)
CLOCK = np.arange(N) + RNG.normal(size=N)
MOVED = RNG.normal(size=N) + 0.8 * (np.arange(N) >= 2_000)
STILL = RNG.normal(size=N)


def measured():
    return measure_shift(matrix({"still": STILL, "clock": CLOCK, "moved": MOVED}), TRAIN, LATER)


def test_the_greatest_shift_stands_first_and_is_what_a_classifier_reaches():
    clock, moved, still = measured()
    assert [clock.alias, moved.alias, still.alias] == ["clock", "moved", "still"]
    assert clock.separation.auc > 0.99
    exact = roc_auc_score(np.arange(N) >= 2_000, MOVED)
    assert abs(moved.separation.auc - exact) < 0.02
    assert still.separation.low < 0.5


def test_one_finding_names_what_shifts_and_calls_it_no_leak():
    shifts = measured()
    finding = check_shift(shifts)
    assert finding.code == "feature_shift"
    assert "1 of 3 features" in finding.text()
    assert "clock " in finding.text()
    assert "not a leak" in finding.text()
    assert check_shift(shifts[1:]) is None


def test_too_few_later_rows_say_nothing():
    assert measure_shift(matrix({"still": STILL}), TRAIN, LATER[:20]) == []
