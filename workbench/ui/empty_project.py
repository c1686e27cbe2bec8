"""What every page but Home and Data shows while there is no project."""

import streamlit as st

from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty
from workbench.ui.session import Here, here
from workbench.ui.texts import t

__all__ = ["project_or_stop"]


def project_or_stop(title: str) -> Here:
    """Return where the session stands; where there is no project, say how to get one and end the page."""
    place = here()
    if place.project is None:
        header(place, title, t("No project yet."))
        with st.container(key="panel_no_project"):
            empty(t("No project yet"), t("A project holds tables, features, models and their history."))
        st.page_link(PAGES["home"], label=t("Start a project"), icon=":material/arrow_forward:")
        st.stop()
    return place
