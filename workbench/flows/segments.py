"""Columns that split the rows of a project into segments, and the level of each row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.i18n import msg
from warehouse.data_model import DataModel
from workbench.flows.stored_columns import StoredColumns

if TYPE_CHECKING:
    from automl.label import LabelSpec

__all__ = ["ENTITY", "SegmentColumn", "segment_columns", "segment_level_names", "segment_levels"]

ENTITY = "entity"
"""The segment of new and of returning entities, which every project split by time has."""

_MOST_LEVELS = 12
_MOST_COLUMNS = 8


@dataclass(frozen=True)
class SegmentColumn:
    """A column that splits the rows.

    Parameters
    ----------
    name : str
        ``table.column``.
    label : mapping of str to str
        Readable name by language.
    """

    name: str
    label: Mapping[str, str]

    def text(self, language: str = "en") -> str:
        """Return the readable name in `language`, else the name."""
        return self.label.get(language) or self.label.get("en") or self.name


def segment_columns(tables: StoredColumns, label: "LabelSpec", chosen: list[str]) -> tuple[SegmentColumn, ...]:
    """Return the columns named in `chosen`, or up to eight of the root table and its parents with 2 to 12 levels.

    Raises
    ------
    InputError
        A chosen column is not there, or its table is neither the root table nor a parent of it.
    """
    names = chosen or _suitable(tables, label)
    return tuple(_column(tables.model, label, name) for name in names)


def segment_levels(tables: StoredColumns, label: "LabelSpec", name: str, keys: np.ndarray) -> np.ndarray:
    """Return the level of each of `keys` (rows of the root table) in column `name`; None where there is none.

    Raises
    ------
    InputError
        The column is not there, or its table is neither the root table nor a parent of it.
    """
    import pandas as pd

    table, column = _place(tables.model, label, name)
    if table == label.root_table:
        root = tables.read(table, list(dict.fromkeys([label.key_column, column])))
        values = root[column]
    else:
        link = _links(tables.model, label)[table]
        root = tables.read(label.root_table, list(dict.fromkeys([label.key_column, link[0]])))
        parent = tables.read(table, list(dict.fromkeys([link[1], column]))).drop_duplicates(link[1])
        values = root[link[0]].map(parent.set_index(link[1], drop=False)[column])
    by_key = pd.Series(values.to_numpy(dtype=object), index=root[label.key_column].astype(str))
    found = by_key[~by_key.index.duplicated()].reindex(keys.astype(str)).to_numpy(dtype=object)
    return np.array([_level(value) for value in found], dtype=object)


def segment_level_names(model: DataModel, label: "LabelSpec", name: str) -> dict[str, dict[str, str]]:
    """Return what the levels of column `name` are called, by language; levels without a name are left out."""
    table, column = _place(model, label, name)
    return {
        level: {str(key): text for key, text in texts.items()}
        for level, texts in model.tables[table].columns[column].level_names.items()
    }


def _level(value: object) -> str | None:
    if value is None or value != value:  # NaN differs from itself
        return None
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _links(model: DataModel, label: "LabelSpec") -> dict[str, tuple[str, str]]:
    """Return for each parent of the root table (column of the root, column of the parent)."""
    found: dict[str, tuple[str, str]] = {}
    for relation in model.relationships:
        if relation.child == label.root_table and relation.parent != label.root_table:
            found.setdefault(relation.parent, (relation.child_column, relation.parent_column))
    return found


def _place(model: DataModel, label: "LabelSpec", name: str) -> tuple[str, str]:
    table, _, column = name.partition(".")
    reachable = [label.root_table, *_links(model, label)]
    if table not in reachable or column not in model.tables[table].columns:
        raise InputError(
            msg("there is no segment column {name}", name=repr(name)),
            fix=msg("Write table.column, with one of these tables: {tables}.", tables=", ".join(reachable)),
            where="segments",
        )
    return table, column


def _column(model: DataModel, label: "LabelSpec", name: str) -> SegmentColumn:
    table, column = _place(model, label, name)
    return SegmentColumn(name, {str(key): text for key, text in model.tables[table].columns[column].label.items()})


def _suitable(tables: StoredColumns, label: "LabelSpec") -> list[str]:
    names = []
    for table in (label.root_table, *_links(tables.model, label)):
        spec = tables.model.tables[table]
        known_later = {name for late in spec.late_columns for name in late.columns}
        usable = [
            name
            for name, column in spec.columns.items()
            if column.type in ("category", "boolean") and column.role == "feature"
            if name not in known_later and name != label.column
        ]
        n_levels = tables.read(table, usable).nunique()
        names += [f"{table}.{name}" for name in usable if 2 <= n_levels[name] <= _MOST_LEVELS]
    return names[:_MOST_COLUMNS]
