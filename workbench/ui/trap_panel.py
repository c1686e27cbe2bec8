"""Columns that look like a trap, each with what speaks against it and the decision that is wanted or was taken."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import traps
from workbench.flows.traps import Acknowledgement, TrapState
from workbench.ui.pieces import chip, draw, panel_title
from workbench.ui.session import Here
from workbench.ui.state import remember
from workbench.ui.texts import capital, html, language, say, t

__all__ = ["trap_panel"]


def trap_panel(place: Here) -> None:
    """Draw the panel; nothing where nothing speaks against any column."""
    states = traps.states(place.ctx, place.name)
    if not states:
        return
    with st.container(key="panel_traps"):
        panel_title(t("Columns that look like a trap"), _what_is_wanted(states))
        for index, state in enumerate(states):
            with st.container(key=f"trap_one_{index}"):
                _one(place, state, index)


def _what_is_wanted(states: Sequence[TrapState]) -> str:
    if not any(state.is_open for state in states):
        return t("Nothing stands in the way of training.")
    n = sum(state.is_undecided and not state.is_left_out for state in states)
    if n:
        return t("{n} to decide on before a model is trained: leave the column out, or say why it may be used.", n=n)
    return t("All are decided on. Build the features again, without what is left out, and train.")


def _one(place: Here, state: TrapState, index: int) -> None:
    is_wanted = state.acknowledgement is None and not state.is_left_out
    shown = state.findings if is_wanted else state.findings[:1]
    words = "".join(f"<div>{escape(capital(say(finding.message)))}</div>" for finding in shown)
    used = t("{n} of {total} features made of it were kept", n=len(state.kept), total=state.n_features)
    advice = f'<div class="caption">{html(state.findings[0].fix)}</div>' if is_wanted else ""
    draw(
        f'<div>{_state_chip(state)} <b class="mono">{escape(state.subject)}</b> '
        f'<span class="caption">{escape(used)}</span></div>{words}{advice}'
    )
    if state.acknowledgement is not None:
        _said(place, state, state.acknowledgement, index)
    elif state.is_grave and is_wanted and place.can("feature.build"):
        _decide(place, state, index)


def _state_chip(state: TrapState) -> str:
    if state.acknowledgement is not None:
        return chip(t("Used all the same"), "watch")
    if state.is_left_out:
        return chip(t("Left out from the next build on"), "good")
    return chip(t("To decide"), "bad") if state.is_grave else chip(t("Look at"), "watch")


def _said(place: Here, state: TrapState, said: Acknowledgement, index: int) -> None:
    who = said.by or t("the project file")
    day = formats.when(said.at.date(), "zh" if language() == "zh" else "en") if said.at else ""
    left, right = st.columns([0.78, 0.22], vertical_alignment="center")
    with left:
        words = t("Used for this reason: {reason} ({name}, {date})", reason=said.reason, name=who, date=day or "–")
        draw(f'<div class="caption">{escape(words)}</div>')
    if place.can("feature.build"):
        with right:
            st.button(
                t("Take back"),
                key=f"trap_back_{index}",
                on_click=_withdraw,
                args=(place, state.subject),
                width="stretch",
            )


def _decide(place: Here, state: TrapState, index: int) -> None:
    reason, use, leave = st.columns([0.56, 0.22, 0.22], vertical_alignment="bottom")
    key = f"trap_reason_{index}"
    with reason:
        st.text_input(
            t("Reason to use it all the same"),
            key=key,
            placeholder=t("such as: written down at the application, before the decision"),
            max_chars=500,
        )
    with use:
        st.button(
            t("Use it all the same"),
            key=f"trap_use_{index}",
            on_click=_acknowledge,
            args=(place, state.subject, key),
            width="stretch",
        )
    with leave:
        st.button(
            t("Leave it out"),
            key=f"trap_leave_{index}",
            on_click=_leave_out,
            args=(place, state.subject),
            width="stretch",
        )


def _acknowledge(place: Here, subject: str, key: str) -> None:
    try:
        traps.acknowledge(place.ctx, place.name, subject, str(st.session_state.get(key, "")))
    except WorkbenchError as error:
        remember("refusal", error.text(language()))


def _leave_out(place: Here, subject: str) -> None:
    try:
        traps.leave_out(place.ctx, place.name, subject)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))


def _withdraw(place: Here, subject: str) -> None:
    try:
        traps.withdraw(place.ctx, place.name, subject)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))
