"""Writing rows that may be there already."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["insert_missing"]


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key (or other unique columns) is not in `table` yet, and leave the rest as it is.

    Parameters
    ----------
    connection : Connection
        A writing connection.
    table : Table
        Where the rows go.
    rows : sequence of mapping
        Values by column name, the same columns in each.

    Returns
    -------
    int
        How many rows are new.
    """
    if not rows:
        return 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing()
    columns = len(rows[0])
    n_at_once = max(1, 30_000 // max(columns, 1))  # both databases limit the values of one statement
    return sum(
        connection.execute(statement.values([dict(row) for row in rows[start : start + n_at_once]])).rowcount
        for start in range(0, len(rows), n_at_once)
    )
