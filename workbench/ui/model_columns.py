"""The columns of one table: what each is for, its type, its unit, and since when it is filled in."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from warehouse.modelling.words import TYPES, UNITS
from warehouse.unit_factors import convertible_units
from workbench.flows.model_desk import Desk
from workbench.ui.column_words import role_word, type_word, unit_word
from workbench.ui.model_work import change, key, widget_value
from workbench.ui.pieces import draw
from workbench.ui.texts import language, t

if TYPE_CHECKING:
    from warehouse.data_model import TableSpec

__all__ = ["columns_of"]

_ROLES = ("feature", "ignore", "target", "personal", "forbidden")
_TIMES = ("date", "datetime")
_NONE = "–"
_ROW, _MOST_ROWS = 35, 14


def columns_of(desk: Desk, table: str, *, may: bool) -> None:
    """Draw the columns as a grid; a click in a cell changes the model."""
    spec = desk.model.tables[table]
    names = list(spec.columns)
    late = {column: group.known_at for group in spec.late_columns for column in group.columns}
    roles = {role_word(role): role for role in _ROLES}
    types = {type_word(kind): kind for kind in TYPES}
    units = {unit_word(unit): unit for unit in (*UNITS, *_own_units(spec))}
    dates = [name for name, column in spec.columns.items() if column.type in _TIMES]
    rows = {
        t("Feature"): [spec.columns[name].role == "feature" for name in names],
        t("Column"): names,
        t("Name"): [_label(spec, name) or _NONE for name in names],
        t("Role"): [role_word(spec.columns[name].role) for name in names],
        t("Type"): [type_word(spec.columns[name].type) for name in names],
        t("Unit"): [unit_word(unit) if (unit := spec.columns[name].unit) else _NONE for name in names],
        t("Feature unit"): [_feature_unit(spec, name) for name in names],
        t("Known since"): [late.get(name) or _NONE for name in names],
    }
    held = {role_word(spec.columns[name].role) for name in names}
    choice = st.column_config.SelectboxColumn
    grid = key(desk, f"columns_{table}")
    st.data_editor(
        rows,
        hide_index=True,
        disabled=[t("Column"), t("Name")] if may else True,
        height=3 + _ROW * (1 + min(len(names), _MOST_ROWS)),
        key=grid,
        column_config={
            t("Feature"): st.column_config.CheckboxColumn(width="small", help=t("Whether features are made of it.")),
            t("Role"): choice(options=list(dict.fromkeys([*roles, *sorted(held)])), required=True, help=_about_roles()),
            t("Type"): choice(options=list(types), required=True),
            t("Unit"): choice(options=[_NONE, *units], required=True, help=_about_units()),
            t("Feature unit"): choice(
                options=[_NONE, *map(unit_word, convertible_units())], required=True, help=_about_feature_units()
            ),
            t("Known since"): choice(
                options=[_NONE, *dates],
                required=True,
                help=t("The date since when the column was filled in, where that is later than its row."),
            ),
        },
        on_change=_edited,
        args=(table, names, grid, {t("Role"): roles, t("Type"): types, t("Unit"): units, t("Feature unit"): units}),
    )
    draw(f'<div class="caption">{escape(_about_units())}</div>')


def _label(spec: "TableSpec", name: str) -> str:
    return {str(known): text for known, text in spec.columns[name].label.items()}.get(language(), "")


def _feature_unit(spec: "TableSpec", name: str) -> str:
    unit = spec.columns[name].feature_unit
    return unit_word(unit) if unit else _NONE


def _own_units(spec: "TableSpec") -> list[str]:
    return sorted({column.unit for column in spec.columns.values() if column.unit and column.unit not in UNITS})


def _about_roles() -> str:
    return t(
        "Feature: may be used. Target: what became of the case. Personal: shown masked. Forbidden: by law or house "
        "rule. Keys, links and times are set under the other headings."
    )


def _about_units() -> str:
    return t(
        "The unit is that of the data as it is: quality checks look for values in another one, and no sum is proposed "
        "of percentages and ratios."
    )


def _about_feature_units() -> str:
    return t(
        "For features in another unit than the data, such as ten thousand yuan for yuan: values are multiplied as rows "
        "are read, in training and live alike. Ready features are not."
    )


def _edited(table: str, names: list[str], grid: str, words: Mapping[str, Mapping[str, str]]) -> None:
    """Turn what was clicked in the grid into edits: the grid tells row and column heading."""
    for row, cells in widget_value(grid)["edited_rows"].items():
        for heading, value in cells.items():
            _set(table, names[int(row)], heading, value, words)


def _set(table: str, column: str, heading: str, value: Any, words: Mapping[str, Mapping[str, str]]) -> None:
    place = {"table": table, "column": column}
    if heading == t("Feature"):
        change({"do": "set_column", **place, "field": "role", "value": "feature" if value else "ignore"})
    elif heading == t("Known since"):
        change({"do": "set_late", **place, "known_at": None if value == _NONE else value})
    else:
        fields = {t("Role"): "role", t("Type"): "type", t("Unit"): "unit", t("Feature unit"): "feature_unit"}
        field = fields[heading]
        known = words[heading].get(str(value))
        if known is not None or value == _NONE:
            change({"do": "set_column", **place, "field": field, "value": known})
