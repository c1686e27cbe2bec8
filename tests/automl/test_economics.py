"""Economics against hand-worked tables, properties, and worlds whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.economics.assumptions import NAMES, Assumption, Assumptions, Records, estimate, recovery_course
from automl.economics.cutoffs import Applicants, expected_flows, trade_off
from automl.economics.spec import SettingsByHand
from automl.economics.swaps import compare_models, swap_sets
from core.errors import InputError


def _assumptions(n_draws: int = 40, **values: float) -> Assumptions:
    chosen = {
        "subrogated_if_bad": 0.5, "subrogated_if_good": 0.01, "exposure_at_default": 0.9, "loss_given_default": 0.6,
        "guarantor_share": 0.4, "fee_rate": 0.01,
    } | values  # fmt: skip
    items = {name: Assumption(name, chosen[name], chosen[name], chosen[name], 0, "by_hand") for name in NAMES}
    return Assumptions(items, {name: np.full(n_draws, chosen[name]) for name in NAMES}, {}, 0)


def _applicants(n: int = 2_000, seed: int = 1) -> Applicants:
    rng = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-rng.normal(-2.8, 1.1, n)))
    outcome = (rng.random(n) < probability).astype(float)
    approved = (rng.random(n) < 0.75).astype(float)
    return Applicants(
        probability=probability,
        y=np.where(approved == 1, outcome, np.nan),
        amount=rng.choice([50.0, 100.0, 300.0, 800.0], n),
        term_months=rng.choice([12.0, 24.0], n),
        is_small=rng.random(n) < 0.85,
        is_agricultural=rng.random(n) < 0.05,
        is_approved=approved,
        months=12.0,
    )


def _three() -> Applicants:
    return Applicants(
        probability=np.array([0.30, 0.02, 0.10]),
        y=np.array([1.0, 0.0, np.nan]),
        amount=np.array([200.0, 100.0, 600.0]),
        term_months=np.array([12.0, 12.0, 24.0]),
        is_small=np.array([True, True, False]),
        is_agricultural=np.array([False, False, False]),
        is_approved=np.array([1.0, 1.0, 0.0]),
        months=12.0,
    )


def test_fee_subrogation_and_loss_of_three_applicants_by_hand() -> None:
    fee, subrogated, loss = expected_flows(_three(), _assumptions())
    # Chances .3*.5+.7*.01 = .157, .0198, .059; times amount and .9; times .6 and .4; fee 1 % a year.
    assert subrogated == pytest.approx([0.157 * 200 * 0.9, 0.0198 * 100 * 0.9, 0.059 * 600 * 0.9])
    assert loss == pytest.approx(subrogated * 0.24)
    assert fee == pytest.approx([2.0, 1.0, 12.0])


def test_the_curve_of_three_applicants_by_hand() -> None:
    found = trade_off(_three(), _assumptions(), SettingsByHand(net_assets=100.0))
    assert found.approval_rate == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.cutoff == pytest.approx([0.02, 0.10, 0.30])
    fee, subrogated, loss = expected_flows(_three(), _assumptions())
    order = [1, 2, 0]
    assert found.curves["net"].value == pytest.approx(np.cumsum((fee - loss)[order]))
    assert found.curves["subrogation_rate"].value == pytest.approx(np.cumsum(subrogated[order]) / [100, 700, 900])
    assert found.curves["small_share"].value == pytest.approx([1, 1 / 7, 3 / 9])
    # Borne for a year of signing: 100*1*.75 at first, then 600*2*1 more, then 200*1*.75; times .4 over 100.
    assert found.curves["leverage"].value == pytest.approx([0.3, 5.1, 5.7])
    assert found.leverage_limit.tolist() == [15, 10, 10]
    assert found.observed_bad_rate.value[[0, 2]] == pytest.approx([0.0, 0.5])
    assert found.best == 1


def test_limits_leave_out_steps_and_the_best_within_them_is_another() -> None:
    free = trade_off(
        _applicants(), _assumptions(fee_rate=0.05), SettingsByHand(small_share_floor=0, subrogation_ceiling=1)
    )
    bound = trade_off(
        _applicants(), _assumptions(fee_rate=0.05), SettingsByHand(small_share_floor=0, subrogation_ceiling=0.02)
    )
    assert free.best == free.best_within
    assert bound.best_within is not None
    assert bound.best_within < bound.best
    assert bound.curves["subrogation_rate"].value[bound.best_within] <= 0.02
    none = trade_off(_applicants(), _assumptions(), SettingsByHand(small_share_floor=1.0))
    assert none.best_within is None


def test_without_net_assets_there_is_no_leverage() -> None:
    assert "leverage" not in trade_off(_applicants(), _assumptions(), SettingsByHand()).curves


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), n=st.integers(5, 400))
def test_every_figure_lies_within_its_interval_or_near_it_and_the_last_step_approves_all(seed: int, n: int) -> None:
    applicants = _applicants(n, seed)
    found = trade_off(applicants, _assumptions(), SettingsByHand(), seed=seed)
    assert found.n_approved[-1] == n
    fee, _, loss = expected_flows(applicants, _assumptions())
    assert found.curves["net"].value[-1] == pytest.approx(float((fee - loss).sum()))
    assert (np.diff(found.curves["loss"].value) >= 0).all()
    assert (np.diff(found.cutoff) >= 0).all()
    for curve in (found.curves["fee"], found.curves["loss"]):
        assert (curve.low <= curve.high).all()


def test_the_uncertainty_of_the_assumptions_widens_the_interval_of_the_net() -> None:
    sure = _assumptions(300)
    rng = np.random.default_rng(0)
    unsure = Assumptions(sure.items, {**sure.draws, "loss_given_default": rng.uniform(0.3, 0.9, 300)}, sure.shares, 0)
    narrow, wide = (trade_off(_applicants(), one, SettingsByHand()).curves["net"] for one in (sure, unsure))
    assert (wide.high - wide.low)[-1] > 1.3 * (narrow.high - narrow.low)[-1]


def test_a_course_of_recovery_by_hand_follows_young_subrogations_only_as_long_as_they_are_known() -> None:
    # 20 old ones of 100: 10 in the first month, 20 in the second. 20 young ones of 100, one month old: 30 each.
    old, young = np.tile([10.0, 20.0, 0.0], (20, 1)), np.tile([30.0, 0.0, 0.0], (20, 1))
    course = recovery_course(np.full(40, 100.0), np.r_[np.full(20, 3.0), np.full(20, 1.5)], np.vstack([old, young]))
    assert course == pytest.approx([(200 + 600) / 4_000, 400 / 2_000, 0.0])
    # Counting the young as if nothing more would come would say 10 % in the second month.


def test_the_course_ends_where_fewer_than_twenty_are_followed() -> None:
    ages = np.r_[np.full(20, 2.0), np.full(19, 9.0)]
    assert len(recovery_course(np.ones(39), ages, np.zeros((39, 12)))) == 2


def _records(n: int = 6_000, seed: int = 3, *, with_recovery: bool = True) -> Records:
    """Contracts of a world: 6 % bad, half of them subrogated at .95, 2 % of the amount back in each of 36 months."""
    rng = np.random.default_rng(seed)
    amount = rng.choice([50.0, 100.0, 400.0], n)
    y = (rng.random(n) < 0.06).astype(float)
    hit = (y == 1) & (rng.random(n) < 0.5) | (y == 0) & (rng.random(n) < 0.01)
    age = np.where(hit, rng.uniform(0, 60, n), np.nan)
    subrogated = np.where(hit, amount * 0.95, 0.0)
    months = np.arange(48)[None, :]
    course = np.where((months < 36) & (months + 1 <= age[:, None]), 0.02, 0.0)
    recovered = course * subrogated[:, None] * rng.exponential(1.0, (n, 48)) if with_recovery else None
    return Records(
        amount=amount, y=y, is_over=rng.random(n) < 0.8, subrogated=subrogated, age_months=age,
        share=np.full(n, 0.4), fee_rate=np.full(n, 0.008), recovered=recovered,
        borne={"bank": subrogated * 0.2, "government": subrogated * 0.1},
    )  # fmt: skip


def test_estimates_find_the_world_they_are_drawn_from_as_often_as_their_intervals_say() -> None:
    truth = {
        "subrogated_if_bad": 0.5, "subrogated_if_good": 0.01, "exposure_at_default": 0.95, "guarantor_share": 0.4,
        "fee_rate": 0.008, "loss_given_default": 1 - 0.72,
    }  # fmt: skip
    covered = dict.fromkeys(truth, 0)
    for seed in range(30):
        found = estimate(_records(3_000, seed), SettingsByHand(discount_rate=0.0), n_draws=100, seed=seed)
        for name, value in truth.items():
            covered[name] += found.items[name].low - 1e-9 <= value <= found.items[name].high + 1e-9
    # 95 % nominal: 28.5 of 30; 25 is three standard errors below.
    assert min(covered.values()) >= 25, covered
    assert found.shares == {"bank": pytest.approx(0.2), "government": pytest.approx(0.1)}
    assert {item.source for item in found.items.values()} == {"estimated"}


def test_discounting_raises_the_loss() -> None:
    losses = [estimate(_records(), SettingsByHand(discount_rate=rate), n_draws=20).value("loss_given_default")
              for rate in (0.0, 0.1)]  # fmt: skip
    assert losses[0] < losses[1]


def test_taking_open_recoveries_for_final_would_overstate_the_loss() -> None:
    records = _records()
    rows = records.subrogated > 0
    naive = 1 - records.recovered[rows].sum() / records.subrogated[rows].sum()
    assert naive > estimate(records, SettingsByHand(discount_rate=0.0), n_draws=20).items["loss_given_default"].high


def test_what_is_set_by_hand_has_no_interval_and_says_so() -> None:
    found = estimate(_records(with_recovery=False), SettingsByHand(loss_given_default=0.7, fee_rate=0.01), n_draws=20)
    assert found.items["loss_given_default"] == Assumption("loss_given_default", 0.7, 0.7, 0.7, 0, "by_hand")
    assert found.items["fee_rate"].source == "by_hand"


def test_without_recoveries_and_without_a_hand_the_loss_is_refused() -> None:
    with pytest.raises(InputError, match="recoveries are not recorded"):
        estimate(_records(with_recovery=False), SettingsByHand())


def test_nine_subrogations_are_too_few() -> None:
    records = _records(200)
    hit = np.flatnonzero(records.subrogated)
    few = np.zeros(200)
    few[hit[:9]] = 1.0
    with pytest.raises(InputError, match="too few"):
        estimate(Records(**{**vars(records), "subrogated": few}), SettingsByHand())


def test_swap_sets_divide_all_and_declined_ones_have_no_observed_rate() -> None:
    applicants = _applicants()
    sets = {one.name: one for one in swap_sets(applicants, 0.08)}
    assert sum(one.n for one in sets.values()) == len(applicants)
    assert sets["newly_approved"].n_known == sets["both_decline"].n_known == 0
    assert "no outcome" in sets["newly_approved"].not_applicable.text()
    inside = (applicants.is_approved == 1) & (applicants.probability > 0.08)
    assert sets["newly_declined"].observed == pytest.approx(applicants.y[inside].mean())
    assert sets["newly_declined"].low < sets["newly_declined"].observed < sets["newly_declined"].high
    assert sets["newly_declined"].expected > 0.08 > sets["newly_approved"].expected


def test_an_empty_set_has_no_figures() -> None:
    (_, newly, *_) = swap_sets(_applicants(), 0.0)
    assert newly.n == 0
    assert np.isnan(newly.expected)
    assert "no applicant" in newly.not_applicable.text()


def test_a_model_cannot_be_told_from_itself_and_a_noisy_one_brings_less() -> None:
    applicants = _applicants(6_000)
    same = compare_models(applicants, applicants.probability, _assumptions(100), 0.6, names=("A", "B"))
    assert (same.n_swapped, same.net[2], same.can_be_told) == (0, 0.0, False)
    assert "cannot be told apart" in str(same.verdict)
    noise = np.random.default_rng(1).random(6_000)
    worse = compare_models(applicants, noise, _assumptions(100), 0.6, names=("A", "B"))
    assert worse.can_be_told
    assert worse.bad_rate[0] < worse.bad_rate[1]
    assert str(worse.verdict).endswith("A brings more than B")
    back = compare_models(Applicants(**{**vars(applicants), "probability": noise}), applicants.probability,
                          _assumptions(100), 0.6, names=("B", "A"))  # fmt: skip
    assert back.net[2] == pytest.approx(-worse.net[2])


def test_both_models_approve_the_same_number() -> None:
    found = compare_models(
        _applicants(), np.random.default_rng(1).random(2_000), _assumptions(20), 0.5, names=("A", "B")
    )
    n = int((~np.isnan(_applicants().y)).sum())
    assert found.n == n
    assert 0 < found.n_swapped < n / 2
