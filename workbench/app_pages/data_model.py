"""Tables: what names a row, what refers to what, since when is it known, and what may features be made of?"""

import streamlit as st

from workbench.flows import data_models, importing
from workbench.flows.data_models import Version
from workbench.ui.empty_project import project_or_stop
from workbench.ui.frame import PAGES, header
from workbench.ui.model_editor import editor
from workbench.ui.model_versions import versions_view
from workbench.ui.pieces import empty, findings
from workbench.ui.session import Here
from workbench.ui.state import recall, remember
from workbench.ui.texts import say, t
from workbench.ui.work import watch

_MISFIT = "model_"


def _sentence(found: list[Version], in_use: int | None) -> str:
    if not found:
        return t("The import inferred keys, links and times; nobody has corrected or saved them yet.")
    latest = found[0]
    state = say(data_models.state_word(latest.state))
    said = t("Version {n} by {who}, {state}.", n=latest.number, who=latest.author, state=state)
    follows = "" if in_use == latest.number else " " + t("The stored tables do not go by it yet.")
    return said + follows


def _misfits(place: Here) -> None:
    """Draw what of the last import no longer fits the version."""
    data = importing.stored(place.ctx, place.name)
    found = [item for item in data.findings if item.code.startswith(_MISFIT)] if data is not None else []
    if found:
        with st.container(key="panel_model_misfits"):
            findings(found)


def _follow(place: Here, found: list[Version], in_use: int | None) -> None:
    """Offer to put the latest version to the tables where they do not go by it."""
    from workbench.ui.work import ask_for

    if found and in_use != found[0].number and place.can("project.manage"):
        st.button(
            t("Put version {n} to the stored tables", n=found[0].number),
            key="model_apply",
            on_click=ask_for,
            args=(place, "model", {}),
        )


def _main() -> None:
    place = project_or_stop(t("Tables"))
    data = importing.stored(place.ctx, place.name)
    found = data_models.versions(place.ctx, place.name)
    in_use = None if data is None else data.data_model_version
    sentence = _sentence(found, in_use) if data is not None else t("Keys, links and times stand here after the import.")
    header(place, t("How do the tables hang together?"), sentence)
    is_busy = watch(place, ("model", "import", "sample", "database"))
    if data is None:
        with st.container(key="panel_no_data"):
            empty(t("No tables yet"), t("The import infers keys, links and times; here they are corrected."))
        st.page_link(PAGES["data"], label=t("Import tables"), icon=":material/arrow_forward:")
        return
    _misfits(place)
    if not is_busy:
        _follow(place, found, in_use)
    view = st.segmented_control(
        t("View"),
        ["editor", "versions"],
        default=str(recall("model_view", "editor")),
        required=True,
        format_func=lambda name: {"editor": t("Data model"), "versions": t("Versions and review")}[name],
        label_visibility="collapsed",
        key=f"model_view_{recall('model_view', 'editor')}",
        on_change=lambda: None,
    )
    remember("model_view", view)
    if view == "versions":
        versions_view(place, found)
    else:
        editor()


_main()
