"""Evaluate: where does a version hold, and can it be told from another?"""

import streamlit as st

from core.errors import WorkbenchError
from core.findings import NotApplicable
from core.i18n import formats
from workbench.flows import evaluation, training
from workbench.flows.training import VersionRow
from workbench.ui.calibration_parts import calibration_panel
from workbench.ui.empty_project import project_or_stop
from workbench.ui.evaluation_parts import attainable_panel, comparison_panel, month_panel, segment_panel
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty, show_error
from workbench.ui.session import Here
from workbench.ui.texts import t
from workbench.ui.versions import choose_version


def _sentence(rows: list[VersionRow]) -> str:
    if not rows:
        return t("Nothing to judge yet: a model is needed first.")
    latest = rows[0]
    return t(
        "Version {n} reaches AUC {auc} {interval} on rows it did not see: {cases} cases, {bads} bads.",
        n=latest.number,
        auc=formats.metric(latest.auc.value),
        interval=formats.interval(latest.auc.low, latest.auc.high),
        cases=formats.count(latest.auc.n),
        bads=formats.count(latest.auc.n_bad),
    )


def _views() -> dict[str, str]:
    return {
        "segment": t("By segment"),
        "month": t("By month"),
        "calibration": t("Calibration"),
        "versions": t("Two versions"),
    }


def _attainable(place: Here, version: int) -> None:
    found = evaluation.attainable(place.ctx, place.name, version)
    if not isinstance(found, NotApplicable):
        with st.container(key="panel_attainable"):
            attainable_panel(found)


def _show(place: Here, rows: list[VersionRow]) -> None:
    chosen = choose_version(rows, "evaluated_version")
    try:
        evaluation.predictions(place.ctx, place.name, chosen.number)
    except WorkbenchError as error:
        show_error(error)
        return
    _attainable(place, chosen.number)
    views = _views()
    view = st.segmented_control(
        t("View"), list(views), default="segment", required=True, format_func=lambda name: views[name], key="view"
    )
    with st.container(key=f"panel_{view}"):
        if view == "segment":
            segment_panel(place, chosen.number)
        elif view == "month":
            month_panel(place, chosen.number)
        elif view == "calibration":
            calibration_panel(training.bundle(place.ctx, place.name, chosen.number).evaluation)
        else:
            comparison_panel(place, chosen.number)


def _main() -> None:
    place = project_or_stop(t("Evaluate"))
    rows = training.versions(place.ctx, place.name)
    header(place, t("Where does it hold?"), _sentence(rows))
    if not rows:
        with st.container(key="panel_no_model"):
            empty(t("No model yet"), t("Figures by segment and month, and tests between versions, stand here."))
        st.page_link(PAGES["train"], label=t("Train a model"), icon=":material/arrow_forward:")
        return
    _show(place, rows)


_main()
