"""Points held against OptBinning's scorecard and hand-worked tables; signs, special codes and directions kept."""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.evaluation import Evaluation
from automl.families import load_model, save_model
from automl.metrics import auc
from automl.scorecard.bins import BinTable, CharacteristicBins, Special, count_bins
from automl.scorecard.classing import Classing, ClassingData
from automl.scorecard.directions import (
    DirectionRule,
    Suggestion,
    card_violations,
    constraints,
    data_violations,
    learn_directions,
    suggest_directions,
)
from automl.scorecard.fit_bins import fit_classing, with_round_edges
from automl.scorecard.fitting import fit_card, fit_scorecard
from automl.scorecard.model import ScorecardModel, bind
from automl.scorecard.spec import ScorecardSpec, WeightsKind
from automl.scorecard.tables import from_csv, to_csv
from automl.scorecard.training import ScorecardRun, TrainingRows, judge_scorecard, train_scorecard
from automl.scorecard.weights import evidence, fit_weights
from automl.spec import TrainSpec
from automl.split import make_split
from core.errors import ConfigurationError, InputError
from core.findings import Severity
from core.progress import CallbackProgress
from features.binning import FeatureBins, fit_bins, make_reference_profile
from features.definitions import Condition, FeatureDefinition, PathStep
from features.plan import FeaturePlan, TableSchema
from model_registry.bundle import write_bundle
from model_registry.scorer import Scorer

NAMES = ("overdue_months", "net_profit", "age")


def _sample(n: int = 3_000, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)).round(3)
    margin = -1.6 + 0.9 * X[:, 0] - 0.7 * X[:, 1] + 0.2 * X[:, 2]
    X[rng.random(n) < 0.1, 0] = np.nan
    X[rng.random(n) < 0.1, 1] = -9.0
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    return X, y


def _plan(names: tuple[str, ...] = NAMES) -> FeaturePlan:
    definitions = tuple(FeatureDefinition.create((), name, "identity") for name in names)
    schema = TableSchema({"id": "key", **dict.fromkeys(names, "number")})
    return FeaturePlan("loan", "id", definitions, {"loan": schema})


# --- against OptBinning -------------------------------------------------------------------------------------------


def _peer(X: np.ndarray, y: np.ndarray) -> tuple[object, pd.DataFrame]:
    logging.getLogger("__cvxpy__").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer's own
        from optbinning import BinningProcess, Scorecard
        from sklearn.linear_model import LogisticRegression

        frame = pd.DataFrame(X, columns=list(NAMES))
        process = BinningProcess(list(NAMES), special_codes=[-9.0], max_n_bins=5)
        peer = Scorecard(
            process, LogisticRegression(C=0.5, tol=1e-10, max_iter=1_000), scaling_method="pdo_odds",
            scaling_method_params={"pdo": 30, "odds": 15, "scorecard_points": 500},
        )  # fmt: skip
        peer.fit(frame, y.astype(int), metric_special="empirical", metric_missing="empirical")
        return peer, frame


def test_points_and_scores_are_those_of_optbinning() -> None:
    X, y = _sample()
    peer, frame = _peer(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, table = np.asarray(peer.score(frame)), peer.table(style="detailed")
    specials = (Special("none", (-9.0,)),)
    bins = tuple(
        CharacteristicBins(
            FeatureBins(name, "number", edges=tuple(peer.binning_process_.get_binned_variable(name).splits.tolist())),
            specials if name == "net_profit" else (),
        )
        for name in NAMES
    )
    spec = ScorecardSpec(pdo=30, base_odds=15, base_points=500, decimals=6, penalty=2.0)
    data = ClassingData(X, y, NAMES)
    card = fit_card(Classing(bins), data, spec, only=NAMES).card
    ours = card.score(X)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    for item in card.characteristics:
        rows = table[table["Variable"] == item.alias]
        plain = rows[~rows["Bin"].astype(str).isin(["Special", "Missing"])]
        n_plain = item.bins.n_plain
        assert plain["Event"].tolist() == list(item.bad[:n_plain])
        assert plain["Non-event"].tolist() == list(item.good[:n_plain])
        np.testing.assert_allclose(plain["WoE"].astype(float), item.woe[:n_plain], atol=1e-12)
        shift = card.points(card.base_units) / len(NAMES)  # the peer spreads the base over the characteristics
        points = np.array([card.points(units) for units in item.units[:n_plain]])
        np.testing.assert_allclose(plain["Points"].astype(float), points + shift, atol=1e-3)


def test_the_peer_scores_a_special_code_and_a_null_as_we_do() -> None:
    X, y = _sample()
    peer, _ = _peer(X, y)
    odd = np.isnan(X[:, 0]) | (X[:, 1] == -9.0)
    assert odd.sum() > 300
    table = count_bins(CharacteristicBins(FeatureBins("net_profit"), (Special("none", (-9.0,)),)), X[:, 1], y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer.table(style="detailed").query("Variable == 'net_profit' and Bin == 'Special'")
    assert theirs["WoE"].astype(float).item() == pytest.approx(table.woe[-1], abs=1e-12)
    assert theirs["Count"].item() == table.n[-1] == (X[:, 1] == -9.0).sum()


# --- by hand ------------------------------------------------------------------------------------------------------


def test_a_card_of_one_characteristic_is_the_table_worked_by_hand() -> None:
    """Two bins: 80 good and 5 bad, 20 good and 5 bad. On its own weight of evidence the coefficient is 1."""
    x = np.array([0.0] * 85 + [1.0] * 25)
    y = np.array([0.0] * 80 + [1.0] * 5 + [0.0] * 20 + [1.0] * 5)
    bins = CharacteristicBins(FeatureBins("x", "number", edges=(0.5,)))
    spec = ScorecardSpec(penalty=1e-9, decimals=4, base_points=600, base_odds=50, pdo=20)
    card = fit_card(Classing((bins,)), ClassingData(x[:, None], y, ("x",)), spec).card
    factor = 20 / np.log(2)
    by_hand = [600 + factor * (np.log(odds) - np.log(50)) for odds in (80 / 5, 20 / 5)]
    assert card.score(np.array([[0.0], [1.0]])).tolist() == pytest.approx(by_hand, abs=2e-4)
    assert by_hand[0] - by_hand[1] == pytest.approx(40)  # four times the odds is twice 20 points
    item = card.characteristics[0]
    assert item.woe[:2] == pytest.approx((np.log(0.8 / 0.5), np.log(0.2 / 0.5)))
    assert (item.coefficient, item.units[2]) == (pytest.approx(1.0, abs=1e-6), 0)


def test_points_stand_for_the_odds_that_base_and_pdo_say() -> None:
    X, y = _sample()
    fitted = fit_scorecard(X, y, _plan(), ScorecardSpec(base_points=500, base_odds=10, pdo=40))
    odds = np.exp(-fitted.card.log_odds(np.array([500.0, 540.0, 460.0])))
    np.testing.assert_allclose(odds, [10, 20, 5])
    expected = 1 / (
        1 + np.exp(-fitted.card.log_odds(fitted.card.score(X[:, [NAMES.index(a) for a in fitted.card.aliases]])))
    )
    assert expected.mean() == pytest.approx(y.mean(), abs=0.01)


# --- signs, special codes, directions -----------------------------------------------------------------------------


def test_no_coefficient_contradicts_its_evidence() -> None:
    rng = np.random.default_rng(3)
    strong = rng.normal(size=2_000)
    X = np.column_stack([strong, strong + 0.35 * rng.normal(size=2_000), rng.normal(size=2_000)])
    y = (rng.random(2_000) < 1 / (1 + np.exp(1.5 - 2 * X[:, 0] + 0.9 * X[:, 1]))).astype(float)
    fitted = fit_scorecard(X, y, _plan(("a", "b", "c")), ScorecardSpec(max_correlation=1, min_information_value=0))
    assert "contradicts" in fitted.left_out.values()
    assert all(item.coefficient > 0 for item in fitted.card.characteristics)
    told = [finding for finding in fitted.findings if finding.code == "sign_contradicts_evidence"]
    assert [finding.where for finding in told] == [a for a, why in fitted.left_out.items() if why == "contradicts"]
    assert "矛盾" in told[0].text("zh")
    for item in fitted.card.characteristics:  # more evidence for good, more points
        order = np.argsort(item.woe)
        assert (np.diff(np.array(item.units)[order]) >= 0).all()


def test_weights_left_alone_are_those_of_plain_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2))
    y = (rng.random(500) < 1 / (1 + np.exp(X[:, 0] + 0.5 * X[:, 1]))).astype(float)
    weights = fit_weights(X, y, 1.0)
    peer = LogisticRegression(C=1.0, tol=1e-10).fit(-X, y)
    np.testing.assert_allclose(weights.coefficients, peer.coef_[0], atol=1e-4)
    assert weights.intercept == pytest.approx(-peer.intercept_[0], abs=1e-4)
    assert fit_weights(-X, y, 1.0).contradicting.keys() == {0, 1}


def _n_digits(number: float) -> int:
    return len(repr(number).removesuffix(".0").lstrip("-0.").replace(".", ""))


@pytest.mark.parametrize("weights", ["evidence", "joint"])
def test_a_card_to_shape_is_cut_at_round_numbers_and_keeps_its_directions(weights: WeightsKind) -> None:
    X, y = _sample(20_000)
    data = ClassingData(X + np.random.default_rng(1).uniform(-5e-4, 5e-4, X.shape), y, NAMES)
    spec = ScorecardSpec(weights=weights, directions={"overdue_months": "rising", "net_profit": "falling"})
    fitted = fit_classing(data, _plan(), spec)
    rounded = with_round_edges(fitted, data, spec)
    for before, after in zip(fitted.bins, rounded.bins, strict=True):
        x = data.column(before.alias)
        assert (before.assign(x) != after.assign(x)).mean() <= 0.001 * len(before.bins.edges)
        assert max(_n_digits(edge) for edge in after.bins.edges) <= 4
    assert max(_n_digits(edge) for item in fitted.bins for edge in item.bins.edges) > 4
    if weights == "evidence":
        for alias, sign in (("overdue_months", 1), ("net_profit", -1)):
            table = data.table(rounded.of(alias))
            rates = np.array(table.bad[: table.bins.n_plain]) / table.n[: table.bins.n_plain]
            assert (np.diff(rates) * sign >= 0).all()


def test_special_codes_have_bins_of_their_own_by_meaning() -> None:
    X, y = _sample()
    spec = ScorecardSpec(special_codes={"net*": [{"code": "no_report", "values": [-9], "label": {"zh": "无报表"}}]})
    fitted = fit_scorecard(X, y, _plan(), spec)
    item = fitted.card.characteristic("net_profit")
    coded = X[:, 1] == -9
    assert (item.good[-1], item.bad[-1]) == ((coded & (y == 0)).sum(), (coded & (y == 1)).sum())
    assert item.bins.label(item.bins.n_bins - 1, "zh") == "无报表"
    assert min(item.bins.bins.edges) > -5  # the code did not draw a boundary
    assert fitted.card.characteristic("overdue_months").bins.specials == ()
    missing = fitted.card.characteristic("overdue_months")
    assert missing.good[missing.bins.n_plain] + missing.bad[missing.bins.n_plain] == np.isnan(X[:, 0]).sum()


def test_a_special_level_of_a_category_is_kept_apart(world: Callable) -> None:
    matrix, labels = world(1_500)
    spec = ScorecardSpec(min_information_value=0, special_codes={"sector": [{"code": "b", "values": ["b"]}]})
    fitted = fit_scorecard(matrix.values, labels.y, matrix.plan, spec)
    bins = fitted.classing.of("sector")
    codes = matrix.values[:, -1]
    np.testing.assert_array_equal(bins.assign(codes) == bins.n_bins - 1, codes == 1)
    assert bins.look_up("b") == bins.n_bins - 1


def test_a_thin_special_bin_counts_as_average() -> None:
    bins = CharacteristicBins(FeatureBins("x", "number", edges=(0.0,)), (Special("rare", (-9.0,)),))
    table = BinTable(bins, (500, 300, 40, 0), (50, 80, 4, 3))
    assert evidence(table)[3] == 0.0
    np.testing.assert_array_equal(evidence(table)[:3], table.woe[:3])
    assert evidence(table, least_rows=1)[3] == table.woe[3] < 0


def test_empty_bins_do_not_break_the_card() -> None:
    X, y = _sample(600)
    bins = tuple(CharacteristicBins(FeatureBins(name, "number", edges=(0.0, 50.0, 60.0))) for name in NAMES)
    card = fit_card(Classing(bins), ClassingData(X, y, NAMES), ScorecardSpec()).card
    assert np.isfinite(card.score(X[:, [NAMES.index(alias) for alias in card.aliases]])).all()
    assert all(item.units[2] == item.units[3] == 0 for item in card.characteristics)  # no rows, no evidence


def test_nothing_to_tell_is_refused() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(400) < 0.3).astype(float)
    with pytest.raises(InputError, match="tells good from bad"):
        fit_scorecard(np.ones((400, 3)), y, _plan(), ScorecardSpec())
    with pytest.raises(InputError, match="both occur"):
        fit_scorecard(rng.normal(size=(400, 3)), np.zeros(400), _plan(), ScorecardSpec())


def test_bins_keep_the_direction_of_the_business() -> None:
    X, y = _sample()
    turned = 1 - y  # now more overdue would be better, and more profit worse
    straight, wrong = (fit_scorecard(X, outcome, _plan(), ScorecardSpec()) for outcome in (y, turned))
    assert straight.classing.direction("overdue_months") == "rising"
    assert straight.classing.direction("net_profit") == "falling"
    assert not card_violations(straight.card, straight.classing.directions)
    assert set(wrong.card.aliases) == {"age"}
    told = {finding.where for finding in wrong.findings if finding.code == "nothing_in_direction"}
    assert told == {"overdue_months", "net_profit"}
    free = ScorecardSpec(directions={"overdue_months": None})
    assert "overdue_months" in fit_scorecard(X, turned, _plan(), free).card.aliases


def _definition(column: str | None, primitive: str, table: str = "record", **more: object) -> FeatureDefinition:
    return FeatureDefinition.create((PathStep("down", table, "id", "id"),), column, primitive, **more)


@pytest.mark.parametrize(
    ("definition", "direction"),
    [
        (_definition("overdue_days", "max"), "rising"),
        (_definition("net_profit", "mean"), "falling"),
        (_definition("sales_growth", "last"), "falling"),
        (_definition("total_liabilities", "sum"), "rising"),
        (_definition("profit_growth", "mean"), "falling"),
        (_definition("liability_growth", "mean"), None),  # two rules that contradict each other
        (_definition("overdue_days", "std"), None),
        (_definition("overdue_days", "num_unique"), None),
        (_definition(None, "count", "credit_query"), "rising"),
        (_definition(None, "time_since_last", "judicial_case"), "falling"),
        (_definition("amount", "sum", "credit_query"), None),
        (_definition("overdue_days", "trend"), "rising"),
        (_definition("overdue_days", "sum", second="amount"), None),
        (_definition("net_profit", "mean", window="6m", against="24m"), None),
        (_definition(None, "count", "repayment", where=Condition("overdue_days", ">", 30.0)), "rising"),
        (_definition(None, "count", "credit_query", where=Condition("kind", "==", "own")), None),
        (_definition("defaulted", "mode", kind="category"), None),
        (FeatureDefinition.create((), "c17", "identity", names={"en": "c17", "zh": "近两年逾期次数"}), "rising"),
        (FeatureDefinition.create((), "利润总额", "identity"), "falling"),
    ],
    ids=lambda value: value.id if isinstance(value, FeatureDefinition) else str(value),
)
def test_the_business_dictionary(definition: FeatureDefinition, direction: str | None) -> None:
    plan = FeaturePlan("loan", "id", (definition,), {"loan": TableSchema({"id": "key"})})
    found = suggest_directions(plan)
    assert (found[definition.alias].direction if found else None) == direction


def test_a_person_has_the_last_word_on_directions() -> None:
    plan = _plan()
    overrides = {"overdue_months": None, "age": "falling"}
    found = suggest_directions(plan, overrides=overrides)
    assert constraints(plan, found) == [0, -1, -1]
    assert (str(found["age"].reason), found["net_profit"].reason.text("zh")) == ("set by hand", "业务词典：profit")
    assert suggest_directions(plan, [DirectionRule("own", "^age$", "rising")])["age"].direction == "rising"
    for bad in ({"nobody": "rising"}, {"age": "up"}):
        with pytest.raises(ConfigurationError):
            suggest_directions(plan, overrides=bad)
    with pytest.raises(ConfigurationError, match="regular expression"):
        DirectionRule("bad", "(", "rising")


def test_a_direction_is_learnt_only_where_every_step_is_clear() -> None:
    bins = CharacteristicBins(FeatureBins("age", "number", edges=(30.0, 40.0)))
    clear, weak = BinTable(bins, (700, 850, 950, 0), (300, 150, 50, 0)), BinTable(bins, (70, 72, 95, 0), (30, 28, 5, 0))
    turning = BinTable(bins, (700, 950, 700, 9), (300, 50, 300, 9))
    found = learn_directions([clear], {})
    assert (found["age"].direction, found["age"].is_learnt) == ("falling", True)
    assert "训练样本" in found["age"].reason.text("zh")
    assert Suggestion.from_json(found["age"].to_json()) == found["age"]
    assert not learn_directions([weak], {})
    assert not learn_directions([turning], {})
    assert not learn_directions([clear], {"age": Suggestion("age", None)})


def test_what_contradicts_a_direction_is_found() -> None:
    bins = CharacteristicBins(FeatureBins("overdue_months", "number", edges=(1.0, 2.0, 3.0)))
    table = BinTable(bins, (900, 400, 195, 50, 0), (100, 40, 5, 50, 0))
    rising = {"overdue_months": Suggestion("overdue_months", "rising")}
    found = data_violations([table], rising)
    assert [finding.code for finding in found] == ["bad_rate_against_direction"] * 2
    assert [finding.severity for finding in found] == [Severity.INFO, Severity.WATCH]  # 10 to 9.1 %, then to 2.5 %
    assert "10.0%" in found[0].text()
    assert "9.1%" in found[0].text()
    assert not data_violations([table], {"overdue_months": Suggestion("overdue_months", None)})
    falling = data_violations([table], {"overdue_months": Suggestion("overdue_months", "falling")})
    assert [finding.severity for finding in falling] == [Severity.WATCH]


# --- in the race and in the bundle --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(world: Callable) -> TrainingRows:
    matrix, labels = world(1_500)
    spec = TrainSpec(n_trials=1, folds=3, bootstrap_draws=50)
    return TrainingRows(matrix, labels, make_split(labels, spec.split), spec)


@pytest.fixture(scope="module")
def trained(rows: TrainingRows) -> ScorecardRun:
    return train_scorecard(rows, ScorecardSpec(max_bins=4))


def test_a_trained_card_is_one_number_from_model_to_product(
    rows: TrainingRows, trained: ScorecardRun, tmp_path: Path
) -> None:
    run = trained
    result, values = run.result, rows.matrix.values
    assert result.family == "scorecard"
    points = result.scale.points(result.probability(values))
    assert isinstance(result.model, ScorecardModel)
    np.testing.assert_array_equal(points, result.model.score(values))
    columns = [rows.matrix.plan.positions[alias] for alias in run.fitted.card.aliases]
    np.testing.assert_array_equal(points, run.fitted.card.score(values[:, columns]))
    save_model(result.model, tmp_path)
    np.testing.assert_array_equal(load_model(tmp_path).margin(values), result.model.margin(values))
    assert len(result.scale.master.grades) >= 2
    assert result.evaluation.best.metrics["auc"].value > 0.75
    again = Evaluation.from_json(json.loads(json.dumps(result.evaluation.to_json())))
    assert again.best.metrics["auc"] == result.evaluation.best.metrics["auc"]
    json.dumps(result.to_json())


def test_served_from_its_bundle_it_gives_the_points_of_the_printed_table(
    rows: TrainingRows, trained: ScorecardRun, tmp_path: Path
) -> None:
    run, matrix = trained, rows.matrix
    reference = make_reference_profile(matrix.values, matrix.plan, run.result.probability(matrix.values))
    write_bundle(
        tmp_path / "bundle", plan=matrix.plan, training=run.result, reference=reference, label=rows.labels.spec,
        certificate=None, selection=None, data_fingerprint="d" * 64, info={},
    )  # fmt: skip
    scorer = Scorer.load(tmp_path / "bundle")
    points = scorer.score_matrix(matrix.values)[1]
    for i in range(0, len(points), 7):
        raw = {
            alias: None if np.isnan(value) else matrix.plan.display_value(alias, value) if alias == "sector" else value
            for alias, value in zip(matrix.plan.aliases, matrix.values[i].tolist(), strict=True)
        }
        raw["sector"] = "never seen" if matrix.values[i, -1] == 3 else raw["sector"]
        assert points[i] == run.fitted.card.look_up(raw)
    row = {"sector": "b", **{f"x{i}": 0.3 for i in range(6)}}
    answer = scorer.score_rows({"loan": [{"id": "L1", **row}]}, key="L1", cutoff="2019-01-01")
    assert answer.score == run.fitted.card.look_up(row)


def test_boundaries_have_few_digits_and_cut_the_same_rows() -> None:
    X, y = _sample()
    fitted = fit_scorecard(X, y, _plan(), ScorecardSpec(use_dictionary=False))
    assert len(fitted.classing.bins) == 3
    for item in fitted.classing.bins:
        column = X[:, NAMES.index(item.alias)]
        exact = fit_bins(column, y, max_bins=6, min_share=0.03)
        np.testing.assert_array_equal(item.assign(column), exact.assign(column))
        assert all(len(repr(edge)) <= 7 for edge in item.bins.edges)


def test_figures_on_training_rows_come_from_cards_that_did_not_see_them(
    rows: TrainingRows, trained: ScorecardRun
) -> None:
    result = trained.result
    own = result.model.margin(rows.matrix.values[rows.split.train])
    y = rows.labels.y[rows.split.train]
    assert auc(y, result.out_of_fold_margin) < auc(y, own)
    shown = next(iter(result.evaluation.samples.values())).metrics["auc"].value
    assert shown == pytest.approx(auc(y, result.out_of_fold_margin))


def test_an_edited_classing_is_trained_and_says_so(rows: TrainingRows, trained: ScorecardRun) -> None:
    first = trained
    alias = next(item.alias for item in first.fitted.classing.bins if item.kind == "number" and item.n_plain > 2)
    edited = first.fitted.classing.merge(alias, [0, 1], rows.data, by="li")
    second = train_scorecard(rows, ScorecardSpec(max_bins=4), classing=edited, only=(alias, "sector"))
    assert second.fitted.card.characteristic(alias).bins == edited.of(alias)
    assert "bins_on_same_rows" in {finding.code for finding in second.result.findings}
    assert second.result.fingerprint != first.result.fingerprint


def test_an_imported_card_becomes_a_model_to_register(rows: TrainingRows, trained: ScorecardRun) -> None:
    imported = from_csv(to_csv(trained.fitted.card), name="old")
    result = judge_scorecard(bind(imported.card, rows.matrix.plan), rows)
    values = rows.matrix.values
    np.testing.assert_array_equal(result.model.margin(values), trained.result.model.margin(values))
    assert result.verdict.text("zh") == "评分卡 old 单独接受了评估"
    assert result.evaluation.headline == trained.result.evaluation.headline


def test_named_characteristics_are_taken_and_progress_is_told(rows: TrainingRows) -> None:
    told: list[float] = []
    progress = CallbackProgress(lambda fraction, _: told.append(fraction))
    run = train_scorecard(rows, ScorecardSpec(max_bins=4), only=("x0", "sector"), progress=progress)
    assert run.fitted.card.aliases == ("x0", "sector")
    assert told == [0.25, 0.5, 0.75]


def test_an_average_of_cards_is_no_card(rows: TrainingRows) -> None:
    X, y = _sample()
    card = fit_scorecard(X, y, _plan(), ScorecardSpec()).card
    model = ScorecardModel([card, card], NAMES)
    np.testing.assert_allclose(model.margin(X), ScorecardModel([card], NAMES).margin(X))
    with pytest.raises(InputError, match="average of 2"):
        _ = model.card


def test_levels_stand_with_their_names_and_are_looked_up_by_their_codes(rows: TrainingRows) -> None:
    plan = rows.matrix.plan
    named = replace(plan, level_names={"sector": {"a": {"en": "farming", "zh": "农业"}}})
    data = replace(rows, matrix=replace(rows.matrix, plan=named))
    bins = train_scorecard(data, ScorecardSpec(max_bins=4), only=("sector",)).fitted.card.characteristic("sector").bins
    labels = [bins.label(index, "zh") for index in range(bins.n_plain)]
    assert any("a 农业" in label for label in labels)
    assert "a farming" in bins.label(bins.look_up("a"))
    assert CharacteristicBins.from_json(json.loads(json.dumps(bins.to_json()))) == bins
    assert bins.level_label("b") == "b"
