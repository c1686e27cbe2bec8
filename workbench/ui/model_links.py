"""The links of one table: what its columns refer to, counted on all rows, taken away, turned elsewhere, added."""

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.i18n import formats
from workbench.flows.model_desk import Desk
from workbench.ui.column_words import table_title
from workbench.ui.model_keys import column_title
from workbench.ui.model_work import change, key, problem, show_table
from workbench.ui.pieces import chip, draw, panel_title
from workbench.ui.texts import t

if TYPE_CHECKING:
    from warehouse.data_model import Relationship
    from warehouse.modelling.evidence import Evidence, LinkEvidence

__all__ = ["link_words", "links_of"]

_GOOD, _WATCH = 0.9995, 0.5
_TIMES = ("date", "datetime")


def links_of(desk: Desk, table: str, evidence: "Evidence", *, may: bool) -> None:
    """Draw the links up from a table and down to it, and a form for another one."""
    model = desk.model
    up, down = model.parents_of(table), model.children_of(table)
    if not up and not down:
        draw(f'<div class="caption">{escape(t("Nothing links this table to another one."))}</div>')
    for link in up:
        _link(desk, link, evidence, may=may)
    if up and may:
        st.divider()
    if may:
        _new_link(desk, table, evidence)
    if down:
        panel_title(t("Tables that refer to this one"))
        for link in down:
            _from_below(desk, link, evidence)


def link_words(found: "LinkEvidence") -> str:
    """Return what the rows say of a link, as HTML: the share that finds its parent, and the rest with examples."""
    tone = "good" if found.matched >= _GOOD else "watch" if found.matched >= _WATCH else "bad"
    rest = []
    if found.n_orphans:
        examples = ", ".join(f"{value} (×{n})" for value, n in found.examples[:3])
        rest.append(t("{n} rows find no parent: {examples}", n=formats.count(found.n_orphans), examples=examples))
    if found.n_null:
        rest.append(t("{n} rows name none", n=formats.count(found.n_null)))
    if found.n_parent_repeats:
        tone = "bad"
        rest.append(t("{n} rows of the parent repeat a value", n=formats.count(found.n_parent_repeats)))
    rest = rest or [t("all {n} rows find their parent", n=formats.count(found.n_rows))]
    share = chip(t("{share} matched", share=formats.percent(found.matched)), tone)
    return f"{share} <span class='caption'>{escape('; '.join(rest))}</span>"


def _link(desk: Desk, link: "Relationship", evidence: "Evidence", *, may: bool) -> None:
    left, right = st.columns([0.78, 0.22], vertical_alignment="center")
    with left:
        goes = f"{link.child_column} → {link.parent}.{link.parent_column}"
        draw(f'<span class="mono">{escape(goes)}</span>')
        draw(link_words(evidence.link(link)))
    with right:
        st.button(
            t("Remove the link"),
            key=key(desk, f"unlink_{link.child}_{link.child_column}_{link.parent}"),
            type="tertiary",
            disabled=not may,
            on_click=change,
            args=({"do": "set_link", "child": link.child, "column": link.child_column, "parent": None},),
        )


def _new_link(desk: Desk, table: str, evidence: "Evidence") -> None:
    """Offer, for a column, the keys of other tables by how many of its rows find a parent there."""
    spec = desk.model.tables[table]
    held = {link.child_column: link for link in desk.model.parents_of(table)}
    columns = [name for name, column in spec.columns.items() if column.type not in _TIMES]
    if not columns:
        return
    name = f"model_link_column_{table}"
    column = st.selectbox(
        t("Let a column refer to another table"),
        columns,
        index=None,
        placeholder=t("Choose a column"),
        format_func=lambda one: column_title(spec, one),
        key=name,
    )
    if column is None:
        return
    with st.spinner(t("Counting on all rows")):
        found = evidence.candidates(desk.model, table, column)
    held_by = held.get(column)
    offered = [one for one in found if held_by is None or one.link != held_by]
    if not offered:
        draw(
            f'<div class="caption">{escape(t("Less than half of its values are in the key of any other table."))}</div>'
        )
    for one in offered[:4]:
        _offer(desk, one, is_turned=held_by is not None)
    _any_table(desk, table, column)


def _offer(desk: Desk, found: "LinkEvidence", *, is_turned: bool) -> None:
    left, right = st.columns([0.78, 0.22], vertical_alignment="center")
    link = found.link
    with left:
        draw(f'<span class="mono">→ {escape(link.parent)}.{escape(link.parent_column)}</span>')
        draw(link_words(found))
    with right:
        st.button(
            t("Link here instead") if is_turned else t("Link"),
            key=key(desk, f"link_{link.child}_{link.child_column}_{link.parent}"),
            help=t("{column} → {table}", column=link.child_column, table=link.parent),
            on_click=_link_to,
            args=(link,),
        )


def _any_table(desk: Desk, table: str, column: str) -> None:
    """Let a person link to what the rows do not suggest: any column of any other table."""
    others = [
        f"{name}.{one}" for name, spec in desk.model.tables.items() if name != table for one in spec.primary_key[:1]
        if len(spec.primary_key) == 1
    ]  # fmt: skip
    name = key(desk, f"any_link_{table}_{column}")
    st.selectbox(
        t("Or to the key of any table"),
        others,
        index=None,
        placeholder=t("Choose a table"),
        key=name,
        on_change=_link_to_any,
        args=(table, column, name),
    )


def _link_to(link: "Relationship") -> None:
    step = {"do": "set_link", "child": link.child, "column": link.child_column, "parent": link.parent}
    change(step | {"parent_column": link.parent_column})
    _close(link.child)


def _link_to_any(table: str, column: str, name: str) -> None:
    place = st.session_state.get(name)
    if place:
        parent, _, parent_column = str(place).rpartition(".")
        step = {"do": "set_link", "child": table, "column": column, "parent": parent, "parent_column": parent_column}
        change(step)
        _close(table)


def _close(table: str) -> None:
    """Put the form for a new link away, unless the link was refused."""
    if not problem():
        st.session_state[f"model_link_column_{table}"] = None


def _from_below(desk: Desk, link: "Relationship", evidence: "Evidence") -> None:
    left, right = st.columns([0.78, 0.22], vertical_alignment="center")
    spec = desk.model.tables[link.child]
    with left:
        label = table_title(link.child, {str(language): text for language, text in spec.label.items()})
        draw(f'{escape(label)} <span class="mono muted">{escape(link.child_column)}</span>')
        draw(link_words(evidence.link(link)))
    with right:
        st.button(
            t("Open"),
            key=key(desk, f"open_{link.child}_{link.child_column}_{link.parent}"),
            type="tertiary",
            on_click=show_table,
            args=(link.child,),
        )
