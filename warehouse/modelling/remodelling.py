"""Stored tables brought under another data model, without reading their source again."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from core.errors import ConfigurationError
from core.findings import Finding
from core.i18n import msg
from warehouse.assembly import Assembled
from warehouse.checks import check_table
from warehouse.conversion import convert_column
from warehouse.data_model import TEXT_TYPES, ColumnType, DataModel
from warehouse.inference import raw_table_of_frame
from warehouse.keys import KeyTable, check_primary_key, check_relationships
from warehouse.raw_table import RawTable
from warehouse.table_set import TableSet

__all__ = ["remodel", "retyped_columns"]


def remodel(table_set: TableSet, model: DataModel) -> Assembled:
    """Return the same rows under `model`, and what is to be known of its keys, links and times.

    A column of another type is converted; what the type before it did not keep (zeros at the front of a number) is not
    there any more: import again to get it back.

    Raises
    ------
    ConfigurationError
        The model names a table or column that is not there, leaves one out, or contradicts itself.
    InputError
        A value is not of its column's new type; a key has nulls or repeats.
    """
    model.check()
    _require_same_tables(table_set, model)
    notes: list[Finding] = []
    frames = {name: _frame(table_set, model, name, notes) for name in model.tables}
    remodelled = TableSet.from_frames(frames, model)
    tables = {
        name: KeyTable(
            RawTable(name, {}, len(frames[name])),
            remodelled.frame(name),
            {column: column_spec.type for column, column_spec in spec.columns.items()},
            list(spec.primary_key),
        )
        for name, spec in model.tables.items()
    }
    for table in tables.values():
        if table.primary_key:
            check_primary_key(table)
    findings = [*notes, *check_relationships(tables, model.relationships)]
    return Assembled(remodelled, findings + [note for name in tables for note in check_table(remodelled, name)])


def retyped_columns(old: DataModel, new: DataModel) -> dict[tuple[str, str], tuple[ColumnType, ColumnType]]:
    """Return the columns whose values must be converted, with the type they have and the one they get."""
    return {
        (name, column): (old.tables[name].columns[column].type, spec.type)
        for name, table in new.tables.items()
        if name in old.tables
        for column, spec in table.columns.items()
        if column in old.tables[name].columns
        and old.tables[name].columns[column].type != spec.type
        and not {old.tables[name].columns[column].type, spec.type} <= TEXT_TYPES
    }


def _require_same_tables(table_set: TableSet, model: DataModel) -> None:
    there: Mapping[str, set[str]] = {name: set(table_set.spec(name).columns) for name in table_set.names}
    said = {name: set(table.columns) for name, table in model.tables.items()}
    names: list[tuple[str, str | None]] = [(name, None) for name in said.keys() ^ there.keys()]
    names += [(name, column) for name in said.keys() & there.keys() for column in said[name] ^ there[name]]
    if not names:
        return
    name, column = min(names, key=str)
    place = name if column is None else f"{name}.{column}"
    is_said = name in said and (column is None or column in said[name])
    raise ConfigurationError(
        msg("the data model names it, and the stored tables do not have it")
        if is_said
        else msg("the stored tables have it, and the data model says nothing of it"),
        where=place,
        fix=msg("Correct the data model, or import the data that it describes."),
    )


def _frame(table_set: TableSet, model: DataModel, name: str, notes: list[Finding]) -> pd.DataFrame:
    frame = table_set.frame(name)
    for (table, column), (_, kind) in retyped_columns(table_set.data_model, model).items():
        if table == name:
            frame = frame.assign(**{column: _converted(name, column, frame[[column]], kind, notes)})
    return frame[list(model.tables[name].columns)]


def _converted(table: str, column: str, values: pd.DataFrame, kind: ColumnType, notes: list[Finding]) -> Any:
    converted = convert_column(raw_table_of_frame(table, values), column, kind)
    notes += converted.findings
    return converted.values
