"""Columns as they stand in the tables, a value per row asked for: what the checks for traps look at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from features.definitions import PathStep
from features.plan import FeaturePlan
from features.preparation import as_text, encode

if TYPE_CHECKING:
    from warehouse.table_set import TableSet

__all__ = ["RawColumn", "UndatedRows", "raw_columns", "undated_rows"]

_DAY_NS: Final = 86_400_000_000_000

Path = tuple[PathStep, ...]


@dataclass(frozen=True)
class RawColumn:
    """One column of the root table or of a table above it that features are made of.

    Parameters
    ----------
    table, column : str
        Where it stands.
    kind : {"number", "category", "time"}
        What it holds.
    values : ndarray of shape (n_rows,)
        Numbers; level codes; for times the days from the cutoff to the date, negative before it. NaN for null.
    positions : ndarray of int, shape (n_rows,)
        Row number in its table, -1 where the row has no such parent.
    levels : tuple of str
        Levels of a category.
    is_in_words : bool, default=False
        Whether features look for words in it only, never at a value as a whole.
    """

    table: str
    column: str
    kind: Literal["number", "category", "time"]
    values: np.ndarray
    positions: np.ndarray
    levels: tuple[str, ...] = ()
    is_in_words: bool = False

    @property
    def subject(self) -> str:
        """Table and column, as a person writes them."""
        return f"{self.table}.{self.column}"

    @property
    def is_known(self) -> np.ndarray:
        """Whether each row has a value."""
        return np.asarray(~np.isnan(self.values))


@dataclass(frozen=True)
class UndatedRows:
    """What stands below the cases in a table that has no time.

    Parameters
    ----------
    table : str
        The table.
    cases : ndarray of int, shape (n_below,)
        Which of the rows asked for each row of the table belongs to.
    numbers : mapping of str to ndarray of shape (n_below,)
        The numbers of these rows.
    of_cases : mapping of str to ndarray of shape (n_rows,)
        The numbers of the root rows themselves.
    """

    table: str
    cases: np.ndarray
    numbers: Mapping[str, np.ndarray]
    of_cases: Mapping[str, np.ndarray]


def raw_columns(table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray) -> list[RawColumn]:
    """Return the columns of the root table and of those above it that features of `plan` read from one row.

    A parent counts where it was known before the cutoff, the row itself where it was by then. Columns with a time of
    their own (filled in later) are left out: the engine shows them from that time on only.

    Parameters
    ----------
    table_set : TableSet
        The data.
    plan : FeaturePlan
        The features.
    keys, cutoffs : arrays of shape (n_rows,)
        The rows.
    """
    moments = np.asarray(cutoffs).astype("datetime64[ns]")
    asked = dict.fromkeys(
        (item.path, column) for item in plan.definitions if not item.is_aggregation and not _is_keyless(item.path)
        for column in (item.column, item.second) if column is not None
    )  # fmt: skip
    rows = {path: _climb(table_set, plan, keys, moments, path) for path in dict.fromkeys(path for path, _ in asked)}
    seen = _seen_from(table_set, plan.root_table)
    if () in rows and seen is not None:  # the root row is the question itself: known from the very cutoff on
        rows[()] = np.where(seen[rows[()]] <= moments, rows[()], -1)
    whole = {(item.path, name) for item in plan.definitions if item.word is None for name in (item.column, item.second)}
    columns = [
        replace(
            _column(table_set, path[-1].table if path else plan.root_table, name, rows[path], moments),
            is_in_words=(path, name) not in whole,
        )
        for path, name in asked
        if not _is_late(table_set, path[-1].table if path else plan.root_table, name)
    ]
    return list({column.subject: column for column in columns}.values())


def undated_rows(table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, cutoffs: np.ndarray) -> list[UndatedRows]:
    """Return, for each table without a time that features of `plan` aggregate, its rows with those of the cases."""
    moments = np.asarray(cutoffs).astype("datetime64[ns]")
    ways = dict.fromkeys((*item.steps_up, *item.steps_down) for item in plan.definitions if item.is_aggregation)
    undated = [path for path in ways if not _is_keyless(path) and _is_undated(table_set, path[-1].table)]
    return [_below(table_set, plan, keys, moments, path) for path in undated]


def _is_keyless(path: Path) -> bool:
    return any(step.is_keyless for step in path)


def _is_undated(table_set: "TableSet", table: str) -> bool:
    spec = table_set.spec(table)
    return spec.event_time is None and spec.known_at is None


def _is_late(table_set: "TableSet", table: str, column: str) -> bool:
    return any(column in group.columns for group in table_set.spec(table).late_columns)


def _climb(table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, path: Path) -> np.ndarray:
    """Return the row numbers at the end of the steps up, -1 where there is none or none was known yet."""
    rows = _positions(table_set, plan.root_table, plan.key_column, np.asarray(keys, dtype=object))
    here = plan.root_table
    for step in path:
        if step.direction == "down":
            break
        rows = _positions(table_set, step.table, step.parent_column, _texts(table_set, here, step.child_column, rows))
        seen = _seen_from(table_set, step.table)
        if seen is not None and seen.size:
            rows = np.where((rows >= 0) & (seen[rows] < moments), rows, -1)
        here = step.table
    return rows


def _seen_from(table_set: "TableSet", table: str) -> np.ndarray | None:
    """Return from when on each row counts, as the engine does: it has happened and is known; NaT never, None always."""
    known, event = table_set.known_at(table), table_set.event_time(table)
    return known if known is None or event is None else np.maximum(known, event)


def _texts(table_set: "TableSet", table: str, column: str, rows: np.ndarray) -> np.ndarray:
    texts = np.full(rows.shape, None, dtype=object)
    texts[rows >= 0] = as_text(table_set.column(table, column))[rows[rows >= 0]]
    return texts


def _positions(table_set: "TableSet", table: str, column: str, wanted: np.ndarray) -> np.ndarray:
    index = pd.Index(as_text(table_set.column(table, column)), dtype=object)
    found: np.ndarray = np.where(pd.isna(wanted), -1, index.get_indexer(pd.Index(wanted, dtype=object)))
    return found


def _column(table_set: "TableSet", table: str, name: str, rows: np.ndarray, moments: np.ndarray) -> RawColumn:
    stored = table_set.column(table, name)
    kind = table_set.spec(table).column(name).type
    if not len(stored):
        return RawColumn(table, name, "number", np.full(rows.shape, np.nan), rows)
    if kind in ("category", "text"):
        codes, levels = encode(stored)
        is_null = (rows < 0) | (codes[rows] < 0)
        return RawColumn(table, name, "category", np.where(is_null, np.nan, codes[rows]), rows, levels)
    if kind in ("date", "datetime"):
        stamps = stored.to_numpy(dtype="datetime64[ns]")[rows]
        days = (stamps - moments).astype(np.float64) / _DAY_NS
        return RawColumn(table, name, "time", np.where((rows < 0) | np.isnat(stamps), np.nan, days), rows)
    numbers = stored.to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    return RawColumn(table, name, "number", np.where(rows < 0, np.nan, numbers), rows)


def _below(table_set: "TableSet", plan: FeaturePlan, keys: np.ndarray, moments: np.ndarray, path: Path) -> UndatedRows:
    ups = [step.table for step in path if step.direction == "up"]
    here = ups[-1] if ups else plan.root_table
    rows = _climb(table_set, plan, keys, moments, path)
    cases, rows = np.flatnonzero(rows >= 0), rows[rows >= 0]
    for step in path:
        if step.direction == "down":
            above = pd.DataFrame({"case": cases, "key": _texts(table_set, here, step.parent_column, rows)})
            linked = as_text(table_set.column(step.table, step.child_column))
            met = above.dropna().merge(pd.DataFrame({"key": linked, "row": np.arange(len(linked))}).dropna(), on="key")
            cases, rows, here = met["case"].to_numpy(), met["row"].to_numpy(), step.table
    own = _positions(table_set, plan.root_table, plan.key_column, np.asarray(keys, dtype=object))
    return UndatedRows(here, cases, _numbers(table_set, here, rows), _numbers(table_set, plan.root_table, own))


def _numbers(table_set: "TableSet", table: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    names = table_set.spec(table).columns_of_type("number", "integer")
    columns = {name: table_set.column(table, name).to_numpy(dtype=np.float64, na_value=np.nan) for name in names}
    return {name: values[rows] for name, values in columns.items()}
