"""Bins, weights of evidence and PSI against worked tables and independent libraries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from features.binning import (
    FeatureBins,
    ReferenceProfile,
    WoeTable,
    bin_counts,
    fit_bins,
    information_value,
    information_values,
    make_reference_profile,
    psi,
    weight_of_evidence,
    woe_table,
)
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema

RNG = np.random.default_rng(11)
X = np.where(RNG.random(4_000) < 0.1, np.nan, RNG.normal(size=4_000))
Y = (RNG.random(4_000) < 1 / (1 + np.exp(2 - np.nan_to_num(X)))).astype(float)
numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=60)


def test_optimal_bins_equal_those_of_optbinning_itself():
    from optbinning import OptimalBinning

    bins = fit_bins(X, Y, alias="x")
    known = ~np.isnan(X)
    theirs = OptimalBinning(max_n_bins=10, min_prebin_size=0.02, monotonic_trend="ascending", time_limit=10)
    theirs.fit(X[known], Y[known])
    assert bins.edges == tuple(theirs.splits)
    assert np.array_equal(bins.assign(X[known]), theirs.transform(X[known], metric="indices"))
    table = theirs.binning_table.build()
    count = int(table.loc["Totals", "Count"])
    assert count == known.sum()
    ours = woe_table(bins, X[known], Y[known])
    assert ours.information_value == pytest.approx(float(table.loc["Totals", "IV"]), rel=1e-9)


def test_rates_rise_or_fall_whichever_tells_more():
    """Of numbers of many shapes, OptBinning's own choice of the direction loses all that some of them tell."""
    from optbinning import OptimalBinning

    rng = np.random.default_rng(4)

    def told(x, y, trend):
        solver = OptimalBinning(max_n_bins=10, min_prebin_size=0.02, monotonic_trend=trend, time_limit=10)
        solver.fit(x, y)
        return float(solver.binning_table.build().loc["Totals", "IV"])

    ours, best, own = [], [], []
    for _ in range(30):
        x = rng.normal(size=900)
        slope, bend, wave = rng.normal(0, (0.6, 0.3, 0.6))
        log_odds = slope * x + bend * (x**2 - 1) + wave * np.sin(4 * x)
        y = (rng.random(900) < 1 / (1 + np.exp(1.5 - log_odds))).astype(int)
        ours.append(woe_table(fit_bins(x, y, alias="x"), x, y).information_value)
        best.append(max(told(x, y, "ascending"), told(x, y, "descending")))
        own.append(told(x, y, "auto_asc_desc"))
    assert min(np.array(ours) - 0.9 * np.array(best)) > -0.01
    assert np.mean(ours) > 0.99 * np.mean(best)
    assert min(np.array(own) - 0.5 * np.array(best)) < -0.05  # or there is nothing to mend


def test_psi_of_a_worked_table():
    expected, actual = np.array([100, 300, 600]), np.array([150, 250, 100])
    shares = [(0.1, 0.3), (0.3, 0.5), (0.6, 0.2)]
    assert psi(expected, actual) == pytest.approx(sum((a - e) * np.log(a / e) for e, a in shares))
    assert psi(expected, expected) == 0.0
    assert psi(np.array([50, 50, 0]), np.array([100, 100, 0])) == 0.0
    assert psi(np.array([100, 0]), np.array([50, 50])) == pytest.approx(
        -0.5 * np.log(0.5) + 0.4999 * np.log(0.5 / 0.0001)
    )
    assert np.isnan(psi(np.array([0, 0]), np.array([1, 1])))


def test_a_bin_of_one_class_has_a_finite_weight():
    weights = weight_of_evidence(np.array([90, 10, 0]), np.array([5, 0, 0]))
    assert weights == pytest.approx([np.log(0.9 / 1.0), np.log((10.5 / 100) / (0.5 / 5)), 0.0])
    assert np.isfinite(information_value(np.array([90, 10]), np.array([0, 5])))
    assert information_value(np.array([5, 5]), np.array([0, 0])) == 0.0


@settings(max_examples=60, deadline=None)
@given(numbers)
def test_every_value_has_exactly_one_bin_and_order_is_kept(values):
    x = np.array(values)
    bins = fit_bins(x)
    assigned = bins.assign(x)
    assert assigned.min() >= 0
    assert assigned.max() < bins.n_bins == len(bins.labels)
    assert bin_counts(bins, x).sum() == len(x)
    known = np.sort(x[~np.isnan(x)])
    assert (np.diff(bins.assign(known)) >= 0).all()
    assert (assigned[np.isnan(x)] == bins.missing_bin).all()


def test_a_value_that_fills_a_quantile_has_a_bin_of_its_own():
    x = np.concatenate([np.zeros(700), np.arange(1, 301)])
    bins = fit_bins(x)
    assert bin_counts(bins, x)[0] == 700
    constant = fit_bins(np.full(50, 3.0))
    assert len({*constant.assign(np.array([2.0, 3.0, 4.0]))}) == 3


def test_levels_have_bins_rare_ones_share_one_with_those_never_seen():
    codes = np.repeat([0.0, 1.0, 2.0, 3.0], [500, 480, 19, 1])
    bins = fit_bins(codes, kind="category", levels=["a", "b", "c", "d"])
    assert bins.labels == ("a", "b", "c, d, other", "missing")
    assert bins.assign(np.array([0, 1, 2, 3, 4, 99, np.nan])).tolist() == [0, 1, 2, 2, 2, 2, 3]


def test_optimal_bins_of_a_category_put_levels_of_like_risk_together():
    codes = RNG.integers(0, 6, 6_000).astype(float)
    y = (RNG.random(6_000) < np.where(codes < 3, 0.05, 0.3)).astype(float)
    bins = fit_bins(codes, y, "category", levels=list("abcdef"))
    of_level = bins.assign(np.arange(6.0))
    assert set(of_level[:3]).isdisjoint(of_level[3:])


def test_an_outcome_of_another_length_is_refused():
    with pytest.raises(InputError, match="3 rows, the feature 2"):
        fit_bins(np.array([1.0, 2.0]), np.array([0, 1, 1]))


def test_bins_tables_and_profiles_read_back_what_they_wrote():
    bins = fit_bins(X, Y, alias="x")
    assert FeatureBins.from_json(bins.to_json()) == bins
    table = woe_table(bins, X, Y)
    assert WoeTable.from_json(table.to_json()) == table
    assert table.transform(X[:5]).tolist() == [table.woe[i] for i in bins.assign(X[:5])]


def test_a_reference_profile_describes_the_training_rows():
    number = FeatureDefinition.create((), "x", "identity")
    category = FeatureDefinition.create((), "c", "identity", kind="category")
    plan = FeaturePlan("t", "id", (number, category), {"t": TableSchema({"id": "key"})}, {"c": ("u", "v")})
    values = np.column_stack([X, np.where(X > 0, 1.0, 0.0)])
    profile = make_reference_profile(values, plan, Y * 0.2 + RNG.random(4_000))
    assert profile.n_rows == 4_000
    assert profile.missing_rates == pytest.approx((np.isnan(X).mean(), 0.0))
    assert [sum(counts) for counts in (*profile.counts, profile.score_counts)] == [4_000] * 3
    assert profile.counts[1][:2] == (int((~(X > 0)).sum()), int((X > 0).sum()))
    assert ReferenceProfile.from_json(profile.to_json()) == profile
    assert psi(np.array(profile.counts[0]), bin_counts(profile.bins[0], X)) == 0.0


def test_many_tables_at_once_have_the_information_values_of_each():
    rng = np.random.default_rng(4)
    good, bad = rng.integers(0, 40, (30, 6)), rng.integers(0, 9, (30, 6))
    many = information_values(good, bad)
    assert many.tolist() == [information_value(*pair) for pair in zip(good, bad, strict=True)]
