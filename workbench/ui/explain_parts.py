"""The parts of the Explain page below the overview: over time, pairs, segments, and what would change a grade."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from automl.counterfactual import Counterfactual
from automl.course import ReasonCourse
from automl.fairness import FOUR_FIFTHS, SegmentTreatment
from automl.interacting import Interactions
from core.errors import WorkbenchError
from core.findings import NotApplicable
from core.i18n import formats
from reporting import figures
from workbench.flows import evaluation, explaining
from workbench.flows.training import TrainResult
from workbench.ui.charts import chart
from workbench.ui.evaluation_parts import choose_segment
from workbench.ui.pieces import chip, panel_title, show_error, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import capital, language, t

__all__ = ["change_panel", "more_panels"]


@st.cache_data(ttl=600, max_entries=10, show_spinner=False)
def _course(_place: Here, project: str, version: int, fingerprint: str) -> ReasonCourse:  # noqa: ARG001  # key of the cache
    return explaining.over_time(_place.ctx, project, version)


@st.cache_data(ttl=600, max_entries=10, show_spinner=False)
def _pairs(_place: Here, project: str, version: int, fingerprint: str) -> Interactions | NotApplicable:  # noqa: ARG001  # key of the cache
    return explaining.interactions(_place.ctx, project, version)


@st.cache_data(ttl=600, max_entries=20, show_spinner=False)
def _treated(_place: Here, project: str, version: int, column: str, grade: str) -> tuple[SegmentTreatment, ...]:
    return explaining.fairness(_place.ctx, project, column, version, grade=grade)


def more_panels(place: Here, result: TrainResult) -> None:
    """Draw the choice of a further view, and the view."""
    if result.version is None:
        return
    views = {"time": t("Over time"), "pairs": t("Pairs of features"), "segments": t("Segments")}
    view = st.segmented_control(
        t("View"), list(views), default="time", required=True, format_func=lambda name: views[name], key="explain_view"
    )
    with st.container(key=f"panel_explain_{view}"):
        try:
            if view == "time":
                _over_time(place, result, result.version)
            elif view == "pairs":
                _interactions(place, result, result.version)
            else:
                _fairness(place, result.version)
        except WorkbenchError as error:
            show_error(error)


def _name(result: TrainResult, alias: str) -> str:
    return result.feature_names.get(alias, {}).get(language(), alias)


def _over_time(place: Here, result: TrainResult, version: int) -> None:
    with st.spinner(t("Explaining cases of each half-year")):
        course = _course(place, place.name, version, result.fingerprint)
    chart(
        figures.shares_over_time(
            course.periods,
            [_name(result, alias) for alias in course.shares],
            list(course.shares.values()),
            course.overlap,
            language=language(),
            theme=theme(),
        ),
        "reasons_over_time",
    )
    table(
        (t("Half-year from"), t("Cases explained"), t("Of the first ten, still among the ten")),
        [
            (escape(period), formats.count(n), formats.percent(kept, 0))
            for period, n, kept in zip(course.periods, course.n_rows, course.overlap, strict=True)
        ],
        numbers=(1, 2),
    )


def _interactions(place: Here, result: TrainResult, version: int) -> None:
    with st.spinner(t("Looking for pairs that act together")):
        found = _pairs(place, place.name, version, result.fingerprint)
    if isinstance(found, NotApplicable):
        panel_title(t("Pairs that act together"), t("Not applicable: {reason}.", reason=found.text(language())))
        return
    panel_title(
        t("Pairs that act together"),
        t("{share} of all movement is of pairs, beyond what each does alone; {n} cases; largest error {error}.",
          share=formats.percent(found.share), n=formats.count(found.n_rows), error=f"{found.largest_error:.0e}"),
    )  # fmt: skip
    table(
        (t("Feature"), t("With"), t("Mean absolute effect (log-odds)"), t("Share")),
        [
            (escape(_name(result, pair.first)), escape(_name(result, pair.second)), formats.metric(pair.mean_abs),
             formats.percent(pair.share))
            for pair in found.pairs
        ],
        numbers=(2, 3),
    )  # fmt: skip


def _fairness(place: Here, version: int) -> None:
    names = explaining.grades(place.ctx, place.name, version)
    left, right = st.columns(2)
    with left:
        column = choose_segment(place, version, "fairness_column")
    with right:
        grade = st.selectbox(
            t("Approved up to grade"), names, index=max(len(names) - 3, 0), key="fairness_grade", width=200
        )
    found = _treated(place, place.name, version, column, str(grade))
    text = evaluation.level_text(place.ctx.speaking(language()), place.name, column)
    panel_title(
        t("Are segments treated alike?"),
        t("Impact ratio: approval rate over that of the segment approved most. Below {limit} with its whole interval "
          "is adverse.",
          limit=formats.percent(FOUR_FIFTHS, 0)),
    )  # fmt: skip
    table(
        (t("Segment"), t("Applicants"), t("Approved"), t("Impact ratio"), t("Bad rate"), "AUC",
         t("Observed / expected"), ""),
        [_treatment_row(one, text(one.slice.name)) for one in found],
        numbers=(1, 2, 3, 4, 5, 6),
    )  # fmt: skip
    st.caption(t("A lower approval rate may have its cause in higher risk: read it beside bad rate and calibration."))


def _treatment_row(one: SegmentTreatment, name: str) -> tuple[str, ...]:
    part = one.slice
    figure = part.metrics.get("auc")
    return (
        escape(name),
        formats.count(one.n_applicants),
        _with_bounds(formats.percent(one.approval_rate), formats.percent(one.low), formats.percent(one.high)),
        _with_bounds(formats.metric(one.impact_ratio), formats.metric(one.impact_low), formats.metric(one.impact_high)),
        _with_bounds(formats.percent(part.bad_rate), formats.percent(part.low), formats.percent(part.high)),
        formats.MISSING if figure is None else _with_bounds(
            formats.metric(figure.value), formats.metric(figure.low), formats.metric(figure.high)),
        _with_bounds(formats.metric(one.slice.observed_to_expected), formats.metric(one.ratio_low),
                     formats.metric(one.ratio_high)),
        chip(t("adverse"), "bad") if one.is_adverse else "",
    )  # fmt: skip


def _with_bounds(value: str, low: str, high: str) -> str:
    bounds = "" if formats.MISSING in (low, high) else f' <span class="caption">[{low}, {high}]</span>'
    return value + bounds


def change_panel(place: Here, result: TrainResult, key: str, grade: str) -> None:
    """Draw what the applicant of case `key`, now at `grade`, would have to change to reach a better grade."""
    if result.version is None:
        return
    names = explaining.grades(place.ctx, place.name, result.version)
    better = names[: names.index(grade)] if grade in names else ()
    panel_title(
        t("What would change the grade?"),
        t("The smallest change of what an applicant can influence, never against its direction; history stays."),
    )
    options = explaining.changeable(place.ctx, place.name, result.version)
    if not better or not options:
        st.caption(t("The case is at the best grade already.") if options else
                   t("The model reads nothing that an applicant can influence."))  # fmt: skip
        return
    left, right = st.columns([0.3, 0.7])
    target = left.selectbox(t("Grade to reach"), better, index=len(better) - 1, key="target_grade")
    fixed = right.multiselect(
        t("Keep as it is"),
        options,
        format_func=lambda alias: _name(result, alias),
        key="kept_fixed",
        placeholder=t("Choose features"),
    )
    try:
        answer = explaining.case_change(place.ctx, place.name, key, str(target), result.version, immutable=tuple(fixed))
    except WorkbenchError as error:
        show_error(error)
        return
    if isinstance(answer.found, NotApplicable):
        st.caption(capital(answer.found.text(language())) + t("."))
    else:
        _changes(result, answer.found, answer.units)


def _changes(result: TrainResult, found: Counterfactual, units: Mapping[str, str]) -> None:
    def said(alias: str, amount: float) -> str:
        return formats.quantity(amount, units.get(alias), language())

    table(
        (t("Feature"), t("Now"), t("Would need"), t("Cases between")),
        [
            (escape(_name(result, change.alias)), said(change.alias, change.before), said(change.alias, change.after),
             formats.percent(change.distance))
            for change in found.changes
        ],
        numbers=(1, 2, 3),
    )  # fmt: skip
    st.caption(t("Probability {before} would become {after}.", before=formats.percent(found.before, 2),
                 after=formats.percent(found.after, 2)))  # fmt: skip
