"""The rows of one root row's tables, gathered from the stored tables as they were known at a moment."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.errors import NotFoundError
from core.i18n import msg

if TYPE_CHECKING:
    from features.definitions import PathStep
    from features.plan import FeaturePlan
    from warehouse.table_set import TableSet

__all__ = ["gather_rows"]


def gather_rows(
    table_set: "TableSet", plan: "FeaturePlan", key: str, cutoff: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that `plan` reads for one root row, JSON values, without what was not known before `cutoff`.

    Rows are those a business system would send: the root row, and along the plan's paths its parents, their other
    children and its own. Tables joined by time alone are not among them: the scorer has a snapshot of these. Columns
    filled in later are null where they were not filled in yet.

    Raises
    ------
    NotFoundError
        If the root table has no row of this key.
    """
    root = table_set.frame(plan.root_table)
    start = np.flatnonzero((root[plan.key_column] == key).to_numpy())
    if len(start) == 0:
        raise NotFoundError(
            msg(
                "{table} has no row whose {column} is {key}",
                table=plan.root_table,
                column=plan.key_column,
                key=repr(key),
            )
        )
    chosen = _walk(table_set, plan, start)
    chosen[plan.root_table] = np.union1d(chosen.get(plan.root_table, start), start)
    names = [name for name in plan.tables if name not in plan.keyless_tables]
    return {name: _rows(table_set, plan, name, chosen.get(name, _NONE), start, cutoff) for name in names}


_NONE = np.empty(0, dtype=np.int64)


def _walk(table_set: "TableSet", plan: "FeaturePlan", start: np.ndarray) -> dict[str, np.ndarray]:
    """Return the positions of the rows reached in each table, over all paths of the plan."""
    reached: dict[tuple[PathStep, ...], np.ndarray] = {(): start}
    chosen: dict[str, np.ndarray] = {}
    for path in dict.fromkeys(path for item in plan.definitions for path in item.paths):
        if path and path[0].is_keyless:
            continue  # joined by time alone: the scorer has these rows
        for depth, step in enumerate(path, start=1):
            prefix = path[:depth]
            if prefix not in reached:
                table = path[depth - 2].table if depth > 1 else plan.root_table
                reached[prefix] = _step(table_set, table, reached[path[: depth - 1]], step)
                chosen[step.table] = np.union1d(chosen.get(step.table, _NONE), reached[prefix])
    return chosen


def _step(table_set: "TableSet", table: str, rows: np.ndarray, step: "PathStep") -> np.ndarray:
    here, there = (
        (step.child_column, step.parent_column) if step.direction == "up" else (step.parent_column, step.child_column)
    )
    values = table_set.frame(table)[here].iloc[rows].dropna().unique()
    return np.flatnonzero(table_set.frame(step.table)[there].isin(values).to_numpy())


def _rows(
    table_set: "TableSet",
    plan: "FeaturePlan",
    name: str,
    positions: np.ndarray,
    start: np.ndarray,
    cutoff: datetime,
) -> list[dict[str, Any]]:
    moment = np.datetime64(cutoff, "ns")
    known_at = table_set.known_at(name)
    if known_at is not None:
        # The root row is the question itself, and known at its own cutoff.
        is_root = np.isin(positions, start) & (name == plan.root_table)
        positions = positions[is_root | (known_at[positions] < moment)]
    schema = plan.tables[name]
    frame = table_set.frame(name).iloc[positions][list(schema.columns)].copy()
    for column, known_column in schema.late.items():
        late = table_set.frame(name)[known_column].iloc[positions].to_numpy()
        is_unknown = ~(late < moment)
        frame[column] = frame[column].mask(is_unknown)
        frame[known_column] = frame[known_column].mask(is_unknown)
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*_json_columns(frame), strict=True)]


def _json_columns(frame: pd.DataFrame) -> Iterable[list[Any]]:
    return [_json_column(frame[name]) for name in frame.columns]


def _json_column(values: "pd.Series[Any]") -> list[Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        return [None if pd.isna(value) else value.isoformat() for value in values]
    return [None if pd.isna(value) else value for value in values.tolist()]
