"""Tables of a table set as arrays for the engine, and back as rows of a live request; the only pandas on the way."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.errors import ConfigurationError, InputError
from core.i18n import msg
from features.engine_data import EngineData, TableArrays, convert_units, find_nulls, unique_index
from features.plan import FeaturePlan, Link, TableSchema

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["entity_rows", "json_rows", "prepare"]


def prepare(plan: FeaturePlan, table_set: "TableSet") -> EngineData:
    """Turn the tables of `plan` into engine data; see `EngineData.from_table_set`."""
    frames = {name: table_set.frame(name) for name in plan.tables}
    for name, schema in plan.tables.items():
        _require_columns(name, schema, frames[name])
    tables = {name: _table(name, schema, frames[name]) for name, schema in plan.tables.items()}
    links = {link: _link(link, frames) for link in plan.links}
    keys = as_text(frames[plan.root_table][plan.key_column])
    return EngineData(tables, links, unique_index(keys, plan.root_table), plan.root_table)


def entity_rows(table_set: "TableSet", plan: FeaturePlan, key: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that a live request for root `key` would carry, JSON values, all tables of the plan.

    The rows are followed along the links of the plan: up to parents, down to their children.
    """
    frames = {name: table_set.frame(name) for name in plan.tables}
    taken = {name: np.zeros(len(frame), dtype=bool) for name, frame in frames.items()}
    taken[plan.root_table] |= as_text(frames[plan.root_table][plan.key_column]) == key
    for name in plan.keyless_tables:
        taken[name][:] = True
    for path in dict.fromkeys(path for item in plan.definitions for path in item.paths):
        table, rows = plan.root_table, np.flatnonzero(as_text(frames[plan.root_table][plan.key_column]) == key)
        for step in (step for step in path if not step.is_keyless):
            ends = (step.child_column, step.parent_column)
            here, there = ends if step.direction == "up" else ends[::-1]
            keys = pd.Index(as_text(frames[table][here])[rows]).dropna()
            found = np.isin(as_text(frames[step.table][there]), keys.to_numpy(dtype=object))
            taken[step.table] |= found
            table, rows = step.table, np.flatnonzero(found)
    return {
        name: json_rows(frames[name].loc[taken[name], list(schema.columns)]) for name, schema in plan.tables.items()
    }


def as_text(values: "pd.Series[Any]") -> np.ndarray:
    """Return a key or category column as an object array of str or None, whole numbers without a fraction."""
    raw = values.to_numpy()
    if raw.dtype == object:
        return raw
    null = pd.isna(raw)
    text = np.empty(raw.size, dtype=object)
    whole = raw[~null].astype(np.int64) if raw.dtype.kind == "f" else raw[~null]
    text[~null] = whole.astype(str)
    text[null] = None
    return text


def encode(values: "pd.Series[Any]") -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the codes (-1 for null) of a category column and its sorted levels."""
    codes, levels = pd.factorize(as_text(values), sort=True)
    return codes.astype(np.int32), tuple(map(str, levels))


def _table(table: str, schema: TableSchema, frame: pd.DataFrame) -> TableArrays:
    number_names = [name for name, kind in schema.columns.items() if kind == "number"]
    numbers = np.empty((len(number_names), len(frame)))
    for index, name in enumerate(number_names):
        numbers[index] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    convert_units(schema, number_names, numbers)
    encoded = {name: encode(frame[name]) for name, kind in schema.columns.items() if kind == "category"}
    times = {
        name: frame[name].to_numpy(dtype="datetime64[ns]").view(np.int64)
        for name, kind in schema.columns.items()
        if kind == "time"
    }
    order_keys = tuple(
        times[name] if name in times else encoded[name][0] if name in encoded else _order_key(schema, frame, name)
        for name in schema.primary_key
    )
    return TableArrays(
        n_rows=len(frame),
        numbers=numbers,
        number_rows={name: index for index, name in enumerate(number_names)},
        codes={name: codes for name, (codes, _) in encoded.items()},
        levels={name: levels for name, (_, levels) in encoded.items()},
        times=times,
        order_keys=order_keys,
        schema=schema,
        has_nulls=find_nulls(table, number_names, numbers),
    )


def _order_key(schema: TableSchema, frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(dtype=np.float64) if schema.columns[name] == "number" else as_text(frame[name])


def _link(link: Link, frames: dict[str, pd.DataFrame]) -> np.ndarray:
    if link.is_keyless:
        return np.zeros(len(frames[link.child]), dtype=np.int64)
    parents = pd.Index(as_text(frames[link.parent][link.parent_column]), dtype=object)
    known = parents.notna()
    if not parents[known].is_unique:
        twice = parents[known][parents[known].duplicated()][0]
        raise InputError(
            msg("the key {key} comes more than once", key=repr(twice)),
            where=f"{link.parent}, column {link.parent_column}",
        )
    children = as_text(frames[link.child][link.child_column])
    rows = parents.get_indexer(pd.Index(children, dtype=object))
    return np.where(pd.isna(children), -1, rows)


def _require_columns(table: str, schema: TableSchema, frame: pd.DataFrame) -> None:
    missing = [name for name in schema.columns if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            msg("the plan needs the columns {columns}, which the table does not have", columns=", ".join(missing)),
            where=table,
        )


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON values, as a live request carries them."""
    return [_json_row(row) for row in frame.to_dict("records")]


def _json_row(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _json_value(value) for name, value in row.items()}


def _json_value(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    return value
