"""Questions about all rows of Parquet files, answered in bounded memory: what does not fit is sorted on disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from warehouse.staging import Staging

if TYPE_CHECKING:
    import duckdb

__all__ = ["count_distinct", "count_doubled", "count_missing", "rows_beyond", "rows_that_come_again"]

_MEMORY: Final = "256MB"
_THREADS: Final = 2
_BLOCK: Final = 100_000


def count_distinct(path: Path, staging: Staging | None, column: str = "values") -> int:
    """Return how many different values a column of a file has; null is none."""
    with _asking(staging) as connection:
        sql = f"select count(distinct {_quoted(column)}) from read_parquet(?)"  # noqa: S608 - quoted
        return _number(connection, sql, path)


def count_doubled(path: Path, staging: Staging | None) -> int:
    """Return how many rows of a file are the same as one before in every column."""
    suspects = "select hash(t) from read_parquet(?) as t group by 1 having count(*) > 1"
    with _asking(staging) as connection:
        if _number(connection, f"select count(*) from ({suspects})", path) == 0:  # noqa: S608 - our own words
            return 0
        rows = f"select t from read_parquet(?) as t where hash(t) in ({suspects})"  # noqa: S608
        return _number(connection, f"select count(*) - count(distinct t) from ({rows})", path, path)  # noqa: S608


def count_missing(path: Path, staging: Staging | None, column: str, gone: np.ndarray) -> int:
    """Return how many rows of a file have no value in `column`, those left out that `gone` (bool, per row) names."""
    with _asking(staging) as connection:
        rows = _marked(connection, f"where {_quoted(column)} is null", [path], len(gone))
    return int((rows & ~gone).sum())


def rows_that_come_again(old: Path, new: Path, key: Sequence[str], n_rows: int, staging: Staging | None) -> np.ndarray:
    """Return which of the `n_rows` rows of `old` have a key that stands in `new` too (bool array)."""
    same = " and ".join(f"o.{name} is not distinct from n.{name}" for name in map(_quoted, key))
    with _asking(staging) as connection:
        which = f"as o semi join (select * from read_parquet(?)) as n on {same}"  # noqa: S608 - quoted
        return _marked(connection, which, [old, new], n_rows)


def rows_beyond(path: Path, column: str, value: Any, n_rows: int, staging: Staging | None) -> np.ndarray:
    """Return which of the `n_rows` rows of a file have more than `value` in `column` (bool array); null is not more.

    Numbers that are kept as texts, as keys are, are compared as numbers.
    """
    name = _quoted(column)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    shown = f"try_cast({name} as double)" if is_number else name
    with _asking(staging) as connection:
        return _marked(connection, f"where {shown} > ?", [path, value], n_rows)


def _marked(connection: "duckdb.DuckDBPyConnection", which: str, given: Sequence[Any], n_rows: int) -> np.ndarray:
    """Return the rows of the first file that `which` keeps, as marks."""
    marks = np.zeros(n_rows, dtype=bool)
    sql = f"select file_row_number from read_parquet(?, file_row_number = true) {which}"  # noqa: S608 - quoted
    found = connection.sql(sql, params=[str(item) if isinstance(item, Path) else item for item in given])
    for batch in found.to_arrow_reader(_BLOCK):
        marks[batch.column(0).to_numpy()] = True
    return marks


def _number(connection: "duckdb.DuckDBPyConnection", sql: str, *paths: Path) -> int:
    row = connection.execute(sql, [str(path) for path in paths]).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _asking(staging: Staging | None) -> "Iterator[duckdb.DuckDBPyConnection]":
    import duckdb

    settings: dict[str, Any] = {"memory_limit": _MEMORY, "threads": _THREADS}
    with TemporaryDirectory() as folder, duckdb.connect(config=settings) as connection:
        connection.execute("set temp_directory = ?", [str(staging.new_path()) if staging else folder])
        connection.execute("set enable_progress_bar = false")  # it would be drawn on standard output
        yield connection


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
