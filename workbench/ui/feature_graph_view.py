"""The tables as a graph to click in, and the panel of the table that was clicked."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.i18n import formats
from features.definitions import OPERATORS
from features.spec import FeatureSpec
from workbench.flows import feature_choice
from workbench.flows.build_watch import BuildProgress
from workbench.flows.feature_graph import TableGraph, TableNode
from workbench.flows.feature_preview import Preview
from workbench.flows.importing import ColumnProfile
from workbench.ui.column_words import role_word, table_title, type_word, unit_word
from workbench.ui.feature_draft import Draft, edit, problem, widget_value
from workbench.ui.frame import PAGES
from workbench.ui.pieces import chip, draw, panel_title
from workbench.ui.state import recall, remember
from workbench.ui.tables_picture import TableBox, tables_picture
from workbench.ui.texts import language, t

__all__ = ["build_graph", "choice_graph", "result_graph", "selected_table", "table_panel"]

_USABLE_ROLES = ("feature", "event_time")
_NUMBERS = ("number", "integer")


def selected_table(graph: TableGraph) -> str:
    """Return the table looked at, the table of the cases at first."""
    chosen = str(recall("feature_table", graph.root))
    return chosen if chosen in {node.name for node in graph.nodes} else graph.root


def choice_graph(graph: TableGraph, preview: Preview | None) -> None:
    """Draw the tables with what would be proposed from each; a click chooses a table."""
    found = preview.by_table if preview else {}
    notes = {node.name: _proposed(node, found.get(node.name, 0), is_known=preview is not None) for node in graph.nodes}
    title = t("Which tables the features of each case come from")
    _draw(graph, "feature_tables", notes, title=title)


def _proposed(node: TableNode, n_features: int, *, is_known: bool) -> str:
    if node.place == "apart":
        return t("not linked")
    if not node.is_used:
        return t("left out")
    if node.place == "by_time":
        return t("by time, {n} proposed", n=n_features) if is_known else t("joined by time")
    return t("{n} proposed", n=n_features) if is_known else "…"


def build_graph(graph: TableGraph, progress: BuildProgress) -> None:
    """Draw the tables filling up as their features are computed."""
    tables = {table.table: table for table in progress.tables}
    notes = {
        name: t("{done} of {n} computed", done=round(table.share * table.n_features), n=table.n_features)
        for name, table in tables.items()
    }
    shares = {name: table.share for name, table in tables.items()}
    _draw(graph, "tables_being_built", notes, title=t("Tables fill as their features are computed"), shares=shares)


def result_graph(graph: TableGraph, computed: Mapping[str, int], kept: Mapping[str, int]) -> None:
    """Draw the tables with how many of the features computed from each were kept."""
    notes = {
        node.name: t("{kept} of {n} kept", kept=kept.get(node.name, 0), n=computed[node.name])
        for node in graph.nodes
        if node.name in computed
    }
    best = max(kept, key=lambda name: kept[name], default="")
    title = t("Most of the features kept come from: {table}", table=_label(graph, best)) if best else t("Tables")
    _draw(graph, "tables_kept", notes, title=title)


def _draw(
    graph: TableGraph, name: str, notes: Mapping[str, str], *, title: str, shares: Mapping[str, float] | None = None
) -> None:
    boxes = [
        TableBox(
            node.profile,
            note=notes.get(node.name, ""),
            times=_times(node),
            is_used=node.is_used,
            share=None if shares is None else shares.get(node.name, 0.0),
        )
        for node in graph.nodes
    ]
    lines = [(link.parent, link.child, link.child_column, link.matched) for link in graph.links]
    tables_picture(boxes, lines, name, root=graph.root, selected=selected_table(graph), title=title, on_click=_choose)


def _choose(name: str) -> None:
    remember("feature_table", name)


def _choose_listed(key: str) -> None:
    _choose(str(widget_value(key)))


def _label(graph: TableGraph, name: str) -> str:
    return graph.node(name).profile.label.get(language(), "") or name


def _times(node: TableNode) -> str:
    profile = node.profile
    if profile.event_time is None:
        return t("without time")
    return t("event time {event}, known at {known}", event=profile.event_time, known=profile.known_at or "–")


def table_panel(graph: TableGraph, draft: Draft, preview: Preview | None) -> None:
    """Draw the choice of a table and what can be chosen about it."""
    names = [node.name for node in graph.nodes]
    chosen = selected_table(graph)
    # The key follows a click on the picture, which changes what is chosen by another way than this field.
    key = f"feature_table_{chosen}_{language()}"
    st.selectbox(
        t("Table"),
        names,
        index=names.index(chosen),
        format_func=lambda name: table_title(name, graph.node(name).profile.label),
        key=key,
        on_change=_choose_listed,
        args=(key,),
        help=t("Or click a table in the picture."),
    )
    node = graph.node(chosen)
    _facts(graph, node, preview)
    key = draft.key(f"use_{chosen}")
    st.toggle(
        t("Use this table"),
        value=node.is_used,
        key=key,
        disabled=node.place == "cases",
        on_change=_set_table,
        args=(chosen, key),
    )
    if node.is_used:
        _columns(node, draft)
        if preview is not None:
            _samples(chosen, preview)
        with st.expander(t("Conditions and pairs")):
            _conditions(node, draft)
            _pairs(node, draft)


def _set_table(table: str, key: str) -> None:
    edit(lambda choice: feature_choice.with_table(choice, table, is_used=bool(widget_value(key))), redraw=True)


def _facts(graph: TableGraph, node: TableNode, preview: Preview | None) -> None:
    places = {
        "cases": chip(t("table of the cases"), "brand"),
        "parent": chip(t("parent")),
        "child": chip(t("rows below")),
        "by_time": chip(t("joined by time")),
        "apart": chip(t("not linked"), "watch"),
    }
    lines = [_times(node)]
    if node.place == "apart" and node.profile.event_time is not None:
        lines.append(t("Rows that count for every case, such as months of the economy, can be joined by time there."))
    if preview is not None:
        lines.insert(0, t("{n} features proposed", n=preview.by_table.get(node.name, 0)))
    for link in graph.links_of(node.name):
        other = link.parent if link.child == node.name else link.child
        orphans = t(", {n} without parent", n=formats.count(link.n_orphans)) if link.n_orphans else ""
        lines.append(
            t("{key} with {table}: {share} linked", key=link.child_column, table=_label(graph, other),
              share=formats.percent(link.matched)) + orphans
        )  # fmt: skip
    body = "".join(f'<div class="caption">{escape(line)}</div>' for line in lines)
    size = t("{n} rows", n=formats.count(node.profile.n_rows))
    draw(f"{places[node.place]} <b>{escape(size)}</b>{body}")
    if node.place == "apart":
        st.page_link(PAGES["data_model"], label=t("Link it on the Tables page"), icon=":material/schema:")


def _columns(node: TableNode, draft: Draft) -> None:
    ignored = set(draft.choice.ignore.get(node.name, ()))
    rows = [column for column in node.profile.columns if column.role in _USABLE_ROLES and column.type != "text"]
    key = draft.key(f"columns_{node.name}")
    st.data_editor(
        {
            t("Use"): [column.name not in ignored for column in rows],
            t("Column"): [column.label.get(language(), "") or column.name for column in rows],
            t("Type"): [type_word(column.type) for column in rows],
            t("Unit"): [unit_word(column.unit) if column.unit else "–" for column in rows],
            t("Role"): [role_word(column.role) for column in rows],
        },
        hide_index=True,
        disabled=[t("Column"), t("Type"), t("Unit"), t("Role")],
        height=min(38 + 35 * len(rows), 300),
        key=key,
        on_change=_set_columns,
        args=(node.name, [column.name for column in rows], key),
    )
    others = len(node.profile.columns) - len(rows)
    if others:
        st.caption(t("{n} more columns are keys, links, known-at times or text; no feature is made of them.", n=others))


def _set_columns(table: str, columns: list[str], key: str) -> None:
    for row, changes in widget_value(key)["edited_rows"].items():
        for is_used in changes.values():
            _set_column(table, columns[int(row)], is_used=bool(is_used))


def _set_column(table: str, column: str, *, is_used: bool) -> None:
    edit(lambda choice: feature_choice.with_column(choice, table, column, is_used=is_used))


def _samples(table: str, preview: Preview) -> None:
    names = [names.get(language(), "") for names in preview.names.get(table, ())]
    if names:
        body = "".join(f"<li>{escape(name)}</li>" for name in names)
        draw(f'<div class="caption">{escape(t("Proposed first from this table"))}</div><ul class="names">{body}</ul>')


def _conditions(node: TableNode, draft: Draft) -> None:
    panel_title(t("Conditions"), t("Rows looked at apart: counted, summed, and how long they last."))
    for index, item in enumerate(draft.choice.conditions):
        if item.table == node.name:
            _listed(draft, "conditions", index, f"{item.column} {_sign(item.op)} {item.value}")
    columns = {c.name: c for c in node.profile.columns if c.role == "feature" and c.type in ("category", *_NUMBERS)}
    if not columns:
        st.caption(t("No column of this table can make a condition."))
        return
    left, middle, right = st.columns([0.44, 0.2, 0.36], gap="small", vertical_alignment="bottom")
    key = draft.key(f"condition_{node.name}")
    with left:
        name = st.selectbox(t("Column"), list(columns), key=f"{key}_column")
    column = columns[str(name)]
    with middle:
        signs = list(OPERATORS)[:2] if column.type == "category" else list(OPERATORS)
        op = st.selectbox(t("Is"), signs, format_func=_sign, key=f"{key}_op")
    with right:
        value = _condition_value(column, f"{key}_value_{name}")
    st.button(
        t("Add the condition"),
        key=f"{key}_add",
        on_click=_add,
        args=("conditions", {"table": node.name, "column": name, "op": op, "value": value}),
    )
    if problem("conditions"):
        draw(f'<div class="problem" role="alert">{escape(problem("conditions"))}</div>')


def _condition_value(column: ColumnProfile, key: str) -> str | float:
    if column.type == "category":
        levels = [level for level, _ in column.top_values]
        return str(st.selectbox(t("Value"), levels, key=key, accept_new_options=True) or "")
    return float(st.number_input(t("Value"), value=0.0, key=key))


def _sign(op: str) -> str:
    return {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}.get(op, op)


def _pairs(node: TableNode, draft: Draft) -> None:
    panel_title(t("Pairs"), t("A number over another, row by row, or a category weighed by a number."))
    for index, item in enumerate(draft.choice.pairs):
        if item.table == node.name:
            _listed(draft, "pairs", index, f"{item.column} / {item.second}")
    usable = [column for column in node.profile.columns if column.role in _USABLE_ROLES]
    firsts = [column.name for column in usable if column.type in ("category", *_NUMBERS)]
    seconds = [column.name for column in usable if column.type in _NUMBERS]
    if not firsts or not seconds:
        st.caption(t("A pair needs a number column."))
        return
    key = draft.key(f"pair_{node.name}")
    left, right = st.columns(2, gap="small")
    with left:
        first = st.selectbox(t("Column"), firsts, key=f"{key}_first")
    with right:
        second = st.selectbox(t("Over, or weighed by"), seconds, index=len(seconds) - 1, key=f"{key}_second")
    st.button(
        t("Add the pair"),
        key=f"{key}_add",
        disabled=first == second,
        on_click=_add,
        args=("pairs", {"table": node.name, "column": first, "second": second}),
    )


def _listed(draft: Draft, field: str, index: int, text: str) -> None:
    left, right = st.columns([0.8, 0.2], vertical_alignment="center")
    with left:
        draw(f'<span class="mono">{escape(text)}</span>')
    with right:
        st.button(
            t("Remove"),
            key=draft.key(f"{field}_{index}_remove"),
            type="tertiary",
            on_click=_remove,
            args=(field, index),
        )


def _add(field: str, item: Mapping[str, object]) -> None:
    def change(choice: FeatureSpec) -> FeatureSpec:
        held = [known.model_dump() for known in getattr(choice, field)]
        return choice if item in held else feature_choice.changed(choice, **{field: [*held, dict(item)]})

    edit(change, place_of_error=field)


def _remove(field: str, index: int) -> None:
    def change(choice: FeatureSpec) -> FeatureSpec:
        held = [known.model_dump() for known in getattr(choice, field)]
        return feature_choice.changed(choice, **{field: held[:index] + held[index + 1 :]})

    edit(change)
