"""Choosing: the tables as a graph, windows and primitives by clicking, the preview, and the button that builds."""

from html import escape

import streamlit as st

from core.errors import WorkbenchError
from workbench.flows import importing, projects
from workbench.flows.feature_graph import table_graph
from workbench.ui.feature_draft import Draft, draft, problem, save, start_over, take_back
from workbench.ui.feature_form import depth_and_limits, primitive_choice, window_choice
from workbench.ui.feature_graph_view import choice_graph, table_panel
from workbench.ui.feature_others import other_firms
from workbench.ui.feature_preview_view import current_preview, preview_panel
from workbench.ui.feature_view import show_result
from workbench.ui.model_changes import unsaved_count
from workbench.ui.pieces import draw
from workbench.ui.session import Here, here
from workbench.ui.state import recall, remember
from workbench.ui.texts import language, t
from workbench.ui.work import ask_for

__all__ = ["design"]


@st.fragment
def design(is_busy: bool) -> None:
    """Draw the choice; a click runs only this part of the page again."""
    place = here()
    data = importing.stored(place.ctx, place.name)
    if data is None:
        return
    now = draft(place)
    label = _label(place)
    graph = table_graph(data, projects.spec(place.ctx, place.name).label(label).root_table, now.choice)
    answer = current_preview(place, now, label, data)
    preview = None if isinstance(answer, WorkbenchError) else answer
    with st.container(key="panel_graph"):
        choice_graph(graph, preview)
    left, right = st.columns([0.58, 0.42], gap="small")
    with left:
        with st.container(key="panel_windows"):
            window_choice(now)
        with st.container(key="panel_primitives"):
            primitive_choice(now)
            with st.expander(t("Depth, limits and ratios of windows")):
                depth_and_limits(now)
            with st.expander(t("What other firms tell")):
                other_firms(graph, now)
    with right:
        with st.container(key="panel_preview"):
            _label_choice(place, label)
            preview_panel(place, now, label, data, answer)
            _buttons(place, now, label, is_busy=is_busy)
        with st.container(key="panel_table"):
            table_panel(graph, now, preview)


def _label(place: Here) -> str:
    """Return the label chosen, the project's first where none was."""
    names = [label.name for label in projects.spec(place.ctx, place.name).labels]
    kept = str(recall("feature_label", ""))
    return kept if kept in names else names[0]


def _label_choice(place: Here, chosen: str) -> None:
    names = {label.name: label.title(language()) for label in projects.spec(place.ctx, place.name).labels}
    if len(names) > 1:
        key = f"feature_label_{language()}"
        st.selectbox(
            t("Label"),
            list(names),
            index=list(names).index(chosen),
            format_func=lambda name: names[name],
            key=key,
            on_change=lambda: remember("feature_label", st.session_state[key]),
        )


def _buttons(place: Here, now: Draft, label: str, *, is_busy: bool) -> None:
    if problem("save"):
        draw(f'<div class="problem" role="alert">{escape(problem("save"))}</div>')
    may = place.can("feature.build")
    said = (
        t("Settings changed and not saved yet: {n}", n=now.n_changes) if now.n_changes else t("All changes are saved")
    )
    st.button(
        t("Build the features"),
        type="primary",
        disabled=not may or is_busy,
        on_click=_build,
        args=(label,),
        key="build_features",
    )
    if st.session_state.pop("build_asked", False):
        st.rerun()
    with st.container(horizontal=True, gap="small"):
        st.button(t("Save the choice"), disabled=not may or not now.n_changes, on_click=_save, key="save_choice")
        st.button(t("Undo changes"), type="tertiary", disabled=not now.n_changes, on_click=take_back, key="undo_choice")
        st.button(t("Back to the defaults"), type="tertiary", disabled=not may, on_click=start_over, key="reset_choice")
    st.caption(said if may else t("Building features needs the role of risk analyst."))
    if n_unsaved := unsaved_count(place):
        st.caption(t("The data model has {n} unsaved changes: features are made under the saved one.", n=n_unsaved))


def _save() -> None:
    save(here())


def _build(label: str) -> None:
    place = here()
    if save(place):
        ask_for(place, "features", {"label": label})
        show_result()
        st.session_state["build_asked"] = True
