"""The data standard on a page: a list that is searched, and the match of a project's columns, corrected by clicking."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from warehouse.standard import load
from warehouse.standard.search import Entry, Part, find
from workbench.flows import standard
from workbench.flows.standard import MatchedColumn, MatchedTable, StandardState
from workbench.ui.column_words import named, type_word, unit_word
from workbench.ui.frame import PAGES
from workbench.ui.pieces import chip, draw, empty, panel_title, show_error, table
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import html, language, t

__all__ = ["match_panel", "search_panel", "sentence"]

_MOST = 80
_NONE = "–"


def search_panel(place: Here, part: Part) -> None:
    """Draw the search over one part of the standard, and what it finds."""
    titles = {
        "fields": (t("Field catalogue"), t("What each field of the subject tables is called, and what it may hold.")),
        "codes": (
            t("Code tables"),
            t("What codes mean: the central bank's, GB/T 4754 sectors, GB/T 2260 regions, ours."),
        ),
        "elements": (
            t("Credit-report elements"),
            t("Second-generation reports of the central bank, by their element codes."),
        ),
    }
    panel_title(*titles[part])
    text = st.text_input(
        t("Search"),
        placeholder=t("for example: overdue, 逾期, 2045"),
        label_visibility="collapsed",
        key=f"standard_{part}",
    )
    found = find(text or "", [part])
    if not found:
        empty(t("Nothing found"), t("Try a part of a name, in either language."))
        return
    draw(f'<div class="caption">{escape(t("{n} lines", n=formats.count(len(found))))}</div>')
    if part == "codes":
        _code_list(found[:_MOST])
    else:
        _field_list(found[:_MOST], is_field=part == "fields")
    if len(found) > _MOST:
        st.caption(t("{n} more: search for a part of a name.", n=formats.count(len(found) - _MOST)))
    _downloads(place, part)


def _downloads(place: Here, part: Part) -> None:
    with st.container(horizontal=True):
        csv = _file(place.ctx.language, "csv", part)
        st.download_button(t("As CSV"), csv, file_name=f"data_standard_{part}.csv", mime="text/csv", on_click="ignore")
        st.download_button(
            t("All of it for Excel"), _file(place.ctx.language, "xlsx", "fields"), file_name="data_standard.xlsx",
            on_click="ignore",
        )  # fmt: skip


@st.cache_data(max_entries=8)
def _file(spoken: str, form: str, part: Part) -> bytes:
    from warehouse.standard.search import to_csv, to_workbook

    return to_workbook(spoken) if form == "xlsx" else to_csv(part, spoken)


def _field_list(found: Sequence[Entry], *, is_field: bool) -> None:
    last = (t("Known"),) if is_field else ()
    table(
        (t("Field"), t("Table") if is_field else t("Report and place"), t("Type"), t("Unit"), t("Code tables"),
         t("Source"), *last),
        [
            (
                _named(entry),
                f'{escape(_label(entry.group_label))}<div class="caption mono">{escape(entry.group)}</div>',
                escape(type_word(entry.type or "")),
                escape(unit_word(entry.unit or _NONE)).replace(" ", "\u00a0"),
                f'<span class="mono">{escape(", ".join(entry.code_tables) or _NONE)}</span>',
                f'<span class="caption">{html(entry.source)}</span>',
                *((f'<span class="caption">{html(entry.known_at)}</span>',) if entry.known_at is not None else ()),
            )
            for entry in found
        ],
    )  # fmt: skip


def _code_list(found: Sequence[Entry]) -> None:
    table(
        (t("Code table"), t("Code"), t("Meaning"), t("Other language"), t("Defined by")),
        [
            (
                f'{escape(_label(entry.group_label))} <span class="mono muted">{escape(entry.group)}</span>',
                f'<span class="mono">{escape(entry.code)}</span>',
                escape(_label(entry.label)),
                escape(_other(entry.label)),
                escape(str(entry.source)),
            )
            for entry in found
        ],
    )


def _named(entry: Entry) -> str:
    other = _other(entry.label)
    below = f'<div class="caption">{escape(other)}</div>' if other != _NONE else ""
    marks = (" " + chip(t("mandatory")) if entry.is_mandatory else "") + (
        " " + chip(t("personal"), "watch") if entry.is_personal else ""
    )
    return f'{escape(_label(entry.label))} <span class="mono muted">{escape(entry.code)}</span>{marks}{below}'


def _label(label: Any) -> str:
    return label.get(language()) or next(iter(label.values()), _NONE)


def _other(label: Any) -> str:
    return label.get("zh" if language() == "en" else "en", _NONE) if label.get(language()) else _NONE


def match_panel(place: Here, state: StandardState) -> None:
    """Draw the tables with what they are by the standard, and one table's columns to be corrected."""
    if (refusal := recall("standard_refusal")) is not None:
        forget("standard_refusal")
        show_error(refusal)
    with st.container(key="panel_standard_tables"):
        panel_title(
            t("Your tables by the standard"), t("Proposed from names, types and values; what you decide goes first.")
        )
        _tables(state)
    with st.container(key="panel_standard_columns"):
        _columns(place, state)


def _tables(state: StandardState) -> None:
    table(
        (t("Table"), t("Data standard"), t("Confidence"), t("Columns matched"), t("Differences")),
        [
            (
                named(one.name, one.label),
                _standard_table(one),
                chip(t("decided"), "brand") if one.is_chosen else formats.percent(one.confidence, 0),
                f"{one.n_matched} / {len(one.columns)}",
                chip(str(one.n_differences), "watch") if one.n_differences else "0",
            )
            for one in state.tables
        ],
        numbers=(2, 3, 4),
    )


def _standard_table(one: MatchedTable) -> str:
    if one.standard_table is None:
        return _NONE
    label = load().table(one.standard_table).label
    return f'{escape(_label(label))} <span class="mono muted">{escape(one.standard_table)}</span>'


def _columns(place: Here, state: StandardState) -> None:
    worst = max(state.tables, key=lambda one: one.n_differences)
    names = [one.name for one in state.tables]
    titles = {one.name: f"{one.label.get(language(), one.name)} ({one.name})" for one in state.tables}
    chosen = st.selectbox(
        t("Table"), names, index=names.index(worst.name), format_func=lambda name: titles[name], key="standard_table"
    )
    one = state.table(chosen)
    may = place.can("project.manage")
    _table_choice(place, one, may=may)
    edited = _editor(one, may=may)
    if may:
        _save(place, one, edited)
    _differences(one)


def _table_choice(place: Here, one: MatchedTable, *, may: bool) -> None:
    tables = load().tables
    options = [_NONE, *tables]
    current = one.standard_table or _NONE
    picked = st.selectbox(
        t("Is this table of the standard"), options, index=options.index(current), disabled=not may,
        format_func=lambda code: _NONE if code == _NONE else f"{_label(tables[code].label)} ({code})",
        key=f"standard_of_{one.name}_{current}",
    )  # fmt: skip
    if picked != current:
        _try(lambda: standard.choose_table(place.ctx, place.name, one.name, None if picked == _NONE else picked))
        st.rerun()


def _editor(one: MatchedTable, *, may: bool) -> Any:
    options = _options(one)
    return st.data_editor(
        [
            {
                "column": column.name,
                "label": column.label.get(language(), ""),
                "type": type_word(column.type),
                "field": _option(column.field),
                "confidence": None if column.field is None or column.is_chosen else column.confidence,
                "differences": sum(finding.severity.value != "info" for finding in column.differences),
                "evidence": _evidence(column),
            }
            for column in one.columns
        ],
        hide_index=True,
        height="content",
        disabled=["column", "label", "type", "confidence", "evidence", "differences"] if may else True,
        column_config={
            "column": st.column_config.TextColumn(t("Column"), width=100),
            "label": st.column_config.TextColumn(t("Name"), width=130),
            "type": st.column_config.TextColumn(t("Type"), width=92),
            "field": st.column_config.SelectboxColumn(
                t("Field of the standard"), options=options, required=True, width=262
            ),
            "confidence": st.column_config.NumberColumn(t("Confidence"), format="percent", width=78),
            "differences": st.column_config.NumberColumn(t("Differences"), width=80),
            "evidence": st.column_config.TextColumn(t("What speaks for it"), width=165),
        },
        key=f"standard_editor_{one.name}_{one.standard_table}",
    )


def _options(one: MatchedTable) -> list[str]:
    """Return the choices for a column: the fields of its standard table first, then all others."""
    tables = load().tables
    first = [] if one.standard_table is None else list(tables[one.standard_table].fields.values())
    rest = [field for field in load().fields if field.table != one.standard_table]
    return [_NONE, *(_option(field.id) for field in (*first, *rest))]


def _option(field: str | None) -> str:
    if field is None:
        return _NONE
    table_code, _, code = field.partition(".")
    return f"{field} · {_label(load().field(table_code, code).label)}"


def _evidence(column: MatchedColumn) -> str:
    if column.is_chosen:
        return t("decided by a person")
    words = {
        "name": t("same name"),
        "alias": t("another name of it"),
        "label": t("its label"),
        "words": t("words in common"),
        "type": t("type"),
        "values": t("values fit"),
        "chosen": t("decided by a person"),
    }
    return ", ".join(words[word] for word in column.evidence) or _NONE


def _save(place: Here, one: MatchedTable, edited: Sequence[dict[str, Any]]) -> None:
    fields = {row["column"]: None if row["field"] == _NONE else row["field"].partition(" · ")[0] for row in edited}
    changed = {column.name: fields[column.name] for column in one.columns if fields[column.name] != column.field}
    is_decided = one.is_chosen or any(column.is_chosen for column in one.columns)
    with st.container(horizontal=True):
        label = t("Keep the decisions: {n}", n=len(changed)) if changed else t("Keep the decisions")
        if st.button(label, type="primary", disabled=not changed, key="standard_save"):
            _try(lambda: standard.choose(place.ctx, place.name, one.name, changed))
            st.rerun()
        if st.button(t("Back to what is proposed"), type="tertiary", disabled=not is_decided, key="standard_forget"):
            _try(lambda: standard.forget(place.ctx, place.name, one.name))
            st.rerun()


def _try(work: Any) -> None:
    try:
        work()
    except WorkbenchError as error:
        remember("standard_refusal", error.text(language()))


def _differences(one: MatchedTable) -> None:
    found = [("", finding) for finding in one.differences]
    found += [(column.name, finding) for column in one.columns for finding in column.differences]
    found = [(name, finding) for name, finding in found if finding.severity.value != "info"]
    if not found:
        st.caption(t("No difference from the standard."))
        return
    table(
        (t("Column"), t("Difference"), t("What to do")),
        [(escape(name) or _NONE, html(finding.message), html(finding.fix) or _NONE) for name, finding in found],
    )
    st.page_link(PAGES["quality"], label=t("What it means for the data's quality"), icon=":material/arrow_forward:")


def sentence(state: StandardState) -> str:
    """Return what is true of a project's tables by the standard."""
    columns = [column for one in state.tables for column in one.columns]
    return t(
        "{n} of {total} columns of {tables} tables are fields of the data standard; differences: {differences}.",
        n=formats.count(sum(column.field is not None for column in columns)), total=formats.count(len(columns)),
        tables=len(state.tables), differences=formats.count(sum(one.n_differences for one in state.tables)),
    )  # fmt: skip
