import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from core.errors import InputError
from monitoring.performance import Performance, measure_performance


def make_cases(n: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 12, n)
    return probability, (rng.random(n) < probability).astype(float)


def test_separation_agrees_with_scikit_learn_on_the_matured_cases_only() -> None:
    probability, outcome = make_cases()
    outcome[::3] = np.nan
    known = np.isfinite(outcome)
    performance = measure_performance(probability, outcome, period="2025")
    fpr, tpr, _ = roc_curve(outcome[known], probability[known])
    assert performance.metrics["auc"].value == pytest.approx(roc_auc_score(outcome[known], probability[known]))
    assert performance.metrics["ks"].value == pytest.approx(np.max(tpr - fpr))
    assert performance.metrics["auc"].low < performance.metrics["auc"].value < performance.metrics["auc"].high
    assert performance.n_matured == known.sum()
    assert performance.immature_share == pytest.approx(1 / 3, abs=1e-3)
    assert performance.bad_rate == pytest.approx(outcome[known].mean())
    assert "33.4% of 2000 outcomes are still open" in str(performance.note)


def test_too_few_bad_cases_give_a_reason_instead_of_a_figure() -> None:
    performance = measure_performance([0.1] * 50, [1.0] * 9 + [0.0] * 41)
    assert performance.metrics == {}
    assert performance.not_applicable is not None
    assert "41 good and 9 bad" in performance.not_applicable.text()


def test_no_outcome_at_all_is_no_error() -> None:
    performance = measure_performance([0.1, 0.2], [np.nan, np.nan])
    assert performance.bad_rate is None
    assert performance.matured_share == 0.0
    assert measure_performance([], []).matured_share == 0.0


@pytest.mark.parametrize("given", [make_cases(), ([0.1] * 3, [1.0, 0.0, np.nan])])
def test_the_figures_survive_json(given: tuple[np.ndarray, np.ndarray]) -> None:
    performance = measure_performance(*given, period="p")
    assert Performance.from_json(json.loads(json.dumps(performance.to_json()))) == performance


@pytest.mark.parametrize("outcome", [[0.0, 2.0], [1.0]])
def test_outcomes_that_are_none_are_refused(outcome: list[float]) -> None:
    with pytest.raises(InputError):
        measure_performance([0.1, 0.2], outcome)
