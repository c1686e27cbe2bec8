"""What the rows say about a key or a link: how many values repeat, how many rows find their parent, which do not."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import NotFoundError
from core.i18n import msg
from warehouse.data_model import DataModel, Relationship

__all__ = [
    "ColumnSource",
    "Evidence",
    "KeyEvidence",
    "LinkEvidence",
    "StoredTables",
    "TimeEvidence",
    "key_evidence",
    "link_candidates",
    "link_evidence",
    "time_evidence",
]

_N_EXAMPLES: Final = 5
_N_PROBED: Final = 1_000
_MIN_SHARE: Final = 0.5
_SEPARATOR: Final = "\x1f"
_MIDNIGHT, _NO_FRACTION = " 00:00:00", ".000000000"


class ColumnSource(Protocol):
    """Where the columns of tables come from; a column may be asked for again and again."""

    def names(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table, empty where there is no such table."""

    def n_rows(self, table: str) -> int:
        """Return the number of rows of a table."""

    def column(self, table: str, name: str) -> Any:
        """Return one column as an Arrow array; raises `NotFoundError` where there is none."""


@dataclass(frozen=True)
class StoredTables:
    """The Parquet files of a saved table set; only the columns asked for are read.

    Parameters
    ----------
    folder : Path
        What `warehouse.table_set.TableSet.save` wrote.
    """

    folder: Path

    def names(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table, empty where there is no such table."""
        path = self._path(table)
        return tuple(pq.read_schema(path).names) if path.is_file() else ()

    def n_rows(self, table: str) -> int:
        """Return the number of rows of a table, without reading them."""
        return int(pq.read_metadata(self._path(table)).num_rows)

    def column(self, table: str, name: str) -> Any:
        """Return one column as an Arrow array; raises `NotFoundError` where there is none."""
        if name not in self.names(table):
            raise NotFoundError(msg("table {table} has no column {column}", table=table, column=name))
        return pq.read_table(self._path(table), columns=[name], memory_map=True)[name]

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"


@dataclass(frozen=True)
class KeyEvidence:
    """How well some columns identify the rows of a table, counted on all rows.

    Parameters
    ----------
    n_rows, n_null, n_distinct : int
        Rows; those without a value in one of the columns; different values of the others.
    n_repeated : int
        Rows whose value stands in another row above them too.
    examples : tuple of (str, int)
        Values that come most often, with their rows, where they come more than once.
    """

    table: str
    columns: tuple[str, ...]
    n_rows: int
    n_null: int
    n_distinct: int
    n_repeated: int
    examples: tuple[tuple[str, int], ...]

    @property
    def is_key(self) -> bool:
        """Whether the columns identify every row."""
        return self.n_null == 0 and self.n_repeated == 0

    @property
    def uniqueness(self) -> float:
        """Share of the rows that no other row above shares its value with, 0 to 1."""
        return self.n_distinct / max(self.n_rows, 1)


@dataclass(frozen=True)
class LinkEvidence:
    """How well the rows of a child find their parent, counted on all rows.

    Parameters
    ----------
    n_rows, n_null, n_orphans : int
        Rows of the child; those that name no parent; those that name one that is not there.
    n_parents, n_parents_used : int
        Different values of the parent's column, and those that a child names.
    n_parent_repeats : int
        Rows of the parent that repeat a value: such a column is no parent to link to.
    examples : tuple of (str, int)
        Values that name no parent, with their rows, the most frequent first.
    n_without_zeros : int
        Orphans that would find a parent were zeros at the front not counted: ``"7"`` and ``"007"``.
    """

    link: Relationship
    n_rows: int
    n_null: int
    n_orphans: int
    n_parents: int
    n_parents_used: int
    n_parent_repeats: int
    examples: tuple[tuple[str, int], ...]
    n_without_zeros: int = 0

    @property
    def matched(self) -> float:
        """Share of the child's rows that find their parent, 0 to 1."""
        return 1 - (self.n_null + self.n_orphans) / max(self.n_rows, 1)


@dataclass(frozen=True)
class TimeEvidence:
    """What a column of dates spans: ISO dates, None where it has none."""

    table: str
    column: str
    n_rows: int
    n_missing: int
    first: str | None
    last: str | None


class Evidence:
    """The evidence of one state of the tables: each key, link and time is counted once, however often it is asked for.

    Parameters
    ----------
    source : ColumnSource
        The tables; they must not change while this lives.
    """

    def __init__(self, source: ColumnSource) -> None:
        self.source = source
        self._counted: dict[Hashable, Any] = {}

    def names(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table, empty where there is no such table."""
        found: tuple[str, ...] = self._once(("names", table), lambda: self.source.names(table))
        return found

    def key(self, table: str, columns: tuple[str, ...]) -> KeyEvidence:
        """Return how well `columns` identify the rows of `table`; see `key_evidence`."""
        found: KeyEvidence = self._once(("key", table, columns), lambda: key_evidence(self.source, table, columns))
        return found

    def link(self, link: Relationship) -> LinkEvidence:
        """Return how well the rows of a link's child find their parent; see `link_evidence`."""
        found: LinkEvidence = self._once(("link", str(link)), lambda: link_evidence(self.source, link))
        return found

    def time(self, table: str, column: str) -> TimeEvidence:
        """Return what a column of dates spans; see `time_evidence`."""
        found: TimeEvidence = self._once(("time", table, column), lambda: time_evidence(self.source, table, column))
        return found

    def candidates(self, model: DataModel, child: str, column: str) -> list[LinkEvidence]:
        """Return what a column could refer to, the best first; see `link_candidates`."""
        keys = tuple((name, tuple(spec.primary_key)) for name, spec in model.tables.items())
        found: list[LinkEvidence] = self._once(
            ("candidates", child, column, keys), lambda: link_candidates(self.source, model, child, column)
        )
        return found

    def _once(self, what: Hashable, count: Callable[[], Any]) -> Any:
        if what not in self._counted:
            self._counted[what] = count()
        return self._counted[what]


def key_evidence(source: ColumnSource, table: str, columns: tuple[str, ...]) -> KeyEvidence:
    """Count how well `columns` together identify the rows of `table`.

    Raises
    ------
    NotFoundError
        The table has no such column.
    """
    texts = [_texts(source.column(table, name)) for name in columns]
    separator = pa.scalar(_SEPARATOR, pa.large_string())
    values = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, separator, null_handling="emit_null")
    counted = _counts(values)
    n_rows, n_null = len(values), values.null_count
    repeated = counted.filter(pc.greater(counted["n"], 1))
    return KeyEvidence(
        table, columns, n_rows, n_null, len(counted), n_rows - n_null - len(counted), _most_frequent(repeated)
    )


def link_evidence(source: ColumnSource, link: Relationship) -> LinkEvidence:
    """Count how well the rows of the link's child find their parent; values are compared as text, ``17`` is ``"17"``.

    Raises
    ------
    NotFoundError
        One of the two columns is not there.
    """
    parents = _texts(source.column(link.parent, link.parent_column))
    values = _texts(source.column(link.child, link.child_column))
    keys = pc.drop_null(pc.unique(parents))
    counted = _counts(values)
    is_there = pc.is_in(counted["value"], value_set=keys)
    orphans = counted.filter(pc.invert(is_there))
    return LinkEvidence(
        link=link,
        n_rows=len(values),
        n_null=values.null_count,
        n_orphans=_sum(orphans["n"]),
        n_parents=len(keys),
        n_parents_used=_sum(is_there),
        n_parent_repeats=len(parents) - parents.null_count - len(keys),
        examples=_most_frequent(orphans),
        n_without_zeros=_found_without_zeros(orphans, keys),
    )


def link_candidates(source: ColumnSource, model: DataModel, child: str, column: str) -> list[LinkEvidence]:
    """Return what `column` of `child` could refer to: keys of other tables that half of the rows find, the best first.

    A table is left out unseen where its key has less than half of a thousand of the column's values.
    """
    values = pc.drop_null(pc.unique(_texts(source.column(child, column))))
    found = []
    for parent, spec in model.tables.items():
        if parent == child or len(spec.primary_key) != 1 or not source.names(parent):
            continue
        link = Relationship(parent=parent, parent_column=spec.primary_key[0], child=child, child_column=column)
        keys = pc.unique(_texts(source.column(parent, link.parent_column)))
        probed = pc.is_in(values[:_N_PROBED], value_set=keys)
        if len(probed) and _sum(probed) >= _MIN_SHARE * len(probed):
            found.append(link_evidence(source, link))
    found = [evidence for evidence in found if evidence.matched >= _MIN_SHARE]
    return sorted(found, key=lambda evidence: (-evidence.matched, -evidence.n_parents_used, evidence.link.parent))


def time_evidence(source: ColumnSource, table: str, column: str) -> TimeEvidence:
    """Return what a column of dates spans; raises `NotFoundError` where there is none."""
    values = source.column(table, column)
    if not pa.types.is_timestamp(values.type):
        return TimeEvidence(table, column, len(values), len(values), None, None)
    ends: Mapping[str, Any] = pc.min_max(values).as_py()
    first, last = (None if end is None else str(end)[:10] for end in (ends["min"], ends["max"]))
    return TimeEvidence(table, column, len(values), values.null_count, first, last)


def _texts(values: Any) -> Any:
    """Return values as text: whole numbers without a point, so that ``17``, ``17.0`` and ``"17"`` are one key."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if pa.types.is_floating(values.type):
        whole = pc.all(pc.equal(pc.floor(values), values)).as_py()
        values = pc.cast(values, pa.int64()) if whole or whole is None else values
    return pc.cast(values, pa.large_string())


def _counts(values: Any) -> pa.Table:
    """Return each value that is not null with its number of rows."""
    counted = pc.value_counts(pc.drop_null(values))
    return pa.table({"value": counted.field("values"), "n": counted.field("counts")})


def _most_frequent(counted: pa.Table) -> tuple[tuple[str, int], ...]:
    if len(counted) == 0:
        return ()
    first = counted.take(pc.select_k_unstable(counted, _N_EXAMPLES, [("n", "descending"), ("value", "ascending")]))
    values = [", ".join(_shown(part) for part in str(value).split(_SEPARATOR)) for value in first["value"].to_pylist()]
    return tuple(zip(values, first["n"].to_pylist(), strict=True))


def _shown(text: str) -> str:
    """Return a value as people write it: a date without its midnight."""
    return text.removesuffix(_NO_FRACTION).removesuffix(_MIDNIGHT)


def _sum(numbers: Any) -> int:
    return int(pc.sum(numbers).as_py() or 0)


def _found_without_zeros(orphans: pa.Table, keys: Any) -> int:
    if len(orphans) == 0:
        return 0
    bare_keys = pc.unique(pc.utf8_ltrim(keys, characters="0"))
    is_there = pc.is_in(pc.utf8_ltrim(orphans["value"], characters="0"), value_set=bare_keys)
    return _sum(orphans.filter(is_there)["n"])
