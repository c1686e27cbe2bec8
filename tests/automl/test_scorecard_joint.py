"""Weights of all bins fitted together: against scikit-learn, by direction, better where features repeat each other."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from automl.control import FitControl
from automl.families import load_model, save_model
from automl.families.interface import TrainingData
from automl.families.scorecard import make_family
from automl.scorecard.bins import CharacteristicBins, Special, count_bins
from automl.scorecard.classing import ClassingData
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fitting import fit_card, fit_scorecard
from automl.scorecard.joint import bin_positions, fit_joint, groups_alike
from automl.scorecard.model import ScorecardModel
from automl.scorecard.spec import ScorecardSpec
from features.binning import FeatureBins, fit_bins
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema

NAMES = ("turnover", "limit", "age", "branch")
LEVELS = tuple(f"b{i}" for i in range(40))


def sample(n: int = 4_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers that repeat each other and count only by their difference, a valley, and many levels."""
    rng = np.random.default_rng(seed)
    turnover = rng.normal(size=n)
    limit = turnover + 0.6 * rng.normal(size=n)
    age, branch = rng.normal(size=n), rng.integers(0, 40, n)
    margin = -1.5 + 1.6 * (turnover - limit) + 0.9 * np.abs(age) + 0.8 * (branch % 4 == 0)
    turnover[rng.random(n) < 0.08] = np.nan
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    return np.column_stack([turnover, limit, age, branch]), y


@pytest.fixture(scope="module")
def plan() -> FeaturePlan:
    kinds = dict.fromkeys(NAMES, "number") | {"branch": "category"}
    items = tuple(FeatureDefinition.create((), name, "identity", kind=kind) for name, kind in kinds.items())
    return FeaturePlan("loan", "id", items, {"loan": TableSchema({"id": "key", **kinds})}, {"branch": LEVELS})


def test_weights_are_those_of_a_ridge_regression_on_the_same_columns() -> None:
    X, y = sample()
    table = count_bins(CharacteristicBins(FeatureBins("age", "number", edges=(-1.0, 0.0, 1.0))), X[:, 2], y)
    place = bin_positions(table, X[:, 2])
    found = fit_joint([table], [place], y, 7.0, [None], FitControl())
    rate = y.mean()
    good, bad = np.array(table.good[:4]), np.array(table.bad[:4])
    evidence = np.log((good + 10 * (1 - rate)) / (bad + 10 * rate)) - np.log((1 - rate) / rate)
    columns = np.column_stack([np.sqrt(7.0 / 10.0) * evidence[place], *[place >= step for step in (1, 2, 3)]])
    peer = LogisticRegression(C=1 / 7.0, tol=1e-12, max_iter=5_000).fit(columns, 1 - y)
    assert found.intercept + found.weights[0][place] == pytest.approx(peer.decision_function(columns), abs=1e-4)


def test_features_that_repeat_each_other_are_told_apart(plan: FeaturePlan) -> None:
    (X, y), (unseen, outcome) = sample(seed=3), sample(seed=4)
    areas = {}
    for weights in ("evidence", "joint"):
        spec = ScorecardSpec(weights=weights, max_bins=8, use_dictionary=False)
        card = fit_scorecard(X, y, plan, spec).card
        areas[weights] = roc_auc_score(outcome, ScorecardModel([card], NAMES).margin(unseen))
    assert areas["joint"] > areas["evidence"] + 0.02


def test_the_card_adds_up_and_survives_being_saved(plan: FeaturePlan, tmp_path) -> None:  # type: ignore[no-untyped-def]
    X, y = sample(1_500)
    family = make_family()
    data = TrainingData(X, y, np.arange(len(y)), plan)
    params = {"weights": "joint", "penalty": 3.0}
    train, test = np.arange(1_000), np.arange(1_000, 1_500)
    fit = family.fit(params, data, train, test, seed=1, control=FitControl())
    again = family.fit(params, data, train, test, seed=1, control=FitControl())
    assert np.array_equal(fit.margin, again.margin)
    save_model(fit.model, tmp_path)
    assert np.array_equal(load_model(tmp_path).margin(X), fit.model.margin(X))
    assert fit.model.contributions(X).sum(axis=1) == pytest.approx(fit.model.margin(X), abs=1e-9)
    assert max(item.bins.n_plain for item in fit.model.cards[0].characteristics) <= 8


@pytest.mark.parametrize("direction", ["rising", "falling"])
def test_points_keep_the_direction_of_the_business(plan: FeaturePlan, direction: str) -> None:
    X, y = sample()
    spec = ScorecardSpec(weights="joint", use_dictionary=False, directions={"age": direction})
    card = fit_scorecard(X, y, plan, spec).card
    units = [item.units[: item.bins.n_plain] for item in card.characteristics if item.alias == "age"]
    steps = np.diff(units[0]) if units else np.zeros(1)  # in one direction a valley may tell nothing
    assert (steps <= 0).all() if direction == "rising" else (steps >= 0).all()


def test_bins_of_a_person_stay_as_they_are(plan: FeaturePlan) -> None:
    X, y = sample()
    spec = ScorecardSpec(weights="joint", use_dictionary=False)
    data = ClassingData(X, y, NAMES)
    classing = fit_classing(data, plan, spec)
    index = next(i for i, item in enumerate(classing.bins) if item.kind == "number")
    merged = classing.merge(classing.bins[index].alias, [0, 1], data, by="ann")
    card = fit_card(merged, data, spec).card
    held = {item.alias: item.bins.n_plain for item in card.characteristics}
    assert held[classing.bins[index].alias] == classing.bins[index].n_plain - 1


def test_nulls_and_special_codes_of_few_rows_get_the_points_of_an_average_row() -> None:
    X, y = sample(600)
    x = X[:, 1].copy()
    x[:5], x[5:40] = np.nan, -9.0
    table = count_bins(CharacteristicBins(FeatureBins("limit", "number", (0.0,)), (Special("none", (-9.0,)),)), x, y)
    found = fit_joint([table], [bin_positions(table, x)], y, 3.0, [None], FitControl())
    assert found.weights[0][2] == 0.0
    assert found.weights[0][3] != 0.0
    like = CharacteristicBins(FeatureBins("limit", "number", (0.0,)), missing_as=1)
    counted = count_bins(like, x, y)
    weights = fit_joint([counted], [bin_positions(counted, x)], y, 3.0, [None], FitControl()).weights[0]
    assert weights[2] == weights[1]


def test_bins_alike_are_joined_neighbours_of_a_number_and_any_levels() -> None:
    x, y = np.repeat(np.arange(4.0), 20), np.tile([0.0, 1.0], 40)
    number = count_bins(CharacteristicBins(FeatureBins("x", "number", (1.0, 2.0, 3.0))), x, y)
    weights = np.array([0.5, 0.5, -0.5, 0.5, 0.0])
    assert groups_alike(weights, number, 8, 0.01) == [[0, 1], [2], [3]]
    assert groups_alike(np.array([0.5, 0.4, -0.5, -0.1, 0.0]), number, 2, 0.01) == [[0, 1], [2, 3]]
    bins = CharacteristicBins(FeatureBins("x", "category", code_bins=(0, 1, 2, 3)), levels=("a", "b", "c"))
    category = count_bins(bins, x, y)
    assert groups_alike(weights, category, 8, 0.01) == [[2], [0, 1, 3]]


def test_rare_levels_are_not_sorted_by_chance() -> None:
    """A category of many levels that tells nothing must not seem to."""
    rng = np.random.default_rng(8)
    codes, y = rng.integers(0, 150, 1_500).astype(float), (rng.random(1_500) < 0.3).astype(float)
    bins = fit_bins(codes, y, "category", levels=tuple(f"l{i}" for i in range(150)))
    rates = [y[bins.assign(codes) == index].mean() for index in range(bins.missing_bin)]
    assert max(rates) - min(rates) < 0.1
