"""Data standard: what should a field be called and hold, and do our columns?"""

import streamlit as st

from warehouse.standard.search import PARTS
from workbench.flows import importing, standard
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty
from workbench.ui.session import Here
from workbench.ui.standard_parts import match_panel, search_panel, sentence
from workbench.ui.texts import t


def _match(place: Here) -> None:
    if importing.stored(place.ctx, place.name) is None:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("Their columns are matched to the standard after the import."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    with st.spinner(t("Looking at the columns' names and values")):
        found = standard.state(place.ctx, place.name)
    match_panel(place, found)


def _sentence(place: Here) -> str:
    if importing.stored(place.ctx, place.name) is None:
        return t("Fields, code tables and credit-report elements that every import is held to.")
    return sentence(standard.state(place.ctx, place.name))


def _main() -> None:
    place = project_or_stop(t("Data standard"))
    header(place, t("What should a field be, and are ours?"), _sentence(place))
    words = {
        "match": t("Your columns"),
        "fields": t("Field catalogue"),
        "codes": t("Code tables"),
        "elements": t("Credit-report elements"),
    }
    view = st.segmented_control(
        t("View"), ["match", *PARTS], default="match", required=True, format_func=lambda key: words[key],
        label_visibility="collapsed", key="standard_view",
    )  # fmt: skip
    for part in PARTS:
        if view == part:
            with st.container(key="panel_standard"):
                search_panel(place, part)
    if view == "match":
        _match(place)


_main()
