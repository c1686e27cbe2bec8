"""The features one by one: searched, filtered, looked at, with the reason of every drop."""

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from core.i18n import formats
from reporting import figures
from workbench.flows import feature_export, features
from workbench.flows.features import DroppedFeature, FeatureResult, FeatureRow
from workbench.ui.charts import chart
from workbench.ui.feature_words import liveness_word, primitive_word, rule_word, window_word
from workbench.ui.pieces import chip, empty, table
from workbench.ui.session import Here, theme
from workbench.ui.texts import language, t

__all__ = ["feature_tables"]

_MOST_ROWS = 200

Item = FeatureRow | DroppedFeature


def feature_tables(place: Here, result: FeatureResult) -> None:
    """Draw the choice between kept, dropped and one feature, and what was chosen."""
    view = st.segmented_control(
        t("View"),
        ["kept", "dropped", "one"],
        default="kept",
        required=True,
        format_func=lambda key: {"kept": t("Kept"), "one": t("One feature"), "dropped": t("Dropped, with reasons")}[
            key
        ],
        label_visibility="collapsed",
        key=f"feature_list_{language()}",
    )
    if view == "one":
        _one(place, result)
        return
    kept = sorted(result.kept, key=lambda row: -(row.information_value or 0))
    items: Sequence[Item] = kept if view == "kept" else result.dropped
    chosen = _filtered(items, str(view))
    if not chosen:
        empty(t("No feature fits these filters"), t("Clear a filter to see more."))
    elif view == "kept":
        _kept([item for item in chosen if isinstance(item, FeatureRow)])
    else:
        _dropped([item for item in chosen if isinstance(item, DroppedFeature)])
    if len(chosen) > _MOST_ROWS:
        st.caption(t("{n} more are in the file.", n=len(chosen) - _MOST_ROWS))
    _files(place, result)


def _filtered(items: Sequence[Item], view: str) -> list[Item]:
    search, of_table, of_primitive, of_window = st.columns([0.34, 0.22, 0.22, 0.22], gap="small")
    with search:
        text = st.text_input(t("Search"), placeholder=t("part of the name"), key=f"feature_search_{view}")
    with of_table:
        tables = _filter(t("From"), [item.table for item in items], str, f"{view}_table")
    with of_primitive:
        primitives = _filter(t("Primitive"), [item.primitive for item in items], primitive_word, f"{view}_primitive")
    with of_window:
        windows = _filter(t("Window"), [item.window or "" for item in items], window_word, f"{view}_window")
    words = text.casefold().split()
    return [
        item
        for item in items
        if all(word in f"{item.name(language())} {item.alias}".casefold() for word in words)
        and (not tables or item.table in tables)
        and (not primitives or item.primitive in primitives)
        and (not windows or (item.window or "") in windows)
    ]


def _filter(title: str, values: Sequence[str], word: Callable[[str], str], key: str) -> list[str]:
    options = sorted(set(values))
    return list(
        st.multiselect(title, options, format_func=word, key=f"feature_filter_{key}_{language()}", placeholder=t("all"))
    )


def _kept(rows: Sequence[FeatureRow]) -> None:
    table(
        (t("Feature"), t("From"), t("Window"), t("Live from"), t("Missing"), t("Information value")),
        [
            (
                escape(row.name(language())),
                f'<span class="mono muted">{escape(row.table)}</span>',
                escape(window_word(row.window) if row.window else "–").replace(" ", "\u00a0"),
                _live(row.liveness),
                formats.percent(row.missing_rate),
                formats.metric(row.information_value),
            )
            for row in rows[:_MOST_ROWS]
        ],
        numbers=(4, 5),
    )


def _live(liveness: str) -> str:
    word = liveness_word(liveness)
    return f'<span class="muted">{escape(word)}</span>' if liveness == "self" else chip(word, "watch")


def _dropped(rows: Sequence[DroppedFeature]) -> None:
    table(
        (t("Feature"), t("From"), t("Rule"), t("Why")),
        [
            (
                escape(item.name(language())),
                f'<span class="mono muted">{escape(item.table)}</span>',
                escape(rule_word(item.code)),
                escape(item.why(language())),
            )
            for item in rows[:_MOST_ROWS]
        ],
    )


def _files(place: Here, result: FeatureResult) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            t("Features as CSV"),
            feature_export.features_csv(result, language()),
            file_name=f"{place.name}-features.csv",
            mime="text/csv",
            type="tertiary",
            on_click="ignore",
            key="features_csv",
        )
        st.download_button(
            t("Plan as JSON"),
            lambda: feature_export.plan_json(place.ctx, place.name).encode(),
            file_name=f"{place.name}-plan.json",
            mime="application/json",
            type="tertiary",
            on_click="ignore",
            key="plan_json",
        )


def _one(place: Here, result: FeatureResult) -> None:
    by_alias = {row.alias: row for row in result.kept}
    order = sorted(by_alias, key=lambda alias: -(by_alias[alias].information_value or 0))
    chosen = st.selectbox(
        t("Feature"), order, format_func=lambda alias: by_alias[alias].name(language()), key="feature_looked_at"
    )
    profile = features.profile(place.ctx, place.name, chosen)
    bins = [item for item in profile.bins if item.n_rows]
    unknown = float("nan")
    figure = figures.bad_rate_by_period(
        [item.label for item in bins],
        [unknown if item.bad_rate is None else item.bad_rate for item in bins],
        [item.n_rows for item in bins],
        low=[unknown if item.low is None else item.low for item in bins],
        high=[unknown if item.high is None else item.high for item in bins],
        title=t(
            "{name}: information value {iv}",
            name=profile.feature.name(language()),
            iv=formats.metric(profile.information_value),
        ),
        language=language(),
        theme=theme(),
    )
    chart(figure, "feature_bins")
