"""What the checks are handed and what they return."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from core.findings import Severity
from core.i18n import Message
from warehouse.data_model import TIME_TYPES, ColumnSpec, TableSpec
from warehouse.profile import LinkProfile, TableProfile
from warehouse.quality.personal import LOOKED_AT, personal_columns
from warehouse.quality.report import Dimension
from warehouse.standard.catalogue import Field, StandardTable
from warehouse.table_set import TableSet

__all__ = ["Array", "Fault", "TableCase", "place"]

Array = np.ndarray[Any, Any]
_NUMBERS = frozenset({"number", "integer"})


@dataclass(frozen=True, eq=False)
class Fault:
    """Rows of a table that have one kind of fault, or a fault of the table that lies in no row.

    Parameters
    ----------
    rows : array of int
        Positions of the faulty rows, ascending.
    rate : float
        What a fault that lies in no row adds to the rate of its dimension.
    count : int or None
        Rows concerned where they are not named by `rows`.
    """

    code: str
    dimension: Dimension
    severity: Severity
    columns: tuple[str, ...]
    message: Message
    fix: Message | str = ""
    rows: Array = field(default_factory=lambda: np.array([], dtype=np.int64))
    rate: float = 0.0
    count: int | None = None
    total: int | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows concerned."""
        return len(self.rows) if self.count is None else self.count


@dataclass(frozen=True, eq=False)
class TableCase:
    """A table under assessment, with what several checks want to know of it."""

    table_set: TableSet
    profile: TableProfile
    fields: Mapping[str, Field]
    standard_table: StandardTable | None = None
    links: tuple[LinkProfile, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.profile.name

    @property
    def spec(self) -> TableSpec:
        """Its spec."""
        return self.table_set.spec(self.name)

    def column(self, name: str) -> "pd.Series[Any]":
        """Return one column; the one that was asked for last is kept."""
        if name not in self._last:
            self._last.clear()
            self._last[name] = self.table_set.column(self.name, name)
        return self._last[name]

    def columns(self, names: Sequence[str]) -> pd.DataFrame:
        """Return some columns as a frame."""
        return pd.DataFrame({name: self.column(name) for name in names}, copy=False)

    @cached_property
    def _last(self) -> dict[str, "pd.Series[Any]"]:
        return {}

    @cached_property
    def personal(self) -> frozenset[str]:
        """Columns that are shown masked."""
        return personal_columns(self.spec, self.table_set.first_rows(self.name, LOOKED_AT), self.fields)

    @property
    def as_of(self) -> np.datetime64 | None:
        """Day up to which the data reaches; None where no table has a time."""
        as_of = self.table_set.as_of
        return as_of.to_datetime64() if isinstance(as_of, pd.Timestamp) else None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.profile.n_rows

    @property
    def is_parent(self) -> bool:
        """Whether other tables refer to it."""
        return bool(self.table_set.data_model.children_of(self.name))

    @cached_property
    def n_missing(self) -> dict[str, int]:
        """Rows without a value per column."""
        return {column.name: column.n_missing for column in self.profile.columns}

    @cached_property
    def late(self) -> frozenset[str]:
        """Columns filled in later, and those that say since when."""
        groups = self.spec.late_columns
        return frozenset(name for group in groups for name in (*group.columns, group.known_at))

    @property
    def time_columns(self) -> list[str]:
        """Columns of dates and times."""
        return self.spec.columns_of_type(*TIME_TYPES)

    @property
    def number_columns(self) -> list[str]:
        """Columns of numbers that say something; keys and ignored ones left out."""
        return [
            name for name, column in self.spec.columns.items() if column.type in _NUMBERS and column.role == "feature"
        ]

    def unit(self, column: str) -> str | None:
        """Return the unit of a column, from the data standard where the model names none."""
        spec: ColumnSpec = self.spec.columns[column]
        return spec.unit or (self.fields[column].unit if column in self.fields else None)

    @cached_property
    def times(self) -> Array | None:
        """When each row was known, or else happened; None where the table has no time."""
        known_at = self.table_set.known_at(self.name)
        return self.table_set.event_time(self.name) if known_at is None else known_at

    @cached_property
    def months(self) -> Array | None:
        """Month of each row since 1970-01 by event time; NaT is the least number."""
        event_time = self.table_set.event_time(self.name)
        times = self.times if event_time is None else event_time
        return None if times is None else times.astype("datetime64[M]").astype(np.int64)

    @cached_property
    def first_month(self) -> int | None:
        """First month of all rows; None where no row has one."""
        known = () if self.months is None else self.months[self.months > np.iinfo(np.int64).min]
        return int(np.min(known)) if len(known) else None

    @cached_property
    def owner(self) -> Array | None:
        """Number of the parent that each row belongs to, by the first relationship; -1 for none; None without one."""
        links = self.table_set.data_model.parents_of(self.name)
        if not links:
            return None
        return pd.factorize(self.column(links[0].child_column))[0]

    def numbers(self, column: str) -> Array:
        """Return a column of numbers as floats."""
        return self.column(column).to_numpy(dtype=np.float64)


def place(mask: Array) -> Array:
    """Return the positions where `mask` holds."""
    return np.flatnonzero(mask)
