"""The choice on the page before it is saved: kept in the session, changed by callbacks, never lost on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.errors import WorkbenchError
from features.spec import FeatureSpec
from workbench.flows import feature_choice
from workbench.ui.session import Here, here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import language

__all__ = ["Draft", "draft", "edit", "problem", "save", "start_over", "take_back", "widget_value"]


@dataclass(frozen=True)
class Draft:
    """The choice as it stands on the page, and as it is saved; `turn` is part of widget keys, so they follow it."""

    choice: FeatureSpec
    saved: FeatureSpec
    turn: int

    @property
    def n_changes(self) -> int:
        """How many settings differ from what is saved."""
        return len(feature_choice.differences(self.saved, self.choice))

    def key(self, name: str) -> str:
        """Return a widget's key, new whenever the choice changed by another way than this widget."""
        return f"choice_{name}_{self.turn}_{language()}"


def draft(place: Here) -> Draft:
    """Return the draft of the project looked at; the saved choice where there is none."""
    saved = feature_choice.chosen(place.ctx, place.name)
    kept = recall(_name(place))
    choice = saved
    if kept is not None:
        try:
            choice = FeatureSpec.model_validate(kept)
        except ValidationError:  # of another release: what is saved counts
            forget(_name(place))
    return Draft(choice, saved, int(recall("choice_turn", 0)))


def edit(change: Callable[[FeatureSpec], FeatureSpec], *, place_of_error: str = "", redraw: bool = False) -> bool:
    """Change the draft; used by callbacks.

    Parameters
    ----------
    change : callable
        Returns the changed choice, or raises a `WorkbenchError`, which is then shown where `place_of_error` is drawn.
    place_of_error : str
        See `problem`.
    redraw : bool
        Whether widgets other than the one clicked must follow.
    """
    place = here()
    forget(f"problem_{place_of_error}")
    try:
        choice = change(draft(place).choice)
    except WorkbenchError as error:
        remember(f"problem_{place_of_error}", error.text(language()))
        return False
    remember(_name(place), choice.model_dump(mode="json", exclude_unset=True))
    if redraw:
        remember("choice_turn", int(recall("choice_turn", 0)) + 1)
    return True


def problem(place_of_error: str) -> str:
    """Return what was wrong with the last change made there, or nothing."""
    return str(recall(f"problem_{place_of_error}", ""))


def save(place: Here) -> bool:
    """Keep the draft in the project; False where it was refused, which `problem("save")` then tells."""
    forget("problem_save")
    try:
        feature_choice.save(place.ctx, place.name, draft(place).choice)
    except WorkbenchError as error:
        remember("problem_save", error.text(language()))
        return False
    forget(_name(place))
    return True


def take_back() -> None:
    """Return to what is saved."""
    place = here()
    forget(_name(place))
    forget("problem_save")
    remember("choice_turn", int(recall("choice_turn", 0)) + 1)


def start_over() -> None:
    """Put the defaults on the page; they are saved like any other change."""
    edit(lambda _: FeatureSpec(), redraw=True)


def widget_value(key: str) -> Any:
    """Return what a widget holds, as its callback sees it."""
    return st.session_state.get(key)


def _name(place: Here) -> str:
    return f"choice_{place.name}"
