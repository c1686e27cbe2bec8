"""Windows, primitives and limits, chosen by clicking."""

from collections.abc import Callable
from html import escape
from itertools import combinations

import streamlit as st

from features.plan import sort_windows
from features.spec import FeatureSpec
from workbench.flows import feature_choice
from workbench.ui.feature_draft import Draft, edit, problem, widget_value
from workbench.ui.feature_words import group_help, group_word, primitive_word, window_word
from workbench.ui.pieces import draw, panel_title
from workbench.ui.texts import t

__all__ = ["depth_and_limits", "primitive_choice", "window_choice"]

_COMMON = ("30d", "90d", "6m", "12m", "24m", "all")


def window_choice(draft: Draft) -> None:
    """Draw the windows as pills, with a field for one more."""
    panel_title(t("Windows"), t("How far back from each case's cutoff rows are looked at, in event time."))
    known = {None if window == "all" else window for window in (*_COMMON, *draft.choice.windows)}
    options = [window or "all" for window in reversed(sort_windows(known))]
    left, right = st.columns([0.72, 0.28], gap="small", vertical_alignment="bottom")
    with left:
        key = draft.key("windows")
        st.pills(
            t("Windows"),
            options,
            selection_mode="multi",
            wrap=True,
            default=[window for window in options if window in draft.choice.windows],
            format_func=window_word,
            key=key,
            on_change=_set_windows,
            args=(key,),
            label_visibility="collapsed",
        )
    with right:
        key = draft.key("new_window")
        st.text_input(t("Add a window"), placeholder=t("45d, 18m or 3y"), key=key, on_change=_add_window, args=(key,))
    if problem("window"):
        draw(f'<div class="problem" role="alert">{escape(problem("window"))}</div>')


def primitive_choice(draft: Draft) -> None:
    """Draw the presets, and the primitives by group."""
    panel_title(t("Primitives"), t("What is made of the rows in each window. A preset is a start; every one can go."))
    preset = feature_choice.preset_of(draft.choice)
    key = draft.key(f"preset_{preset}")
    st.segmented_control(
        t("Preset"),
        ["default", "credit", "all"],
        default=preset,
        format_func=lambda name: {"default": t("Usual"), "credit": t("Credit"), "all": t("All of them")}[name],
        key=key,
        on_change=_set_preset,
        args=(key,),
        help=t("Credit adds streaks, trends, gaps and shares, conditions on frequent levels, and 6 over 24 months."),
    )
    groups = feature_choice.primitive_groups()
    keys = {group: draft.key(f"group_{group}") for group in groups}
    columns = st.columns(2, gap="medium")
    for index, (group, names) in enumerate(groups.items()):
        with columns[index % 2]:
            st.pills(
                group_word(group),
                names,
                selection_mode="multi",
                wrap=True,
                default=[name for name in names if name in draft.choice.chosen],
                format_func=primitive_word,
                key=keys[group],
                help=group_help(group),
                on_change=_set_primitives,
                args=(tuple(keys.values()),),
            )


def depth_and_limits(draft: Draft) -> None:
    """Draw depth, stacking, ratios of windows and the two limits."""
    choice = draft.choice
    left, middle, right = st.columns(3, gap="medium")
    with left:
        _field(
            draft,
            "max_depth",
            lambda key, **more: st.segmented_control(
                t("Depth"),
                [1, 2, 3],
                default=choice.max_depth,
                required=True,
                key=key,
                help=t("1: the case and its parents. 2: rows below them. 3: aggregations of aggregations."),
                **more,
            ),
        )
        _field(
            draft,
            "stack",
            lambda key, **more: st.pills(
                t("Stacked on each other at depth 3"),
                ["mean", "max", "min", "std", "sum"],
                selection_mode="multi",
                wrap=True,
                default=[name for name in choice.chosen_stack if name in ("mean", "max", "min", "std", "sum")],
                format_func=primitive_word,
                disabled=choice.max_depth < 3,
                key=key,
                **more,
            ),
        )
    with middle:
        _field(
            draft,
            "max_features",
            lambda key, **more: st.number_input(
                t("Features to compute at most"), 1, 20_000, choice.max_features, step=100, key=key, **more
            ),
        )
        _field(
            draft,
            "select_top",
            lambda key, **more: st.number_input(
                t("Features to keep at most"), 1, 2_000, choice.select_top, step=10, key=key, **more
            ),
        )
        _field(
            draft,
            "words",
            lambda key, **more: st.number_input(
                t("Words of a text at most"),
                0,
                1_000,
                choice.words,
                step=10,
                disabled="contains" not in choice.chosen,
                key=key,
                help=t(
                    "Each frequent word of a text, such as the name of a bank, makes a feature: it is there or not."
                ),
                **more,
            ),
        )
    with right:
        _ratios(draft)
        _field(
            draft,
            "frequent_levels",
            lambda key, **more: st.number_input(
                t("Frequent levels as conditions"),
                0,
                20,
                choice.chosen_levels,
                key=key,
                help=t("Rows of each of the most frequent levels of a category are also looked at apart."),
                **more,
            ),
        )


def _ratios(draft: Draft) -> None:
    given = [window for window in draft.choice.windows if window != "all"]
    windows = [window for window in reversed(sort_windows(given)) if window]
    pairs = list(dict.fromkeys([*combinations(windows, 2), *draft.choice.chosen_ratios]))
    key = draft.key("window_ratios")
    st.multiselect(
        t("One window over another"),
        pairs,
        default=list(draft.choice.chosen_ratios),
        format_func=lambda pair: t("{short} over {long}", short=window_word(pair[0]), long=window_word(pair[1])),
        key=key,
        on_change=_set_field,
        args=("window_ratios", key),
        placeholder=t("none"),
        help=t("Count, sum and mean of the last months over those of a longer time: what has changed."),
    )


def _field(draft: Draft, name: str, widget: Callable[..., object]) -> None:
    key = draft.key(name)
    widget(key, on_change=_set_field, args=(name, key))


def _set_field(name: str, key: str) -> None:
    value = widget_value(key)
    if value is not None:
        edit(lambda choice: feature_choice.changed(choice, **{name: value}), redraw=name == "max_depth")


def _set_windows(key: str) -> None:
    edit(lambda choice: feature_choice.changed(choice, windows=list(widget_value(key) or ())))


def _add_window(key: str) -> None:
    text = str(widget_value(key) or "")
    if text.strip():
        edit(lambda choice: feature_choice.with_window(choice, text), place_of_error="window", redraw=True)


def _set_preset(key: str) -> None:
    name = widget_value(key)
    if name is not None:
        edit(lambda choice: feature_choice.with_preset(choice, name), redraw=True)


def _set_primitives(keys: tuple[str, ...]) -> None:
    names = [name for key in keys for name in widget_value(key) or ()]
    is_preset = feature_choice.preset_of(FeatureSpec(primitives=names)) is not None
    edit(lambda choice: feature_choice.with_primitives(choice, names), redraw=is_preset)
