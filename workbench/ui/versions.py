"""How a model version is named and marked on every page."""

import streamlit as st

from workbench.flows.training import VersionRow
from workbench.ui.pieces import chip
from workbench.ui.texts import t

__all__ = ["choose_version", "state_chip", "state_word"]

_TONES = {"approved": "good", "submitted": "watch", "changes_requested": "watch", "rejected": "bad"}


def state_word(state: str) -> str:
    """Return a version's state in the session's language."""
    words = {
        "draft": t("draft"),
        "submitted": t("waiting for review"),
        "changes_requested": t("changes requested"),
        "approved": t("approved"),
        "rejected": t("rejected"),
        "retired": t("retired"),
    }
    return words.get(state, state)


def state_chip(state: str) -> str:
    """Return a version's state as a small label in HTML."""
    return chip(state_word(state), _TONES.get(state, ""))


def choose_version(rows: list[VersionRow], key: str, first: int | None = None) -> VersionRow:
    """Draw the choice of a version and return it; `first` is chosen at the start, else the latest."""
    by_number = {row.number: row for row in rows}
    numbers = list(by_number)
    chosen = st.selectbox(
        t("Version"),
        numbers,
        index=numbers.index(first) if first in numbers else 0,
        format_func=lambda number: f"v{number} · {state_word(by_number[number].state)}",
        key=key,
        width=280,
    )
    return by_number[chosen]
