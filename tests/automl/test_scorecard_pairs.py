"""Crossed characteristics: found where two tell more together, in few cells, along directions, unions of bins."""

import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from automl.calibration import IDENTITY
from automl.control import FitControl
from automl.families.interface import TrainingData
from automl.families.scorecard import make_family
from automl.interacting import Interactions, find_interactions
from automl.reasons import ReasonWriter
from automl.scorecard.bins import Special
from automl.scorecard.card import Scorecard
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import Suggestion, card_violations, least_steps
from automl.scorecard.fit_bins import fit_classing
from automl.scorecard.fitting import FittedScorecard, fit_card
from automl.scorecard.model import ScorecardModel
from automl.scorecard.pair_search import Residuals, interaction_score
from automl.scorecard.spec import ScorecardSpec
from core.errors import InputError
from core.i18n import LANGUAGES
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema

NAMES = ("overdue", "income", "age", "branch")
LEVELS = tuple(f"b{i}" for i in range(6))
SPEC = ScorecardSpec(
    weights="joint", penalty=30.0, max_bins=8, use_dictionary=False, pairs=5, directions={"overdue": "rising"}
)


def sample(n: int = 6_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return rows where overdue counts little above a middling income, and age is turned over by the branch."""
    rng = np.random.default_rng(seed)
    overdue, income, age = rng.gamma(2.0, size=n), rng.normal(size=n), rng.normal(size=n)
    branch = rng.integers(0, 6, n)
    margin = -2.2 + 1.1 * overdue * (income < 0) - 0.4 * income + np.where(branch < 3, 1, -1) * (0.9 * age + 0.3)
    income[rng.random(n) < 0.06] = np.nan
    overdue[rng.random(n) < 0.05] = -1.0
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    return np.column_stack([overdue, income, age, branch]), y


@pytest.fixture(scope="module")
def plan() -> FeaturePlan:
    numbers = tuple(FeatureDefinition.create((), name, "identity", kind="number") for name in NAMES[:3])
    items = (*numbers, FeatureDefinition.create((), "branch", "identity", kind="category"))
    schema = TableSchema({"id": "key", **dict.fromkeys(NAMES[:3], "number"), "branch": "category"})
    return FeaturePlan("loan", "id", items, {"loan": schema}, {"branch": LEVELS})


@pytest.fixture(scope="module")
def data() -> ClassingData:
    return ClassingData(*sample(), NAMES)


@pytest.fixture(scope="module")
def classing(plan: FeaturePlan, data: ClassingData) -> Classing:
    return fit_classing(data, plan, SPEC).set_specials("overdue", [Special("none", (-1.0,))], data, by="ann")


@pytest.fixture(scope="module")
def fitted(classing: Classing, data: ClassingData) -> FittedScorecard:
    return fit_card(classing, data, SPEC)


def _names(card: Scorecard) -> set[frozenset[str]]:
    return {frozenset(pair.aliases) for pair in card.pairs}


def test_the_score_is_that_of_a_weighted_regression_with_both_and_their_product() -> None:
    rng = np.random.default_rng(1)
    a, b, y = rng.integers(0, 2, 800), rng.integers(0, 2, 800), (rng.random(800) < 0.3).astype(float)
    left = Residuals.of(rng.normal(0.8, 0.3, 800), y)
    X = np.column_stack([np.ones(800), a, b, a * b]).astype(float)
    inverse = np.linalg.inv(X.T @ (left.information[:, None] * X))
    coefficient = inverse @ X.T @ left.gradient
    assert interaction_score(a, b, (3, 3), left) == pytest.approx(coefficient[3] ** 2 / inverse[3, 3])
    assert interaction_score(a, np.zeros_like(b), (3, 3), left) == 0.0  # the other quarters are empty


def test_two_pairs_are_found_and_order_unseen_rows_better_than_the_sum(fitted: FittedScorecard) -> None:
    card = fitted.card
    assert {frozenset({"age", "branch"}), frozenset({"overdue", "income"})} <= _names(card)
    X, y = sample(seed=4)
    margins = [ScorecardModel([one], NAMES).margin(X) for one in (card, replace(card, pairs=()))]
    crossed, added = (roc_auc_score(y, margin) for margin in margins)
    assert crossed > added + 0.03
    (told,) = [finding.message for finding in fitted.findings if finding.code == "crossed_characteristics"]
    assert all(card.pair_title(pair, language) in told.text(language) for pair in card.pairs for language in LANGUAGES)


def test_nothing_is_crossed_where_characteristics_only_add_up(plan: FeaturePlan) -> None:
    X, _ = sample()
    rng = np.random.default_rng(8)
    margin = -1.5 + 0.6 * X[:, 2] - 0.5 * np.nan_to_num(X[:, 1])
    y = (rng.random(len(X)) < 1 / (1 + np.exp(-margin))).astype(float)
    data = ClassingData(X, y, NAMES)
    assert len(fit_card(fit_classing(data, plan, SPEC), data, SPEC).card.pairs) <= 1


def test_rows_and_columns_are_few_unions_of_bins_and_nulls_and_codes_stand_apart(fitted: FittedScorecard) -> None:
    for pair in fitted.card.pairs:
        for alias, groups in zip(pair.aliases, (pair.rows, pair.columns), strict=True):
            bins = fitted.card.characteristic(alias).bins
            plain = groups[: bins.n_plain]
            assert 2 <= len(set(plain)) <= 5
            if bins.kind == "number":
                assert list(plain) == sorted(plain)


def test_cells_hold_the_rows_that_were_counted_and_thin_ones_are_neutral(
    fitted: FittedScorecard, data: ClassingData
) -> None:
    for pair in fitted.card.pairs:
        good, bad = np.array(pair.good), np.array(pair.bad)
        assert (good.sum(), bad.sum()) == ((data.y == 0).sum(), (data.y == 1).sum())
        free = not any(alias == "overdue" for alias in pair.aliases)
        assert not (np.array(pair.units)[(good + bad) < 20].any() and free)


def test_no_bin_of_another_characteristic_turns_a_direction_over(fitted: FittedScorecard) -> None:
    card = fitted.card
    assert least_steps(card, "overdue")[1].max() <= 0
    assert not card_violations(card, {"overdue": Suggestion("overdue", "rising")})
    assert card_violations(card, {"age": Suggestion("age", "rising")})[0].code in (
        "pair_against_direction", "points_against_direction",
    )  # fmt: skip
    X, _ = sample(200)
    values = np.linspace(0.0, 8.0, 60)
    for row in X:
        moved = np.repeat(row[None], len(values), axis=0)
        moved[:, 0] = values
        assert (np.diff(ScorecardModel([card], NAMES).margin(moved)) >= 0).all()


def test_the_card_expects_as_many_bads_as_there_are(fitted: FittedScorecard, data: ClassingData) -> None:
    margin = ScorecardModel([fitted.card], NAMES).margin(data.values)
    assert IDENTITY.apply(margin).mean() == pytest.approx(data.y.mean(), abs=0.003)


def test_only_groups_that_may_act_together_are_crossed(classing: Classing, data: ClassingData) -> None:
    spec = SPEC.model_copy(update={"groups": [["overdue", "age"], ["income", "branch"]]})
    assert not _names(fit_card(classing, data, spec).card) & {
        frozenset({"age", "branch"}), frozenset({"overdue", "income"})
    }  # fmt: skip


def test_chosen_pairs_are_made_anew_of_edited_bins(classing: Classing, data: ClassingData) -> None:
    chosen = [("branch", "age"), ("age", "gone")]
    before = fit_card(classing, data, SPEC, pairs=chosen).card
    merged = classing.merge("age", [0, 1], data, by="ann")
    after = fit_card(merged, data, SPEC, pairs=chosen).card
    assert _names(before) == _names(after) == {frozenset({"age", "branch"})}
    assert len(after.pairs[0].rows if after.pairs[0].first == "age" else after.pairs[0].columns) == (
        merged.of("age").n_bins
    )
    assert not fit_card(classing, data, SPEC, pairs=()).card.pairs
    assert not fit_card(classing, data, SPEC, only=("age", "income"), pairs=chosen).card.pairs


def test_null_that_counts_with_a_bin_gets_its_cells(classing: Classing, data: ClassingData) -> None:
    like = classing.set_missing("income", 1, data, by="ann")
    card = fit_card(like, data, SPEC, pairs=[("overdue", "income")]).card
    cells = card.pairs[0].cells() if card.pairs[0].second == "income" else card.pairs[0].cells().T
    n_plain = like.of("income").n_plain
    assert np.array_equal(cells[:, n_plain], cells[:, 1])


def test_the_family_fits_pairs_the_same_each_time_and_ends_in_time(plan: FeaturePlan) -> None:
    X, y = sample(3_000)
    data = TrainingData(X, y, np.arange(len(y)), plan, interactions=((0, 1), (2,), (3,)))
    params = {"weights": "boosted", "rounds": 150, "pairs": 5}
    assert params.keys() <= set().union(*make_family().defaults(data))
    train, test = np.arange(2_400), np.arange(2_400, 3_000)
    fits = [make_family().fit(params, data, train, test, seed=1, control=FitControl()) for _ in range(2)]
    assert np.array_equal(fits[0].margin, fits[1].margin)
    models = [fit.model for fit in fits]
    assert all(isinstance(model, ScorecardModel) for model in models)
    assert _names(models[0].card) == {frozenset({"overdue", "income"})}  # type: ignore[attr-defined]
    late = FitControl(deadline=time.monotonic() - 1)
    short = make_family().fit(params, data, train, test, seed=1, control=late)
    again = make_family().fit(params, data, train, test, seed=1, control=FitControl(), rounds=short.rounds)
    assert np.array_equal(again.margin, short.margin)


def test_pairs_that_act_together_are_shown_with_their_share(fitted: FittedScorecard, plan: FeaturePlan) -> None:
    X, _ = sample(100)
    model = ScorecardModel([fitted.card], NAMES)
    found = find_interactions(model, X, NAMES)
    assert isinstance(found, Interactions)
    assert {frozenset({item.first, item.second}) for item in found.pairs} <= _names(fitted.card)
    assert {found.pairs[0].first, found.pairs[0].second} == {"age", "branch"}
    assert 0 < found.share < 1
    assert found.largest_error < 1e-9
    contributions = model.contributions(X)
    assert contributions.sum(axis=1) == pytest.approx(model.margin(X), abs=1e-9)
    assert ReasonWriter(plan).write(contributions[0], X[0])


def test_a_pair_is_asked_for_within_bounds() -> None:
    with pytest.raises(ValueError, match="pairs"):
        ScorecardSpec(pairs=99)
    with pytest.raises(InputError):
        ScorecardModel([], NAMES).card  # noqa: B018  # the property refuses
