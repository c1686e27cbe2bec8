"""What every family promises (one suite for all of them), and what LightGBM's merged text keeps."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from automl.calibration import IDENTITY, Calibration
from automl.control import FitControl, StopFittingError
from automl.explaining import checked_contributions
from automl.families import FAMILIES, load_model, make_family, save_model
from automl.families.boosting import LossCurve
from automl.families.encoding import CategoryEncoding, fit_encoding, with_columns
from automl.families.ensemble import EnsembleModel
from automl.families.interface import Family, FoldFit, TrainingData
from automl.families.lightgbm import LightGBMModel, _booster_params
from automl.families.lightgbm_text import plain_text, split_by_levels
from automl.metrics import auc
from automl.ridge import fit_ridge
from automl.split import grouped_folds
from core.errors import ConfigurationError, InputError, IntegrityError
from features.plan import FeaturePlan
from model_registry.manifest import ALLOWED_SUFFIXES

N = 600
TRAIN, TEST = np.arange(0, 400), np.arange(400, N)


def _data(world: Callable, num_threads: int = 1) -> TrainingData:
    matrix, labels = world(N)
    return TrainingData(matrix.values, labels.y, labels.entities, matrix.plan, num_threads)


def _fit(
    family: Family,
    data: TrainingData,
    train: np.ndarray = TRAIN,
    seed: int = 1,
    *,
    test: np.ndarray = TEST,
    which: int = 0,
    **more: object,
) -> FoldFit:
    family.prepare(data)
    return family.fit(family.defaults(data)[which], data, train, test, seed=seed, control=FitControl(), **more)


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
    for path in (path for path in (tmp_path / "again").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / path.relative_to(tmp_path / "again")).read_bytes()


def test_what_it_hands_on_answers_as_its_bag_does(world: Callable, family: Family) -> None:
    data = _data(world)
    bag = family.bag([_fit(family, data, TRAIN[part::3]).model for part in range(3)])
    calibration = Calibration("platt", (0.0,), (0.3,), 0.8)
    model, left = family.hand_on(bag, data, calibration)
    rows = _odd_rows(data.values)
    wanted = calibration.log_odds_of(bag.margin(rows))
    if not family.holds_calibration:
        assert (model, left) == (bag, calibration)
        return
    assert left == IDENTITY
    assert model.n_leaves < bag.n_leaves / 2
    assert np.corrcoef(model.margin(rows), wanted)[0, 1] > 0.98
    assert model.margin(data.values).mean() == pytest.approx(
        calibration.log_odds_of(bag.margin(data.values)).mean(), abs=0.02
    )


def test_its_files_are_of_kinds_that_a_bundle_takes(world: Callable, family: Family, tmp_path: Path) -> None:
    save_model(_fit(family, _data(world)).model, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= ALLOWED_SUFFIXES


def test_a_row_alone_gets_the_answer_it_gets_among_others(world: Callable, family: Family) -> None:
    data = _data(world)
    model = _fit(family, data).model
    rows = _odd_rows(data.values)
    together, explained = model.margin(rows), model.contributions(rows)
    for i in range(12):
        np.testing.assert_array_equal(model.margin(rows[i : i + 1]), together[i : i + 1])
        np.testing.assert_array_equal(model.contributions(rows[i : i + 1]), explained[i : i + 1])


def test_contributions_sum_to_the_margin_on_odd_rows_too(world: Callable, family: Family) -> None:
    data = _data(world)
    model = family.bag([_fit(family, data, seed=seed).model for seed in (1, 2, 3)])
    contributions, error = checked_contributions(model, _odd_rows(data.values))
    assert contributions.shape == (len(TEST), data.values.shape[1] + 1)
    assert error < (1e-4 if family.name == "xgboost" else 1e-9)


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
    answers = [_fit(make_family(family.name), _data(world, n), rounds=12).model.margin(rows) for n in (1, 2, 1)]
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


def test_the_same_ridge_weighs_the_more_the_fewer_bads_there_are(world: Callable) -> None:
    data = _data(world)
    params = {**make_family("lightgbm").defaults(data)[0], "lambda_l2": 10.0}
    few = replace(data, y=np.where(np.arange(N) % 10 == 0, data.y, 0.0))
    given = [_booster_params(params, each, TRAIN, 1)["lambda_l2"] for each in (data, few)]
    variances = [each.y[TRAIN].mean() * (1 - each.y[TRAIN].mean()) for each in (data, few)]
    np.testing.assert_allclose(given, 50.0 * np.array(variances))
    assert params["lambda_l2"] == 10.0


def test_a_boosting_goes_on_while_order_or_log_loss_gains_and_keeps_the_best_order() -> None:
    curve = LossCurve(learning_rate=0.5, control=FitControl())  # patience of 5 rounds
    order = [0.6, 0.7, 0.7, 0.8, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75]
    log_loss = [0.5, 0.4, 0.6, 0.7, 0.7, 0.7, 0.39, 0.7, 0.7, 0.7, 0.7, 0.7]
    asked = [curve.goes_on(*figures) for figures in zip(log_loss, order, strict=True)]
    assert asked.index(False) == 11
    assert curve.best == 4


def test_a_fit_cut_to_fewer_rounds_is_the_shorter_fit(world: Callable, family: Family) -> None:
    data = _data(world)
    long = _fit(family, data, rounds=20, stop_early=False)
    if not long.losses:
        assert family.cut(long, data, TEST, 8) is long
        return
    short = _fit(family, data, rounds=8, stop_early=False)
    cut = family.cut(long, data, TEST, 8)
    assert len(long.losses) == 20
    assert cut.best_rounds == 8
    np.testing.assert_allclose(cut.margin, short.margin, atol=1e-12)
    assert long.losses[7] == pytest.approx(1 - roc_auc_score(data.y[TEST], short.margin), abs=1e-6)


def test_levels_without_number_are_learnt_and_do_not_give_the_outcome_away(world: Callable, family: Family) -> None:
    data = _wide(world)
    fit = _fit(family, data, np.arange(0, 1_400), test=np.arange(1_400, 2_000))
    # Bins pool rare levels: what these levels say is little there, but nothing is made up of it either.
    least = 0.45 if family.name in ("logistic", "scorecard") else 0.62
    assert auc(data.y[1_400:], fit.margin) > least
    rows = data.values[1_400:1_450].copy()
    rows[:3, -1] = [np.nan, 500.0, 10_000.0]
    contributions, _ = checked_contributions(fit.model, rows)
    assert np.isfinite(contributions).all()


def _wide(world: Callable) -> TrainingData:
    """Return 2,000 rows whose outcome hangs on one of 300 levels, besides noise."""
    matrix, labels = world(2_000)
    rng = np.random.default_rng(3)
    values = rng.normal(size=matrix.values.shape)
    values[:, -1] = rng.integers(0, 300, 2_000)
    effect = rng.normal(0, 1.3, 300)[values[:, -1].astype(int)]
    y = (rng.random(2_000) < 1 / (1 + np.exp(1 - effect))).astype(float)
    alias = matrix.plan.aliases[-1]
    plan = replace(matrix.plan, levels={alias: tuple(f"level {i}" for i in range(300))})
    return TrainingData(values, y, labels.entities, plan)


def test_a_fit_that_time_ended_is_made_again_by_the_rounds_it_took(world: Callable, family: Family) -> None:
    data = _data(world)
    family.prepare(data)
    params = family.defaults(data)[0]
    over = FitControl(deadline=0.0)
    short = family.fit(params, data, TRAIN, TEST, seed=1, control=over, stop_early=False)
    again = make_family(family.name)
    again.prepare(data)
    made = again.fit(params, data, TRAIN, TEST, seed=1, control=FitControl(), rounds=short.rounds, stop_early=False)
    assert short.is_cut_short
    np.testing.assert_array_equal(made.margin, short.margin)


def test_catboost_learns_what_only_a_pair_of_levels_tells(world: Callable) -> None:
    matrix, labels = world(3_000)
    rng = np.random.default_rng(11)
    values = rng.normal(size=matrix.values.shape)
    first, second = rng.integers(0, 12, (2, 3_000))
    values[:, 0], values[:, -1] = first, second
    effect = rng.choice([-2.0, 2.0], size=(12, 12))[first, second]  # neither level alone says anything
    y = (rng.random(3_000) < 1 / (1 + np.exp(-effect))).astype(float)
    definitions = (replace(matrix.plan.definitions[0], kind="category"), *matrix.plan.definitions[1:])
    levels = {definitions[at].alias: tuple(f"level {i}" for i in range(12)) for at in (0, -1)}
    plan = replace(matrix.plan, definitions=definitions, levels=levels)
    data = TrainingData(values, y, labels.entities, plan)
    family = make_family("catboost")
    native = family.defaults(data)[0]
    train, test = np.arange(2_000), np.arange(2_000, 3_000)
    fit = family.fit(native, data, train, test, seed=1, control=FitControl(), rounds=80)
    assert not native["encode_levels"]
    assert auc(y[test], fit.margin) > 0.85
    contributions, error = checked_contributions(fit.model, values[test[:50]])
    assert error < 1e-9
    strength = np.abs(contributions[:, :-1]).mean(axis=0)
    assert set(np.argsort(-strength)[:2]) == {0, values.shape[1] - 1}  # each column's share stands in its own place


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
    (name,) = {path.name for path in tmp_path.glob("model.*")}
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 3])
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


def test_every_default_of_a_family_fits(world: Callable, family: Family) -> None:
    data = _data(world)
    for which in range(1, len(family.defaults(data))):
        assert auc(data.y[TEST], _fit(family, data, which=which, rounds=25).margin) > 0.66


def test_splits_on_encoded_levels_answer_for_the_levels_themselves(world: Callable) -> None:
    data = _wide(world)
    rng = np.random.default_rng(5)
    encoding, columns = fit_encoding(data, np.arange(1_400), [data.values.shape[1] - 1], 1)
    values = with_columns(data.values[:1_400].copy(), columns)
    train = lightgbm.Dataset(values, label=data.y[:1_400], params={"verbosity": -1})
    booster = lightgbm.train({"num_leaves": 8, "verbosity": -1, "min_data_in_leaf": 20}, train, 20)
    turned = LightGBMModel(split_by_levels(plain_text(booster.model_to_string()), encoding.tables))
    rows = data.values.copy()
    rows[rng.random(len(rows)) < 0.2, -1] = np.nan
    rows[::7, -1] = 300.0  # a level never seen
    np.testing.assert_allclose(turned.margin(rows), booster.predict(encoding.apply(rows), raw_score=True), atol=1e-12)
    np.testing.assert_allclose(
        turned.contributions(rows[:50]), booster.predict(encoding.apply(rows[:50]), pred_contrib=True), atol=1e-12
    )


def test_no_outcome_of_an_entity_is_in_the_numbers_it_is_trained_on(world: Callable) -> None:
    data = _wide(world)
    entities = np.repeat(np.arange(500), 4)
    grouped = replace(data, entities=entities)
    column = data.values.shape[1] - 1
    _, before = fit_encoding(grouped, np.arange(2_000), [column], 1)
    mine = entities == 77
    turned = replace(grouped, y=np.where(mine, 1 - data.y, data.y))
    _, after = fit_encoding(turned, np.arange(2_000), [column], 1)
    # The folds are dealt by outcome, so only what is dealt alike can be compared: turn outcomes, keep the folds.
    assert np.isfinite(after[column][mine]).all()
    folds = grouped_folds(data.y, entities, 4, 1)
    own = folds == folds[mine][0]
    table = CategoryEncoding({column: _smoothed(data.values[~own, column], data.y[~own])})
    np.testing.assert_allclose(before[column][mine], table.apply(data.values[mine])[:, column])


def _smoothed(codes: np.ndarray, y: np.ndarray) -> np.ndarray:
    rate = y.mean()
    shares = [((y[codes == c].sum()) + 15 * rate) / ((codes == c).sum() + 15) for c in [*range(300), 300, -1]]
    return np.log(np.array(shares) / (1 - np.array(shares)))


def test_a_forest_answers_as_scikit_learn_s_trees_do(world: Callable) -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    data = _data(world)
    family = make_family("forest")
    params = {"kind": "extra_trees", "min_samples_leaf": 5, "max_features": 0.5}
    numbers = replace(data, values=data.values[:, :6], plan=_numbers_only(data.plan))
    fit = family.fit(params, numbers, TRAIN, TEST, seed=4, control=FitControl(), rounds=20)
    forest = ExtraTreesClassifier(
        20, min_samples_leaf=5, max_features=0.5, bootstrap=True, random_state=4
    ).fit(numbers.values[TRAIN].astype(np.float32), data.y[TRAIN])  # fmt: skip
    rows = numbers.values[TEST].astype(np.float32)
    total = np.zeros(len(TEST))
    for tree in forest.estimators_:
        n, share = tree.tree_.weighted_n_node_samples, tree.tree_.value[:, 0, 1]
        smooth = (n * share + 2 * data.y[TRAIN].mean()) / (n + 2)
        total += np.log(smooth / (1 - smooth))[tree.apply(rows)]
    slope, shift = np.polyfit(total / 20, fit.margin, 1)
    assert slope > 0
    np.testing.assert_allclose(fit.margin, slope * total / 20 + shift, atol=1e-6)


def _numbers_only(plan: FeaturePlan) -> FeaturePlan:
    return replace(plan, definitions=plan.definitions[:-1], levels={})


def test_an_ensemble_is_the_weighted_mean_of_its_members(world: Callable, tmp_path: Path) -> None:
    data = _data(world)
    families = [make_family(name) for name in ("logistic", "lightgbm", "catboost")]
    bags = [one.bag([_fit(one, data, seed=seed).model for seed in (1, 2)]) for one in families]
    ensemble = EnsembleModel(bags, [1.0, 2.0, 1.0])
    rows = _odd_rows(data.values)
    expected = 0.25 * bags[0].margin(rows) + 0.5 * bags[1].margin(rows) + 0.25 * bags[2].margin(rows)
    np.testing.assert_allclose(ensemble.margin(rows), expected, atol=1e-12)
    checked_contributions(ensemble, rows)
    assert ensemble.n_leaves == sum(bag.n_leaves for bag in bags)
    save_model(ensemble, tmp_path)
    again = load_model(tmp_path)
    assert again.family == "ensemble"
    np.testing.assert_array_equal(again.margin(rows), ensemble.margin(rows))
    np.testing.assert_array_equal(again.contributions(rows), ensemble.contributions(rows))
    (tmp_path / "member_001" / "model.txt").write_text("tree", encoding="utf-8")
    with pytest.raises(IntegrityError, match="not the one that was saved"):
        load_model(tmp_path)


def test_a_missing_library_is_named_with_what_to_install(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(_fit(make_family("catboost"), _data(world)).model, tmp_path)
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(ConfigurationError, match="needs catboost") as caught:
        load_model(tmp_path)
    assert caught.value.code == "library_missing"
    assert "serve-all" in str(caught.value.fix)


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


def test_ridge_read_in_blocks_is_the_ridge_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    X, counts = rng.normal(size=(20_000, 5)), rng.integers(1, 4, 20_000).astype(float)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)

    class Blocks:
        shape = X.shape

        def __getitem__(self, block: slice) -> np.ndarray:
            return X[block].copy()

    whole, blocks = (fit_ridge(each, y, 2.0, FitControl(), counts) for each in (X, Blocks()))
    np.testing.assert_array_equal(whole[0], blocks[0])
    assert whole[1:] == blocks[1:]
    assert fit_ridge(X, y, 2.0, FitControl(), counts, most_steps=2)[2] == 2


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_it_keeps_the_directions_it_is_given(world: Callable, name: str) -> None:
    """Along x0, whose risk rises by truth, a model told that it falls must not let it rise anywhere."""
    data = _data(world)
    against = replace(data, directions=(-1, 0, 0, 0, 0, 0, 0))
    grid = np.repeat(data.values[TEST[:40]], 25, axis=0)
    grid[:, 0] = np.tile(np.linspace(-3, 3, 25), 40)
    fits = [_fit(make_family(name), each, stop_early=False) for each in (data, against)]
    free, kept = (fit.model.margin(grid).reshape(40, 25) for fit in fits)
    assert np.diff(free, axis=1).max() > 0.1
    assert np.diff(kept, axis=1).max() <= 1e-9


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_features_act_together_only_inside_a_group(world: Callable, name: str) -> None:
    """Where every feature stands alone, log-odds are a sum: what x0 adds does not depend on the row."""
    data = replace(_data(world), interactions=tuple((i,) for i in range(7)))
    model = _fit(make_family(name), data).model
    low, high = data.values[TEST].copy(), data.values[TEST].copy()
    low[:, 0], high[:, 0] = -1.0, 1.0
    moved = model.margin(high) - model.margin(low)
    assert moved.mean() > 0.2
    assert np.ptp(moved) < 2 * model.additivity


@pytest.mark.parametrize("name", ["lightgbm"])
def test_a_weight_of_two_counts_as_two_rows(world: Callable, name: str) -> None:
    data = _data(world)
    weights = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    twice = np.sort(np.concatenate([TRAIN, TRAIN[weights[TRAIN] == 2]]))
    params = {
        "mode": "gbdt", "encode_levels": False, "learning_rate": 0.1, "num_leaves": 4, "min_data_in_leaf": 1,
        "min_sum_hessian_in_leaf": 5.0,
    }  # fmt: skip
    fits = []
    for each, train in ((replace(data, weights=weights), TRAIN), (data, twice)):
        family = make_family(name)
        family.prepare(each)
        fits.append(family.fit(params, each, train, TEST, seed=1, control=FitControl(), rounds=5, stop_early=False))
    assert np.corrcoef(fits[0].margin, fits[1].margin)[0, 1] > 0.999


def test_xgboost_s_trees_add_up_in_64_bits(world: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    import xgboost

    from automl.families import xgboost as module

    fit = _fit(make_family("xgboost"), _data(world))
    rows = _odd_rows(_data(world).values)
    model = fit.model.models[0] if isinstance(fit.model, EnsembleModel) else fit.model
    booster = xgboost.Booster(model_file=bytearray(model.raw))
    matrix = xgboost.DMatrix(model._read(rows))
    whole = booster.predict(matrix, output_margin=True)
    nodes = booster.trees_to_dataframe().set_index(["Tree", "Node"])["Gain"]
    constant = module.constant_of(model.to_json())
    sums = [
        math.fsum([constant, *(float(np.float32(nodes[tree, int(leaf)])) for tree, leaf in enumerate(row))])
        for row in booster.predict(matrix, pred_leaf=True)
    ]
    np.testing.assert_allclose(model.margin(rows), sums, rtol=0, atol=1e-13)
    np.testing.assert_allclose(model.margin(rows), whole, rtol=0, atol=1e-5)
    exact = model.margin(rows)
    monkeypatch.setattr(module, "_MAX_LEAVES_AT_ONCE", 2_000)
    np.testing.assert_array_equal(model.margin(rows), exact)
    np.testing.assert_array_equal(model.margin(rows[:0]), [])
    np.testing.assert_array_equal([model.margin(row[None])[0] for row in rows[:20]], exact[:20])


def test_the_library_of_the_scorecard_is_loaded_without_a_word() -> None:
    code = "import sys; from automl.families import load_library as load; load('scorecard'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "optbinning" in done.stdout.split()
    assert not done.stderr
