"""A saved data model brought to what a new import holds: what is no longer there is found, named and left out."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from core.findings import Finding, Severity
from core.i18n import msg
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, TableSpec

__all__ = ["fit_to", "without_strange_files"]


def fit_to(model: DataModel, columns: Mapping[str, Collection[str]]) -> tuple[DataModel, tuple[Finding, ...]]:
    """Return what of `model` can be said of the tables read, and what cannot.

    Tables and columns that the model does not know are left to inference.

    Parameters
    ----------
    model : DataModel
        A saved model.
    columns : mapping of str to collection of str
        The columns of each table read.
    """
    tables = {name: _fitted(spec, columns[name]) for name, spec in model.tables.items() if name in columns}
    links = [
        link
        for link in model.relationships
        if link.parent_column in columns.get(link.parent, ()) and link.child_column in columns.get(link.child, ())
    ]
    given: dict[str, Any] = {name: getattr(model, name) for name in model.model_fields_set}
    fitted = DataModel(**{**given, "tables": tables, "relationships": links})
    return fitted, (*_gone(model, columns), *_new(model, columns))


def without_strange_files(model: DataModel, files: Collection[str]) -> DataModel:
    """Return the model in which tables whose file is not among `files` are looked for by their own name."""
    tables = {
        name: spec if spec.file is None or spec.file in files else _with(spec, {"file": None})
        for name, spec in model.tables.items()
    }
    return DataModel(**{**{name: getattr(model, name) for name in model.model_fields_set}, "tables": tables})


def _fitted(spec: TableSpec, there: Collection[str]) -> TableSpec:
    columns = {column: column_spec for column, column_spec in spec.columns.items() if column in there}
    fields: dict[str, Any] = {"columns": columns}
    if not set(spec.primary_key) <= set(there):
        fields["primary_key"] = []
        fields["columns"] = columns | {part: _no_key(columns[part]) for part in spec.primary_key if part in columns}
    for time in ("event_time", "known_at"):
        if getattr(spec, time) is not None and getattr(spec, time) not in there:
            fields[time] = None
    fields["late_columns"] = [
        LateColumns(columns=kept, known_at=group.known_at)
        for group in spec.late_columns
        if group.known_at in there and (kept := [column for column in group.columns if column in there])
    ]
    if spec.is_macro and not (fields.get("event_time", spec.event_time) or fields.get("known_at", spec.known_at)):
        fields["is_macro"] = False
    return _with(spec, fields)


def _with(spec: TableSpec, fields: Mapping[str, Any]) -> TableSpec:
    return TableSpec(**{**{name: getattr(spec, name) for name in spec.model_fields_set}, **fields})


def _no_key(column: ColumnSpec) -> ColumnSpec:
    given = {name: getattr(column, name) for name in column.model_fields_set}
    return ColumnSpec(**{**given, "role": "feature" if column.role == "key" else column.role})


def _gone(model: DataModel, columns: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    for name, spec in model.tables.items():
        if name not in columns:
            yield Finding(
                "model_table_missing",
                Severity.BAD,
                msg("the saved data model has this table, and the import does not; its links are left out"),
                name,
                msg("Import it too, or save a data model without it."),
            )
            continue
        for column in spec.columns:
            if column not in columns[name]:
                yield Finding(
                    "model_column_missing",
                    Severity.BAD,
                    msg("the saved data model has this column, and the import does not{use}", use=_use(spec, column)),
                    f"{name}.{column}",
                    msg("Import it too, or save a data model without it."),
                )


def _use(spec: TableSpec, column: str) -> Any:
    if column in spec.primary_key:
        return msg(": the table has no key now")
    if column in (spec.event_time, spec.known_at):
        return msg(": the table has lost a time")
    if spec.columns[column].role == "foreign_key":
        return msg(": a link is left out")
    return ""


def _new(model: DataModel, columns: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    fix = msg("Look at what was inferred, and save the data model with it.")
    for name, there in columns.items():
        if name not in model.tables:
            yield Finding("model_table_new", Severity.WATCH, msg("the saved data model does not know it"), name, fix)
            continue
        for column in there:
            if column not in model.tables[name].columns:
                text = msg("the saved data model does not know it")
                yield Finding("model_column_new", Severity.WATCH, text, f"{name}.{column}", fix)
