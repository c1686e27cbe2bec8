"""Corrections of a data model, one by one: each returns a changed model in which roles and types still agree."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from core.errors import ConfigurationError
from core.i18n import msg
from warehouse.data_model import (
    STRUCTURAL_ROLES,
    TEXT_TYPES,
    TIME_TYPES,
    ColumnRole,
    ColumnSpec,
    DataModel,
    LateColumns,
    Relationship,
    TableSpec,
)
from warehouse.modelling.words import role_word

__all__ = ["EDITS", "apply_edit"]

_OF_COLUMNS: Final = ("type", "role", "label", "unit", "feature_unit", "code_table", "levels")


def apply_edit(model: DataModel, edit: Mapping[str, Any]) -> DataModel:
    """Return `model` with one correction: ``{"do": "set_key", "table": "disp", "columns": ["disp_id"]}``.

    Raises
    ------
    ConfigurationError
        The edit names a table or column that is not there, or asks for something that contradicts itself.

    Examples
    --------
    >>> model = DataModel.from_text("tables: {loans: {columns: {id: {type: id, role: feature}}}}")
    >>> apply_edit(model, {"do": "set_key", "table": "loans", "columns": ["id"]}).tables["loans"].columns["id"].role
    'key'
    """
    arguments = dict(edit)
    kind = str(arguments.pop("do", ""))
    if kind not in EDITS:
        raise ConfigurationError(
            msg("there is no edit called {name}", name=repr(kind)),
            fix=msg("Choose one of: {names}.", names=", ".join(EDITS)),
        )
    try:
        return _with_roles(model, EDITS[kind](model, **arguments))
    except (TypeError, ValidationError) as error:
        raise ConfigurationError(
            msg("the edit {name} cannot be read: {problem}", name=kind, problem=str(error).splitlines()[0])
        ) from error


def _set_key(model: DataModel, *, table: str, columns: Sequence[str]) -> DataModel:
    spec = _with_columns(model, table, *columns)
    # A key of one column is compared as text, like what refers to it.
    types = {columns[0]: "id"} if len(columns) == 1 else {}
    return _changed(model, table, spec, {"primary_key": list(columns)}, types)


def _set_event_time(model: DataModel, *, table: str, column: str | None) -> DataModel:
    spec = _with_columns(model, table, *_named(column))
    return _changed(model, table, spec, {"event_time": column}, _as_times(spec, column))


def _set_known_at(model: DataModel, *, table: str, column: str | None, lag_days: float = 0.0) -> DataModel:
    spec = _with_columns(model, table, *_named(column))
    if column is not None and lag_days:
        raise ConfigurationError(msg("a row is known at a column or some days after the event, not both"), where=table)
    fields = {"known_at": column, "known_at_lag_days": float(lag_days)}
    return _changed(model, table, spec, fields, _as_times(spec, column))


def _set_late(model: DataModel, *, table: str, column: str, known_at: str | None) -> DataModel:
    """Say since when one column is filled in: at the date of another column, or with its row."""
    spec = _with_columns(model, table, column, *_named(known_at))
    if column == known_at:
        raise ConfigurationError(msg("a column cannot say since when it is known itself"), where=f"{table}.{column}")
    groups: dict[str, list[str]] = {
        group.known_at: [name for name in group.columns if name != column] for group in spec.late_columns
    }
    if known_at is not None:
        groups.setdefault(known_at, []).append(column)
    late = [LateColumns(columns=names, known_at=time) for time, names in groups.items() if names]
    return _changed(model, table, spec, {"late_columns": late}, _as_times(spec, known_at))


def _set_macro(model: DataModel, *, table: str, is_macro: bool) -> DataModel:
    return _changed(model, table, _with_columns(model, table), {"is_macro": bool(is_macro)}, {})


def _set_link(
    model: DataModel, *, child: str, column: str, parent: str | None, parent_column: str | None = None
) -> DataModel:
    """Let a column refer to a column of another table, in place of what it referred to; or to nothing."""
    spec = _with_columns(model, child, column)
    links = [link for link in model.relationships if (link.child, link.child_column) != (child, column)]
    if parent is not None:
        above = _with_columns(model, parent)
        key = parent_column or (above.primary_key[0] if len(above.primary_key) == 1 else None)
        if key is None:
            raise ConfigurationError(
                msg("the table {table} has no key of one column to refer to", table=parent),
                where=f"{child}.{column}",
                fix=msg("Set its key first, or name the column."),
            )
        _with_columns(model, parent, key)
        if (parent, key) == (child, column):
            raise ConfigurationError(msg("a column cannot refer to itself"), where=f"{child}.{column}")
        links.append(Relationship(parent=parent, parent_column=key, child=child, child_column=column))
        model = _changed(model, parent, above, {}, {key: "id"})
        spec = model.tables[child]
    linked = DataModel(**{**_given(model), "relationships": links})
    return _changed(linked, child, spec, {}, {column: "id"} if parent is not None else {})


def _set_column(model: DataModel, *, table: str, column: str, field: str, value: Any) -> DataModel:
    """Set the type, role, units, label, code table or levels of a column; None goes back to none."""
    spec = _with_columns(model, table, column)
    if field not in _OF_COLUMNS:
        raise ConfigurationError(msg("a column has no field {name}", name=repr(field)), where=f"{table}.{column}")
    if field == "role" and value in STRUCTURAL_ROLES:
        raise ConfigurationError(
            msg("what is a key, a link or a time is said of the table, not by a role"), where=f"{table}.{column}"
        )
    if field == "role" and (place := _place(model, table, column)) is not None:
        raise ConfigurationError(
            msg("the column is in use: {role}; take that away first", role=role_word(place)),
            where=f"{table}.{column}",
        )
    held = {name: getattr(spec.columns[column], name) for name in spec.columns[column].model_fields_set}
    held = {name: kept for name, kept in held.items() if name != field} | ({} if value is None else {field: value})
    columns = {**spec.columns, column: ColumnSpec(**held)}
    return _changed(model, table, spec, {"columns": columns}, {})


def _set_label(model: DataModel, *, table: str, label: Mapping[str, str]) -> DataModel:
    named = {language: text for language, text in label.items() if text}
    return _changed(model, table, _with_columns(model, table), {"label": named}, {})


EDITS: Final[dict[str, Callable[..., DataModel]]] = {
    "set_key": _set_key,
    "set_event_time": _set_event_time,
    "set_known_at": _set_known_at,
    "set_late": _set_late,
    "set_macro": _set_macro,
    "set_link": _set_link,
    "set_column": _set_column,
    "set_label": _set_label,
}
"""The kinds of edits by name."""


def _with_columns(model: DataModel, table: str, *columns: str) -> TableSpec:
    """Return a table that has all of `columns`."""
    spec = model.table(table)
    for name in columns:
        if name not in spec.columns:
            raise ConfigurationError(
                msg("table {table} has no column {column}", table=table, column=name),
                where=table,
                fix=msg("The columns are: {names}.", names=", ".join(list(spec.columns)[:30])),
            )
    return spec


def _named(column: str | None) -> tuple[str, ...]:
    return () if column is None else (column,)


def _as_times(spec: TableSpec, column: str | None) -> dict[str, str]:
    return {column: "date"} if column is not None and spec.columns[column].type not in TIME_TYPES else {}


def _given(item: DataModel | TableSpec | ColumnSpec) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.model_fields_set}


def _changed(
    model: DataModel, table: str, spec: TableSpec, fields: Mapping[str, Any], types: Mapping[str, str]
) -> DataModel:
    """Return the model with other fields of one table, and with the types of columns that follow from them."""
    new = TableSpec(**{**_given(spec), **fields})
    columns = {name: _retyped(column, types.get(name)) for name, column in new.columns.items()}
    tables = {**model.tables, table: TableSpec(**{**_given(new), "columns": columns})}
    return DataModel(**{**_given(model), "tables": tables})


def _retyped(column: ColumnSpec, kind: str | None) -> ColumnSpec:
    if kind is None or (kind == "id" and column.type in TEXT_TYPES):
        return column
    return ColumnSpec(**{**_given(column), "type": kind})


def _with_roles(before: DataModel, after: DataModel) -> DataModel:
    """Return `after` with the roles of those columns changed whose place in keys, links and times changed."""
    tables = {name: _table_with_roles(before, after, name) for name in after.tables}
    return DataModel(**{**_given(after), "tables": tables})


def _table_with_roles(before: DataModel, after: DataModel, table: str) -> TableSpec:
    spec = after.tables[table]
    roles: dict[str, ColumnRole] = {}
    for name, column in spec.columns.items():
        was, is_now = _place(before, table, name), _place(after, table, name)
        if was != is_now:
            freed = column.role in STRUCTURAL_ROLES
            roles[name] = is_now or ("feature" if freed else column.role)
    if not roles:
        return spec
    columns = {
        name: ColumnSpec(**{**_given(column), "role": roles[name]}) if name in roles else column
        for name, column in spec.columns.items()
    }
    return TableSpec(**{**_given(spec), "columns": columns})


def _place(model: DataModel, table: str, name: str) -> ColumnRole | None:
    """Return the role that follows from what tables and links say of a column, or None where they say nothing."""
    spec = model.tables[table]
    if name == spec.event_time:
        return "event_time"
    if name == spec.known_at or any(name == group.known_at for group in spec.late_columns):
        return "known_at"
    if any((link.child, link.child_column) == (table, name) for link in model.relationships):
        return "foreign_key"
    return "key" if name in spec.primary_key else None
