"""ONNX out: onnxruntime gives our log-odds, probabilities and points, for nulls and odd levels too."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.calibration import IDENTITY, Calibration
from automl.control import FitControl
from automl.exchange_boosting import rounded_below
from automl.families import make_family
from automl.families.ensemble import EnsembleModel
from automl.families.interface import Model, TrainingData
from automl.onnx_export import to_onnx
from automl.scale import ScoreScale
from automl.scorecard.bins import Special
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.fitting import fit_card
from automl.scorecard.model import ScorecardModel
from automl.scorecard.spec import ScorecardSpec
from core.errors import InputError
from features.plan import FeaturePlan

PLATT = Calibration("platt", (0.0,), (-0.3,), 0.8)
ISOTONIC = Calibration("isotonic", (-2.0, -1.0, 0.5), (-2.5, -0.8, 0.1), 0.9, shift=0.2)
BETA = Calibration("beta", (0.0,), (0.0,), 1.0, (0.7, 1.2, 0.1))


def _data(world: Callable) -> TrainingData:
    matrix, labels = world(900)
    return TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)


def _model(name: str, data: TrainingData, number: int = 0) -> Model:
    data = replace(data, is_portable=True)
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


@pytest.mark.parametrize(
    ("name", "calibration"),
    [
        *((name, form) for name in ("lightgbm", "forest", "logistic", "scorecard") for form in (IDENTITY, PLATT, BETA)),
        ("lightgbm", ISOTONIC),
        ("xgboost", ISOTONIC),
        ("catboost", BETA),
    ],
)
def test_every_number_is_ours(world: Callable, name: str, calibration: Calibration) -> None:
    data = _data(world)
    _check(_model(name, data), data.plan, _odd(data.values), calibration, ScoreScale())


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_value_at_a_threshold_takes_our_branch(world: Callable, name: str) -> None:
    """Thresholds lie between doubles that are one and the same number in 32 bits."""
    data = _data(world)
    model = _model(name, data)
    rows = np.repeat(data.values[:50], 3, axis=0)
    for column in range(6):
        rows[1::3, column] = np.nextafter(rows[0::3, column], np.inf)
        rows[2::3, column] = np.nextafter(rows[0::3, column], -np.inf)
    _check(model, data.plan, rows, PLATT, ScoreScale())


@given(
    limit=st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 3e38),
    steps=st.integers(-3, 3),
    nudge=st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_a_test_of_a_rounded_number_is_one_of_the_number_itself(limit: float, steps: int, nudge: float) -> None:
    mode, value = rounded_below(limit)
    near = np.float32(limit)
    for _ in range(abs(steps)):
        near = np.nextafter(near, np.float32(np.inf * steps))
    # Beside, at and between the numbers that 32 bits can hold.
    for start in (float(near), value):
        x = float(np.nextafter(start, np.inf * nudge)) if nudge else start
        if abs(x) < float(np.finfo(np.float32).max):
            assert (x <= value if mode == "BRANCH_LEQ" else x < value) == bool(np.float32(x) < np.float32(limit))


@pytest.mark.parametrize("name", ["xgboost", "catboost"])
def test_encoded_levels_take_our_branch(world: Callable, name: str) -> None:
    data = _data(world)
    column = data.categories[0]
    model = _model(name, data)
    n_levels = len(data.plan.levels[data.plan.aliases[column]])
    rows = np.repeat(data.values[:60], n_levels + 3, axis=0)
    rows[:, column] = np.tile([*range(n_levels), n_levels, 99.0, np.nan], 60)
    _check(model, data.plan, rows, PLATT, ScoreScale())
    assert len(np.unique(model.margin(rows).round(9))) > 60


def test_pairs_of_levels_are_refused_with_a_way_out(world: Callable) -> None:
    data = _data(world)
    family, rows = make_family("catboost"), np.arange(len(data.y))
    native, portable = family.defaults(data)[0], family.defaults(replace(data, is_portable=True))[0]
    assert (native["encode_levels"], portable["encode_levels"]) == (False, True)
    fit = family.fit(native, data, rows[:600], rows[600:], seed=1, control=FitControl(), rounds=5)
    with pytest.raises(InputError, match="pairs of levels") as caught:
        to_onnx(family.bag([fit.model]), PLATT, ScoreScale(), data.plan)
    assert "portable" in str(caught.value.fix)


def test_levels_are_looked_up_as_sets(world: Callable) -> None:
    data = _data(world)
    model = _model("lightgbm", data, number=2)
    assert "num_cat=0" not in model.text.split("Tree=1")[0] or "cat_threshold" in model.text  # type: ignore[attr-defined]
    rows = np.repeat(data.values[:30], 5, axis=0)
    rows[:, -1] = np.tile([0.0, 1.0, 2.0, 3.0, np.nan], 30)
    _check(model, data.plan, rows, PLATT, ScoreScale(500.0, 10.0, 40.0, decimals=2))


def test_crossed_characteristics_are_looked_up_as_trees(world: Callable) -> None:
    data = _data(world)
    model = _model("scorecard", data, number=1)
    assert isinstance(model, ScorecardModel)
    card, first = model.card, model.card.aliases[0]
    odd = Special("odd", (0.5, 2.0))
    bins = [replace(one.bins, specials=(odd,) * (one.bins.kind == "number")) for one in card.characteristics]
    values = data.values.copy()
    values[::7, :4], values[1::7, :4] = 0.5, 2.0
    crossed = fit_card(
        Classing(tuple(bins)),
        ClassingData(values, data.y, data.plan.aliases),
        ScorecardSpec(use_dictionary=False),
        only=card.aliases,
        pairs=[(first, other) for other in card.aliases[1:]],
    ).card
    kinds = {
        one.bins.kind for one in crossed.characteristics if any(one.alias in pair.aliases for pair in crossed.pairs)
    }
    assert len(crossed.pairs) > 1
    assert kinds == {"number", "category"}
    mean = ScorecardModel([card, crossed], model.aliases)
    _check(mean, data.plan, np.vstack([_odd(data.values), values[:200]]), PLATT, ScoreScale())


def test_an_ensemble_is_the_mean_of_its_members(world: Callable) -> None:
    data = _data(world)
    members = [_model(name, data) for name in ("lightgbm", "xgboost", "catboost", "scorecard")]
    _check(EnsembleModel(members, (0.4, 0.2, 0.1, 0.3)), data.plan, _odd(data.values), ISOTONIC, ScoreScale())


class _Strange:
    """A model of no family we know of."""

    family = "strange"
    n_features = 3


def test_what_cannot_be_written_says_so(world: Callable) -> None:
    with pytest.raises(InputError, match="strange") as refused:
        to_onnx(_Strange(), IDENTITY, ScoreScale(), _data(world).plan)  # type: ignore[arg-type]
    assert refused.value.code == "not_exportable"
