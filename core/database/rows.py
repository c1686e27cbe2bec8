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
    statement = statement.execution_options(preserve_rowcount=True)  # psycopg forgets it otherwise
    return connection.execute(statement, [dict(row) for row in rows]).rowcount
