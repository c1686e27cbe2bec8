"""Which of the Features page's two sides is looked at: what was built, or what is chosen."""

from typing import Literal

import streamlit as st

from workbench.ui.state import recall, remember
from workbench.ui.texts import language, t

__all__ = ["feature_view", "show_result"]


def feature_view() -> Literal["result", "choice"]:
    """Draw the switch and return what is looked at."""
    key = f"feature_view_{recall('feature_view_turn', 0)}_{language()}"
    chosen = st.segmented_control(
        t("View"),
        ["result", "choice"],
        default=str(recall("feature_view", "result")),
        required=True,
        format_func=lambda name: t("Result") if name == "result" else t("Tables and choice"),
        key=key,
        on_change=_keep,
        args=(key,),
        label_visibility="collapsed",
    )
    return "choice" if chosen == "choice" else "result"


def show_result() -> None:
    """Turn to the result; used by callbacks."""
    remember("feature_view", "result")
    remember("feature_view_turn", int(recall("feature_view_turn", 0)) + 1)


def _keep(key: str) -> None:
    remember("feature_view", st.session_state[key])
