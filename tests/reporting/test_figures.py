import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.i18n import msg
from reporting import figures
from reporting.figures import structure
from reporting.figures.structure import essential_links, layered_layout
from reporting.tokens import palette

NAMES = ["sales", "age", "<b>fee</b> & rate"]

MOMENTS = [datetime(2026, 11, 28, 7, 0, second, tzinfo=UTC) for second in (0, 5, 10)]
MONTHS_LATER = msg("Of contracts up to 30 days overdue, {share} are worse a month later", share="50%")

CHARTS: dict[str, Callable[..., go.Figure]] = {
    "roc": lambda **k: figures.roc_with_ks(
        [0, 0.2, 1], [0, 0.7, 1], auc=(0.75, 0.7, 0.8), ks=(0.5, 0.4, 0.6), sample="97", **k
    ),
    "scores": lambda **k: figures.score_distribution(
        [-np.inf, 500, 550, np.inf], [1, 2, 7], [6, 3, 1], cutoff=510, **k
    ),
    "calibration": lambda **k: figures.calibration_curve(
        [0.01, 0.1], [0.012, 0.2], [0.005, 0.15], [0.02, 0.25], [500, 100], **k
    ),
    "deciles": lambda **k: figures.bad_rate_by_decile(
        [0.1, 0.02], [100, 300], low=[0.06, 0.01], high=[0.16, 0.04], **k
    ),
    "segments": lambda **k: figures.intervals_by_segment(
        NAMES, [0.7, 0.6, np.nan], [0.65, 0.5, np.nan], [0.75, 0.66, np.nan], [500, 90, 12], overall=0.71, **k
    ),
    "capture": lambda **k: figures.capture_curve([0, 0.1, 0.5, 1], [0, 0.4, 0.8, 1], **k),
    "grades": lambda **k: figures.rates_by_grade(
        "ABC", [0.01, 0.1, np.nan], [0.012, 0.3, np.nan], [0.005, 0.2, np.nan], [0.02, 0.4, np.nan], [900, 80, 0], **k
    ),
    "net": lambda **k: figures.net_by_approval(
        [0.25, 0.5, 1],
        [1e6, 2e6, 4e6],
        [0.2e6, 0.6e6, 4.1e6],
        ([0.8e6, 1.4e6, -1e5], [0.6e6, 1e6, -1e6], [1e6, 2e6, 9e5]),
        best=1,
        best_interval=(0.4, 0.7),
        chosen=0,
        policy_rate=0.8,
        **k,
    ),
    "limit": lambda **k: figures.limit_by_approval(
        [0.25, 0.5, 1],
        ([0.01, 0.03, 0.05], [0.0, 0.02, 0.04], [0.02, 0.04, 0.06]),
        0.04,
        name=msg("Subrogation rate"),
        limit_name=msg("ceiling"),
        **k,
    ),
    "traffic": lambda **k: figures.requests_over_time(
        MOMENTS, ["sales", "turned", "failed"], [[1, 2, 30], [0, 1, 0], [0, 0, 2]], step_seconds=5, **k
    ),
    "latency": lambda **k: figures.latency_over_time(
        MOMENTS, [[1.5, np.nan, 2], [3, np.nan, 9], [12.5, np.nan, 250]], **k
    ),
    "leaning": lambda **k: figures.shares_over_time(
        ["2023-01", "2023-07"], NAMES, [[0.2, 0.3], [0.1, 0.1], [0.1, 0.05]], [1.0, 0.6], **k
    ),
    "importance": lambda **k: figures.importance_bars(NAMES, [0.1, 0.3, 0.05], **k),
    "waterfall": lambda **k: figures.reason_waterfall(
        NAMES, [0.01, -0.2, 0.4], base=-3.0, value_texts=["1", "2", "3"], probability=0.08, limit=2, **k
    ),
    "dependence": lambda **k: figures.dependence(
        [1, 2, 3],
        [-0.2, 0.0, 0.4],
        name="sales",
        unit="CNY",
        low=[-0.3, -0.1, 0.3],
        high=[0, 0.1, 0.5],
        counts=[3, 2, 1],
        **k,
    ),
    "levels": lambda **k: figures.dependence_by_category(["a", "b"], [0.2, -0.3], name="industry", counts=[3, 4], **k),
    "psi": lambda **k: figures.psi_bars(NAMES, [0.31, 0.14, 0.02], noise=0.02, sample="2026-11", **k),
    "course": lambda **k: figures.metric_over_time(
        ["2026-09", "2026-10", "2026-11"],
        [0.41, 0.39, 0.33],
        [0.02, 0.12, 0.3],
        low=[0.36, 0.34, 0.28],
        high=[0.46, 0.44, 0.38],
        matured=[1, 1, 0.7],
        **k,
    ),
    "psi_course": lambda **k: figures.psi_over_time(["2026-10", "2026-11"], [np.nan, 0.3], **k),
    "bad_rate": lambda **k: figures.bad_rate_by_period(
        ["2024", "2025"], [0.02, 0.04], [500, 400], low=[0.01, 0.03], high=[0.03, 0.05], **k
    ),
    "missing": lambda **k: figures.missing_rates(NAMES, [0.6, 0.1, 0], reference=[0.1, 0.1, 0.3], **k),
    "missing_now": lambda **k: figures.missing_rates(NAMES, [0.6, 0.1, 0], **k),
    "trials": lambda **k: figures.trials_progress(
        [0.7, np.nan, 0.74, 0.73], families=["lightgbm", "logistic"] * 2, **k
    ),
    "tables": lambda **k: figures.tables_graph(
        [
            {"name": "firm", "rows": 20, "columns": 3, "note": "7", "times": "1999", "is_used": False},
            {"name": "loan", "rows": 100, "share": 0.5},
        ],
        [("firm", "loan")],
        root="loan",
        selected="firm",
        link_notes={("firm", "loan"): [("firm_id", 0.98)]},
        **k,
    ),
    "rolls": lambda **k: figures.roll_matrix(
        ["not overdue", "1-30 days", "subrogated"], [[9_999, 1, 0], [50, 30, 20], [0, 0, 0]], title=MONTHS_LATER, **k
    ),
    "reject_shares": lambda **k: figures.reject_shares(["A", "B", "C"], [50, 30, 20], [10, 20, 70], **k),
    "reject_effect": lambda **k: figures.reject_effect(
        ["A", "B"],
        [(msg("Left out"), [0.01, 0.1]), (msg("Parcelling"), [0.02, 0.25])],
        ([0.01, np.nan], [0.0, np.nan], [0.03, np.nan]),
        **k,
    ),
    "quality": lambda **k: figures.quality_matrix(
        NAMES, ["validity", "integrity"], [[100, 62.5], [100, 100], [9, 99]], **k
    ),
    "quality_course": lambda **k: figures.quality_history([datetime(2026, 10, 1, tzinfo=UTC)] * 2, [88.0, 97.5], **k),
    "funnel": lambda **k: figures.feature_funnel(
        600, [(NAMES[2], 450), ("none", 0), ("weak", 30)], n_proposed=999, **k
    ),
    "compare": lambda **k: figures.feature_drift_compare(["<5", ">=5"], [80, 20], [50, 50], name="sales", psi=0.4, **k),
}

EMPTY: dict[str, Callable[..., go.Figure]] = {
    "roc": lambda **k: figures.roc_with_ks([], [], **k),
    "scores": lambda **k: figures.score_distribution([0, 1], [3], [0], **k),
    "calibration": lambda **k: figures.calibration_curve([], [], [], [], [], **k),
    "deciles": lambda **k: figures.bad_rate_by_decile([0.0], [10], **k),
    "segments": lambda **k: figures.intervals_by_segment(["a"], [np.nan], [np.nan], [np.nan], [3], overall=0.7, **k),
    "capture": lambda **k: figures.capture_curve([], [], **k),
    "grades": lambda **k: figures.rates_by_grade(["A"], [np.nan], [np.nan], [np.nan], [np.nan], [0], **k),
    "net": lambda **k: figures.net_by_approval([], [], [], ([], [], []), best=0, best_interval=(0, 0), **k),
    "limit": lambda **k: figures.limit_by_approval(
        [], ([], [], []), 0.04, name=msg("Subrogation rate"), limit_name=msg("ceiling"), **k
    ),
    "leaning": lambda **k: figures.shares_over_time([], [], [], [], **k),
    "traffic": lambda **k: figures.requests_over_time(MOMENTS, ["answered"], [[0, 0, 0]], step_seconds=5, **k),
    "latency": lambda **k: figures.latency_over_time([], [[], [], []], **k),
    "importance": lambda **k: figures.importance_bars([], [], **k),
    "waterfall": lambda **k: figures.reason_waterfall([], [], base=0.0, **k),
    "dependence": lambda **k: figures.dependence([], [], name="x", **k),
    "levels": lambda **k: figures.dependence_by_category([], [], name="x", **k),
    "psi": lambda **k: figures.psi_bars([], [], **k),
    "course": lambda **k: figures.metric_over_time([], [], [], **k),
    "bad_rate": lambda **k: figures.bad_rate_by_period(["2025"], [np.nan], [0], **k),
    "missing": lambda **k: figures.missing_rates([], [], **k),
    "trials": lambda **k: figures.trials_progress([np.nan], **k),
    "tables": lambda **k: figures.tables_graph([], [], **k),
    "rolls": lambda **k: figures.roll_matrix(["a", "b"], [[0, 0], [0, 0]], title=MONTHS_LATER, **k),
    "reject_shares": lambda **k: figures.reject_shares([], [], [], **k),
    "reject_effect": lambda **k: figures.reject_effect([], [], ([], [], []), **k),
    "quality": lambda **k: figures.quality_matrix([], ["validity"], [], **k),
    "quality_course": lambda **k: figures.quality_history([], [], **k),
    "funnel": lambda **k: figures.feature_funnel(0, [], **k),
    "compare": lambda **k: figures.feature_drift_compare([], [], [], name="x", **k),
}


def texts(figure: go.Figure) -> list[str]:
    spoken = [figure.layout.title.text, figure.layout.xaxis.title.text or ""]
    spoken += [annotation.text for annotation in figure.layout.annotations]
    spoken += figure.layout.yaxis.ticktext or []
    for trace in figure.data:
        spoken += list(trace.hovertext) if trace.hovertext is not None else []
    return spoken


def marks(figure: go.Figure, name: str) -> Any:
    return next(trace for trace in figure.data if trace.name == name)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_says_its_finding_in_the_readers_language_and_theme(chart: str, language: str, theme: str) -> None:
    figure = CHARTS[chart](language=language, theme=theme)
    spoken = texts(figure)
    assert len(figure.layout.title.text) > 10
    assert not any("{" in text or "nan" in text or "&amp;lt;" in text or "&amp;amp;" in text for text in spoken)
    chinese = [bool(re.search("[\u4e00-\u9fff]", text)) for text in spoken]
    assert chinese[0] == (language == "zh")
    assert any(chinese) == (language == "zh")
    assert figure.layout.template.layout.paper_bgcolor == palette(theme).panel
    json.loads(figure.to_json())


@pytest.mark.parametrize("chart", CHARTS)
def test_every_mark_that_answers_the_pointer_has_a_sentence(chart: str) -> None:
    for trace in CHARTS[chart]().data:
        if trace.hoverinfo != "skip":
            assert len(trace.hovertext) == len(trace.y) > 0
            assert trace.hovertemplate == "%{hovertext}<extra></extra>"


@pytest.mark.parametrize("chart", sorted(set(CHARTS) - {"tables"}))
def test_every_axis_that_carries_numbers_is_named(chart: str) -> None:
    figure = CHARTS[chart]()
    level_labels = [a.text for a in figure.layout.annotations if a.name == "y-label"]
    assert figure.layout.xaxis.title.text or figure.layout.xaxis.type == "category"
    assert level_labels or figure.layout.yaxis.ticktext is not None


@pytest.mark.parametrize("chart", EMPTY)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_to_draw_is_said_in_words(chart: str, language: str) -> None:
    figure = EMPTY[chart](language=language)
    assert len(figure.data) == 0
    assert len(figure.layout.annotations[0].text) > 8


def test_a_given_title_stands_in_place_of_the_composed_one() -> None:
    assert figures.psi_bars(["a"], [0.1], title="Mine").layout.title.text.startswith("Mine")


def test_names_cannot_carry_markup() -> None:
    for chart in ("importance", "psi", "missing", "waterfall"):
        spoken = " ".join([*texts(CHARTS[chart]()), *CHARTS[chart]().layout.yaxis.ticktext])
        assert "<b>fee" not in spoken
        assert "&lt;b&gt;fee&lt;/b&gt; &amp; rate" in spoken


def test_ks_is_read_where_the_curves_lie_furthest_apart() -> None:
    figure = figures.roc_with_ks([0, 0.1, 0.3, 1], [0, 0.5, 0.8, 1])
    assert "80.0%" in figure.layout.title.text
    assert "30.0%" in figure.layout.title.text
    assert "KS .500" in figure.layout.title.text


def test_score_shares_are_of_each_class_and_the_middle_is_interpolated() -> None:
    figure = figures.score_distribution([500, 510, 520, 530], [0, 50, 50], [100, 0, 0])
    assert list(marks(figure, "good cases").y) == [0.0, 0.5, 0.5]
    assert list(marks(figure, "bad cases").y) == [1.0, 0.0, 0.0]
    assert "bad score below 505" in figure.layout.title.text.replace("<br>", " ")
    assert "good below 520" in figure.layout.title.text.replace("<br>", " ")


def test_calibration_weights_groups_by_their_cases() -> None:
    title = figures.calibration_curve([0.1, 0.2], [0.1, 0.4], [0.05, 0.3], [0.15, 0.5], [300, 100]).layout.title.text
    assert "Expected 12.5%, observed 17.5%: 1 of 2" in title.replace("<br>", " ")


def test_decile_finding_counts_bad_cases() -> None:
    title = figures.bad_rate_by_decile([0.30, 0.10, 0.0, 0.0], [100, 100, 100, 100]).layout.title.text
    assert "25.0% of cases hold 75.0% of the bad, 3.0 times" in title.replace("<br>", " ")


def test_the_segment_that_can_be_told_from_all_cases_is_named_and_one_without_outcomes_is_not_drawn() -> None:
    figure = CHARTS["segments"]()
    assert "weaker than over all cases where it is age: .600 [.500, .660]" in " ".join(texts(figure)).lower()
    assert list(marks(figure, "AUC").x) == [0.7, 0.6]
    assert "too few outcomes" in texts(figure)


def test_the_best_approval_rate_is_told_with_its_doubt_and_money_in_the_readers_unit() -> None:
    plain = texts(CHARTS["net"]())[0].replace("<br>", " ")
    assert "Approving 50% of the applicants brings most:" in plain and "CNY\u00a01.4\u00a0million" in plain
    assert "收益最高：140万元" in re.sub(r"<br>|\s", "", texts(CHARTS["net"](language="zh"))[0])
    assert list(marks(CHARTS["net"](language="zh"), "净收益").y) == [80, 140, -10]


def test_a_limit_says_how_far_it_is_kept() -> None:
    assert "kept up to 50% approved" in texts(CHARTS["limit"]())[0].replace("<br>", " ")


def test_grades_that_kept_to_what_was_expected_are_counted() -> None:
    assert "1 of 2 grades" in texts(CHARTS["grades"]())[0]


def test_what_the_riskiest_fifth_catches_is_interpolated() -> None:
    assert "The riskiest 20% of cases hold 50.0% of the bad" in texts(CHARTS["capture"]())[0]


def test_bars_start_at_zero() -> None:
    for chart in ("importance", "psi", "missing", "compare"):
        assert CHARTS[chart]().layout.xaxis.range[0] == 0
    assert CHARTS["deciles"]().layout.yaxis.range[0] == 0
    assert CHARTS["course"]().layout.yaxis2.range[0] == 0


def test_the_waterfall_ends_where_all_contributions_sum_to() -> None:
    figure = figures.reason_waterfall(["a", "b", "c", "d"], [0.5, -0.2, 0.1, 0.05], base=-2.0, limit=2)
    bars = marks(figure, "contribution")
    assert float(bars.base[-1]) + float(bars.x[-1]) == pytest.approx(-2.0 + 0.45)
    ends = np.asarray(bars.base, float) + np.asarray(bars.x, float)
    assert list(bars.base[1:]) == pytest.approx(list(ends[:-1]))
    assert list(marks(figure, "total").x) == pytest.approx([-2.0, -1.55])


def test_psi_bars_are_coloured_and_worded_by_the_thresholds() -> None:
    figure = figures.psi_bars(["a", "b", "c"], [0.05, 0.25, 0.10])
    light = palette("light")
    assert list(marks(figure, "value").marker.color) == [light.series[3], light.series[1], light.series[6]]
    said = " ".join(texts(figure))
    assert ".250 act" in said
    assert ".100 watch" in said
    assert ".050 stable" in said
    assert [shape.x0 for shape in figure.layout.shapes] == [0.10, 0.25]


def test_only_the_widest_moves_are_drawn_and_the_rest_is_said() -> None:
    figure = figures.psi_bars([f"f{i}" for i in range(50)], np.linspace(0, 0.2, 50), limit=10)
    assert len(marks(figure, "value").x) == 10
    assert "10 of 50 features shown" in figure.layout.title.text


def test_unmatured_points_are_hollow() -> None:
    line = marks(CHARTS["course"](), "KS")
    assert line.marker.color[0] == palette("light").current
    assert line.marker.color[2] == palette("light").panel


@pytest.mark.parametrize(
    ("psi", "said"),
    [
        ([0.3, 0.1, 0.26, 0.31], "PSI over .25 since C"),
        ([0.3, 0.31], "PSI over .25 since A"),
        ([0.3, 0.1], "PSI over .25 in 1 of 2 periods"),
        ([0.1, np.nan], "PSI under .25 throughout, highest .100 in A"),
        ([np.nan], "Not enough data yet to tell the PSI"),
    ],
)
def test_the_course_of_psi_is_told_as_it_was(psi: list[float], said: str) -> None:
    figure = figures.psi_over_time(list("ABCD")[: len(psi)], psi)
    assert figure.layout.title.text == said


def test_without_any_outcome_only_the_psi_is_drawn() -> None:
    figure = figures.metric_over_time(["A", "B"], [np.nan, np.nan], [0.1, 0.2])
    assert [trace.name for trace in figure.data] == ["PSI"]
    assert figure.data[0].yaxis == "y"


def test_best_so_far_never_falls_and_passes_over_failed_trials() -> None:
    figure = figures.trials_progress([0.7, np.nan, 0.72, 0.71, 0.5])
    assert list(figure.data[0].y) == [0.7, 0.7, 0.72, 0.72, 0.72]
    assert "Trial 3 of 5" in figure.layout.title.text


def test_drift_comparison_draws_shares() -> None:
    figure = figures.feature_drift_compare(["a", "b"], [80, 20], [5, 5], name="x")
    assert list(figure.data[0].x) == [0.8, 0.2]
    assert list(figure.data[1].x) == [0.5, 0.5]


def test_children_stand_right_of_all_their_parents_and_boxes_never_overlap() -> None:
    links = [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c"), ("a", "e")]
    places = layered_layout(list("abcdef"), links)
    assert all(places[parent][0] < places[child][0] for parent, child in links)
    assert len(set(places.values())) == 6
    same = [(p, q) for p in places.values() for q in places.values() if p[0] == q[0] and p != q]
    assert all(abs(p[1] - q[1]) >= 1 for p, q in same)


def test_a_circle_of_links_is_still_laid_out() -> None:
    assert set(layered_layout(["a", "b"], [("a", "b"), ("b", "a"), ("a", "a")])) == {"a", "b"}


def test_tables_below_a_circle_keep_their_links_and_stand_below_it() -> None:
    circle = [("report", "query"), ("query", "report")]
    links = [("firm", "report"), *circle, ("firm", "query"), ("report", "loan"), ("firm", "loan"), ("report", "note")]
    kept = essential_links(links)
    assert {("report", "loan"), ("report", "note"), *circle} <= set(kept) and ("firm", "loan") not in kept
    places = layered_layout(["firm", "loan", "note", "query", "report"], kept)
    assert places["firm"][0] < places["report"][0] < places["loan"][0] == places["note"][0]


def test_csv_holds_each_mark_with_its_sentence() -> None:
    rows = list(csv.DictReader(io.StringIO(figures.chart_csv(CHARTS["importance"]()))))
    assert [row["x"] for row in rows] == ["0.3", "0.1", "0.05"]
    assert rows[2]["text"].startswith("<b>fee</b> & rate moves")


def test_the_funnels_bars_hang_one_under_the_other_and_end_at_what_was_kept() -> None:
    (bars,) = CHARTS["funnel"]().data
    assert list(bars.x) == [600, 450, 30, 120]
    assert list(bars.base) == [0, 150, 120, 0]


def test_a_click_on_a_table_tells_its_name_and_its_links_bear_their_keys() -> None:
    figure = CHARTS["tables"]()
    targets = marks(figure, "tables")
    assert set(targets.customdata) == {"firm", "loan"}
    assert len(targets.customdata) == len(targets.x)
    assert any("firm_id<br>98%" in annotation.text for annotation in figure.layout.annotations)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]), max_size=25))
def test_essential_links_lead_wherever_all_links_lead(pairs: list[tuple[int, int]]) -> None:
    links = [(str(parent), str(child)) for parent, child in dict.fromkeys(pairs)]
    kept = essential_links(links)
    assert set(kept) <= set(links)
    assert _reached(kept) == _reached(links)
    assert all(_reached([link for link in kept if link != one]) != _reached(kept) for one in kept)


def _reached(links: list[tuple[str, str]]) -> set[tuple[str, str]]:
    found = set(links)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_names_of_tables_stay_inside_their_boxes_and_each_linking_column_is_counted() -> None:
    names = ["Persons", "Enterprises", "Guarantee applications", "Credit-report queries", "Subrogations", "Recoveries"]
    tables = [
        {"name": str(i), "label": name, "rows": 9, "note": "key a, b, c, d, e, f"} for i, name in enumerate(names)
    ]
    links = [*((str(i), str(i + 1)) for i in range(5)), ("0", "1")]
    notes = {("0", "1"): [("legal_rep_id", 1.0), ("controller_id", 0.98)], ("1", "2"): [("ent_id", 1.0)]}
    figure = figures.tables_graph(tables, links, selected="1", link_notes=notes)
    assert "6 tables, 6 links" in texts(figure)[0]
    boxes = [note.text for note in figure.layout.annotations if "<b>" in note.text]
    lines = [line for text in boxes for line in re.sub("<(?!br)[^>]*>", "", text).split("<br>")]
    assert {"Guarantee", "applications"} <= set(lines)
    assert max(map(len, lines)) <= 18  # 910 pixels for six boxes
    said = [note.text for note in figure.layout.annotations if "_id" in note.text]
    assert said == ["legal…ep_id<br>contr…er_id<br>98%", "ent_id"]


def test_the_effect_of_rejects_is_said_where_it_is_largest() -> None:
    assert "Parcelling moves grade B most: 10.0% to 25.0%" in texts(CHARTS["reject_effect"]())[0].replace("<br>", " ")
    assert "70.0% of the refused stand in the grades C to C" in texts(CHARTS["reject_shares"]())[0].replace("<br>", " ")


def test_a_rare_move_is_not_said_to_be_none() -> None:
    figure = CHARTS["rolls"]()
    assert list(marks(figure, "not overdue").text) == ["100.0%", "&lt;0.1%", "–"]
    assert not [trace for trace in figure.data if trace.name == "subrogated"]  # nothing leaves it


def test_fifty_tables_stay_readable() -> None:
    tables = [{"name": f"t{n}", "label": f"{n} loans and accounts of enterprises", "rows": n} for n in range(50)]
    links = [("t0", f"t{n}") for n in range(1, 50)] + [(f"t{n}", f"t{n + 20}") for n in range(1, 21)]
    figure = figures.tables_graph(tables, links, selected="t30", link_notes={("t0", "t30"): [("x", 0.5)]})
    boxes = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert len(boxes) == 50
    heights = [box.y0 for box in boxes]
    assert figure.layout.height / (max(heights) - min(heights) + 1) > 40  # room for two lines
    lines = [shape for shape in figure.layout.shapes if shape.type == "path"]
    assert len(lines) == 49 + 1  # without the 20 that another way shows too, but for the one of the chosen table
    assert [note.text for note in figure.layout.annotations if "%" in note.text] == ["50%"]
    names = [note.text.partition("</b>")[0] for note in figure.layout.annotations if "<b>" in note.text]
    assert all(len(name) < 60 for name in names)


@pytest.mark.parametrize(
    ("n_tables", "n_links", "rows", "english", "chinese"),
    [
        (1, 0, 1, "1 table, 0 links, 1 row", "1 张表，0 条关联，1 行"),
        (2, 1, 3, "2 tables, 1 link, 6 rows", "2 张表，1 条关联，6 行"),
    ],
)
def test_what_a_graph_of_tables_holds_is_told_in_the_right_number(
    n_tables: int, n_links: int, rows: int, english: str, chinese: str
) -> None:
    tables = [{"name": f"t{i}", "rows": rows} for i in range(n_tables)]
    told = structure._finding(tables, n_links, None)
    assert (told.text("en"), told.text("zh")) == (english, chinese)


@pytest.mark.parametrize(("width", "is_broken"), [(4, False), (12, True)])
def test_intervals_of_bins_are_broken_where_they_would_touch(width: int, *, is_broken: bool) -> None:
    labels = [f"[{'1' * (width // 2)}, {'2' * (width // 2)})" for _ in range(6)] + ["a, b"]
    flat = [0.1] * 7
    figure = figures.bin_evidence(
        labels, flat, flat, [9] * 7, low=flat, high=flat, woe_low=flat, woe_high=flat, title="x"
    )
    shown = figure.layout.xaxis.ticktext
    assert [("<br>" in text) for text in shown] == [is_broken] * 6 + [False]
    assert len(set(figure.layout.xaxis.tickvals)) == 7
