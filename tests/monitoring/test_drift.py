import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from core.errors import InputError
from core.findings import Severity
from features.binning import FeatureBins, ReferenceProfile, make_reference_profile
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema
from monitoring.drift import chance_psi, check_drift
from monitoring.report import DriftReport

LEVELS = ("north", "south")


def make_plan(numbers: int, categories: int = 0) -> FeaturePlan:
    names = [f"x{i}" for i in range(numbers)] + [f"c{i}" for i in range(categories)]
    definitions = tuple(
        FeatureDefinition.create(
            (),
            name,
            "identity",
            kind="category" if name[0] == "c" else "number",
            names={"en": name, "zh": f"特征{name}"},
        )
        for name in names
    )
    columns = {"id": "key", **{d.alias: d.kind for d in definitions}}
    levels = {d.alias: LEVELS for d in definitions if d.kind == "category"}
    return FeaturePlan("loan", "id", definitions, {"loan": TableSchema(columns)}, levels)  # type: ignore[arg-type]


def make_world(n: int, seed: int, numbers: int = 4, categories: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = np.column_stack(
        [
            rng.gamma(2, 100, (n, numbers)),
            rng.choice([0.0, 1.0, 2.0, np.nan], (n, categories), p=[0.5, 0.4, 0.05, 0.05]),
        ]
    )
    values[rng.random(n) < 0.1, 0] = np.nan
    return values, rng.normal(550, 40, n)


@pytest.fixture(scope="module")
def world() -> tuple[FeaturePlan, ReferenceProfile]:
    plan = make_plan(4, 1)
    return plan, make_reference_profile(*_profile_arguments(plan))


def _profile_arguments(plan: FeaturePlan) -> tuple[np.ndarray, FeaturePlan, np.ndarray]:
    values, scores = make_world(20_000, 1)
    return values, plan, scores


def reference_psi(values: np.ndarray, before: np.ndarray, edges: list[float]) -> float:
    """PSI by its definition, value by value, with nothing of ours in it."""

    def shares(column: np.ndarray) -> list[float]:
        counts = [0] * (len(edges) + 2)
        for value in column:
            counts[-1 if math.isnan(value) else sum(1 for edge in edges if value >= edge)] += 1
        return [count / len(column) for count in counts]

    total = 0.0
    for e, a in zip(shares(before), shares(values), strict=True):
        if e or a:
            total += (max(a, 1e-4) - max(e, 1e-4)) * math.log(max(a, 1e-4) / max(e, 1e-4))
    return total


def test_psi_agrees_with_a_table_worked_by_hand() -> None:
    # shares .40 .30 .20 .10 against .25 .30 .25 .20:
    # -.15 ln .625 + 0 + .05 ln 1.25 + .10 ln 2 = .0705006 + .0111572 + .0693147
    plan = make_plan(1)
    bins = FeatureBins("x0", edges=(1.0, 2.0, 3.0))
    reference = ReferenceProfile((bins,), ((400, 300, 200, 100, 0),), (500.0,), (500, 500, 0), 1000, (0.0,))
    values = np.repeat([0.5, 1.0, 2.5, 9.0], [250, 300, 250, 200])[:, None]
    report = check_drift(reference, plan, values, np.repeat([400.0, 600.0], 500), period="p")
    feature = report.feature("x0")
    assert feature.psi == pytest.approx(0.1509725, abs=1e-7)
    assert feature.current_counts == (250, 300, 250, 200, 0)
    assert report.score_psi == 0.0
    assert str(feature.moved) == "< 1 went from 40.0% to 25.0%"
    assert feature.status == "watch"
    assert report.verdict == "watch"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-10, 10) | st.just(math.nan), min_size=5, max_size=60),
    st.lists(st.floats(-20, 20) | st.just(math.nan), min_size=5, max_size=60),
    st.lists(st.floats(-9, 9), min_size=1, max_size=5, unique=True).map(sorted),
)
def test_psi_agrees_with_an_independent_implementation(
    before: list[float], now: list[float], edges: list[float]
) -> None:
    plan = make_plan(1)
    old, new = np.array(before), np.array(now)
    bins = FeatureBins("x0", edges=tuple(edges))
    counts = tuple(np.bincount(bins.assign(old), minlength=bins.n_bins).tolist())
    reference = ReferenceProfile((bins,), (counts,), (0.0,), (len(old), 0, 0), len(old), (0.0,))
    report = check_drift(reference, plan, new[:, None], np.full(len(new), -1.0), period="p", min_rows=1)
    assert report.feature("x0").psi == pytest.approx(reference_psi(new, old, edges), rel=1e-9, abs=1e-12)


def test_an_unmoved_world_is_stable(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    report = check_drift(reference, plan, *make_world(5_000, 2), period="2026-11")
    assert report.verdict == "stable"
    assert report.drifted == ()
    assert report.findings == ()
    assert [feature.alias for feature in report.feature_psi] == list(plan.aliases)


def test_a_moved_score_asks_to_act(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 3)
    report = check_drift(reference, plan, values, scores - 25, period="2026-11")
    assert report.verdict == "act"
    assert [finding.code for finding in report.findings] == ["score_drift"]
    assert report.findings[0].severity is Severity.BAD


def test_one_moved_feature_of_many_is_watched_and_a_twentieth_of_them_asks_to_act() -> None:
    plan = make_plan(40)
    reference = make_reference_profile(make_world(20_000, 1, 40, 0)[0], plan, make_world(20_000, 1)[1])
    values, scores = make_world(5_000, 2, 40, 0)
    values[:, 7] *= 2
    assert check_drift(reference, plan, values, scores, period="p").verdict == "watch"
    values[:, 8] *= 2
    report = check_drift(reference, plan, values, scores, period="p")
    assert report.verdict == "act"
    assert {feature.alias for feature in report.drifted} == {"x7", "x8"}


def test_missing_values_that_come_in_are_seen_and_said(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 2)
    values[::4, 1] = np.nan
    report = check_drift(reference, plan, values, scores, period="p")
    feature = report.feature("x1")
    assert (feature.missing_reference, feature.missing_current) == (0.0, 0.25)
    assert "missing went from 0.0% to 25.0%" in str(feature.moved)
    assert "missing_rate_shift" in {finding.code for finding in report.findings if finding.where == "x1"}
    assert not report.is_feed_broken


def test_categories_the_model_does_not_know_are_counted(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 2)
    values[::5, 4] = 2.0
    report = check_drift(reference, plan, values, scores, period="p")
    feature = report.feature("c0")
    assert feature.unseen_current == pytest.approx(float((values[:, 4] == 2).mean()))
    assert "unseen_categories" in {finding.code for finding in report.findings}


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [(1, 0.0, "every value is 0"), (1, np.nan, "100.0% of the values are missing"), (4, 2.0, "no category is one")],
)
def test_a_broken_column_is_a_fault_of_the_data_not_a_drift(
    world: tuple[FeaturePlan, ReferenceProfile], column: int, value: float, said: str
) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 2)
    values[:, column] = value
    report = check_drift(reference, plan, values, scores, period="p")
    assert report.is_feed_broken
    assert report.verdict == "act"
    assert [finding.code for finding in report.findings] == ["feature_feed_broken"]
    assert said in str(report.findings[0].message)


def test_a_constant_column_is_watched_because_a_short_period_may_have_one_value(
    world: tuple[FeaturePlan, ReferenceProfile],
) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 2)
    values[:, 1] = 120.0
    report = check_drift(reference, plan, values, scores, period="p")
    assert "feature_constant" in {finding.code for finding in report.findings}
    assert not report.is_feed_broken


def test_all_zero_input_is_one_broken_feed(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    report = check_drift(reference, plan, np.zeros((1_000, 5)), np.full(1_000, 480.0), period="p")
    feed = [finding for finding in report.findings if finding.code == "feed_broken"]
    assert report.is_feed_broken
    assert "4 of 5 features" in str(feed[0].message)
    assert any("same score" in str(finding.message) for finding in feed)


@pytest.mark.parametrize("n", [0, 1, 199])
def test_too_few_cases_give_no_verdict_and_no_alarm(world: tuple[FeaturePlan, ReferenceProfile], n: int) -> None:
    plan, reference = world
    values, scores = make_world(n, 2)
    report = check_drift(reference, plan, values * 100, scores, period="p")
    assert report.verdict == "not_enough_data"
    assert report.score_psi is None
    assert [finding.severity for finding in report.findings] == [Severity.INFO]


def test_few_cases_are_said_to_be_few(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    report = check_drift(reference, plan, *make_world(250, 2), period="p")
    assert "small_sample" in {finding.code for finding in report.findings}
    assert report.verdict == "stable"


@pytest.mark.parametrize(("n_bins", "m", "n"), [(5, 20_000, 200), (11, 5_000, 400), (20, 50_000, 3_000)])
def test_the_share_of_chance_agrees_with_the_chi_square_law(n_bins: int, m: int, n: int) -> None:
    scale = 1 / m + 1 / n
    mean, rare = chance_psi(n_bins, m, n)
    assert mean == pytest.approx((n_bins - 1) * scale)
    assert rare == pytest.approx(chi2.ppf(0.999, n_bins - 1) * scale, rel=0.02)


def test_unmoved_samples_show_the_psi_that_chance_is_said_to_give() -> None:
    plan, rng = make_plan(100), np.random.default_rng(5)
    reference = make_reference_profile(rng.normal(size=(20_000, 100)), plan, rng.normal(size=20_000))
    report = check_drift(reference, plan, rng.normal(size=(1_000, 100)), rng.normal(size=1_000), period="p")
    found = np.mean([feature.psi for feature in report.feature_psi])
    assert found == pytest.approx(report.feature_psi[0].chance_psi, rel=0.1)
    assert all(feature.is_within_chance for feature in report.feature_psi)


def test_a_report_survives_json_in_both_languages(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    values, scores = make_world(5_000, 3)
    values[:, 1] *= 3
    values[:, 2] = np.nan
    report = check_drift(reference, plan, values, scores - 30, period="2026-11", source="tables")
    again = DriftReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False)))
    assert again == report
    for language in ("en", "zh"):
        assert [f.text(language) for f in again.findings] == [f.text(language) for f in report.findings]
        assert again.feature("c0").bin_labels(language) == report.feature("c0").bin_labels(language)
    assert again.feature("c0").bin_labels("zh")[-1] == "缺失"
    assert {finding.where for finding in again.findings_in("zh")} == {"特征x1", "特征x2", "评分"}
    assert again.feature("x0").name("zh") == "特征x0"


@pytest.mark.parametrize(
    ("values", "scores"),
    [(np.zeros((300, 4)), np.zeros(300)), (np.zeros((300, 5)), np.zeros(299)), (np.zeros(5), np.zeros(1))],
)
def test_shapes_that_do_not_fit_are_refused(
    world: tuple[FeaturePlan, ReferenceProfile], values: np.ndarray, scores: np.ndarray
) -> None:
    with pytest.raises(InputError, match=r"features|scores"):
        check_drift(world[1], world[0], values, scores, period="p")


def test_a_profile_of_other_features_is_refused(world: tuple[FeaturePlan, ReferenceProfile]) -> None:
    plan, reference = world
    with pytest.raises(InputError, match="different features"):
        check_drift(reference, plan.select(plan.aliases[::-1]), np.zeros((300, 5)), np.zeros(300), period="p")
