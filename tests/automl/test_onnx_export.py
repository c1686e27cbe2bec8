"""ONNX out: onnxruntime gives our log-odds, probabilities and points, for nulls and odd levels too."""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import pytest

from automl.calibration import IDENTITY, Calibration
from automl.control import FitControl
from automl.families import make_family
from automl.families.ensemble import EnsembleModel
from automl.families.interface import Model, TrainingData
from automl.onnx_export import to_onnx
from automl.scale import ScoreScale
from core.errors import InputError
from features.plan import FeaturePlan

PLATT = Calibration("platt", (0.0,), (-0.3,), 0.8)
ISOTONIC = Calibration("isotonic", (-2.0, -1.0, 0.5), (-2.5, -0.8, 0.1), 0.9, shift=0.2)
BETA = Calibration("beta", (0.0,), (0.0,), 1.0, (0.7, 1.2, 0.1))


def _data(world: Callable) -> TrainingData:
    matrix, labels = world(900)
    return TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)


def _model(name: str, data: TrainingData, number: int = 0) -> Model:
    family, rows = make_family(name), np.arange(len(data.y))
    family.prepare(data)
    fit = family.fit(family.defaults(data)[number], data, rows[:600], rows[600:], seed=1, control=FitControl())
    return family.bag([fit.model])


def _run(content: bytes, values: np.ndarray) -> Sequence[np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return [out[:, 0] for out in session.run(["log_odds", "probability", "points"], {"features": values})]


def _odd(values: np.ndarray) -> np.ndarray:
    rows = values[:400].copy()
    rows[0], rows[1, :6], rows[2, :6], rows[3, :6] = np.nan, np.inf, -np.inf, 1e300
    rows[4, -1], rows[5, -1] = 3.0, 99.0
    return rows


def _check(model: Model, plan: FeaturePlan, values: np.ndarray, calibration: Calibration, scale: ScoreScale) -> None:
    log_odds, probability, points = _run(to_onnx(model, calibration, scale, plan), values)
    np.testing.assert_allclose(log_odds, model.margin(values), rtol=0, atol=1e-6)
    expected = calibration.apply(model.margin(values))
    np.testing.assert_allclose(probability, expected, rtol=0, atol=1e-6)
    near_half = np.abs(np.modf(np.abs(scale.points(expected) - points))[0]) > 0
    assert (np.abs(points - scale.points(expected)) <= 10.0**-scale.decimals).all()
    assert near_half.mean() < 0.01


@pytest.mark.parametrize("name", ["lightgbm", "forest", "logistic", "scorecard"])
@pytest.mark.parametrize("calibration", [IDENTITY, PLATT, ISOTONIC, BETA])
def test_every_number_is_ours(world: Callable, name: str, calibration: Calibration) -> None:
    data = _data(world)
    _check(_model(name, data), data.plan, _odd(data.values), calibration, ScoreScale())


def test_a_value_at_a_threshold_takes_our_branch(world: Callable) -> None:
    """Thresholds lie between doubles that are one and the same number in 32 bits."""
    data = _data(world)
    model = _model("lightgbm", data)
    rows = np.repeat(data.values[:50], 3, axis=0)
    for column in range(6):
        rows[1::3, column] = np.nextafter(rows[0::3, column], np.inf)
        rows[2::3, column] = np.nextafter(rows[0::3, column], -np.inf)
    _check(model, data.plan, rows, PLATT, ScoreScale())


def test_levels_are_looked_up_as_sets(world: Callable) -> None:
    data = _data(world)
    model = _model("lightgbm", data, number=2)
    assert "num_cat=0" not in model.text.split("Tree=1")[0] or "cat_threshold" in model.text  # type: ignore[attr-defined]
    rows = np.repeat(data.values[:30], 5, axis=0)
    rows[:, -1] = np.tile([0.0, 1.0, 2.0, 3.0, np.nan], 30)
    _check(model, data.plan, rows, PLATT, ScoreScale(500.0, 10.0, 40.0, decimals=2))


def test_an_ensemble_is_the_mean_of_its_members(world: Callable) -> None:
    data = _data(world)
    members = [_model(name, data) for name in ("lightgbm", "logistic", "scorecard")]
    _check(EnsembleModel(members, (0.5, 0.2, 0.3)), data.plan, _odd(data.values), ISOTONIC, ScoreScale())


def test_what_cannot_be_written_says_so(world: Callable) -> None:
    data = _data(world)
    with pytest.raises(InputError, match="catboost"):
        to_onnx(_model("catboost", data), IDENTITY, ScoreScale(), data.plan)
