"""One column's separation is that of its bins out of fold, held against scikit-learn and SciPy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from features.separation import auc_interval, separate, share_interval, share_of, spread_rows

RNG = np.random.default_rng(5)
N = 3_000
Y = (RNG.random(N) < 0.2).astype(float)
FOLDS = np.arange(N) % 5


def by_hand(x, y, folds):
    """The same out of fold, said with pandas and scikit-learn."""
    frame = pd.DataFrame({"bin": pd.Series(x).fillna(-99.0), "y": y, "fold": folds})
    areas, pairs = [], []
    for fold in range(5):
        inside, outside = frame[frame.fold == fold], frame[frame.fold != fold]
        sums = outside.groupby("bin")["y"].agg(["sum", "count"])
        prior = y.mean()
        rates = (sums["sum"] + prior) / (sums["count"] + 1)
        areas.append(roc_auc_score(inside["y"], inside["bin"].map(rates).fillna(prior)))
        pairs.append(inside["y"].sum() * (1 - inside["y"]).sum())
    return float(np.average(areas, weights=pairs))


def test_a_number_with_few_values_is_ranked_by_the_other_folds():
    x = np.where(RNG.random(N) < 0.1, np.nan, np.round(Y * 2 + RNG.normal(size=N) * 2))
    assert separate(x, Y, FOLDS).auc == pytest.approx(by_hand(x, Y, FOLDS), abs=1e-12)
    assert separate(x, Y, FOLDS).auc > 0.7


def test_the_direction_is_learnt_and_not_read_off():
    x = RNG.normal(size=N) + 2 * Y
    assert separate(x, Y, FOLDS).auc == pytest.approx(separate(-x, Y, FOLDS).auc, abs=0.01)
    assert separate(np.abs(RNG.normal(size=N)) * np.where(Y == 1, 3, 1), Y, FOLDS).auc > 0.7


@pytest.mark.parametrize("is_category", [True, False])
def test_a_column_without_two_equal_values_says_nothing(is_category):
    assert separate(RNG.permutation(N).astype(float), Y, FOLDS, is_category=is_category).low < 0.5


def test_a_category_of_a_thousand_levels_is_not_good_by_chance():
    codes = RNG.integers(0, 1_000, N).astype(float)
    rates = pd.Series(Y).groupby(codes).transform("mean")
    assert roc_auc_score(Y, rates) > 0.8  # what reading it off the same rows would say
    assert separate(codes, Y, FOLDS, is_category=True).auc < 0.55


def test_the_interval_covers_the_truth_where_few_are_bad():
    rng = np.random.default_rng(1)
    truth = 0.9  # binormal: the means lie sqrt(2) * probit(.9) apart
    shift = np.sqrt(2) * 1.2815515655
    inside = 0
    for _ in range(400):
        bad, good = rng.normal(shift, 1, 25), rng.normal(0, 1, 100)
        auc = (bad[:, None] > good[None, :]).mean()
        low, high = auc_interval(float(auc), 25, 100)
        inside += low <= truth <= high
    assert inside / 400 > 0.92


def test_the_interval_of_a_perfect_separation_depends_on_how_many_there_are():
    few, many = auc_interval(1.0, 5, 20), auc_interval(1.0, 500, 2_000)
    assert few[1] == many[1] == 1.0
    assert few[0] < 0.85 < 0.99 < many[0]


@pytest.mark.parametrize(("n_bad", "n"), [(0, 40), (24, 24), (3, 50), (700, 1_000)])
def test_a_share_has_the_interval_of_wilson(n_bad, n):
    expected = binomtest(n_bad, n).proportion_ci(method="wilson")
    assert share_interval(n_bad, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_no_rows_is_unknown():
    nothing = share_of(np.array([]))
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    assert np.isnan(nothing.rate)


def test_rows_are_spread_evenly():
    assert spread_rows(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert spread_rows(np.arange(3), 4).tolist() == [0, 1, 2]
