"""The choice of where instalments and subrogations lie, from which roll rates are drawn."""

from collections.abc import Iterable

import streamlit as st

from automl.rolls import RollSpec
from core.errors import WorkbenchError
from workbench.flows import labelling
from workbench.flows.importing import ColumnProfile, ImportResult, TableProfile
from workbench.ui.column_words import table_title
from workbench.ui.pieces import show_error
from workbench.ui.session import Here
from workbench.ui.state import forget, recall, remember
from workbench.ui.texts import language, t

__all__ = ["roll_choice"]

_DATES = {"date", "datetime"}
_NUMBERS = {"integer", "number"}


def roll_choice(place: Here, result: ImportResult, held: RollSpec | None, *, is_chosen: bool) -> RollSpec | None:
    """Draw the form and return what it means as it stands, or None where no table has dates.

    Parameters
    ----------
    held : RollSpec or None
        What is kept or guessed.
    is_chosen : bool
        Whether a person keeps it.
    """
    if (refusal := recall("rolls_refusal")) is not None:
        forget("rolls_refusal")
        show_error(refusal)
    spec = _form(result, held)
    with st.container(horizontal=True):
        st.button(
            t("Keep this choice"), key="rolls_keep", on_click=_keep, args=(place, spec),
            disabled=spec is None or (spec == held and is_chosen) or not place.can("project.manage"),
        )  # fmt: skip
        if is_chosen:
            st.button(
                t("Back to what is proposed"), type="tertiary", key="rolls_back", on_click=_keep, args=(place, None),
                disabled=not place.can("project.manage"),
            )  # fmt: skip
        st.caption(t("Kept by a person.") if is_chosen else t("Proposed from names and types."))
    return spec


def _keep(place: Here, spec: RollSpec | None) -> None:
    try:
        labelling.choose_rolls(place.ctx, place.name, spec)
    except WorkbenchError as error:
        remember("rolls_refusal", error.text(language()))


def _form(result: ImportResult, held: RollSpec | None) -> RollSpec | None:
    tables = {table.name: table for table in result.tables if _of_type(table, _DATES)}
    if not tables:
        st.caption(t("No table has dates."))
        return None
    mark = hash(held)  # what was kept anew is drawn anew
    first, second, third, fourth = st.columns(4)
    with first:
        table = tables[_table(t("Table of instalments"), tables, held.table if held else None, f"rolls_table_{mark}")]
    start = held if held is not None and held.table == table.name else None
    names = [column for column in table.columns if column.type not in _DATES | _NUMBERS]
    with second:
        wanted = start.contract_column if start else None
        contract = _column(t("Contract"), names or table.columns, wanted, f"c_{table.name}_{mark}")
    dates = _of_type(table, _DATES)
    with third:
        due = _column(t("Due on"), dates, start.due_column if start else table.event_time, f"d_{table.name}_{mark}")
    kinds = {column.name: column.type for column in table.columns}
    paying = [column for column in (*dates, *_of_type(table, _NUMBERS)) if column.name != due]
    if not paying:
        st.caption(t("The table has no second date and no number of days."))
        return None
    with fourth:
        wanted = (start.paid_column or start.overdue_days_column) if start else None
        paid = _column(t("Paid on, or days late"), paying, wanted, f"p_{table.name}_{due}_{mark}")
    where, when = _subrogations(result, contract, held)
    is_date = kinds[paid] in _DATES
    return RollSpec(
        table=table.name, contract_column=contract, due_column=due, paid_column=paid if is_date else None,
        overdue_days_column=None if is_date else paid, subrogation_table=where, subrogation_column=when,
    )  # fmt: skip


def _subrogations(result: ImportResult, contract: str, held: RollSpec | None) -> tuple[str | None, str | None]:
    """Draw the choice among the tables with the same contract column and a date."""
    able = {
        table.name: table
        for table in result.tables
        if _of_type(table, _DATES) and contract in {column.name for column in table.columns}
    }
    left, right, _ = st.columns([0.25, 0.25, 0.5])
    start = held.subrogation_table if held is not None else None
    options = ["", *able]
    with left:
        name = st.selectbox(
            t("Subrogations"), options, index=options.index(start) if start in able else 0,
            key=f"rolls_s_{contract}_{hash(held)}",
            format_func=lambda one: table_title(one, able[one].label) if one else t("none"),
        )  # fmt: skip
    if not name:
        return None, None
    wanted = held.subrogation_column if held is not None and held.subrogation_table == name else able[name].event_time
    with right:
        return name, _column(t("Subrogated on"), _of_type(able[name], _DATES), wanted, f"s_{name}_{hash(held)}")


def _of_type(table: TableProfile, types: set[str]) -> list[ColumnProfile]:
    return [column for column in table.columns if column.type in types]


def _table(label: str, tables: dict[str, TableProfile], wanted: str | None, key: str) -> str:
    names = list(tables)
    return st.selectbox(
        label, names, index=names.index(wanted) if wanted in tables else 0, key=key,
        format_func=lambda name: table_title(name, tables[name].label),
    )  # fmt: skip


def _column(label: str, columns: Iterable[ColumnProfile], wanted: str | None, key: str) -> str:
    titles = {column.name: table_title(column.name, column.label) for column in columns}
    names = list(titles)
    return st.selectbox(
        label, names, index=names.index(wanted) if wanted in names else 0, key=f"rolls_{key}",
        format_func=lambda name: titles.get(name, name),
    )  # fmt: skip
