"""Features: what is predicted, from what, and is it proven that nothing of the future leaks in?"""

from html import escape

import streamlit as st

from core.i18n import formats
from reporting import figures
from workbench.flows import features, importing, projects
from workbench.flows.features import FeatureResult, FeatureRow
from workbench.ui.charts import chart
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.label_form import label_form
from workbench.ui.pieces import action, draw, empty, findings, headline, panel_title, table
from workbench.ui.pieces import figures as figure_row
from workbench.ui.session import Here, theme
from workbench.ui.texts import html, language, say, t
from workbench.ui.times import ago
from workbench.ui.work import ask_for, watch

_MOST_ROWS = 400


def _sentence(result: FeatureResult | None) -> str:
    if result is None:
        return t("No features yet: they are generated from the tables, each case at its own cutoff time.")
    return t(
        "{n_kept} of {n_computed} features kept for {n_rows} cases; made {age} in {seconds} s.",
        n_kept=len(result.kept),
        n_computed=result.n_computed,
        n_rows=formats.count(result.label.n_rows),
        age=ago(result.finished_at),
        seconds=f"{result.seconds:.0f}",
    )


def _settings(place: Here) -> None:
    spec = projects.spec(place.ctx, place.name)
    names = {label.name: label.title(language()) for label in spec.labels}
    panel_title(
        t("Build"), t("Featuretools proposes, the point-in-time engine computes, selection gives a reason per drop.")
    )
    chosen = st.selectbox(t("Label"), list(names), format_func=lambda name: names[name])
    draw(
        f'<div class="caption">{escape(t("Windows"))}: {escape(", ".join(spec.features.windows))}</div>'
        f'<div class="caption">{escape(t("Primitives"))}: {escape(", ".join(spec.features.primitives))}</div>'
    )
    if st.button(t("Build the features"), type="primary", disabled=not place.can("model.train")):
        ask_for(place, "features", {"label": chosen})
        st.rerun()
    if not place.can("model.train"):
        st.caption(t("Building features needs the role of risk analyst."))


def _summary(result: FeatureResult) -> None:
    label, proof = result.label, result.certificate
    left, middle, right = st.columns(3, gap="small")
    with left, st.container(key="panel_kept", height="stretch"):
        headline(
            t("Features kept"),
            formats.count(len(result.kept)),
            note=t("{n} computed, {m} proposed", n=result.n_computed, m=result.n_proposed),
        )
    with middle, st.container(key="panel_proof", height="stretch"):
        headline(
            t("Leakage proof"),
            t("Passed") if proof.passed else t("Failed"),
            note=t(
                "{n} values moved when the future was changed at {k} cutoffs; control caught: {control}",
                n=formats.count(proof.n_changed),
                k=proof.n_cutoffs,
                control=t("yes") if proof.control_caught else t("no"),
            ),
        )
    with right, st.container(key="panel_label", height="stretch"):
        headline(
            label.label.get(language(), label.name),
            formats.count(label.n_bad),
            note=t(
                "bads among {n} labelled cases; {u} without label, of which {i} immature",
                n=formats.count(label.n_good + label.n_bad),
                u=formats.count(label.n_unlabelled),
                i=formats.count(label.n_immature),
            ),
        )


def _bad_rate(result: FeatureResult) -> None:
    months = result.label.months
    if len(months) < 2:
        return
    known = [month.n_good + month.n_bad for month in months]
    figure = figures.bad_rate_by_period(
        [month.month for month in months],
        [month.n_bad / n if n else float("nan") for month, n in zip(months, known, strict=True)],
        known,
        language=language(),
        theme=theme(),
    )
    with st.container(key="panel_bad_rate"):
        chart(figure, "bad_rate_by_month")


def _samples(result: FeatureResult) -> None:
    words = {
        "train": t("Training"),
        "calibration": t("Calibration"),
        "out_of_time": t("Out-of-time"),
        "holdout": t("Hold-out"),
    }
    figure_row(
        (words.get(name, name), formats.count(n), t("{bads} bads", bads=formats.count(bads)))
        for name, (n, bads) in result.label.sample_counts.items()
    )
    if result.label.out_of_time_not_applicable is not None:
        st.caption(t("Out-of-time: not applicable. {reason}", reason=say(result.label.out_of_time_not_applicable)))


def _kept(place: Here, result: FeatureResult) -> None:
    by_alias = {row.alias: row for row in result.kept}
    order = sorted(by_alias, key=lambda alias: -(by_alias[alias].information_value or 0))
    view = st.segmented_control(
        t("View"),
        ["kept", "one", "dropped"],
        default="kept",
        required=True,
        format_func=lambda key: {"kept": t("Kept"), "one": t("One feature"), "dropped": t("Dropped, with reasons")}[
            key
        ],
        label_visibility="collapsed",
    )
    if view == "kept":
        _kept_table([by_alias[alias] for alias in order])
    elif view == "dropped":
        _dropped_table(result)
    else:
        chosen = st.selectbox(t("Feature"), order, format_func=lambda alias: _name(by_alias[alias]))
        _one(place, chosen)


def _name(row: FeatureRow) -> str:
    return row.names.get(language(), row.alias)


def _kept_table(rows: list[FeatureRow]) -> None:
    table(
        (t("Feature"), t("From"), t("Window"), t("Missing"), t("Information value")),
        [
            (
                escape(_name(row)),
                f'<span class="mono muted">{escape(row.table)}</span>',
                escape(row.window or "–"),
                formats.percent(row.missing_rate),
                formats.metric(row.information_value),
            )
            for row in rows[:_MOST_ROWS]
        ],
        numbers=(3, 4),
    )


def _dropped_table(result: FeatureResult) -> None:
    table(
        (t("Feature"), t("Why")),
        [(escape(row.names.get(language(), row.alias)), html(row.reason)) for row in result.dropped[:_MOST_ROWS]],
    )
    if len(result.dropped) > _MOST_ROWS:
        st.caption(t("{n} more are in the project's folder.", n=len(result.dropped) - _MOST_ROWS))


def _one(place: Here, alias: str) -> None:
    profile = features.profile(place.ctx, place.name, alias)
    bins = [item for item in profile.bins if item.n_rows]
    unknown = float("nan")
    chart(
        figures.bad_rate_by_period(
            [item.label for item in bins],
            [unknown if item.bad_rate is None else item.bad_rate for item in bins],
            [item.n_rows for item in bins],
            low=[unknown if item.low is None else item.low for item in bins],
            high=[unknown if item.high is None else item.high for item in bins],
            title=t(
                "{name}: information value {iv}",
                name=_name(profile.feature),
                iv=formats.metric(profile.information_value),
            ),
            language=language(),
            theme=theme(),
        ),
        "feature_bins",
    )


def _main() -> None:
    place = project_or_stop(t("Features"))
    result = features.stored(place.ctx, place.name)
    header(place, t("What do the features know?"), _sentence(result))
    is_busy = watch(place, ("features",))
    if importing.stored(place.ctx, place.name) is None:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("Features are computed from the project's tables."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    if not projects.spec(place.ctx, place.name).labels:
        with st.container(key="panel_label_form"):
            label_form(place)
        return
    if not is_busy:
        with action(t("Build again"), "build", is_first=result is None):
            _settings(place)
    if result is not None:
        _summary(result)
        with st.container(key="panel_samples"):
            panel_title(
                t("Samples"), t("Ordered by time; training and out-of-time stand one performance window apart.")
            )
            _samples(result)
        _bad_rate(result)
        if result.findings:
            with st.container(key="panel_findings"):
                panel_title(t("What the checks found"))
                findings(result.findings)
        with st.container(key="panel_features"):
            _kept(place, result)


_main()
