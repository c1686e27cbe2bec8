"""Another future: the same tables with every record known at or after a moment changed, deleted or added to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from features.engine_data import NEVER, EngineData
from features.plan import FeaturePlan, TableSchema

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["Touched", "change_future", "rows_of"]

_DAY_NS: Final = 86_400_000_000_000
_SPREAD_DAYS: Final = 900
_CHANGED_LEVEL: Final = "changed by the leakage proof"


@dataclass
class Touched:
    """How many records were touched."""

    changed: int = 0
    deleted: int = 0
    added: int = 0
    late: int = 0


def rows_of(table_set: "TableSet", plan: FeaturePlan, data: EngineData, keys: np.ndarray) -> "TableSet":
    """Return the table set of only the rows that features of the root `keys` can reach, columns of the plan only."""
    from warehouse.table_set import Table, TableSet

    taken = {name: np.zeros(table.n_rows, dtype=bool) for name, table in data.tables.items()}
    roots = np.zeros(data.tables[plan.root_table].n_rows, dtype=bool)
    roots[data.root_rows(keys)] = True
    taken[plan.root_table] |= roots
    for path in dict.fromkeys(path for item in plan.definitions for path in item.paths):
        here, reached = plan.root_table, roots
        for step in path:
            reached = _along(data, here, step, reached)
            taken[step.table] |= reached
            here = step.table
    tables = {
        name: Table(
            table_set.spec(name),
            table_set.frame(name).loc[taken[name], list(schema.columns)].reset_index(drop=True),
        )
        for name, schema in plan.tables.items()
    }
    return TableSet(tables, table_set.data_model)


def _along(data: EngineData, table: str, step: Any, rows: np.ndarray) -> np.ndarray:
    from features.plan import Link

    there = np.full(data.tables[step.table].n_rows, fill_value=bool(step.is_keyless and rows.any()))
    if step.is_keyless:
        return there
    if step.direction == "up":
        parents = data.links[Link(table, step.child_column, step.table, step.parent_column)][rows]
        there[parents[parents >= 0]] = True
        return there
    parents = data.links[Link(step.table, step.child_column, table, step.parent_column)]
    there[parents >= 0] = rows[parents[parents >= 0]]
    return there


def change_future(
    small: "TableSet", plan: FeaturePlan, data: EngineData, moment: int, rng: np.random.Generator, touched: Touched
) -> "TableSet":
    """Return `small` with another future from `moment` (int64 nanoseconds) on.

    Of the records known at or after the moment a third each is changed, deleted, and doubled with other values; copies
    of earlier records are added as well, some of them known exactly at the moment. Values filled in at or after the
    moment are changed, and half of the later records lead to other parents. Other keys that link tables stay; rows of
    the root table and of parents are changed but not doubled, rows of the root table not deleted either.
    """
    from warehouse.table_set import Table, TableSet

    parents = {link.parent for link in plan.links}
    tables = {}
    for name, schema in plan.tables.items():
        frame = small.frame(name).copy()
        frame = frame.astype({column: np.float64 for column, kind in schema.columns.items() if kind == "number"})
        _change_late_values(frame, schema, moment, rng, touched)
        seen = data.tables[name].seen_from
        if seen is not None:
            if name != plan.root_table:
                _lead_elsewhere(frame, plan, name, seen >= moment, rng)
            may_delete, may_add = name != plan.root_table, name != plan.root_table and name not in parents
            frame = _change_rows(frame, schema, seen >= moment, moment, rng, touched, may_delete, may_add)
        tables[name] = Table(small.spec(name), frame)
    return TableSet(tables, small.data_model)


def _lead_elsewhere(
    frame: pd.DataFrame, plan: FeaturePlan, table: str, is_future: np.ndarray, rng: np.random.Generator
) -> None:
    """Give half of the later rows the parents of others."""
    keys = {link.parent_column for link in plan.links if link.parent == table} | set(plan.tables[table].primary_key)
    for column in sorted({link.child_column for link in plan.links if link.child == table} - keys - {""}):
        values = frame[column].to_numpy(dtype=object, copy=True)
        rows = np.flatnonzero(is_future & (rng.random(len(frame)) < 0.5))
        values[rows] = rng.choice(values, rows.size) if rows.size else values[rows]
        frame[column] = pd.Series(values, index=frame.index, dtype=frame[column].dtype)


def _change_rows(
    frame: pd.DataFrame, schema: TableSchema, is_future: np.ndarray, moment: int, rng: np.random.Generator,
    touched: Touched, may_delete: bool, may_add: bool,
) -> pd.DataFrame:  # fmt: skip
    fate = np.where(is_future, rng.integers(0, 3, len(frame)), -1)
    if not may_delete:
        fate = np.where(fate == 1, 0, fate)
    added = frame[(fate == 2) | ((fate == -1) & (rng.random(len(frame)) < 0.3))] if may_add else frame[:0]
    _scramble(frame, schema, (fate == 0) | (fate == 2), moment, rng)
    added = added.copy()
    _scramble(added, schema, np.ones(len(added), dtype=bool), moment, rng)
    touched.changed += int(((fate == 0) | (fate == 2)).sum())
    touched.deleted += int((fate == 1).sum())
    touched.added += len(added)
    kept = frame[fate != 1]
    return pd.concat([kept, added], ignore_index=True) if len(added) else kept.reset_index(drop=True)


def _scramble(
    frame: pd.DataFrame, schema: TableSchema, rows: np.ndarray, moment: int, rng: np.random.Generator
) -> None:
    """Give the rows other values, and times that still make them known at or after the moment."""
    times = {schema.event_time, schema.known_at} - {None}
    for column, kind in schema.columns.items():
        if column not in times and column not in schema.primary_key:
            _scramble_column(frame, column, kind, rows, rng)
    if schema.known_at is not None:
        _set_times(frame, schema.known_at, rows, _times_from(moment, rows.sum(), rng))
        if schema.event_time is not None and schema.event_time != schema.known_at:
            shift = rng.integers(-_SPREAD_DAYS, _SPREAD_DAYS, rows.sum()) * _DAY_NS
            _set_times(frame, schema.event_time, rows, moment + shift)
    elif schema.event_time is not None:
        lag = round(schema.known_at_lag_days * _DAY_NS)
        _set_times(frame, schema.event_time, rows, _times_from(moment, rows.sum(), rng) - lag)


def _times_from(moment: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return times at or after the moment; about every fourth exactly at it."""
    days = rng.integers(0, _SPREAD_DAYS, n)
    return moment + np.where(rng.random(n) < 0.25, 0, days) * _DAY_NS


def _change_late_values(
    frame: pd.DataFrame, schema: TableSchema, moment: int, rng: np.random.Generator, touched: Touched
) -> None:
    for column, known_at in schema.late.items():
        stamps = frame[known_at].to_numpy(dtype="datetime64[ns]").view(np.int64)
        later = (stamps >= moment) | np.isnat(stamps.view("datetime64[ns]"))
        _scramble_column(frame, column, schema.columns[column], later, rng)
        touched.late += int(later.sum())
    for known_at in dict.fromkeys(schema.late.values()):
        stamps = frame[known_at].to_numpy(dtype="datetime64[ns]").view(np.int64)
        later = (stamps >= moment) | np.isnat(stamps.view("datetime64[ns]"))
        if known_at not in (schema.event_time, schema.known_at):
            _set_times(frame, known_at, later, _times_from(moment, later.sum(), rng))


def _scramble_column(frame: pd.DataFrame, column: str, kind: str, rows: np.ndarray, rng: np.random.Generator) -> None:
    n = int(rows.sum())
    if kind == "number":
        values = frame[column].to_numpy(dtype=np.float64, copy=True)
        values[rows] = np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1e6, n))
        frame[column] = values
    elif kind == "category":
        texts = frame[column].to_numpy(dtype=object, copy=True)
        texts[rows] = _CHANGED_LEVEL
        frame[column] = texts
    elif kind == "time":
        stamps = frame[column].to_numpy(dtype="datetime64[ns]", copy=True).view(np.int64)
        found = stamps[rows]
        shift = rng.integers(1, _SPREAD_DAYS, n) * _DAY_NS
        stamps[rows] = np.where(np.isnat(found.view("datetime64[ns]")), found, found - shift)
        frame[column] = stamps.view("datetime64[ns]")


def _set_times(frame: pd.DataFrame, column: str, rows: np.ndarray, times: np.ndarray) -> None:
    stamps = frame[column].to_numpy(dtype="datetime64[ns]", copy=True).view(np.int64)
    stamps[rows] = np.where(times == NEVER, stamps[rows], times)
    frame[column] = stamps.view("datetime64[ns]")
