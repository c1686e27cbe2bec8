"""A DuckDB file opened for reading, cut off from every other file."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from warehouse.sql_errors import duckdb_error
from warehouse.sql_reading import Batch, DeclaredKeys, DeclaredLink
from warehouse.sql_source import DatabaseSource, TableQuery

if TYPE_CHECKING:
    import duckdb

__all__ = ["open_duckdb"]

_GROWING: Final = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    "FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIMESTAMP",
)  # fmt: skip
_BATCH_ROWS: Final = 100_000
_LIMITS: Final = {"enable_external_access": "false", "memory_limit": "1GB", "autoload_known_extensions": "false"}
_DEFAULT_SCHEMA: Final = "main"


@contextmanager
def open_duckdb(source: DatabaseSource) -> Iterator["_DuckdbReader"]:
    """Open the file that `source` names; see `warehouse.sql_reading.Reader` for what the reader does."""
    import duckdb

    with _errors(source.label):
        connection = duckdb.connect(str(source.address.database), read_only=True, config=dict(_LIMITS))
    try:
        with _errors(source.label):
            connection.execute("set enable_progress_bar = false")  # it would be drawn on standard output
            connection.execute("begin transaction read only")
        yield _DuckdbReader(source, connection)
    finally:
        connection.close()


class _DuckdbReader:
    def __init__(self, source: DatabaseSource, connection: "duckdb.DuckDBPyConnection") -> None:
        self.source = source
        self.connection = connection

    def tables(self) -> list[str]:
        sql = "select table_name from duckdb_tables() where schema_name = ? and not internal order by table_name"
        return [name for (name,) in self._rows(sql, [self.source.db_schema or _DEFAULT_SCHEMA])]

    def keys(self, query: TableQuery) -> DeclaredKeys:
        if query.query is not None:
            return DeclaredKeys()
        schema, name = self._place(query)
        found = self._rows(
            "select constraint_type, constraint_column_names, referenced_table, referenced_column_names "
            "from duckdb_constraints() where schema_name = ? and table_name = ?",
            [schema, name],
        )
        primary = next((columns for kind, columns, *_ in found if kind == "PRIMARY KEY"), ())
        links = [
            DeclaredLink(columns[0], (query.where[0] or self.source.db_schema, parent), parent_columns[0])
            for kind, columns, parent, parent_columns in found
            if kind == "FOREIGN KEY" and len(columns) == 1
        ]
        comments = self._rows(
            "select column_name, comment, data_type from duckdb_columns() where schema_name = ? and table_name = ?",
            [schema, name],
        )
        return DeclaredKeys(
            tuple(primary),
            tuple(links),
            {column: comment for column, comment, _ in comments if comment},
            {column: kind for column, _, kind in comments if _is_left_out(kind)},
            tuple(column for column, _, kind in comments if kind.startswith(_GROWING)),
        )

    def count(self, query: TableQuery, left_out: Mapping[str, str]) -> int | None:
        if query.query is not None:
            return None
        sql, values = self._statement(query, left_out)
        (n_rows,) = self._rows(f"select count(*) from ({sql}) as given", values, query.name)[0]  # noqa: S608
        return int(n_rows)

    def batches(self, query: TableQuery, left_out: Mapping[str, str]) -> Generator[Batch, None, None]:
        sql, values = self._statement(query, left_out)
        with _errors(f"{self.source.label}, {query.name}"):
            reader: Any = self.connection.sql(sql, params=values).to_arrow_reader(_BATCH_ROWS)
            names = list(reader.schema.names)
            yield names, [pa.array([], kind) for kind in reader.schema.types]
            for batch in reader:
                yield names, batch.columns

    def _statement(self, query: TableQuery, left_out: Mapping[str, str]) -> tuple[str, list[Any]]:
        if query.query is not None:
            sql = f"select * from (\n{query.query.strip().rstrip(';')}\n) as given"  # noqa: S608 - read-only, no files
        else:
            schema, name = self._place(query)
            without = f" exclude ({', '.join(map(_quoted, left_out))})" if left_out else ""
            sql = f"select *{without} from {_quoted(schema)}.{_quoted(name)}"  # noqa: S608 - quoted names
        if query.incremental_by is None or query.since is None:
            return sql, []
        return f"select * from ({sql}) as rows where {_quoted(query.incremental_by)} > ?", [query.since]  # noqa: S608

    def _place(self, query: TableQuery) -> tuple[str, str]:
        schema, name = query.where
        return schema or self.source.db_schema or _DEFAULT_SCHEMA, name

    def _rows(self, sql: str, values: list[Any], table: str = "") -> list[tuple[Any, ...]]:
        with _errors(f"{self.source.label}, {table}" if table else self.source.label):
            return self.connection.execute(sql, values).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_left_out(kind: str) -> bool:
    return kind == "BLOB" or kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


@contextmanager
def _errors(where: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise duckdb_error(error, where) from error
