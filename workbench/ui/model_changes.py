"""What is changed and not saved: in words, taken back step by step, saved as a version, put on what others saved."""

from html import escape

import streamlit as st

from workbench.flows import importing, model_desk
from workbench.flows.model_desk import Desk
from workbench.ui.model_work import act, problem, widget_value
from workbench.ui.pieces import chip, draw, panel_title
from workbench.ui.session import Here, here
from workbench.ui.state import recall, remember
from workbench.ui.texts import html, t
from workbench.ui.work import ask_for

__all__ = ["changes_panel", "unsaved_count"]

_MOST = 12


def changes_panel(place: Here, desk: Desk, *, fits: bool, may: bool) -> None:
    """Draw the unsaved changes and what can be done with them."""
    changes = desk.changes
    panel_title(t("Unsaved changes: {n}", n=len(changes)) if changes else t("No unsaved changes"))
    if not changes:
        draw(f'<div class="caption">{escape(t("Click a table, then correct its key, times, links or columns."))}</div>')
    _others(place)
    if desk.is_behind:
        _behind(desk, may=may)
    for conflict in desk.conflicts:
        _conflict(desk, conflict)
    for line in problem():
        draw(f'<div class="problem" role="alert">{escape(line)}</div>')
    for change in changes[:_MOST]:
        effect = f'<div class="caption">{html(change.effect)}</div>' if change.effect else ""
        draw(f'<span class="mono">{escape(change.where)}</span> {html(change.message)}{effect}')
    if len(changes) > _MOST:
        st.caption(t("and {n} more", n=len(changes) - _MOST))
    _buttons(desk, fits=fits, may=may)


def unsaved_count(place: Here) -> int:
    """Return how many changes of the data model whoever looks has not saved; 0 where nothing was imported."""
    if not place.can("project.manage") or importing.stored(place.ctx, place.name) is None:
        return 0
    return len(model_desk.open_desk(place.ctx, place.name).changes)


def _others(place: Here) -> None:
    names = model_desk.others(place.ctx, place.name)
    if names:
        said = t("{names} has unsaved changes too; who saves second is shown what the first one changed.",
                 names=", ".join(names))  # fmt: skip
        draw(f'<div class="caption">{escape(said)}</div>')


def _behind(desk: Desk, *, may: bool) -> None:
    said = (
        t("Version {n} was saved since you began with version {base}.", n=desk.latest, base=desk.base)
        if desk.base != desk.latest
        else t("Other data was imported since you began.")
    )
    draw(f"{chip(t('not the latest'), 'watch')} {escape(said)}")
    st.button(t("Put my changes on it"), key="model_rebase", disabled=not may, on_click=_rebase)


def _conflict(desk: Desk, conflict: model_desk.Conflict) -> None:
    draw(
        f"{chip(t('both changed it'), 'watch')} <span class='mono'>{escape(conflict.where)}</span>"
        f"<div class='caption'>{escape(t('yours'))}: {html(conflict.mine)}</div>"
        f"<div class='caption'>{escape(t('version {n}', n=desk.base))}: {html(conflict.theirs)}</div>"
    )
    st.button(
        t("Take version {n}", n=desk.base),
        key=f"model_theirs_{'_'.join(conflict.fact)}",
        type="tertiary",
        on_click=_take_theirs,
        args=(conflict.fact,),
    )


def _buttons(desk: Desk, *, fits: bool, may: bool) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            t("Undo"), key="model_undo", icon=":material/undo:", disabled=not may or not desk.can_undo, on_click=_undo
        )
        st.button(
            t("Redo"), key="model_redo", icon=":material/redo:", disabled=not may or not desk.can_redo, on_click=_redo
        )
        with st.popover(t("Discard"), type="tertiary", disabled=not may or not desk.changes):
            st.caption(t("All {n} changes are forgotten, and cannot be brought back.", n=len(desk.changes)))
            st.button(t("Discard all changes"), key="model_discard", on_click=_discard)
    if not may:
        st.caption(t("Changing the data model needs the role of risk analyst."))
        return
    if not desk.changes:
        return
    note = st.text_input(
        t("Why"), key="model_note", placeholder=t("for whoever reviews it"), disabled=desk.is_behind or not fits
    )
    st.button(
        t("Save as version {n}", n=desk.latest + 1),
        key="model_save",
        type="primary",
        disabled=desk.is_behind or not fits,
        on_click=_save,
        args=(note,),
    )
    if not fits:
        st.caption(t("The rows speak against it: see below. It can be saved once that is mended."))
    elif desk.is_behind:
        st.caption(t("Put your changes on the latest first."))
    else:
        st.caption(t("Nothing is lost by leaving the page: your changes stay until you save or discard them."))


def _rebase() -> None:
    place = here()
    act(lambda: model_desk.rebase(place.ctx, place.name))


def _take_theirs(fact: tuple[str, ...]) -> None:
    place = here()
    act(lambda: model_desk.take_theirs(place.ctx, place.name, fact))


def _undo() -> None:
    place = here()
    act(lambda: model_desk.undo(place.ctx, place.name))


def _redo() -> None:
    place = here()
    act(lambda: model_desk.redo(place.ctx, place.name))


def _discard() -> None:
    place = here()
    act(lambda: model_desk.discard(place.ctx, place.name))


def _save(note: str) -> None:
    place = here()
    typed = widget_value("model_note")
    if act(lambda: model_desk.save(place.ctx, place.name, note=str(typed if typed is not None else note))):
        ask_for(place, "model", {})
        remember("model_saved", int(recall("model_saved", 0)) + 1)
        st.session_state["model_note"] = ""
        st.session_state["model_asked"] = True
