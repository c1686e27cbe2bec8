"""Features: what is predicted, from what, and is it proven that nothing of the future leaks in?"""

from html import escape

import streamlit as st

from core.i18n import formats
from workbench.flows import features, importing, projects
from workbench.flows.features import FeatureResult
from workbench.ui.certificate_view import certificate_view
from workbench.ui.empty_project import project_or_stop
from workbench.ui.feature_design import design
from workbench.ui.feature_progress import build_view
from workbench.ui.feature_result import bad_rate, outdated, samples, summary, where_from
from workbench.ui.feature_table import feature_tables
from workbench.ui.feature_view import feature_view
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import draw, empty, findings, panel_title
from workbench.ui.pin_form import pin_form
from workbench.ui.session import Here
from workbench.ui.texts import t
from workbench.ui.times import ago
from workbench.ui.trap_panel import trap_panel
from workbench.ui.work import watch


def _sentence(result: FeatureResult | None) -> str:
    if result is None:
        return t("No features yet: they are generated from the tables, each case at its own cutoff time.")
    return t(
        "{n_kept} of {n_computed} features kept for {n_rows} cases; made {age} in {seconds} s.",
        n_kept=len(result.kept),
        n_computed=formats.count(result.n_computed),
        n_rows=formats.count(result.label.n_rows),
        age=ago(result.finished_at),
        seconds=f"{result.seconds:.0f}",
    )


def _result(place: Here, result: FeatureResult) -> None:
    outdated(place, result)
    summary(result)
    trap_panel(place)
    where_from(place, result)
    if result.findings:
        with st.container(key="panel_findings"):
            panel_title(t("What the checks found"))
            findings(result.findings)
    with st.container(key="panel_features"):
        feature_tables(place, result)
    pin_form(place, result)
    with st.container(key="panel_certificate"):
        certificate_view(features.certificate(place.ctx, place.name), len(result.kept))
        if result.plan_fingerprint:
            fingerprint = t("Fingerprint of the plan: {text}", text=result.plan_fingerprint)
            draw(f'<div class="caption mono">{escape(fingerprint)}</div>')
    samples(result)
    bad_rate(result)


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
        with st.container(key="panel_no_label"):
            empty(t("No label yet"), t("Features are judged by what they say about the label: define it first."))
        st.page_link(PAGES["label"], label=t("Define the label"), icon=":material/arrow_forward:")
        return
    if is_busy:
        build_view()
    view = feature_view() if result is not None else "choice"
    if view == "choice" and not (is_busy and result is None):
        design(is_busy)
    elif result is not None:
        _result(place, result)


_main()
