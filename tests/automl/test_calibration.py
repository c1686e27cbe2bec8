"""Calibration, points and grades: against scikit-learn, by hand, and by trying every cut."""

import json
from dataclasses import asdict
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from automl.calibrating import (
    CalibrationReport,
    calibrate,
    choose_calibration,
    fit_beta,
    fit_isotonic,
    fit_master_scale,
    fit_platt,
)
from automl.calibration import IDENTITY, Calibration, log_odds, sigmoid
from automl.scale import ScoreScale
from core.errors import IntegrityError


def _margins(n: int, seed: int, slope: float = 0.5, shift: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margin = rng.normal(0, 1.5, n)
    return margin, (rng.random(n) < sigmoid(slope * margin + shift)).astype(float)


def test_platt_equals_an_unpenalised_logistic_regression_where_rows_are_many() -> None:
    margin, y = _margins(20_000, 1)
    ours = fit_platt(margin, y)
    theirs = LogisticRegression(C=np.inf).fit(margin[:, None], y)
    assert ours.slope == pytest.approx(theirs.coef_[0, 0], abs=2e-3)
    assert ours.log_odds[0] == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_platt_stays_finite_where_margins_separate_the_classes() -> None:
    calibration = fit_platt(np.r_[np.full(20, -3.0), np.full(20, 3.0)], np.r_[np.zeros(20), np.ones(20)])
    assert 0 < calibration.slope < 10


def test_a_margin_that_runs_against_the_outcome_is_not_turned_round() -> None:
    margin, y = _margins(2_000, 3, slope=-0.8)
    calibration = fit_platt(margin, y)
    assert calibration.slope == 1.0


@settings(max_examples=30, deadline=None)
@given(n=st.integers(40, 2_000), seed=st.integers(0, 1_000), digits=st.sampled_from([1, 8]))
@example(n=80, seed=80, digits=1)
def test_every_calibration_keeps_the_order_and_stays_inside_zero_and_one(n: int, seed: int, digits: int) -> None:
    margin, y = _margins(n, seed)
    margin, y = margin.round(digits), np.r_[1.0, 0.0, y[2:]]
    grid = np.linspace(-15, 15, 500)
    for fitted in (
        fit_platt(margin, y),
        fit_beta(margin, y),
        fit_isotonic(margin, y),
        choose_calibration(margin, y, 1),
    ):
        probability = fitted.apply(grid)
        assert (np.diff(fitted.log_odds_of(grid)) > 0).all()
        # Where a steep line leaves 1e-12 behind, probabilities are held there.
        is_held = (probability <= 1e-12) | (probability >= 1 - 1e-12)
        assert (np.diff(probability[~is_held]) > 0).all()
        assert (np.diff(probability) >= 0).all()
        assert probability.min() > 0
        assert probability.max() < 1


def test_isotonic_is_chosen_where_one_line_does_not_fit() -> None:
    rng = np.random.default_rng(5)
    margin = rng.uniform(-3, 3, 20_000)
    y = (rng.random(20_000) < sigmoid(0.3 * margin**3 - 1)).astype(float)
    assert choose_calibration(margin, y, 1).method == "isotonic"
    assert choose_calibration(*_margins(20_000, 6), 1).method == "platt"


def test_platt_is_taken_where_bads_are_few() -> None:
    margin, y = _margins(300, 2)
    assert y.sum() < 100
    assert choose_calibration(margin, y, 1).method == "platt"


def test_calibrated_probabilities_mean_what_they_say() -> None:
    margin, y = _margins(40_000, 8, slope=0.4)
    for fitted in (fit_platt(margin, y), fit_isotonic(margin, y)):
        probability = fitted.apply(margin)
        assert probability.mean() == pytest.approx(y.mean(), abs=0.003)
        for part in np.array_split(np.argsort(probability), 10):
            assert y[part].mean() == pytest.approx(probability[part].mean(), abs=0.03)


def test_a_calibration_survives_json_bit_for_bit() -> None:
    margin, y = _margins(3_000, 1)
    fitted = fit_isotonic(margin, y)
    again = Calibration.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    np.testing.assert_array_equal(again.apply(margin), fitted.apply(margin))


@pytest.mark.parametrize(
    "changes", [{"slope": 0.0}, {"slope": -1.0}, {"margins": [1.0, 0.0]}, {"log_odds": [1.0, 0.0]}, {"margins": []}]
)
def test_a_stored_calibration_that_does_not_increase_is_refused(changes: dict[str, object]) -> None:
    stored = {"method": "isotonic", "margins": [0.0, 1.0], "log_odds": [0.0, 1.0], "slope": 1.0}
    with pytest.raises(IntegrityError):
        Calibration.from_json({**stored, **changes})


def test_the_identity_changes_nothing() -> None:
    margin = np.linspace(-5, 5, 11)
    np.testing.assert_allclose(log_odds(IDENTITY.apply(margin)), margin, atol=1e-12)


def test_points_double_the_odds_as_they_say() -> None:
    scale = ScoreScale(base_points=600, base_odds=20, pdo=20)
    odds = np.array([20.0, 40.0, 10.0, 5.0])  # goods to one bad
    assert scale.points(1 / (1 + odds)).tolist() == [600, 620, 580, 560]
    np.testing.assert_allclose(scale.probability(np.array([600.0, 620.0])), [1 / 21, 1 / 41])


def test_points_fall_as_risk_rises_at_every_extreme() -> None:
    points = ScoreScale().points(np.array([0.0, 1e-12, 0.01, 0.5, 0.99, 1.0]))
    assert np.isfinite(points).all()
    assert (np.diff(points) <= 0).all()


def test_grades_have_rising_bad_rates_and_at_least_seven_steps() -> None:
    margin, y = _margins(5_000, 1, slope=1.0)
    master, findings = fit_master_scale(sigmoid(margin - 1), y)
    rates = [grade.bad_rate for grade in master.grades]
    assert len(rates) >= 7
    assert not findings
    assert all(np.diff(rates) > 0)
    assert sum(grade.n for grade in master.grades) == 5_000
    assert min(grade.n for grade in master.grades) >= 0.02 * 5_000
    assert [grade.name for grade in master.grades] == list("ABCDEFGH")[: len(rates)]


def test_grades_of_few_bads_are_bands_and_a_finding_says_so() -> None:
    rng = np.random.default_rng(0)
    master, findings = fit_master_scale(sigmoid(rng.normal(-6, 0.1, 200)), (rng.random(200) < 0.06).astype(float))
    assert len(master.grades) >= 7
    assert [finding.code for finding in findings] == ["grades_not_proven"]
    rates = [grade.bad_rate for grade in master.grades]
    assert all(np.diff(rates) > 0)


def test_a_grade_begins_at_its_lower_bound() -> None:
    margin, y = _margins(5_000, 1, slope=1.0)
    master, _ = fit_master_scale(sigmoid(margin), y)
    scale = ScoreScale(master=master)
    bound = master.grades[2].upper
    assert scale.grade(np.array([np.nextafter(bound, 0), bound])).tolist() == ["C", "D"]
    assert scale.grade(np.array([0.0, 1.0])).tolist() == ["A", master.grades[-1].name]


def test_the_scale_survives_json_bit_for_bit() -> None:
    margin, y = _margins(5_000, 1, slope=1.0)
    scale = ScoreScale(master=fit_master_scale(sigmoid(margin), y)[0])
    assert ScoreScale.from_json(json.loads(json.dumps(scale.to_json()))) == scale


def test_the_grades_are_the_most_likely_of_all_that_rise() -> None:
    from automl import calibrating

    rng = np.random.default_rng(3)
    n = np.full(9, 100)
    n_bad = np.array([2, 5, 4, 9, 8, 20, 18, 30, 41]).astype(float) + rng.integers(0, 2, 9)
    wanted = calibrating._monotone_cuts(n, n_bad, 4)
    best, best_value = None, -np.inf
    for cuts in combinations(range(1, 9), 3):
        edges = [0, *cuts, 9]
        size = np.array([n[a:b].sum() for a, b in pairwise(edges)], dtype=float)
        bad = np.array([n_bad[a:b].sum() for a, b in pairwise(edges)])
        value = calibrating._likelihood(bad, size).sum()
        if (np.diff(bad / size) > 0).all() and value > best_value:
            best, best_value = list(cuts), value
    assert wanted == best


def test_beta_finds_the_bend_it_was_drawn_with_and_equals_a_logistic_regression() -> None:
    rng = np.random.default_rng(4)
    margin = rng.normal(-1, 2.5, 60_000)
    a, b, c = 0.5, 1.6, -0.3
    truth = a * -np.logaddexp(0, -margin) + b * np.logaddexp(0, margin) + c
    y = (rng.random(60_000) < sigmoid(truth)).astype(float)
    found = fit_beta(margin, y)
    assert found.bend == pytest.approx((a, b, c), abs=0.08)
    columns = np.column_stack([np.log(sigmoid(margin)), -np.log1p(-sigmoid(margin))])
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(columns, y)
    assert found.bend == pytest.approx((*theirs.coef_[0], theirs.intercept_[0]), abs=5e-3)


def test_a_weight_below_zero_is_left_out_of_beta_and_the_map_still_increases() -> None:
    rng = np.random.default_rng(4)
    margin = rng.normal(0, 2, 5_000)
    y = (rng.random(5_000) < sigmoid(np.minimum(margin, 0) - 0.6 * np.maximum(margin, 0))).astype(float)
    found = fit_beta(margin, y)
    assert (np.diff(found.apply(np.linspace(-15, 15, 200))) > 0).all()


def test_each_way_is_chosen_where_it_fits_and_the_report_shows_what_was_compared() -> None:
    rng = np.random.default_rng(2)
    margin = rng.normal(-1, 2.5, 30_000)
    bent = 0.3 * -np.logaddexp(0, -margin) + 1.8 * np.logaddexp(0, margin) - 0.5
    y = (rng.random(30_000) < sigmoid(bent)).astype(float)
    calibration, report, findings = calibrate(margin, y, seed=1)
    assert calibration.method == report.method == "beta"
    assert [trial.method for trial in report.trials] == ["platt", "beta", "isotonic"]
    best = min(report.trials, key=lambda trial: trial.log_loss)
    assert best.gain > best.gain_error > 0
    assert report.trials[0].gain == 0
    assert not findings
    assert CalibrationReport.from_json(json.loads(json.dumps(asdict(report)))) == report


def test_a_line_is_taken_where_points_must_hold_it_and_the_others_are_still_shown() -> None:
    rng = np.random.default_rng(2)
    margin = rng.normal(-1, 2.5, 30_000)
    bent = 0.3 * -np.logaddexp(0, -margin) + 1.8 * np.logaddexp(0, margin) - 0.5
    y = (rng.random(30_000) < sigmoid(bent)).astype(float)
    calibration, report, _ = calibrate(margin, y, seed=1, straight=True, long_run_bad_rate=0.3)
    assert calibration.method == report.method == "platt"
    assert report.is_straight
    assert report.trials[1].gain > report.trials[1].gain_error
    slope, intercept = calibration.line
    np.testing.assert_allclose(slope * margin + intercept, calibration.log_odds_of(margin), atol=1e-9)
    assert CalibrationReport.from_json(json.loads(json.dumps(asdict(report)))) == report
    free, _, _ = calibrate(margin, y, seed=1)
    with pytest.raises(ValueError, match="straight"):
        free.line  # noqa: B018  # the property refuses


def test_the_prior_correction_brings_the_mean_to_the_long_run_rate_and_keeps_the_order() -> None:
    margin, y = _margins(5_000, 3, shift=-2.5)
    plain, _, _ = calibrate(margin, y, seed=1)
    moved, report, findings = calibrate(margin, y, seed=1, long_run_bad_rate=0.15)
    assert moved.apply(margin).mean() == pytest.approx(0.15, abs=1e-9)
    assert report.prior.before == pytest.approx(plain.apply(margin).mean(), abs=1e-12)
    assert (report.prior.is_capped, [finding.code for finding in findings]) == (False, ["prior_corrected"])
    np.testing.assert_allclose(moved.log_odds_of(margin) - plain.log_odds_of(margin), report.prior.shift, atol=1e-12)
    again = Calibration.from_json(json.loads(json.dumps(moved.to_json())))
    np.testing.assert_array_equal(again.apply(margin), moved.apply(margin))


@pytest.mark.parametrize("target", [0.6, 0.001])
def test_a_correction_beyond_the_cap_is_cut_and_says_so(target: float) -> None:
    margin, y = _margins(5_000, 3, shift=-2.5)
    moved, report, findings = calibrate(margin, y, seed=1, long_run_bad_rate=target, most_odds_factor=2.0)
    assert report.prior.is_capped
    assert abs(report.prior.shift) == pytest.approx(np.log(2))
    assert report.prior.after == pytest.approx(moved.apply(margin).mean())
    assert [finding.code for finding in findings] == ["prior_capped"]


@pytest.mark.parametrize(
    "changes",
    [{"shift": float("nan")}, {"bend": [0.0, 1.0, 0.0]}, {"bend": [1.0, -1.0, 0.0]}, {"bend": [1, 1, np.inf]}],
)
def test_a_stored_shift_or_bend_that_makes_no_map_is_refused(changes: dict[str, object]) -> None:
    stored = {"method": "beta", "margins": [0.0], "log_odds": [0.0], "slope": 1.0, "bend": [1.0, 1.0, 0.0]}
    with pytest.raises(IntegrityError):
        Calibration.from_json({**stored, **changes})


def test_a_calibration_stored_before_there_were_shifts_is_read_as_it_was() -> None:
    stored = {"method": "platt", "margins": [0.0], "log_odds": [-1.0], "slope": 0.5}
    assert Calibration.from_json(stored) == Calibration("platt", (0.0,), (-1.0,), 0.5)


def test_bands_of_few_bads_expect_the_mean_probability_of_their_rows() -> None:
    rng = np.random.default_rng(0)
    probability = sigmoid(rng.normal(-3, 1.0, 400))
    master, findings = fit_master_scale(probability, np.r_[np.ones(12), np.zeros(388)])
    index = master.index(probability)
    for i, grade in enumerate(master.grades):
        if grade.n:
            assert grade.bad_rate == pytest.approx(probability[index == i].mean())
    assert "rise over" in str(findings[0].message)
