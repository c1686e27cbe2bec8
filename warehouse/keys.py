"""Primary keys and relationships: found by name and proved on all rows, or declared and checked, their gaps counted."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import MessageLike, msg
from warehouse.column_names import is_date_name, is_id_name, names_same, singular, tokens
from warehouse.data_model import TEXT_TYPES, TIME_TYPES, ColumnType, Relationship
from warehouse.parquet_questions import count_distinct
from warehouse.raw_table import RawTable
from warehouse.stored_table import StoredColumns

__all__ = ["KeyTable", "check_primary_key", "check_relationships", "infer_primary_key", "infer_relationships"]

_MAX_KEY_PARTS: Final = 3
_MAX_PART_CANDIDATES: Final = 6
_ALMOST_UNIQUE: Final = 0.95
_KEY_TOKENS: Final = frozenset({"id", "nr", "uuid", "guid", "uscc"})  # anywhere in the name of a column that is unique
_MIN_CONTAINED: Final = 0.9
_MIN_WEAK_VALUES: Final = 10
_SAMPLE_ROWS: Final = 20_000
_PART_TOKENS: Final = frozenset({"year", "fyear", "month", "quarter", "period", "week", "seq", "line", "item", "term"})
_PART_WORDS: Final = ("年", "月", "期", "序号", "季")


@dataclass
class KeyTable:
    """A table while its keys are looked for.

    Parameters
    ----------
    raw : RawTable
        The table as read, for the places of rows.
    frame : DataFrame or StoredColumns
        Its rows, or what reads like them column by column.
    types : dict of str to ColumnType
        Types of its columns.
    primary_key : list of str
        Columns of its key, empty until known.
    not_links : frozenset of str, default=frozenset()
        Columns that a person says refer to nothing.
    """

    raw: RawTable
    frame: Any
    types: dict[str, ColumnType]
    primary_key: list[str]
    not_links: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.raw.name

    @property
    def single_key(self) -> str | None:
        """The key's column where it has one only."""
        return self.primary_key[0] if len(self.primary_key) == 1 else None

    def n_distinct(self, name: str) -> int:
        """Return how many different values a column has, null not counted."""
        if isinstance(self.frame, StoredColumns):
            return count_distinct(self.frame.path(name), self.frame.staging)
        return int(self.frame[name].nunique())

    def is_key(self, name: str) -> bool:
        """Whether a column is unique and without nulls."""
        if isinstance(self.frame, StoredColumns):
            return self.n_distinct(name) == len(self.frame)
        return bool(self.frame[name].is_unique and not self.frame[name].hasnans)


def check_primary_key(table: KeyTable) -> None:
    """Raise `InputError`, with a sample, where the primary key has nulls or is not unique."""
    if table.single_key is not None and table.is_key(table.single_key):
        return
    columns = table.frame[table.primary_key]
    null = columns.isna().any(axis=1).to_numpy()
    if null.any():
        raise _key_error(
            table,
            int(null.argmax()),
            msg("{n} rows have no value in the key {key}", n=int(null.sum()), key=", ".join(table.primary_key)),
            "null_key",
        )
    twice = columns.duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        value = tuple(columns.iloc[row])
        first = int((columns == columns.iloc[row]).all(axis=1).to_numpy().argmax())
        raise _key_error(
            table,
            row,
            msg(
                "{n} rows repeat a value of the key {key}, first {value}, which stands in row {first} too",
                n=int(twice.sum()),
                key=", ".join(table.primary_key),
                value=", ".join(map(str, value)),
                first=table.raw.row_number(first),
            ),
            "duplicate_key",
        )


def infer_primary_key(table: KeyTable) -> list[str]:
    """Return the columns that make the primary key; empty where none does.

    One column is taken where it is unique, without nulls, and named as an identifier or the first of the table; else
    the smallest set of up to three identifiers, dates and period numbers that is unique.

    Raises
    ------
    InputError
        The column that the table is named after is nearly a key: a few values repeat or are missing.
    """
    ranks = {name: _single_rank(table, name) for name in table.types}
    single = max(ranks, key=lambda name: ranks[name], default=None)
    if single is not None and ranks[single] > 0:
        return [single]
    for name in table.types:
        if names_same(table.name, name) and table.n_distinct(name) >= _ALMOST_UNIQUE * len(table.frame):
            check_primary_key(KeyTable(table.raw, table.frame, table.types, [name]))
    return _composite_key(table)


def infer_relationships(tables: Mapping[str, KeyTable], given: Iterable[Relationship]) -> list[Relationship]:
    """Return the links of columns to the primary keys of other tables, in addition to the `given` ones.

    A column refers to a key where names agree and nine in ten of its values are there, or where it is named as an
    identifier and all of its at least ten values, which are no plain numbers, are there.
    """
    known = list(given)
    links = list(known)
    taken = {(link.child, link.child_column) for link in links}
    for child in tables.values():
        for column in child.types:
            if column in child.not_links or (child.name, column) in taken:
                continue
            if link := _best_parent(tables, child, column, links):
                links.append(link)
    return links[len(known) :]


def check_relationships(tables: Mapping[str, KeyTable], links: Iterable[Relationship]) -> list[Finding]:
    """Count the rows whose parent is missing, and those that name none.

    Raises
    ------
    InputError
        The parent's column has nulls or repeats a value.
    """
    findings: list[Finding] = []
    for link in links:
        parent, child = tables[link.parent], tables[link.child]
        if parent.primary_key != [link.parent_column]:
            check_primary_key(KeyTable(parent.raw, parent.frame, parent.types, [link.parent_column]))
        findings += _link_findings(link, parent.frame[link.parent_column], child.frame[link.child_column])
    return findings


def _single_rank(table: KeyTable, name: str) -> int:
    """Return how much speaks for the column as the whole key, 0 where it cannot be."""
    is_first = next(iter(table.types)) == name
    is_named = is_id_name(name) or bool(_KEY_TOKENS & set(tokens(name)))
    rank = 3 * names_same(table.name, name) + 2 * is_named + is_first
    if rank == 0 or table.types[name] not in {"id", "integer", "text"}:
        return 0
    return rank if table.is_key(name) else 0


def _composite_key(table: KeyTable) -> list[str]:
    parts = [name for name in table.types if _can_be_part(table, name)][:_MAX_PART_CANDIDATES]
    codes = {name: pd.factorize(table.frame[name])[0].astype(np.int64) for name in parts}
    for n_parts in range(2, _MAX_KEY_PARTS + 1):
        for key in itertools.combinations(parts, n_parts):
            if _is_unique([codes[name] for name in key]):
                return list(key)
    return []


def _can_be_part(table: KeyTable, name: str) -> bool:
    kind, values = table.types[name], table.frame[name]
    if values.hasnans:
        return False
    if kind == "id" or kind in TIME_TYPES:
        return True
    named = bool(_PART_TOKENS & set(tokens(name))) or any(word in name for word in _PART_WORDS) or is_date_name(name)
    return named and (kind == "integer" or (kind == "number" and bool((values % 1 == 0).all())))


def _is_unique(parts: list[np.ndarray]) -> bool:
    sample = [part[:_SAMPLE_ROWS] for part in parts]
    return all(pd.Index(_combined(rows)).is_unique for rows in (sample, parts))


def _combined(parts: list[np.ndarray]) -> np.ndarray:
    """Return one code per row that is equal where all parts are equal."""
    combined = parts[0]
    for part in parts[1:]:
        combined = pd.factorize(combined)[0].astype(np.int64) * (int(part.max()) + 1) + part
    return combined


def _best_parent(
    tables: Mapping[str, KeyTable], child: KeyTable, column: str, links: list[Relationship]
) -> Relationship | None:
    kind = child.types[column]
    if kind not in {"id", "integer", "text", "category"}:
        return None
    parents = [
        parent
        for parent in tables.values()
        if parent is not child and parent.single_key and not _reaches(links, parent.name, child.name)
    ]
    if not parents:
        return None
    values = pd.Index(child.frame[column].dropna().unique())
    ranked = [(_parent_rank(parent, child, column, values), parent) for parent in parents]
    rank, best = max(ranked, key=lambda pair: pair[0], default=((0, 0.0, 0), child))
    if rank[0] == 0 or best.single_key is None:
        return None
    return Relationship(parent=best.name, parent_column=best.single_key, child=child.name, child_column=column)


def _parent_rank(parent: KeyTable, child: KeyTable, column: str, values: pd.Index) -> tuple[int, float, int]:
    """Return strength of the name, share of values contained and rows; strength 0 where the column does not refer."""
    none = (0, 0.0, 0)
    key = parent.single_key or ""
    strength = _name_strength(parent, key, column)
    if len(values) == 0 or (strength == 0 and not _is_weak_candidate(child, column, values)):
        return none
    if child.single_key == column and not _is_side_table(parent, key, child, column):
        return none
    keys = _texts(pd.Index(parent.frame[key]))
    if strength == 0 and not _texts(values[:_MIN_WEAK_VALUES]).isin(keys).all():
        return none
    contained = float(_texts(values).isin(keys).mean())
    enough = contained >= _MIN_CONTAINED if strength else contained == 1.0
    return (max(strength, 1), contained, len(parent.frame)) if enough else none


def _name_strength(parent: KeyTable, key: str, column: str) -> int:
    """Return 3 where column and key agree and the table bears the name, 2 where they agree, 0 where nothing does."""
    words, key_words = tokens(column), tokens(key)
    if is_id_name(column) and words[:-1] == tokens(singular(parent.name)):  # district_id refers to table district
        return 3
    if len(key_words) > 1 and is_id_name(key) and words[-len(key_words) + 1 :] == key_words[:-1]:
        return 2  # from_ent refers to ent_id
    own_words = key_words if len(key_words) > 1 else (*tokens(singular(parent.name)), *key_words)
    if words[-len(own_words) :] != own_words and words != key_words:
        return 0
    if words == key_words and len(key_words) == 1 and len(words) == 1:  # a bare "id" refers to its own table
        return 0 if is_id_name(column) else 2
    return 3 if names_same(parent.name, key) else 2


def _is_weak_candidate(child: KeyTable, column: str, values: pd.Index) -> bool:
    if not is_id_name(column) or child.types[column] not in TEXT_TYPES or len(values) < _MIN_WEAK_VALUES:
        return False
    return not all(str(value).isdigit() for value in values[:_MIN_WEAK_VALUES])


def _is_side_table(parent: KeyTable, key: str, child: KeyTable, column: str) -> bool:
    """Whether a table with the same key is an annex of the parent, not the other way round."""
    if names_same(parent.name, key) != names_same(child.name, column):
        return names_same(parent.name, key)
    return len(child.frame) < len(parent.frame)


def _reaches(links: list[Relationship], table: str, ancestor: str) -> bool:
    """Whether `ancestor` stands above `table`."""
    parents = {link.parent for link in links if link.child == table}
    return ancestor in parents or any(_reaches(links, parent, ancestor) for parent in parents)


def _texts(values: pd.Index) -> pd.Index:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return values
    return pd.Index(values.dropna().astype(np.int64).astype(str).to_numpy(dtype=object))


def _link_findings(link: Relationship, keys: "pd.Series[Any]", values: "pd.Series[Any]") -> Iterable[Finding]:
    null = values.isna().to_numpy()
    if null.any():
        yield Finding(
            "null_foreign_key",
            Severity.WATCH,
            msg("{n} of {total} rows name no {parent}", n=int(null.sum()), total=len(null), parent=link.parent),
            where=f"{link.child}, column {link.child_column}",
            fix=msg("These rows belong to nobody and count in no feature."),
        )
    orphan = ~values.isin(keys).to_numpy() & ~null
    if orphan.any():
        yield Finding(
            "orphan_rows",
            Severity.WATCH,
            msg(
                "{n} of {total} rows name a {parent} that is not there, first {value}",
                n=int(orphan.sum()),
                total=len(null),
                parent=link.parent,
                value=str(values.iloc[int(orphan.argmax())]),
            ),
            where=f"{link.child}, column {link.child_column}",
            fix=msg("These rows belong to nobody and count in no feature."),
        )


def _key_error(table: KeyTable, row: int, message: MessageLike, code: str) -> InputError:
    return InputError(
        message,
        where=table.raw.place(row),
        fix=msg("Correct the file, or name another primary_key (or []) in the data model."),
        code=code,
    )
