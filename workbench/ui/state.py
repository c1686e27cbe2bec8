"""What a session remembers between pages: a few ids and choices, under one set of keys."""

from typing import Any

import streamlit as st

__all__ = ["forget", "recall", "remember"]

_PREFIX = "kept_"


def remember(name: str, value: Any) -> None:
    """Keep `value` (an id, a name or a choice, never a big table) under `name` across pages."""
    st.session_state[_PREFIX + name] = value


def recall(name: str, default: Any = None) -> Any:
    """Return what was kept under `name`, or `default`."""
    return st.session_state.get(_PREFIX + name, default)


def forget(name: str) -> None:
    """Drop what was kept under `name`, if anything."""
    st.session_state.pop(_PREFIX + name, None)
