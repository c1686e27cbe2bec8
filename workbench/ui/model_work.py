"""What the parts of the Tables page share: keys of widgets, edits by callback, and what was wrong with one."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from workbench.flows import model_desk
from workbench.flows.model_desk import Desk
from workbench.ui.session import here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import language

__all__ = ["act", "change", "chosen_table", "key", "problem", "show_table", "widget_value"]


def key(desk: Desk, name: str) -> str:
    """Return a widget's key, new whenever the model changed, so that every field follows every edit and undo."""
    return f"model_{name}_{desk.base}_{desk.position}_{len(desk.steps)}_{recall('model_turn', 0)}_{language()}"


def change(step: Mapping[str, Any]) -> None:
    """Make one edit on the desk, or keep what was wrong with it for `problem`; used by callbacks."""
    place = here()
    act(lambda: model_desk.edit(place.ctx, place.name, step))


def act(what: Callable[[], Any]) -> bool:
    """Do `what`, or keep what was wrong for `problem`."""
    forget("model_problem")
    remember("model_turn", int(recall("model_turn", 0)) + 1)
    try:
        what()
    except WorkbenchError as error:
        lines = [error.text(language()), *(finding.text(language()) for finding in error.findings)]
        remember("model_problem", list(dict.fromkeys(lines)))
        return False
    return True


def problem() -> list[str]:
    """Return what was wrong with the last edit, line by line; empty where nothing was."""
    return list(recall("model_problem", []))


def chosen_table(desk: Desk) -> str:
    """Return the table looked at, the first one until another was chosen."""
    tables = list(desk.model.tables)
    kept = str(recall("model_table", ""))
    return kept if kept in tables else tables[0]


def show_table(name: str) -> None:
    """Look at a table; used by clicks on the picture."""
    forget("model_problem")
    remember("model_table", name)


def widget_value(name: str) -> Any:
    """Return what a widget holds, as its callback sees it."""
    return st.session_state.get(name)
