"""What a person decides over selection: features kept whatever it finds, features left out, and both undone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from workbench.flows import feature_choice, feature_pins
from workbench.flows.features import DroppedFeature, FeatureResult, FeatureRow
from workbench.ui.pieces import panel_title
from workbench.ui.session import Here
from workbench.ui.state import remember
from workbench.ui.texts import language, t

__all__ = ["pin_form"]

_Change = Callable[[Any, str, Iterable[str]], Any]


def pin_form(place: Here, result: FeatureResult) -> None:
    """Draw the form: what was dropped can be kept, what was kept can be dropped; it takes effect in the next build."""
    if not place.can("feature.build"):
        return
    choice = feature_choice.chosen(place.ctx, place.name)
    rows: list[FeatureRow | DroppedFeature] = [*result.kept, *result.dropped]
    names = {row.alias: _words(row) for row in rows}
    pinned = {*choice.keep, *choice.drop}
    with st.container(key="panel_pins"):
        panel_title(
            t("Decide over selection"),
            t("Takes effect in the next build. Who decided what is in the audit trail."),
        )
        left, right = st.columns(2, gap="medium")
        with left:
            dropped = [row.alias for row in result.dropped if row.alias not in pinned]
            _choose(place, t("Keep what was dropped"), t("Keep"), dropped, names, feature_pins.keep)
        with right:
            kept = [row.alias for row in result.kept if row.alias not in pinned]
            _choose(place, t("Leave out what was kept"), t("Leave out"), kept, names, feature_pins.drop)
        if pinned:
            words = {
                **{alias: t("kept by hand: {name}", name=names.get(alias, alias)) for alias in choice.keep},
                **{alias: t("left out by hand: {name}", name=names.get(alias, alias)) for alias in choice.drop},
            }
            _choose(place, t("Decided by hand"), t("Undo"), list(words), words, feature_pins.undo)


def _words(row: FeatureRow | DroppedFeature) -> str:
    """Return name and, where it was dropped, why."""
    if isinstance(row, DroppedFeature):
        return f"{row.name(language())} – {row.why(language())}"
    return row.name(language())


def _choose(
    place: Here, title: str, verb: str, aliases: Sequence[str], names: Mapping[str, str], change: _Change
) -> None:
    key = f"pins_{change.__name__}_{language()}"
    chosen = st.multiselect(
        title,
        list(aliases),
        format_func=lambda alias: names.get(alias, alias),
        key=key,
        placeholder=t("choose features"),
    )
    st.button(verb, key=f"{key}_do", disabled=not chosen, on_click=_apply, args=(place, change, list(chosen)))


def _apply(place: Here, change: _Change, aliases: list[str]) -> None:
    try:
        change(place.ctx, place.name, aliases)
    except WorkbenchError as error:
        remember("refusal", error.text(language()))
