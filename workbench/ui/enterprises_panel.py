"""What business systems may read of enterprises: in place or not, since when, and one enterprise as they see it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from html import escape
from typing import Any

import streamlit as st

from core.errors import WorkbenchError
from core.i18n import formats
from workbench.flows import enterprises, importing
from workbench.flows.enterprises import EnterprisesState
from workbench.ui.pieces import chip, draw, empty, figures, panel_title, show_error
from workbench.ui.session import Here
from workbench.ui.texts import html, language, t
from workbench.ui.times import ago, exact
from workbench.ui.work import ask_for, watch

__all__ = ["enterprises_panel"]

_MOST_ROWS = 50
_ROWS_SEEN = 5
_HEIGHT = 212  # of so many rows and the header


def enterprises_panel(place: Here) -> None:
    """Draw whether enterprises can be read, the buttons that change it, and a look at one of them."""
    panel_title(
        t("Read by business systems"),
        t("An enterprise as it was known at a moment, for keys that may read it; each reading is noted."),
    )
    state = enterprises.state(place.ctx, place.name)
    if state.problem is not None:
        show_error(state.problem)
    elif not state.is_there:
        empty(t("Not published"), t("Nothing can be read until an operator publishes it."))
    else:
        _figures(state)
    _buttons(place, state)
    if state.is_there and place.can("enterprise.read"):
        with st.expander(t("Look at one")):
            _one(place, state)


def _figures(state: EnterprisesState) -> None:
    rows = sum(state.n_rows.values())
    size, n = f"{state.size_bytes / 1e6:,.1f}", len(state.n_rows)
    tables = t("1 table, {size} MB", size=size) if n == 1 else t("{n} tables, {size} MB", n=n, size=size)
    figures(
        [
            (t("Enterprises"), formats.count(state.n_rows.get(state.table or "", 0)), state.table or ""),
            (t("Rows"), formats.count(rows), tables),
            (t("Data up to"), exact(state.as_of), t("in the data's own clock")),
            (t("Published"), ago(state.published_at), exact(state.published_at)),
        ]
    )
    if state.due is not None:
        draw(f'<div class="caption">{chip(t("to publish"), "watch")} {html(state.due)}</div>')


def _buttons(place: Here, state: EnterprisesState) -> None:
    if watch(place, ["enterprises"]):
        return
    if not place.can("snapshot.publish"):
        st.caption(t("Publishing needs the role of operator."))
        return
    with st.container(horizontal=True):
        if st.button(t("Publish again") if state.is_there else t("Publish"), key="publish_enterprises"):
            ask_for(place, "enterprises", {})
            st.rerun()
        if state.is_there and st.button(t("Withdraw"), type="tertiary", key="withdraw_enterprises"):
            enterprises.withdraw(place.ctx, place.name)
            st.rerun()


def _one(place: Here, state: EnterprisesState) -> None:
    with st.form("one_enterprise", border=False):
        left, middle, right = st.columns([0.5, 0.3, 0.2], vertical_alignment="bottom")
        key = left.text_input(t("Number of the enterprise")).strip()
        latest = state.as_of.date() if state.as_of is not None else None
        day = middle.date_input(t("Known before"), latest)
        asked = right.form_submit_button(t("Show"))
    if asked and key and isinstance(day, date):
        _shown(place, state, key, day)
    address = f"GET /v1/enterprises/{key or 'ID'}?as_of={day}&project={state.project}"
    over_http = escape(t("The same over HTTP"))
    draw(f'<div class="caption">{over_http}: <span class="mono">{escape(address)}</span></div>')


def _shown(place: Here, state: EnterprisesState, key: str, day: date) -> None:
    try:
        found = enterprises.show(place.ctx, place.name, key, as_of=datetime.combine(day, time()))
    except WorkbenchError as error:
        show_error(error)
        return
    if found is None:
        empty(t("Not known"), t("Nothing was known of this enterprise at that time."))
        return
    tables = {state.table or "": [found.row], **{one.name: one.rows for one in found.tables}}
    for name, rows in tables.items():
        if rows:
            _rows(place, name, rows)
    if none := [name for name, rows in tables.items() if not rows]:
        st.caption(t("Nothing known yet in: {tables}", tables=", ".join(none)))


def _rows(place: Here, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    imported = importing.stored(place.ctx, place.name)
    known = {} if imported is None else {table.name: table for table in imported.tables}
    labels = {} if name not in known else {one.name: one.label.get(language()) for one in known[name].columns}
    title = known[name].label.get(language(), name) if name in known else name
    more = (
        t("the newest {n} of {total}", n=_MOST_ROWS, total=formats.count(len(rows))) if len(rows) > _MOST_ROWS else ""
    )
    draw(
        f'<div class="caption"><b>{escape(title)}</b> <span class="mono">{escape(name)}</span> '
        f"{formats.count(len(rows))} {escape(more)}</div>"
    )
    st.dataframe(
        [
            {column: formats.MISSING if value is None else value for column, value in row.items()}
            for row in rows[:_MOST_ROWS]
        ],
        column_config={column: label for column, label in labels.items() if label},
        hide_index=True,
        height="content" if len(rows) <= _ROWS_SEEN else _HEIGHT,
    )
