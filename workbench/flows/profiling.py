"""Stored tables at a glance: what each column holds, how much is missing, which children have no parent."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from warehouse.data_model import TEXT_TYPES, TIME_TYPES
from workbench.flows.importing import ColumnProfile, RelationshipView, TableProfile

if TYPE_CHECKING:
    from datetime import datetime

    from warehouse.data_model import ColumnSpec
    from warehouse.table_set import TableSet

__all__ = ["profile_tables", "relationship_views"]

_N_TOP_VALUES = 8


def profile_tables(table_set: "TableSet") -> tuple[TableProfile, ...]:
    """Return the profile of every table, in the order of the data model."""
    return tuple(_table(table_set, name) for name in table_set.names)


def relationship_views(table_set: "TableSet") -> tuple[RelationshipView, ...]:
    """Return every relationship with the number of child rows whose parent is not there."""
    return tuple(
        RelationshipView(
            link.parent,
            link.parent_column,
            link.child,
            link.child_column,
            _n_orphans(
                table_set.frame(link.parent)[link.parent_column], table_set.frame(link.child)[link.child_column]
            ),
        )
        for link in table_set.data_model.relationships
    )


def _n_orphans(parents: "pd.Series[Any]", children: "pd.Series[Any]") -> int:
    given = children.dropna()
    return int((~given.isin(parents)).sum())


def _table(table_set: "TableSet", name: str) -> TableProfile:
    spec, frame = table_set.spec(name), table_set.frame(name)
    times = table_set.event_time(name)
    first, last = (None, None) if times is None else _span(times)
    return TableProfile(
        name=name,
        label={**spec.label},
        n_rows=len(frame),
        primary_key=tuple(spec.primary_key),
        event_time=spec.event_time,
        known_at=spec.known_at,
        first_event=first,
        last_event=last,
        columns=tuple(_column(column, spec.columns[column], frame[column]) for column in frame.columns),
    )


def _span(times: np.ndarray) -> "tuple[datetime | None, datetime | None]":
    given = times[~np.isnat(times)]
    if given.size == 0:
        return None, None
    return pd.Timestamp(given.min()).to_pydatetime(), pd.Timestamp(given.max()).to_pydatetime()


def _column(name: str, spec: "ColumnSpec", values: "pd.Series[Any]") -> ColumnProfile:
    given = values.dropna()
    is_number = spec.type not in TEXT_TYPES | TIME_TYPES
    has_order = spec.type not in TEXT_TYPES and len(given) > 0
    return ColumnProfile(
        name=name,
        label={**spec.label},
        type=spec.type,
        role=spec.role,
        unit=spec.unit,
        missing_rate=float(1 - len(given) / max(len(values), 1)),
        n_distinct=int(given.nunique()),
        minimum=_text(given.min()) if has_order else None,
        maximum=_text(given.max()) if has_order else None,
        mean=float(given.mean()) if is_number and len(given) else None,
        top_values=_top(given) if spec.type in ("category", "boolean") else (),
    )


def _text(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat(sep=" ", timespec="seconds")
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _top(given: "pd.Series[Any]") -> tuple[tuple[str, int], ...]:
    counts = given.value_counts().head(_N_TOP_VALUES)
    return tuple((f"{value:g}" if isinstance(value, float) else str(value), int(n)) for value, n in counts.items())
