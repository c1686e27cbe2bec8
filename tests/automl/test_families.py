"""What every family promises (one suite for all of them), and what LightGBM's merged text keeps."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from automl.control import FitControl, StopFittingError
from automl.explaining import checked_contributions
from automl.families import FAMILIES, load_model, make_family, save_model
from automl.families.interface import Family, FoldFit, TrainingData
from automl.families.lightgbm import LightGBMModel
from automl.metrics import auc
from automl.ridge import fit_ridge
from core.errors import ConfigurationError, InputError, IntegrityError

N = 600
TRAIN, TEST = np.arange(0, 400), np.arange(400, N)


def _data(world: Callable, num_threads: int = 1) -> TrainingData:
    matrix, labels = world(N)
    return TrainingData(matrix.values, labels.y, labels.entities, matrix.plan, num_threads)


def _fit(family: Family, data: TrainingData, train: np.ndarray = TRAIN, seed: int = 1, **more: object) -> FoldFit:
    family.prepare(data)
    return family.fit(family.defaults(data)[0], data, train, TEST, seed=seed, control=FitControl(), **more)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return make_family(request.param)


def _odd_rows(values: np.ndarray) -> np.ndarray:
    rows = values[TEST].copy()
    rows[0] = np.nan
    rows[1, :6] = 1e308
    rows[2, :6] = -1e308
    rows[3, :6] = np.inf
    rows[4, -1] = 3.0  # a level never seen
    rows[5, -1] = 99.0
    return rows


def test_it_learns_what_is_there_to_learn(world: Callable, family: Family) -> None:
    data = _data(world)
    fit = _fit(family, data)
    assert auc(data.y[TEST], fit.margin) > 0.72
    assert fit.margin.mean() == pytest.approx(np.log(data.y.mean() / (1 - data.y.mean())), abs=0.6)


def test_it_comes_back_from_its_files_bit_for_bit(world: Callable, family: Family, tmp_path: Path) -> None:
    data = _data(world)
    model = family.bag([_fit(family, data, seed=seed).model for seed in (1, 2)])
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    rows = _odd_rows(data.values)
    assert (again.family, again.n_features) == (family.name, data.values.shape[1])
    np.testing.assert_array_equal(again.margin(rows), model.margin(rows))
    np.testing.assert_array_equal(again.contributions(rows), model.contributions(rows))
    save_model(again, tmp_path / "again")
    for path in sorted((tmp_path / "again").iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_its_files_are_text(world: Callable, family: Family, tmp_path: Path) -> None:
    save_model(_fit(family, _data(world)).model, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".txt"}
    for path in tmp_path.iterdir():
        path.read_text(encoding="utf-8")


def test_a_row_alone_gets_the_answer_it_gets_among_others(world: Callable, family: Family) -> None:
    data = _data(world)
    model = _fit(family, data).model
    rows = _odd_rows(data.values)
    together, explained = model.margin(rows), model.contributions(rows)
    for i in range(12):
        np.testing.assert_array_equal(model.margin(rows[i : i + 1]), together[i : i + 1])
        np.testing.assert_array_equal(model.contributions(rows[i : i + 1]), explained[i : i + 1])


def test_contributions_sum_to_the_margin_within_1e_9_on_odd_rows_too(world: Callable, family: Family) -> None:
    data = _data(world)
    model = family.bag([_fit(family, data, seed=seed).model for seed in (1, 2, 3)])
    contributions, error = checked_contributions(model, _odd_rows(data.values))
    assert contributions.shape == (len(TEST), data.values.shape[1] + 1)
    assert error < 1e-9


def test_a_bag_answers_with_the_mean_of_its_members(world: Callable, family: Family) -> None:
    data = _data(world)
    members = [_fit(family, data, TRAIN[part::3]).model for part in range(3)]
    bag = family.bag(members)
    rows = _odd_rows(data.values)
    np.testing.assert_allclose(bag.margin(rows), np.mean([m.margin(rows) for m in members], axis=0), atol=1e-12)
    np.testing.assert_allclose(
        bag.contributions(rows), np.mean([m.contributions(rows) for m in members], axis=0), atol=1e-12
    )


def test_the_same_seed_gives_the_same_model_whatever_the_number_of_threads(world: Callable, family: Family) -> None:
    rows = _data(world).values
    answers = [_fit(make_family(family.name), _data(world, n)).model.margin(rows) for n in (1, 2, 1)]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_fitting_again_with_the_recorded_rounds_gives_the_same_model(world: Callable, family: Family) -> None:
    data = _data(world)
    first = _fit(family, data)
    again = _fit(family, data, rounds=first.rounds)
    np.testing.assert_array_equal(first.margin, again.margin)


def test_without_early_stopping_the_outcomes_left_out_change_nothing(world: Callable, family: Family) -> None:
    data = _data(world)
    turned = TrainingData(data.values, np.where(np.arange(N) < 400, data.y, 1 - data.y), data.entities, data.plan)
    fits = [_fit(make_family(family.name), one, rounds=30, stop_early=False) for one in (data, turned)]
    np.testing.assert_array_equal(fits[0].margin, fits[1].margin)


@pytest.mark.parametrize("fill", [np.nan, 0.0, 1e308, np.inf], ids=str)
def test_useless_columns_are_survived(world: Callable, family: Family, fill: float) -> None:
    data = _data(world)
    values = data.values.copy()
    values[:, 3] = fill
    values[::2, 4] = 1e308
    fit = _fit(family, TrainingData(values, data.y, data.entities, data.plan))
    assert np.isfinite(fit.margin).all()


def test_a_wrong_number_of_columns_is_refused(world: Callable, family: Family) -> None:
    model = _fit(family, _data(world)).model
    with pytest.raises(InputError, match="reads 7 features"):
        model.margin(np.zeros((2, 6)))
    with pytest.raises(InputError):
        model.contributions(np.zeros(7))


def test_a_fit_stops_when_told(world: Callable, family: Family) -> None:
    data = _data(world)
    family.prepare(data)
    control = FitControl()
    control.stop.set()
    with pytest.raises(StopFittingError):
        family.fit(family.defaults(data)[0], data, TRAIN, TEST, seed=1, control=control)


def test_every_default_is_part_of_the_search_space(world: Callable, family: Family) -> None:
    import optuna

    data = _data(world)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for params in family.defaults(data):
        study.enqueue_trial(params)
    for params in family.defaults(data):
        assert family.suggest(study.ask(), data) == params


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lightgbm, logistic"):
        make_family("oracle")


@pytest.mark.parametrize("about", [{}, {"family": "pickle", "n_features": 7, "files": {}}, {"family": "lightgbm"}])
def test_a_folder_that_names_no_known_family_is_refused(tmp_path: Path, about: dict[str, object]) -> None:
    (tmp_path / "family.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(IntegrityError):
        load_model(tmp_path)


def test_a_damaged_model_file_is_refused(world: Callable, family: Family, tmp_path: Path) -> None:
    save_model(_fit(family, _data(world)).model, tmp_path)
    name = "model.txt" if family.name == "lightgbm" else "model.json"
    text = (tmp_path / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text[: len(text) // 3], encoding="utf-8")
    with pytest.raises(IntegrityError, match="not the one that was saved"):
        load_model(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(IntegrityError, match="not the one that was saved"):
        load_model(tmp_path)


def test_lightgbm_keeps_every_tree_in_one_text(world: Callable) -> None:
    family = make_family("lightgbm")
    data = _data(world)
    members = [_fit(family, data, seed=seed).model for seed in (1, 2)]
    bag = family.bag(members)
    assert isinstance(bag, LightGBMModel)
    assert bag.n_trees == sum(member.n_trees for member in members if isinstance(member, LightGBMModel))
    assert "parameters" not in bag.text


def test_ridge_reaches_the_minimum_that_scipy_finds() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = (rng.random(300) < 1 / (1 + np.exp(-X[:, 0] + 0.5))).astype(float)

    def loss(w: np.ndarray) -> float:
        margin = X @ w[:4] + w[4]
        return float(np.logaddexp(0, margin).sum() - y @ margin + 3.0 / 2 * (w[:4] ** 2).sum())

    coefficients, intercept, steps = fit_ridge(X, y, 3.0, FitControl())
    np.testing.assert_allclose([*coefficients, intercept], minimize(loss, np.zeros(5)).x, atol=1e-4)
    assert steps < 20


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"logistic"}))
def test_it_keeps_the_directions_it_is_given(world: Callable, name: str) -> None:
    """Along x0, whose risk rises by truth, a model told that it falls must not let it rise anywhere."""
    data = _data(world)
    against = replace(data, directions=(-1, 0, 0, 0, 0, 0, 0))
    grid = np.repeat(data.values[TEST[:40]], 25, axis=0)
    grid[:, 0] = np.tile(np.linspace(-3, 3, 25), 40)
    free, kept = (_fit(make_family(name), each).model.margin(grid).reshape(40, 25) for each in (data, against))
    assert np.diff(free, axis=1).max() > 0.1
    assert np.diff(kept, axis=1).max() <= 1e-9


def test_features_act_together_only_inside_a_group(world: Callable) -> None:
    """Where every feature stands alone, log-odds are a sum: what x0 adds does not depend on the row."""
    data = replace(_data(world), interactions=tuple((i,) for i in range(7)))
    model = _fit(make_family("lightgbm"), data).model
    low, high = data.values[TEST].copy(), data.values[TEST].copy()
    low[:, 0], high[:, 0] = -1.0, 1.0
    moved = model.margin(high) - model.margin(low)
    assert moved.mean() > 0.2
    assert np.ptp(moved) < 1e-9


@pytest.mark.parametrize("name", ["lightgbm"])
def test_a_weight_of_two_counts_as_two_rows(world: Callable, name: str) -> None:
    data = _data(world)
    weights = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    twice = np.sort(np.concatenate([TRAIN, TRAIN[weights[TRAIN] == 2]]))
    params = {"learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 5.0}
    fits = []
    for each, train in ((replace(data, weights=weights), TRAIN), (data, twice)):
        family = make_family(name)
        family.prepare(each)
        fits.append(family.fit(params, each, train, TEST, seed=1, control=FitControl(), rounds=5, stop_early=False))
    assert np.corrcoef(fits[0].margin, fits[1].margin)[0, 1] > 0.999
