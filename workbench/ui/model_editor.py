"""The editor of the data model: the picture, the table that was clicked, what the rows say, what is not saved yet."""

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from core.findings import Severity
from core.i18n import formats
from workbench.flows import data_models, importing, model_desk
from workbench.flows.importing import ImportResult
from workbench.flows.model_desk import Desk
from workbench.ui.column_words import table_title
from workbench.ui.model_changes import changes_panel
from workbench.ui.model_columns import columns_of
from workbench.ui.model_keys import key_and_times
from workbench.ui.model_links import links_of
from workbench.ui.model_work import change, chosen_table, key, show_table, widget_value
from workbench.ui.pieces import chip, draw, findings, panel_title
from workbench.ui.session import here
from workbench.ui.state import recall, remember
from workbench.ui.tables_picture import TableBox, tables_picture
from workbench.ui.texts import t

if TYPE_CHECKING:
    from warehouse.data_model import TableSpec
    from warehouse.modelling.checking import ModelCheck

__all__ = ["editor"]

_SIDES = ("keys", "links", "columns")


@st.fragment
def editor() -> None:
    """Draw the editor; a click runs only this part of the page again."""
    place = here()
    data = importing.stored(place.ctx, place.name)
    if data is None:
        return
    if st.session_state.pop("model_asked", False):
        st.rerun()
    desk = model_desk.open_desk(place.ctx, place.name)
    with st.spinner(t("Counting keys and links on all rows")):
        found = data_models.check(place.ctx, place.name, desk.model)
    may = place.can("project.manage")
    table = chosen_table(desk)
    with st.container(key="panel_model_graph"):
        _picture(data, desk, found, table)
    left, right = st.columns([0.62, 0.38], gap="small")
    with left, st.container(key="panel_model_table"):
        _table(desk, data, table, may=may)
    with right:
        with st.container(key="panel_model_changes"):
            changes_panel(place, desk, fits=found.fits, may=may)
        with st.container(key="panel_model_check"):
            _check(found)


def _picture(data: ImportResult, desk: Desk, found: "ModelCheck", table: str) -> None:
    profiles = {profile.name: profile for profile in data.tables}
    boxes = [
        TableBox(profiles[name], note=_note(spec, name, found), times=_times(spec))
        for name, spec in desk.model.tables.items()
        if name in profiles
    ]
    lines = [(link.link.parent, link.link.child, link.link.child_column, link.matched) for link in found.links]
    tables_picture(boxes, lines, "data_model", selected=table, on_click=show_table)
    if len(boxes) > 16:
        st.caption(t("A link that another way shows too is drawn when one of its tables is chosen."))


def _note(spec: "TableSpec", name: str, found: "ModelCheck") -> str:
    bad = [item for item in found.findings if _is_of(item.where, name) and item.severity is Severity.BAD]
    if bad:
        return t("! does not fit")
    if spec.is_macro:
        return t("joined by time")
    return t("key {columns}", columns=", ".join(spec.primary_key)) if spec.primary_key else t("no key")


def _is_of(where: str, table: str) -> bool:
    return where == table or where.startswith((f"{table}.", f"{table},"))


def _times(spec: "TableSpec") -> str:
    if spec.event_time is None:
        return t("without time")
    return t("event time {event}, known at {known}", event=spec.event_time, known=spec.known_at or "–")


def _table(desk: Desk, data: ImportResult, table: str, *, may: bool) -> None:
    place = here()
    names = list(desk.model.tables)
    # The key follows a click on the picture, which changes what is chosen by another way than this field.
    field = f"model_choice_{table}_{key(desk, '')}"
    st.selectbox(
        t("Table"),
        names,
        index=names.index(table),
        format_func=lambda name: _title(desk, name),
        key=field,
        on_change=lambda: show_table(str(widget_value(field))),
        help=t("Or click a table in the picture."),
    )
    _facts(desk, data, table)
    side = st.segmented_control(
        t("What is corrected"),
        _SIDES,
        default=str(recall("model_side", "keys")),
        required=True,
        format_func=lambda name: {"keys": t("Key and times"), "links": t("Links"), "columns": t("Its columns")}[name],
        label_visibility="collapsed",
        key=f"model_side_{table}",
        on_change=lambda: remember("model_side", widget_value(f"model_side_{table}")),
    )
    evidence = data_models.evidence(place.ctx, place.name)
    if side == "links":
        links_of(desk, table, evidence, may=may)
    elif side == "columns":
        columns_of(desk, table, may=may)
    else:
        key_and_times(desk, table, evidence, may=may)
        _names(desk, table, may=may)


def _title(desk: Desk, name: str) -> str:
    return table_title(name, {str(language): text for language, text in desk.model.tables[name].label.items()})


def _facts(desk: Desk, data: ImportResult, table: str) -> None:
    profile = next((item for item in data.tables if item.name == table), None)
    n_parents = len({link.parent for link in desk.model.parents_of(table)})
    chips = []
    if desk.model.tables[table].is_macro:
        chips.append(chip(t("joined by time")))
    elif n_parents >= 2 and desk.model.tables[table].event_time is None:
        chips.append(chip(t("link table: rows of {n} tables meet here", n=n_parents)))
    elif desk.model.tables[table].event_time is None and not desk.model.tables[table].is_macro:
        chips.append(chip(t("reference table: always known")))
    size = "" if profile is None else t("{n} rows", n=formats.count(profile.n_rows))
    draw(f"<b>{escape(size)}</b> {' '.join(chips)}")


def _names(desk: Desk, table: str, *, may: bool) -> None:
    label = desk.model.tables[table].label
    with st.expander(t("Name of the table")):
        for code, words in (("en", t("English")), ("zh", t("Chinese"))):
            field = key(desk, f"label_{table}_{code}")
            st.text_input(
                words,
                value={str(known): text for known, text in label.items()}.get(code, ""),
                key=field,
                disabled=not may,
                on_change=_rename,
                args=(table, code, field),
            )


def _rename(table: str, code: str, field: str) -> None:
    place = here()
    held = model_desk.open_desk(place.ctx, place.name).model.tables[table].label
    label = {str(known): text for known, text in held.items()} | {code: str(widget_value(field)).strip()}
    change({"do": "set_label", "table": table, "label": label})


def _check(found: "ModelCheck") -> None:
    if not found.findings:
        panel_title(t("The rows agree"), _counted(found))
        return
    panel_title(t("What the rows say"), _counted(found))
    findings(found.findings)


def _counted(found: "ModelCheck") -> str:
    return t("{keys} keys and {links} links, counted on all rows.", keys=len(found.keys), links=len(found.links))
