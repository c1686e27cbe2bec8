"""Rejected applicants: weights and parcels worked by hand, honest folds, and a training that says what it did."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from automl.control import FitControl
from automl.families import make_family
from automl.families.interface import TrainingData
from automl.label import Labels
from automl.reject_inference import (
    InferringFamily,
    Rejects,
    _acceptance_weights,
    _parcelled,
    rejects_of,
    study_rejects,
)
from automl.ridge import fit_ridge
from automl.spec import RejectSpec, TrainSpec
from automl.split import Split, make_split
from automl.training import train
from core.errors import InputError
from features.matrix import FeatureMatrix


@pytest.fixture(scope="module")
def refused(world: Callable) -> tuple[FeatureMatrix, Labels, Split, np.ndarray, np.ndarray]:
    """A world by time in which the risky half by x0 is mostly refused, and their true outcomes."""
    matrix, labels = world(3_000, by_time=True)
    rng = np.random.default_rng(2)
    is_rejected = (np.nan_to_num(matrix.values[:, 0]) > 0.3) & (rng.random(len(labels)) < 0.7)
    truth = labels.y.copy()
    seen = replace(labels, y=np.where(is_rejected, np.nan, labels.y))
    return matrix, seen, make_split(seen, TrainSpec()), is_rejected, truth


def test_weights_are_one_over_the_share_accepted() -> None:
    accepted, rejected = np.array([0.0] * 8 + [1.0] * 2), np.array([0.0] * 2 + [1.0] * 8)
    weights = _acceptance_weights(accepted, rejected)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[-1] / weights[0] == pytest.approx((10 / 2) / (10 / 8))
    assert _acceptance_weights(accepted, np.array([1.0] * 900))[-1] / weights[0] < 10.0 / weights[0] + 1


def test_parcels_hold_the_odds_of_their_band_times_the_factor() -> None:
    accepted = np.array([0.0] * 1_000 + [1.0] * 1_000)
    y = np.array([1.0] * 100 + [0.0] * 900 + [1.0] * 500 + [0.0] * 500)
    rejected = np.array([0.0] * 1_000 + [1.0] * 1_000)
    for factor in (1.0, 2.0):
        outcome = _parcelled(accepted, y, rejected, factor, seed=1)
        for band, odds in ((rejected == 0, 100 / 900), (rejected == 1, 1.0)):
            assert outcome[band].mean() == pytest.approx(factor * odds / (1 + factor * odds), abs=0.005)


def test_a_weight_in_the_ridge_is_a_row_repeated() -> None:
    rng = np.random.default_rng(0)
    X, n = rng.normal(size=(80, 3)), rng.integers(1, 4, 80)
    y = (rng.random(80) < 0.4).astype(float)
    weighted = fit_ridge(X, y, 1.0, FitControl(), n.astype(float))
    repeated = fit_ridge(np.repeat(X, n, axis=0), np.repeat(y, n), 1.0, FitControl())
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-6)
    assert weighted[1] == pytest.approx(repeated[1], rel=1e-6)


def test_rejects_of_the_rows_left_out_stay_out(world: Callable) -> None:
    """What the fold is judged on must not reach the fit, neither by its entities nor by outcomes inferred from it."""
    matrix, labels = world(500)
    data = TrainingData(matrix.values[:400], labels.y[:400], labels.entities[:400], matrix.plan)
    rejects = Rejects(matrix.values[400:], np.concatenate([data.entities[300:350], labels.entities[450:]]))
    family = InferringFamily(make_family("logistic"), rejects, RejectSpec(method="fuzzy"))
    family.prepare(data)
    train_rows, test_rows = np.arange(300), np.arange(300, 400)
    full = family._inferred(data, train_rows, test_rows, 1, FitControl())
    weights = full.weights
    assert weights is not None
    assert not weights[400:450].any()
    assert (weights[450:500] > 0).all()
    np.testing.assert_allclose(weights[450:500] + weights[550:600], 1.0)
    turned = replace(data, y=np.where(np.arange(400) >= 300, 1 - data.y, data.y))
    again = family._inferred(turned, train_rows, test_rows, 1, FitControl())
    np.testing.assert_array_equal(again.weights, weights)


def test_only_the_rejects_of_the_training_period_enter(refused: tuple) -> None:
    matrix, labels, split, is_rejected, _ = refused
    rejects = rejects_of(matrix, labels, split, is_rejected)
    n_before = int((is_rejected & (labels.cutoffs <= labels.cutoffs[split.train].max())).sum())
    assert len(rejects) == n_before < is_rejected.sum()
    with pytest.raises(InputError, match="at least 20"):
        rejects_of(matrix, labels, split, np.zeros(len(labels), dtype=bool))


def test_the_study_shows_the_effect_and_its_sensitivity(refused: tuple) -> None:
    matrix, labels, split, is_rejected, truth = refused
    study = study_rejects(matrix, labels, split, is_rejected, TrainSpec(), factors=(1.0, 2.0))
    by_way = {(row.method, row.odds_factor): row for row in study.rows}
    none = by_way["none", 1.0]
    assert (none.gain, none.gain_low, none.gain_high) == (0.0, 0.0, 0.0)
    assert none.auc_low < none.auc < none.auc_high
    true_rate = truth[is_rejected].mean()
    assert none.reject_bad_rate == pytest.approx(true_rate, abs=0.08)  # refused by what is known, so no hidden bias
    assert none.accepted_bad_rate < none.reject_bad_rate
    for method in ("fuzzy", "parcelling"):
        assert by_way[method, 2.0].reject_bad_rate > by_way[method, 1.0].reject_bad_rate
    # Rejects as the model itself expects them teach it nothing new, but for what the penalty draws in.
    assert abs(by_way["fuzzy", 1.0].gain) < 0.02
    assert none.rejected_quantiles[2] > none.accepted_quantiles[2]
    # The grades hold every applicant once, as many in each; what is expected of them adds up to the overall rates.
    sizes = np.array([(grade.n_accepted, grade.n_rejected) for grade in study.grades])
    assert sizes.sum(axis=0).tolist() == [study.n_accepted, study.n_rejected]
    assert np.ptp(sizes.sum(axis=1)) <= 2
    for row in study.rows:
        for place, by_grade, rate in (
            (0, row.accepted_by_grade, row.accepted_bad_rate), (1, row.rejected_by_grade, row.reject_bad_rate)
        ):  # fmt: skip
            expected = np.array([value or 0.0 for value in by_grade])
            assert expected @ sizes[:, place] / sizes[:, place].sum() == pytest.approx(rate)
    assert list(none.accepted_by_grade) == sorted(none.accepted_by_grade)
    assert sum(grade.n_bad for grade in study.grades) == labels.y[split.train].sum()
    # The odds of a reject being twice those of an accepted one bring most where most were rejected.
    rise = [after - before for before, after in
            zip(by_way["parcelling", 1.0].rejected_by_grade, by_way["parcelling", 2.0].rejected_by_grade, strict=True)
            if before is not None]  # fmt: skip
    assert rise[-1] > 0


@pytest.mark.parametrize("method", ["parcelling", "fuzzy", "reweighting"])
def test_a_training_with_rejects_says_so_and_keeps_probabilities_right(refused: tuple, method: str) -> None:
    matrix, labels, split, is_rejected, _ = refused
    spec = TrainSpec(
        n_trials=1, families=["logistic", "lightgbm", "scorecard"], folds=2, bootstrap_draws=50, ensemble=False,
        reject_inference=RejectSpec(method=method, odds_factor=2.0),
    )  # fmt: skip
    result = train(matrix, labels, split, spec, is_rejected=is_rejected)
    found = {finding.code: finding for finding in result.findings}
    assert found["rejects_inferred"].severity.value == "watch"
    assert ("rejects_left_out" in found) == (method != "parcelling")
    assert len(result.out_of_fold_margin) == len(split.train)
    part = split.calibration if len(split.calibration) else split.train
    expected = result.probability(matrix.values[part]).mean()
    assert expected == pytest.approx(labels.y[part].mean(), abs=0.02)  # whatever the rejects were taken for


def test_rejects_are_left_out_unless_somebody_asks(refused: tuple) -> None:
    matrix, labels, split, is_rejected, _ = refused
    spec = TrainSpec(n_trials=1, families=["logistic"], folds=2, bootstrap_draws=50, ensemble=False)
    assert spec.reject_inference is None
    plain = train(matrix, labels, split, spec)
    told = train(matrix, labels, split, spec, is_rejected=is_rejected)
    assert plain.fingerprint == told.fingerprint
    with pytest.raises(InputError, match="who was refused"):
        train(matrix, labels, split, spec.model_copy(update={"reject_inference": RejectSpec()}))
