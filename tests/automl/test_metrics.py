"""Metrics against scikit-learn and SciPy, intervals against simulation."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from automl.evaluating import evaluate_sample, jeffreys_interval, score_psi
from automl.evaluation import METRIC_NAMES, Evaluation
from automl.metrics import (
    ScoreCounts,
    auc,
    auc_with_interval,
    metrics_with_intervals,
    paired_auc_difference,
    paired_differences,
)
from automl.scale import ScoreScale


def _sample(n: int, seed: int, *, digits: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.r_[1.0, 0.0, (rng.random(n - 2) < 0.3).astype(float)]
    probability = np.clip(1 / (1 + np.exp(-rng.normal(y - 1, 1.0))), 0.001, 0.999)
    return y, probability if digits is None else np.clip(probability.round(digits), 0.05, 0.95)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(4, 400), seed=st.integers(0, 10_000), digits=st.sampled_from([None, 1, 2]))
def test_metrics_equal_scikit_learn_and_scipy_with_and_without_ties(n: int, seed: int, digits: int | None) -> None:
    y, probability = _sample(n, seed, digits=digits)
    found = metrics_with_intervals(y, probability, 50, np.random.default_rng(0))
    assert found["auc"].value == pytest.approx(roc_auc_score(y, probability), abs=1e-12)
    assert found["gini"].value == pytest.approx(2 * roc_auc_score(y, probability) - 1, abs=1e-12)
    assert found["ks"].value == pytest.approx(ks_2samp(probability[y == 1], probability[y == 0]).statistic, abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(y, probability), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(log_loss(y, probability), abs=1e-12)
    assert (found["auc"].n, found["auc"].n_bad) == (n, int(y.sum()))


def test_lift_is_the_share_of_bads_in_the_riskiest_tenth() -> None:
    probability = np.linspace(0.01, 0.99, 100)
    y = np.zeros(100)
    y[[99, 98, 97, 95, 50, 20, 10, 5]] = 1  # 4 of 8 bads among the last 10 rows
    found = metrics_with_intervals(y, probability, 50, np.random.default_rng(0))
    assert found["lift_10"].value == pytest.approx(0.5 / 0.1)


def test_lift_of_equal_scores_is_one() -> None:
    y = np.r_[np.ones(20), np.zeros(80)]
    found = metrics_with_intervals(y, np.full(100, 0.2), 50, np.random.default_rng(0))
    assert found["lift_10"].value == pytest.approx(1.0)
    assert found["auc"].value == pytest.approx(0.5)


def test_a_draw_keeps_the_number_of_rows_and_has_both_classes() -> None:
    y, probability = _sample(300, 3)
    drawn = [ScoreCounts.of(y, probability).draw(np.random.default_rng(seed)) for seed in range(200)]
    assert {bads.sum() + goods.sum() for bads, goods in drawn} == {300}
    n_bads = np.array([bads.sum() for bads, _ in drawn])
    assert n_bads.std() == pytest.approx(np.sqrt(300 * y.mean() * (1 - y.mean())), rel=0.2)
    few = ScoreCounts.of(np.r_[1.0, np.zeros(9)], np.arange(10) / 10)
    assert all(few.draw(np.random.default_rng(seed))[0].sum() >= 1 for seed in range(50))


def test_the_interval_of_a_brier_score_is_as_wide_as_that_of_a_mean() -> None:
    y, probability = _sample(2_000, 5)
    found = metrics_with_intervals(y, probability, 600, np.random.default_rng(0))
    for name, losses in (
        ("brier", (probability - y) ** 2),
        ("log_loss", -np.where(y == 1, np.log(probability), np.log1p(-probability))),
    ):
        width = 2 * norm.ppf(0.975) * losses.std() / np.sqrt(len(y))
        assert found[name].high - found[name].low == pytest.approx(width, rel=0.12), name


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = norm.cdf(1 / np.sqrt(2))  # AUC of N(1, 1) against N(0, 1)
    n_worlds, covered = 200, 0
    for seed in range(n_worlds):
        rng = np.random.default_rng(seed)
        y = np.r_[np.ones(80), np.zeros(220)]
        probability = 1 / (1 + np.exp(-(rng.normal(y, 1.0))))
        found = metrics_with_intervals(y, probability, 200, rng)["auc"]
        covered += found.low <= truth <= found.high
    # 95 % nominal; three standard errors of 200 worlds are 4.6 points.
    assert 0.89 <= covered / n_worlds <= 0.995


def test_the_interval_narrows_with_the_root_of_the_rows() -> None:
    widths = []
    for n in (1_000, 16_000):
        found = metrics_with_intervals(*_sample(n, 1), 300, np.random.default_rng(0))["auc"]
        widths.append(found.high - found.low)
    assert widths[0] / widths[1] == pytest.approx(4.0, rel=0.3)


def test_the_paired_difference_is_narrower_than_the_models_apart() -> None:
    y, probability = _sample(2_000, 1)
    noisy = probability + np.random.default_rng(2).normal(0, 0.05, 2_000)
    value, low, high = paired_auc_difference(y, probability, noisy, 300, np.random.default_rng(0))
    alone = metrics_with_intervals(y, probability, 300, np.random.default_rng(0))["auc"]
    assert value == pytest.approx(roc_auc_score(y, probability) - roc_auc_score(y, noisy), abs=1e-12)
    assert low < value < high
    assert high - low < 0.5 * (alone.high - alone.low)


def test_a_model_cannot_be_told_from_itself() -> None:
    y, probability = _sample(500, 1)
    assert paired_auc_difference(y, probability, probability.copy(), 100, np.random.default_rng(0)) == (0, 0, 0)


def test_auc_takes_any_scores() -> None:
    y, probability = _sample(200, 9)
    margin = np.log(probability / (1 - probability))
    assert auc(y, margin) == pytest.approx(auc(y, probability), abs=1e-12)


def test_thirty_thousand_rows_and_five_hundred_draws_take_under_three_seconds_of_processor() -> None:
    y, probability = _sample(30_000, 1)
    started = time.process_time()
    metrics_with_intervals(y, probability, 500, np.random.default_rng(0))
    assert time.process_time() - started < 3


def _evaluated() -> tuple[np.ndarray, np.ndarray, Evaluation]:
    y, probability = _sample(1_000, 4)
    sample = evaluate_sample("holdout", y, probability, ScoreScale(), n_draws=60, seed=1)
    psi = score_psi(probability[:500], probability[500:], int(y[500:].sum()), n_draws=60, seed=1)
    return y, probability, Evaluation({"holdout": sample}, "holdout", psi)


def test_an_evaluation_counts_every_row_once_in_every_view() -> None:
    y, _, evaluation = _evaluated()
    sample = evaluation.best
    for view in (sample.deciles, sample.calibration):
        assert sum(bucket.n for bucket in view) == 1_000
        assert sum(bucket.n_bad for bucket in view) == y.sum()
    assert sum(sample.distribution.good) + sum(sample.distribution.bad) == 1_000
    assert sum(n for _, n, _ in sample.grades) == 1_000
    rates = [bucket.mean_probability for bucket in sample.deciles]
    assert rates == sorted(rates, reverse=True)


def test_the_roc_curve_runs_from_corner_to_corner_and_its_largest_gap_is_the_ks() -> None:
    _, _, evaluation = _evaluated()
    roc = np.array(evaluation.best.roc)
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    assert len(roc) <= 200
    assert (roc[:, 1] - roc[:, 0]).max() == pytest.approx(evaluation.metric("ks").value, abs=1e-12)


def test_an_evaluation_survives_json() -> None:
    _, _, evaluation = _evaluated()
    assert Evaluation.from_json(evaluation.to_json()) == evaluation
    assert set(evaluation.best.metrics) == set(METRIC_NAMES)


def test_equal_scores_have_no_psi_and_shifted_ones_have_much() -> None:
    scores = np.random.default_rng(0).normal(size=2_000)
    assert score_psi(scores, scores, 0, n_draws=50, seed=0).value == pytest.approx(0, abs=1e-12)
    shifted = score_psi(scores, scores + 1, 0, n_draws=50, seed=0)
    assert shifted.low < shifted.value < shifted.high
    assert shifted.value > 0.5


def test_the_jeffreys_interval_of_five_of_fifty() -> None:
    # Brown, Cai and DasGupta (2001), the beta quantiles: (0.0399, 0.2058).
    low, high = jeffreys_interval(5, 50)
    assert (low, high) == (pytest.approx(0.0399, abs=1e-3), pytest.approx(0.2058, abs=1e-3))
    assert jeffreys_interval(0, 10)[0] == 0
    assert jeffreys_interval(10, 10)[1] == 1


def test_whole_entities_are_drawn_where_one_has_several_rows() -> None:
    """Four copies of each row, of one entity, are one witness: the interval is that of the rows written once."""
    y, probability = _sample(400, 5)
    once = metrics_with_intervals(y, probability, 400, np.random.default_rng(0))
    copies, entities = (np.tile(y, 4), np.tile(probability, 4)), np.tile(np.arange(400), 4)
    together = metrics_with_intervals(*copies, 400, np.random.default_rng(0), entities)
    apart = metrics_with_intervals(*copies, 400, np.random.default_rng(0))
    for name in ("auc", "ks", "brier", "log_loss"):
        width = once[name].high - once[name].low
        assert together[name].value == pytest.approx(once[name].value, abs=1e-12)
        assert together[name].high - together[name].low == pytest.approx(width, rel=0.15)
        assert apart[name].high - apart[name].low == pytest.approx(width / 2, rel=0.2)


def test_entities_of_one_row_each_change_nothing() -> None:
    y, probability = _sample(300, 6)
    keys = np.array([f"E{i}" for i in range(300)], dtype=object)
    alone = metrics_with_intervals(y, probability, 100, np.random.default_rng(0))
    assert metrics_with_intervals(y, probability, 100, np.random.default_rng(0), keys) == alone


def test_both_scores_see_the_same_entities() -> None:
    y, probability = _sample(400, 7)
    copies = (np.tile(y, 3), np.tile(probability, 3))
    entities = np.tile(np.arange(400), 3)
    found = paired_differences(*copies, copies[1].copy(), 50, np.random.default_rng(0), entities)
    assert found["auc"][2:] == (0.0, 0.0, 0.0)


def test_the_interval_of_a_difference_draws_entities_not_rows() -> None:
    """Rows that repeat an entity are no new witnesses: three copies of everybody tell as much as one."""
    y, probability = _sample(400, 8)
    noisy = probability + np.random.default_rng(9).normal(0, 0.1, 400)
    once = paired_auc_difference(y, probability, noisy, 400, np.random.default_rng(0))
    copies, entities = [np.tile(one, 3) for one in (y, probability, noisy)], np.tile(np.arange(400), 3)
    as_rows = paired_auc_difference(*copies, 400, np.random.default_rng(0))
    as_entities = paired_auc_difference(*copies, 400, np.random.default_rng(0), entities)
    assert as_entities[0] == pytest.approx(once[0], abs=1e-12)
    assert as_entities[2] - as_entities[1] == pytest.approx(once[2] - once[1], rel=0.2)
    assert as_rows[2] - as_rows[1] < 0.7 * (as_entities[2] - as_entities[1])


def test_the_auc_of_any_scores_has_the_interval_of_the_metrics() -> None:
    y, probability = _sample(400, 3)
    entities = np.repeat(np.arange(200), 2)
    alone = metrics_with_intervals(y, probability, 100, np.random.default_rng(0), entities)["auc"]
    found = auc_with_interval(y, 10 * probability, 100, np.random.default_rng(0), entities)
    assert found == pytest.approx((alone.value, alone.low, alone.high), abs=1e-12)
