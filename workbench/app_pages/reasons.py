"""Reason codes: what is an applicant told, and of which features?"""

import streamlit as st

from workbench.flows import features, reason_codes, training
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.pieces import empty, panel_title
from workbench.ui.reason_parts import changes, code_table, editor, sentence
from workbench.ui.session import Here
from workbench.ui.texts import t
from workbench.ui.versions import choose_version


def _versions(place: Here) -> None:
    rows = training.versions(place.ctx, place.name)
    if not rows:
        with st.container(key="panel_no_version"):
            empty(t("No version yet"), t("Each trained model keeps the codes it was trained with."))
        st.page_link(PAGES["train"], label=t("Train a model"), icon=":material/arrow_forward:")
        return
    version = choose_version(rows, "reasons_version", None).number
    with st.container(key="panel_version_codes"):
        panel_title(
            t("Codes of version {n}", n=version),
            t("Part of what is reviewed and signed: they never change. Pages, files, SQL and the service say these."),
        )
        code_table(reason_codes.sheet(place.ctx, place.name, version))
        st.download_button(
            t("As CSV"),
            lambda: reason_codes.export(place.ctx, place.name, version).content,
            file_name=f"{place.name}-v{version}-reason-codes.csv",
            mime="text/csv",
            on_click="ignore",
        )


def _main() -> None:
    place = project_or_stop(t("Reason codes"))
    has_features = features.stored(place.ctx, place.name) is not None
    sheet = reason_codes.sheet(place.ctx, place.name) if has_features else None
    header(place, t("What is an applicant told?"), sentence(sheet) if sheet else t("Codes are given to features."))
    if sheet is None:
        with st.container(key="panel_no_features"):
            empty(t("No features yet"), t("Each feature gets a code, and each code a sentence in both languages."))
        st.page_link(PAGES["features"], label=t("Build features"), icon=":material/arrow_forward:")
        return
    words = {"next": t("Next version"), "versions": t("Versions"), "changes": t("Changes")}
    view = st.segmented_control(
        t("View"), list(words), default="next", required=True, format_func=words.__getitem__,
        label_visibility="collapsed", key="reasons_view",
    )  # fmt: skip
    if view == "next":
        editor(place, sheet)
    elif view == "versions":
        _versions(place)
    else:
        with st.container(key="panel_code_changes"):
            changes(reason_codes.history(place.ctx, place.name))


_main()
