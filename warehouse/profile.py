"""What is in the tables, column by column, in figures small enough for a page."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from core.i18n import Language, msg
from core.progress import Progress, SilentProgress
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, Relationship
from warehouse.parquet_questions import count_distinct
from warehouse.stored_table import StoredTable
from warehouse.table_set import Table, TableSet

__all__ = ["ColumnProfile", "DataProfile", "LinkProfile", "TableProfile", "TopValue", "profile", "profile_table"]

_N_TOP: Final = 10
_N_BINS: Final = 20
_MAX_TEXT: Final = 80
MANY_ROWS = 1_000_000


@dataclass(frozen=True)
class TopValue:
    """A frequent value: how often it comes and its share of the values that are not missing."""

    value: str
    count: int
    share: float


@dataclass(frozen=True)
class ColumnProfile:
    """One column in figures.

    Parameters
    ----------
    name, type, role : str
        As in the data model.
    label : dict
        Readable names per language.
    unit : str or None
        Unit of a number.
    n_missing : int
        Rows without a value.
    missing_rate : float
        Their share, 0 to 1.
    n_distinct : int
        Different values.
    minimum, maximum : float or str or None
        Smallest and largest value; ISO text for dates, None for texts and empty columns.
    mean, median : float or None
        Of numbers only.
    top : tuple of TopValue
        The most frequent values, of texts, booleans and numbers with few values.
    bin_edges, bin_counts : tuple
        A histogram of numbers, 20 bins of equal width between the 1st and the 99th percentile, the tails in the outer
        ones.
    """

    name: str
    type: str
    role: str
    label: dict[Language, str]
    unit: str | None
    n_missing: int
    missing_rate: float
    n_distinct: int
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    median: float | None = None
    top: tuple[TopValue, ...] = ()
    bin_edges: tuple[float, ...] = ()
    bin_counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableProfile:
    """One table in figures; `months` counts the rows of each month of the event time as ``("2024-03", 17)``."""

    name: str
    label: dict[Language, str]
    file: str | None
    n_rows: int
    primary_key: tuple[str, ...]
    event_time: str | None
    known_at: str | None
    known_at_lag_days: float
    first_event: str | None
    last_event: str | None
    months: tuple[tuple[str, int], ...]
    columns: tuple[ColumnProfile, ...]


@dataclass(frozen=True)
class LinkProfile:
    """One relationship in figures: rows that name no parent, rows whose parent is missing, parents without a child."""

    parent: str
    parent_column: str
    child: str
    child_column: str
    n_rows: int
    n_null: int
    n_orphans: int
    n_childless: int


@dataclass(frozen=True)
class DataProfile:
    """All tables and links of a set, and the day up to which the data reaches."""

    tables: tuple[TableProfile, ...]
    links: tuple[LinkProfile, ...]
    as_of: str | None
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        return asdict(self)


def profile(table_set: TableSet, *, progress: Progress | None = None) -> DataProfile:
    """Return the figures of all tables and links of `table_set`.

    Parameters
    ----------
    progress : Progress, optional
        Told each column; may cancel between two.
    """
    progress = progress or SilentProgress()
    n_cells = {name: table_set.n_rows(name) * len(table_set.spec(name).columns) + 1 for name in table_set.names}
    total, done, tables = sum(n_cells.values()) or 1, 0, []
    for name in table_set.names:
        part = progress.part(done / total, (done + n_cells[name]) / total)
        tables.append(profile_table(table_set, name, progress=part))
        done += n_cells[name]
    return DataProfile(
        tuple(tables),
        tuple(_link(table_set, link) for link in table_set.data_model.relationships),
        _iso(table_set.as_of),
        table_set.fingerprint,
    )


def profile_table(table_set: TableSet, name: str, *, progress: Progress | None = None) -> TableProfile:
    """Return the figures of table `name`."""
    spec = table_set.spec(name)
    progress = progress or SilentProgress()
    columns = []
    for number, column in enumerate(spec.columns):
        message = msg("looking at {column}", column=f"{name}.{column}")
        told = partial(progress.report, number / len(spec.columns), message)
        told()
        columns.append(_column(table_set, name, column, told))
    event_time = table_set.event_time(name)
    times = pd.Series(np.array([], "datetime64[ns]") if event_time is None else event_time).dropna()
    return TableProfile(
        name=name,
        label={**spec.label},
        file=spec.file,
        n_rows=table_set.n_rows(name),
        primary_key=tuple(spec.primary_key),
        event_time=spec.event_time,
        known_at=spec.known_at,
        known_at_lag_days=spec.known_at_lag_days,
        first_event=_iso(times.min()),
        last_event=_iso(times.max()),
        months=tuple(_months(times)),
        columns=tuple(columns),
    )


def _column(table_set: TableSet, table: str, name: str, told: Callable[[], None]) -> ColumnProfile:
    """Return the figures of a column; `told` is called between two steps that may be long, and may cancel."""
    spec, values = table_set.spec(table).columns[name], table_set.column(table, name)
    told()
    filled = values.dropna()
    n_missing = len(values) - len(filled)
    told()
    n_distinct, counts = _counts(table_set.tables[table], name, filled)
    told()
    figures: dict[str, Any] = {}
    if spec.type in TIME_TYPES:
        figures = {"minimum": _iso(filled.min()), "maximum": _iso(filled.max())}
    elif spec.type not in TEXT_TYPES and len(filled):
        figures = _figures(filled.to_numpy(dtype=np.float64))
    shows_top = spec.type in {"category", "boolean"} or (spec.type != "id" and n_distinct <= _N_TOP)
    return ColumnProfile(
        name=name,
        type=spec.type,
        role=spec.role,
        label={**spec.label},
        unit=spec.unit,
        n_missing=n_missing,
        missing_rate=n_missing / max(len(values), 1),
        n_distinct=n_distinct,
        top=tuple(_top(counts, len(filled))) if shows_top and spec.type not in TIME_TYPES else (),
        **figures,
    )


def _counts(table: Table | StoredTable, name: str, filled: "pd.Series[Any]") -> tuple[int, "pd.Series[int]"]:
    """Return how many different values there are, and how often each comes where that is shown.

    To count each of millions of different values takes more memory than the column.
    """
    kind = table.spec.columns[name].type
    if kind in {"id", "text"} and isinstance(table, StoredTable) and len(filled) > MANY_ROWS:
        n_distinct = count_distinct(table.path, table.staging, name)
    elif kind not in TEXT_TYPES:
        n_distinct = len(np.unique(filled.to_numpy()))
    else:
        counts = filled.value_counts()
        return len(counts), counts
    return n_distinct, filled.value_counts() if n_distinct <= _N_TOP else pd.Series(dtype=np.int64)


def _figures(numbers: np.ndarray) -> dict[str, Any]:
    low, high = np.percentile(numbers, [1, 99])
    edges = np.linspace(low, high, _N_BINS + 1)
    counts, _ = np.histogram(np.clip(numbers, low, high), edges) if high > low else (np.array([]), None)
    return {
        "minimum": float(numbers.min()),
        "maximum": float(numbers.max()),
        "mean": float(numbers.mean()),
        "median": float(np.median(numbers)),
        "bin_edges": tuple(edges.tolist()) if high > low else (),
        "bin_counts": tuple(int(count) for count in counts),
    }


def _top(counts: "pd.Series[int]", n_filled: int) -> Iterable[TopValue]:
    for value, count in counts.head(_N_TOP).items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        yield TopValue(text[:_MAX_TEXT], int(count), int(count) / n_filled)


def _months(times: "pd.Series[Any]") -> Iterable[tuple[str, int]]:
    months = times.to_numpy(dtype="datetime64[M]")
    for month, count in zip(*np.unique(months, return_counts=True), strict=True):
        yield str(month), int(count)


def _link(table_set: TableSet, link: Relationship) -> LinkProfile:
    keys = table_set.column(link.parent, link.parent_column)
    values = table_set.column(link.child, link.child_column)
    null = values.isna()
    return LinkProfile(
        link.parent,
        link.parent_column,
        link.child,
        link.child_column,
        n_rows=len(values),
        n_null=int(null.sum()),
        n_orphans=int((~values.isin(keys) & ~null).sum()),
        n_childless=int((~keys.isin(values)).sum()),
    )


def _iso(time: Any) -> str | None:
    return None if time is pd.NaT or pd.isna(time) else pd.Timestamp(time).isoformat()
