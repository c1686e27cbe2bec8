"""Tests of probabilities against SciPy, hand-worked tables and worlds in which they are true."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import beta, binom, chi2

from automl.backtest import CalibrationTest, backtest, hosmer_lemeshow, rate_test
from automl.scale import Grade, MasterScale, ScoreScale

_SCALE = ScoreScale(
    master=MasterScale((Grade("A", 0.05, 0.02, 0, 0), Grade("B", 0.2, 0.1, 0, 0), Grade("C", 1.0, 0.3, 0, 0)))
)


def _rows(n: int, n_bad: int, expected: float) -> tuple[np.ndarray, np.ndarray]:
    return np.r_[np.ones(n_bad), np.zeros(n - n_bad)], np.full(n, expected)


def test_the_binomial_test_sums_all_outcomes_as_unlikely_as_the_one_seen() -> None:
    found = rate_test("A", *_rows(50, 9, 0.1))
    chances = binom.pmf(np.arange(51), 50, 0.1)
    assert found.binomial_p == pytest.approx(chances[chances <= chances[9] * (1 + 1e-9)].sum(), abs=1e-12)


def test_the_jeffreys_test_is_the_tail_of_the_posterior_of_the_rate() -> None:
    found = rate_test("A", *_rows(400, 14, 0.02))
    assert found.jeffreys_p == pytest.approx(2 * beta.cdf(0.02, 14.5, 386.5), abs=1e-12)
    assert found.is_low


@pytest.mark.parametrize(("n_bad", "light"), [(20, "good"), (31, "watch"), (36, "bad"), (11, "watch"), (2, "watch")])
def test_lights_of_a_thousand_rows_expected_at_two_percent(n_bad: int, light: str) -> None:
    # Expected 20. Too few bads are the safe side: never worse than watch.
    assert rate_test("A", *_rows(1_000, n_bad, 0.02)).light == light


def test_a_grade_without_rows_has_no_light() -> None:
    found = backtest(*_rows(100, 10, 0.1), _SCALE)
    assert [(grade.name, grade.n, grade.light) for grade in found.grades] == [
        ("A", 0, "none"), ("B", 100, "good"), ("C", 0, "none"),
    ]  # fmt: skip


def test_hosmer_and_lemeshow_of_two_groups_by_hand() -> None:
    # 100 rows at .1 with 14 bads, 100 at .3 with 24: (14-10)^2 / 9 + (24-30)^2 / 21, two degrees of freedom.
    first, second = _rows(100, 14, 0.1), _rows(100, 24, 0.3)
    y, probability = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    statistic, degrees, p_value = hosmer_lemeshow(y, probability, n_groups=2)
    assert statistic == pytest.approx(16 / 9 + 36 / 21)
    assert (degrees, p_value) == (2, pytest.approx(chi2.sf(16 / 9 + 36 / 21, 2)))


def test_groups_that_expect_fewer_than_five_bads_are_put_together() -> None:
    probability = np.linspace(0.001, 0.05, 1_000)
    y = np.zeros(1_000)
    y[::50] = 1
    assert hosmer_lemeshow(y, probability)[1] < 10
    statistic, degrees, p_value = hosmer_lemeshow(y[:50], probability[:50])
    assert (statistic is None, p_value is None) == (degrees < 1, degrees < 1)


def test_a_fitted_calibration_costs_two_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.05, 0.5, 2_000)
    y = (rng.random(2_000) < probability).astype(float)
    assert hosmer_lemeshow(y, probability)[1] - hosmer_lemeshow(y, probability, is_fitted=True)[1] == 2


def test_true_probabilities_are_refused_about_as_often_as_the_level_says() -> None:
    refused = {"hosmer": 0, "binomial": 0, "jeffreys": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        probability = 1 / (1 + np.exp(-rng.normal(-2.0, 1.0, 1_500)))
        y = (rng.random(1_500) < probability).astype(float)
        found = backtest(y, probability, _SCALE)
        refused["hosmer"] += found.p_value < 0.05
        refused["binomial"] += found.overall.binomial_p < 0.05
        refused["jeffreys"] += found.overall.jeffreys_p < 0.05
    # 5 % nominal; rows are not identical, so that the number of bads varies a little less than a binomial does.
    assert all(0.005 <= count / 300 <= 0.09 for count in refused.values()), refused


def test_probabilities_half_as_high_as_they_should_be_are_refused_everywhere() -> None:
    rng = np.random.default_rng(1)
    probability = rng.uniform(0.02, 0.4, 4_000)
    y = (rng.random(4_000) < probability).astype(float)
    found = backtest(y, probability / 2, _SCALE)
    assert (found.light, found.overall.light) == ("bad", "bad")
    assert {grade.light for grade in found.grades if grade.n} == {"bad"}


def test_tests_survive_json() -> None:
    found = backtest(*_rows(300, 40, 0.12), _SCALE)
    assert CalibrationTest.from_json(json.loads(json.dumps(asdict(found), allow_nan=False))) == found
