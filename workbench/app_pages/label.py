"""Label: what is bad, and after how many months is that known?"""

import streamlit as st

from core.i18n import formats
from workbench.flows import importing, projects
from workbench.flows.importing import ImportResult
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.label_builder import builder
from workbench.ui.label_evidence import counts_panel, roll_panel, vintage_panel
from workbench.ui.pieces import empty
from workbench.ui.session import Here
from workbench.ui.texts import language, t


def _sentence(place: Here, result: ImportResult | None) -> str:
    labels = projects.spec(place.ctx, place.name).labels
    if result is None or not labels:
        return t("Nothing is predicted yet: say which cases, which events, and within how many months.")
    label = labels[0]
    months = label.performance_window_months
    if months is None:
        return t("Predicted: {label}.", label=label.title(language()))
    return t(
        "Predicted: {label}. Cases are followed for {n} months; training and out-of-time stand as far apart.",
        label=label.title(language()),
        n=formats.count(months),
    )


def _main() -> None:
    place = project_or_stop(t("Label"))
    result = importing.stored(place.ctx, place.name)
    header(place, t("What is bad, and when is it known?"), _sentence(place, result))
    if result is None:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("Good and bad are read from the project's tables."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    left, right = st.columns([0.66, 0.34], gap="small")
    with left, st.container(key="panel_builder"):
        spec = builder(place, result)
    with right, st.container(key="panel_counts"):
        counts_panel(place, spec)
    with st.container(key="panel_vintages"):
        vintage_panel(place, spec)
    with st.container(key="panel_rolls"):
        roll_panel(place, result)


_main()
