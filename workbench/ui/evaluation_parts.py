"""The parts of the Evaluate page: segments, months, two versions, and what is attainable."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from automl.comparison import ScoreComparison
from automl.evaluation import metric_title
from automl.metrics import auc
from automl.slices import Slice
from core.errors import WorkbenchError
from core.i18n import formats
from reporting import figures
from workbench.flows import evaluation
from workbench.flows.evaluation import Attainable
from workbench.flows.segments import ENTITY
from workbench.ui.charts import chart
from workbench.ui.evaluation_view import population
from workbench.ui.pieces import figures as figure_row
from workbench.ui.pieces import panel_title, show_error, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import capital, language, say, t

__all__ = ["attainable_panel", "choose_segment", "comparison_panel", "month_panel", "segment_panel"]


@st.cache_data(ttl=600, max_entries=40, show_spinner=False)
def _segments(_place: Here, project: str, bundle_hash: str, column: str) -> tuple[Slice, ...]:
    version = _number(_place, project, bundle_hash)
    return evaluation.by_segment(_place.ctx, project, column, version)


@st.cache_data(ttl=600, max_entries=20, show_spinner=False)
def _months(_place: Here, project: str, bundle_hash: str, months: int) -> tuple[Slice, ...]:
    return evaluation.by_month(_place.ctx, project, _number(_place, project, bundle_hash), months=months)


@st.cache_data(ttl=600, max_entries=20, show_spinner=False)
def _comparison(_place: Here, project: str, first: int, second: int) -> ScoreComparison:
    return evaluation.compare(_place.ctx, project, first, second)


def _number(place: Here, project: str, bundle_hash: str) -> int:
    versions = place.ctx.registry.versions(project)
    return next(version.number for version in versions if version.bundle_hash == bundle_hash)


def _hash(place: Here, version: int) -> str:
    return place.ctx.registry.version(place.name, version).bundle_hash


def attainable_panel(found: Attainable) -> None:
    """Draw what the model attains beside what could be attained at best."""
    panel_title(
        t("Attained and attainable"),
        t("The sample world knows the true probability of each case; it is kept apart from all that a model may see."),
    )
    area = found.comparison.differences[0]
    figure_row(
        [
            (t("AUC attained"), formats.metric(found.attained), t("by this version")),
            (t("AUC attainable"), formats.metric(found.attainable), t("by the true probability")),
            (t("Share of the attainable Gini"), formats.percent(found.share), ""),
            (
                t("Left to gain"),
                formats.metric(-area.value),
                t("95% interval {interval}", interval=formats.interval(-area.high, -area.low)),
            ),
        ]
    )


def choose_segment(place: Here, version: int, key: str) -> str:
    """Draw the choice of a segment column and return its name."""
    found = {column.name: capital(column.text(language())) for column in evaluation.columns(place.ctx, place.name)}
    rows = evaluation.predictions(place.ctx, place.name, version)
    if rows.take(rows.judging).is_new.any():
        found[ENTITY] = t("New and returning entities")
    if not found:
        st.caption(
            t("No column of the data splits the rows into 2 to 12 parts; name some under segments in the project.")
        )
        st.stop()
    return str(
        st.selectbox(t("Split by"), list(found), format_func=lambda name: found.get(name, name), key=key, width=320)
    )


def segment_panel(place: Here, version: int) -> None:
    """Draw the AUC of each segment with its interval, and a table of all figures."""
    column = choose_segment(place, version, "segment_column")
    with st.spinner(t("Judging each segment")):
        found = _segments(place, place.name, _hash(place, version), column)
    overall = _auc(place, version)
    text = evaluation.level_text(place.ctx.speaking(language()), place.name, column)
    names = [text(one.name) for one in found]
    if any(one.metrics for one in found):
        chart(
            figures.intervals_by_segment(
                names,
                *_areas(found),
                [one.n for one in found],
                overall=overall,
                sample=t("rows the version did not see; intervals after DeLong"),
                language=language(),
                theme=theme(),
            ),
            "segments",
        )
    else:
        panel_title(t("No segment has enough bads and goods for a figure of its own."))
    _slice_table(t("Segment"), names, found)


def month_panel(place: Here, version: int) -> None:
    """Draw AUC and PSI of each period, and a table of all figures."""
    months = {1: t("months"), 3: t("quarters")}
    length = st.segmented_control(
        t("Periods"), list(months), default=3, required=True, format_func=lambda n: months[n], key="period_length"
    )
    with st.spinner(t("Judging each period")):
        found = _months(place, place.name, _hash(place, version), int(length))
    names = [one.name for one in found]
    values, low, high = _areas(found)
    chart(
        figures.metric_over_time(
            names,
            values,
            [one.psi.value if one.psi else float("nan") for one in found],
            low=low,
            high=high,
            metric_name="AUC",
            sample=t("rows the version did not see; PSI from the training rows"),
            language=language(),
            theme=theme(),
        ),
        "months",
    )
    _slice_table(t("Period"), names, found)


def comparison_panel(place: Here, version: int) -> None:
    """Draw the choice of a second version and the paired tests against it."""
    others = [number for number in evaluation.version_numbers(place.ctx, place.name) if number != version]
    if not others:
        st.caption(t("There is one version only; train another to compare them on the same unseen rows."))
        return
    other = st.selectbox(t("Against version"), others, format_func=lambda number: f"v{number}", key="other", width=200)
    try:
        found = _comparison(place, place.name, version, int(other))
    except WorkbenchError as error:
        show_error(error)
        return
    panel_title(capital(say(found.verdict)), population(found.n, found.n_bad))
    table(
        (t("Metric"), f"v{version}", f"v{other}", t("Difference"), t("95% interval"), t("Can it be told?")),
        [
            (
                escape(capital(say(metric_title(one.name)))),
                formats.metric(one.first),
                formats.metric(one.second),
                formats.difference(one.value),
                formats.interval(one.low, one.high, formats.difference),
                escape(t("yes") if one.can_be_told else t("no")),
            )
            for one in found.differences
        ],
        numbers=(1, 2, 3, 4),
    )
    st.caption(
        t(
            "Paired bootstrap over the rows. DeLong's paired test of the AUC: {interval}, p = {p}.",
            interval=formats.interval(found.delong.low, found.delong.high, formats.difference),
            p=formats.metric(found.delong.p_value),
        )
    )


def _auc(place: Here, version: int) -> float:
    rows = evaluation.predictions(place.ctx, place.name, version)
    judged = rows.take(rows.judging)
    return auc(judged.y, judged.probability)


def _areas(found: Sequence[Slice]) -> tuple[list[float], list[float], list[float]]:
    nothing = float("nan")
    values = [one.metrics["auc"].value if one.metrics else nothing for one in found]
    bounds = [one.auc_delong or (nothing, nothing) for one in found]
    return values, [low for low, _ in bounds], [high for _, high in bounds]


def _slice_table(title: str, names: Sequence[str], found: Sequence[Slice]) -> None:
    def cell(one: Slice, name: str) -> str:
        if not one.metrics:
            return formats.MISSING
        figure = one.metrics[name]
        bounds = formats.interval(figure.low, figure.high)
        return f'{formats.metric(figure.value)} <span class="caption">{bounds}</span>'

    table(
        (title, t("Cases"), t("Bads"), t("Bad rate"), t("Expected"), "AUC", "KS", t("Brier score"), "PSI"),
        [
            (
                escape(name) + _why(one),
                formats.count(one.n),
                formats.count(one.n_bad),
                f'{formats.percent(one.bad_rate)} <span class="caption">'
                f"[{formats.percent(one.low)}, {formats.percent(one.high)}]</span>",
                formats.percent(one.mean_probability),
                cell(one, "auc"),
                cell(one, "ks"),
                cell(one, "brier"),
                formats.metric(one.psi.value if one.psi else None),
            )
            for name, one in zip(names, found, strict=True)
        ],
        numbers=(1, 2, 3, 4, 5, 6, 7, 8),
    )


def _why(one: Slice) -> str:
    if one.not_applicable is None:
        return ""
    return f'<div class="caption">{escape(one.not_applicable.text(language()))}</div>'
