"""Weights of bins by boosting: one characteristic's odds, sums without rest, directions, time that ends it."""

import time

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from automl.control import FitControl
from automl.families.interface import TrainingData
from automl.families.lightgbm_stumps import LEAST_ROUNDS
from automl.families.scorecard import make_family
from automl.scorecard.bins import CharacteristicBins, Special, count_bins
from automl.scorecard.boosted import fit_boosted
from automl.scorecard.classing import ClassingData
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fitting import fit_card, fit_scorecard
from automl.scorecard.joint import bin_positions
from automl.scorecard.model import ScorecardModel
from automl.scorecard.spec import ScorecardSpec
from features.binning import FeatureBins
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema

NAMES = ("turnover", "limit", "age", "branch")
LEVELS = tuple(f"b{i}" for i in range(40))


def sample(n: int = 3_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
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
    numbers = tuple(FeatureDefinition.create((), name, "identity", kind="number") for name in NAMES[:3])
    items = (*numbers, FeatureDefinition.create((), "branch", "identity", kind="category"))
    schema = TableSchema({"id": "key", **dict.fromkeys(NAMES[:3], "number"), "branch": "category"})
    return FeaturePlan("loan", "id", items, {"loan": schema}, {"branch": LEVELS})


def test_the_weights_of_one_characteristic_are_the_log_odds_of_its_bins() -> None:
    X, y = sample()
    bins = CharacteristicBins(FeatureBins("age", "number", (-1.0, 0.0, 1.0)), (Special("none", (9.0,)),))
    x = X[:, 2].copy()
    x[:300], x[300:600] = np.nan, 9.0
    table = count_bins(bins, x, y)
    found, made = fit_boosted([table], [bin_positions(table, x)], y, 1_500, [None], FitControl())
    good, bad = np.array(table.good), np.array(table.bad)
    assert made == 1_500
    assert found.intercept + found.weights[0] == pytest.approx(np.log(good / bad), abs=0.06)
    assert np.average(found.weights[0], weights=table.n) == pytest.approx(0.0, abs=1e-9)


def test_a_null_gets_what_the_bin_it_counts_with_gets_and_a_thin_bin_nothing() -> None:
    X, y = sample()
    like = CharacteristicBins(FeatureBins("turnover", "number", (0.0,)), missing_as=1)
    thin = CharacteristicBins(FeatureBins("limit", "number", (0.0,)), (Special("none", (-9.0,)),))
    x = X[:, 1].copy()
    x[:5] = -9.0
    tables = [count_bins(like, X[:, 0], y), count_bins(thin, x, y)]
    places = [bin_positions(table, values) for table, values in zip(tables, (X[:, 0], x), strict=True)]
    weights = fit_boosted(tables, places, y, 200, [None, None], FitControl())[0].weights
    assert weights[0][2] == weights[0][1] != 0.0
    assert weights[1][3] == 0.0


def test_the_card_orders_unseen_rows_as_an_additive_peer_does(plan: FeaturePlan) -> None:
    (X, y), (unseen, outcome) = sample(seed=3), sample(seed=4)
    spec = ScorecardSpec(weights="boosted", max_bins=8, use_dictionary=False)
    card = fit_scorecard(X, y, plan, spec).card
    ours = roc_auc_score(outcome, ScorecardModel([card], NAMES).margin(unseen))
    peer = HistGradientBoostingClassifier(max_leaf_nodes=2, max_iter=200, categorical_features=[3], random_state=0)
    with threadpool_limits(limits=1):
        theirs = roc_auc_score(outcome, peer.fit(X, y).predict_proba(unseen)[:, 1])
    assert ours > theirs - 0.01
    assert max(item.bins.n_plain for item in card.characteristics) <= 8
    assert card.about["weights"] == "boosted"


@pytest.mark.parametrize("direction", ["rising", "falling"])
def test_points_keep_the_direction_of_the_business(plan: FeaturePlan, direction: str) -> None:
    X, y = sample()
    spec = ScorecardSpec(weights="boosted", use_dictionary=False, directions={"age": direction})
    card = fit_scorecard(X, y, plan, spec).card
    units = [item.units[: item.bins.n_plain] for item in card.characteristics if item.alias == "age"]
    steps = np.diff(units[0]) if units else np.zeros(1)  # in one direction a valley may tell nothing
    assert (steps <= 0).all() if direction == "rising" else (steps >= 0).all()


def test_named_characteristics_are_all_kept_and_weighed_as_they_were_classed(plan: FeaturePlan) -> None:
    X, y = sample()
    data, spec = ClassingData(X, y, NAMES), ScorecardSpec(weights="boosted", use_dictionary=False)
    classing = fit_classing(data, plan, spec, only=("age", "branch"))
    assert [item.alias for item in classing.bins] == ["age", "branch"]
    merged = classing.merge("age", [0, 1], data, by="ann")
    card = fit_card(merged, data, spec, only=("age",)).card
    assert card.aliases == ("age",)
    assert card.characteristics[0].bins == merged.of("age")


def test_a_fit_that_time_ends_is_repeated_by_its_rounds(plan: FeaturePlan) -> None:
    X, y = sample(1_500)
    data = TrainingData(X, y, np.arange(len(y)), plan)
    train, test = np.arange(1_000), np.arange(1_000, 1_500)
    params = {"weights": "boosted", "rounds": 400}
    late = FitControl(deadline=time.monotonic() - 1)
    short = make_family().fit(params, data, train, test, seed=1, control=late)
    assert (short.rounds, short.is_cut_short) == (LEAST_ROUNDS, True)
    again = make_family().fit(params, data, train, test, seed=1, control=FitControl(), rounds=short.rounds)
    assert np.array_equal(again.margin, short.margin)
    whole = make_family().fit(params, data, train, test, seed=1, control=FitControl())
    assert (whole.rounds, whole.is_cut_short) == (400, False)
    assert not np.array_equal(whole.margin, short.margin)
