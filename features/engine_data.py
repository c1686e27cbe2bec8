"""Tables as plain arrays, linked by row numbers, ready for the engine; made from a table set or from a live payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.errors import InputError, NotFoundError
from core.i18n import Message, msg
from features.definitions import PathStep
from features.histories import NO_TIME, History, OrderKey
from features.plan import FeaturePlan, Link, TableSchema

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = [
    "NEVER",
    "EngineData",
    "TableArrays",
    "convert_units",
    "find_nulls",
    "late_from",
    "rows_seen_from",
    "unique_index",
]

NEVER: Final = np.iinfo(np.int64).max
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class TableArrays:
    """One table.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    numbers : ndarray of shape (n_number_columns, n_rows), float64
        Number columns, NaN for null; `number_rows` says which is which.
    codes, levels : mapping of str to ndarray of int32 and to tuple of str
        Category columns as codes into sorted levels, -1 for null.
    times : mapping of str to ndarray of int64
        Time columns in nanoseconds since 1970, `NO_TIME` for null.
    order_keys : tuple of OrderKey
        Primary-key columns; they order rows of one moment.
    schema : TableSchema
        Times and late columns.
    """

    n_rows: int
    numbers: np.ndarray
    number_rows: Mapping[str, int]
    codes: Mapping[str, np.ndarray]
    levels: Mapping[str, tuple[str, ...]]
    times: Mapping[str, np.ndarray]
    order_keys: tuple[OrderKey, ...]
    schema: TableSchema
    has_nulls: np.ndarray
    _seen: list[np.ndarray | None] = field(default_factory=list, repr=False, compare=False)

    @property
    def event_time(self) -> np.ndarray | None:
        """When each row happened; the known-at time where the table has no event time; None for a static table."""
        name = self.schema.event_time or self.schema.known_at
        return None if name is None else self.times[name]

    @property
    def seen_from(self) -> np.ndarray | None:
        """From when on each row counts: it has happened and is known. `NEVER` where unknown; None for always."""
        if not self._seen:
            self._seen.append(rows_seen_from(self.schema, self.times))
        return self._seen[0]

    def late_from(self, column: str) -> np.ndarray | None:
        """From when on the values of `column` count, or None where they came with the row."""
        return late_from(self.schema, self.times, column)


def late_from(schema: TableSchema, times: Mapping[str, np.ndarray], column: str) -> np.ndarray | None:
    """Return from when on the values of `column` count, `NEVER` where unknown, or None where they came with the row."""
    if column not in schema.late:
        return None
    moments = times[schema.late[column]]
    return np.where(moments == NO_TIME, NEVER, moments)


def rows_seen_from(schema: TableSchema, times: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return from when on each row counts: it has happened and is known. `NEVER` where unknown; None for always.

    Parameters
    ----------
    schema : TableSchema
        Which columns are its times.
    times : mapping of str to ndarray of int64
        Those columns in nanoseconds since 1970, `NO_TIME` for null.
    """
    event = times[schema.event_time] if schema.event_time else None
    if schema.known_at is not None:
        known = times[schema.known_at]
        return np.where(known == NO_TIME, NEVER, known if event is None else np.maximum(event, known))
    if event is None:
        return None
    return np.where(event == NO_TIME, NEVER, event + round(schema.known_at_lag_days * _DAY_NS))


@dataclass(frozen=True)
class EngineData:
    """All tables of a plan and how their rows hang together. Read-only once made; threads may share it.

    Parameters
    ----------
    tables : mapping of str to TableArrays
        The tables of the plan.
    links : mapping of Link to ndarray of int64
        For each child row the row number of its parent, -1 where the key is null or has no parent.
    root_keys : mapping of str to int
        Row number of each root key.
    warnings : tuple of Message
        What was noticed in a live payload: columns that were not there and are taken as null.
    """

    tables: Mapping[str, TableArrays]
    links: Mapping[Link, np.ndarray]
    root_keys: Mapping[Any, int]
    root_table: str
    warnings: tuple[Message, ...] = ()
    _histories: dict[tuple[str, tuple[PathStep, ...]], History] = field(default_factory=dict, repr=False)

    @classmethod
    def from_table_set(cls, plan: FeaturePlan, table_set: "TableSet") -> "EngineData":
        """Prepare the tables of `plan` from a table set."""
        from features.preparation import prepare

        return prepare(plan, table_set)

    @classmethod
    def from_rows(cls, plan: FeaturePlan, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> "EngineData":
        """Prepare the tables of `plan` from rows as they come in a live request; needs no pandas.

        Parameters
        ----------
        plan : FeaturePlan
            What will be computed.
        tables : mapping of str to list of dict
            The raw rows of each table of the plan; an empty list where there are none. Columns that the plan does not
            need are ignored.

        Raises
        ------
        InputError
            A table or key column is missing, or a value is not of its column's type.
        """
        from features.payload import read_rows

        return read_rows(plan, tables)

    def root_rows(self, keys: np.ndarray) -> np.ndarray:
        """Return the row numbers of `keys`; raises `NotFoundError` where one is unknown."""
        rows = np.fromiter((self.root_keys.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))
        if rows.size and rows.min() < 0:
            unknown = [key for key, row in zip(keys, rows, strict=True) if row < 0]
            raise NotFoundError(
                msg("there is no history of {key} ({n} unknown in all)", key=repr(unknown[0]), n=len(unknown)),
                where=self.root_table,
                fix=msg("Give the row of the root table itself too."),
                code="no_history",
            )
        return rows

    def history(self, base: str, steps: tuple[PathStep, ...]) -> History:
        """Return the rows at the end of `steps` down from table `base`, sorted by base row and event time; kept."""
        found = self._histories.get((base, steps))
        if found is None:
            found = self._histories[base, steps] = self._sort_history(base, steps)
        return found

    def parent_rows(self, table: str, step: PathStep, rows: np.ndarray, cutoffs: np.ndarray) -> np.ndarray:
        """Return for each of `rows` of `table` the row of its parent, -1 where none was known before the cutoff."""
        link = self.links[Link(table, step.child_column, step.table, step.parent_column)]
        parents = np.where(rows >= 0, link[rows], -1) if link.size else np.full_like(rows, -1)
        seen = self.tables[step.table].seen_from
        if seen is None or not seen.size:
            return parents
        return np.where((parents >= 0) & (seen[parents] < cutoffs), parents, -1)

    def _sort_history(self, base: str, steps: tuple[PathStep, ...]) -> History:
        leaf = self.tables[steps[-1].table]
        rows = np.arange(leaf.n_rows)
        anchors, seen = rows, leaf.seen_from
        for index in range(len(steps) - 1, -1, -1):
            step, parent = steps[index], steps[index - 1].table if index else base
            link = self.links[Link(step.table, step.child_column, parent, step.parent_column)]
            anchors = np.where(anchors >= 0, link[anchors], -1) if link.size else np.full_like(anchors, -1)
            between = self.tables[parent].seen_from if index else None
            if between is not None and between.size:
                through = np.where(anchors >= 0, between[anchors], NEVER)
                seen = through if seen is None else np.maximum(seen, through)
        usable = anchors >= 0 if seen is None else (anchors >= 0) & (seen < NEVER)
        if not usable.all():
            rows, anchors = rows[usable], anchors[usable]
            seen = None if seen is None else seen[usable]
        event = leaf.event_time
        events = np.full(rows.size, NO_TIME) if event is None else event[rows]
        return History.build(rows, anchors, events, seen, leaf.order_keys, self.tables[base].n_rows)


def convert_units(schema: TableSchema, names: Sequence[str], numbers: np.ndarray) -> None:
    """Bring number columns, shape (n_columns, n_rows), in place to the units that features are computed in.

    Every way in calls it once, right after the values are read: tables, stored rows and live rows.
    """
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the caller, like what came so
        for name, factor in schema.factors.items():
            numbers[names.index(name)] *= factor


def find_nulls(table: str, names: Sequence[str], numbers: np.ndarray) -> np.ndarray:
    """Return which number columns hold nulls.

    Parameters
    ----------
    table : str
        The table.
    names : sequence of str
        Its number columns.
    numbers : ndarray of shape (n_columns, n_rows)
        Their values.

    Raises
    ------
    InputError
        A value is infinite: sums and means with it would be too, or nothing at all.
    """
    infinite = np.isinf(numbers).any(axis=1)
    if infinite.any():
        column = names[int(infinite.argmax())]
        raise InputError(
            msg("the column holds infinite values"), where=f"{table}, column {column}",
            fix=msg("Import the table, which reads them as missing and says so, or leave them empty."),
        )  # fmt: skip
    return np.asarray(np.isnan(numbers).any(axis=1))


def unique_index(values: Sequence[Any] | np.ndarray, where: str) -> dict[Any, int]:
    """Return the row number of each value; raises `InputError` where a value comes twice, nulls left out."""
    index = {value: row for row, value in enumerate(values) if value is not None}
    if len(index) + sum(value is None for value in values) < len(values):
        seen: set[Any] = set()
        twice = next(value for value in values if value is not None and (value in seen or seen.add(value)))  # type: ignore[func-returns-value]
        raise InputError(msg("the key {key} comes more than once", key=repr(twice)), where=where)
    return index
