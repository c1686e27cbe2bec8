"""Changing what answers: a version to put to work and in which part, and what works beside the champion."""

from collections.abc import Callable
from html import escape

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import deployment
from workbench.flows.deployment import DeploymentState, SlotState
from workbench.flows.training import VersionRow
from workbench.ui.pieces import chip, empty, panel_title, show_error, table
from workbench.ui.session import Here
from workbench.ui.texts import t
from workbench.ui.times import exact
from workbench.ui.versions import choose_version
from workbench.ui.work import ask_for

__all__ = ["beside_panel", "change_panel", "slot_word"]

_LIVE = "live-challenger"
_SHADOW = "challenger"
_FIRST_PERCENT = 10


def slot_word(slot: str) -> str:
    """Return a slot's name in the session's language."""
    return {"champion": t("champion"), _LIVE: t("live challenger"), _SHADOW: t("shadow challenger")}.get(slot, slot)


def change_panel(place: Here, state: DeploymentState) -> None:
    """Draw the choice of a version, of its part, and the way back."""
    panel_title(
        t("Put another version to work"), t("Only approved versions answer; the hash that was reviewed is what serves.")
    )
    if not place.can("model.deploy"):
        st.caption(t("Deploying needs the role of operator."))
        return
    slot = _choose_part(state)
    rows = _eligible(state, slot)
    if not rows:
        st.caption(t("No other approved version."))
    else:
        _deploy(place, slot, rows)
    if state.rollback_to is not None:
        why = st.text_input(t("Reason to go back"), key="rollback_reason")
        if st.button(t("Roll back to v{n}", n=state.rollback_to), disabled=not why.strip()):
            _act(place, lambda: deployment.rollback(place.ctx, place.name, reason=why.strip(), publish=False))


def beside_panel(place: Here, state: DeploymentState) -> None:
    """Draw what answers a share or scores along unseen, and how to change or end it."""
    panel_title(
        t("At work beside the champion"),
        t("A live challenger answers a share of the enterprises, each always the same; a shadow is only logged."),
    )
    beside = [slot for slot in state.slots if slot.slot != "champion"]
    if not beside:
        empty(
            t("The champion is alone"),
            t("An approved version can answer a share of the enterprises here, before it answers all."),
        )
        return
    table(
        (t("Slot"), t("Version"), t("Share answered"), t("Since"), t("Who"), t("Reason")),
        [_beside_row(slot) for slot in beside],
    )
    if place.can("model.deploy"):
        with st.container(horizontal=True):
            for slot in beside:
                _change_beside(place, slot)


def _choose_part(state: DeploymentState) -> str:
    words = {
        "champion": t("Champion: answers all"),
        _LIVE: t("Live challenger: answers a share"),
        _SHADOW: t("Shadow: scores along unseen"),
    }
    if state.champion is None:
        return "champion"
    chosen = st.segmented_control(
        t("As"), list(words), default="champion", required=True, format_func=words.__getitem__, key="deploy_part"
    )
    return str(chosen)


def _eligible(state: DeploymentState, slot: str) -> list[VersionRow]:
    rows = state.shadows if slot == _SHADOW else state.deployable
    held = {one.version.number for one in state.slots if one.slot == slot}
    return [row for row in rows if row.number not in held]


def _deploy(place: Here, slot: str, rows: list[VersionRow]) -> None:
    version = choose_version(rows, f"deploy_version_{slot}")
    share = _share_input("deploy_share", _FIRST_PERCENT) if slot == _LIVE else None
    reason = st.text_input(t("Reason"), key="deploy_reason")
    if st.button(t("Deploy"), type="primary", disabled=not reason.strip()):
        _act(
            place,
            lambda: deployment.deploy(
                place.ctx, place.name, version.number, slot=slot, reason=reason.strip(), share=share, publish=False
            ),
        )


def _share_input(key: str, percent: int) -> float:
    chosen = st.number_input(
        t("Share of the enterprises, %"), min_value=1, max_value=99, value=percent, step=1, key=key, width=280
    )
    return float(chosen) / 100.0


def _beside_row(slot: SlotState) -> tuple[str, ...]:
    share = formats.percent(slot.share) if slot.share else chip(t("unseen"))
    return (
        escape(slot_word(slot.slot)),
        f"v{slot.version.number}",
        share,
        escape(exact(slot.since)),
        escape(slot.by),
        escape(slot.reason),
    )


def _change_beside(place: Here, slot: SlotState) -> None:
    label = t("Change v{n}", n=slot.version.number) if slot.share else t("Withdraw v{n}", n=slot.version.number)
    with st.popover(label, key=f"beside_{slot.slot}"):
        share = _share_input(f"share_{slot.slot}", round(100 * slot.share)) if slot.share else None
        reason = st.text_input(t("Reason"), key=f"why_{slot.slot}").strip()
        number = slot.version.number
        with st.container(horizontal=True):
            if share is not None and st.button(t("Set the share"), type="primary", disabled=not reason):
                _act(
                    place,
                    lambda: deployment.deploy(
                        place.ctx, place.name, number, slot=slot.slot, reason=reason, share=share, publish=False
                    ),
                )
            if st.button(t("Withdraw"), disabled=not reason, key=f"withdraw_{slot.slot}"):
                _act(place, lambda: deployment.withdraw(place.ctx, place.name, slot=slot.slot, reason=reason))


def _act(place: Here, step: Callable[[], DeploymentState]) -> None:
    try:
        after = step()
    except WorkbenchError as error:
        show_error(error)
        return
    # The rows for it take a while: a worker publishes them.
    if after.snapshot.due is not None:
        ask_for(place, "snapshot", {})
    st.rerun()
