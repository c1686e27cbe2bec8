"""A database opened for reading: its tables and declared keys, and the rows of one query after the other in batches."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from core.errors import NotFoundError
from core.i18n import msg
from warehouse.sql_errors import database_errors
from warehouse.sql_source import DatabaseSource, TableQuery
from warehouse.typed_parts import array_of

__all__ = ["Batch", "DeclaredKeys", "DeclaredLink", "Reader", "open_database"]

_CONNECT_SECONDS: Final = 10
_BATCH_CELLS: Final = 500_000
_MAX_BATCH_ROWS: Final = 50_000
_LEFT_OUT: Final = (sa.LargeBinary, sa.ARRAY)
_GROWING: Final = (sa.Integer, sa.Numeric, sa.Float, sa.Date, sa.DateTime)
Batch = tuple[Sequence[str], Sequence[Any]]


@dataclass(frozen=True)
class DeclaredLink:
    """A foreign key of one column, as the database declares it; `parent` is schema and name there."""

    column: str
    parent: tuple[str | None, str]
    parent_column: str


@dataclass(frozen=True)
class DeclaredKeys:
    """What the database itself says about one of its tables.

    Parameters
    ----------
    primary_key : tuple of str
        Columns of the key, empty where none is declared.
    links : tuple of DeclaredLink
        Foreign keys of one column.
    comments : mapping of str to str
        What the columns mean, where a comment says so.
    left_out : mapping of str to str
        Columns of bytes and lists, which cannot stand in a table, with their kinds.
    growing : tuple of str
        Columns of numbers and times: those that may grow with every new row.
    """

    primary_key: tuple[str, ...] = ()
    links: tuple[DeclaredLink, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    growing: tuple[str, ...] = ()


class Reader(Protocol):
    """An open database.

    Obligations: it never writes; all tables are seen as of one moment where the database can do that; only the rows of
    one batch are held; what goes wrong is raised as one of our errors.
    """

    def tables(self) -> list[str]:
        """Return the names of the tables that there are."""
        ...

    def keys(self, query: TableQuery) -> DeclaredKeys:
        """Return what is declared about a table."""
        ...

    def count(self, query: TableQuery, left_out: Mapping[str, str]) -> int | None:
        """Return how many rows will come; None where that is dear to know."""
        ...

    def batches(self, query: TableQuery, left_out: Mapping[str, str]) -> Generator[Batch, None, None]:
        """Yield column names and Arrow arrays, batch by batch; the first one is empty. To be closed."""
        ...


@contextmanager
def open_database(source: DatabaseSource) -> Iterator[Reader]:
    """Open the database for reading.

    Raises
    ------
    UnavailableError, ConfigurationError, NotFoundError
        See `warehouse.sql_errors.database_errors`.
    """
    if source.is_file and not Path(source.address.database or "").is_file():
        raise NotFoundError(msg("there is no such file or folder"), where=source.label)
    if source.address.get_backend_name() == "duckdb":
        from warehouse.duckdb_reading import open_duckdb

        with open_duckdb(source) as reader:
            yield reader
        return
    secret = source.password()
    with database_errors(source.label, secret, is_connected=False):
        engine = _engine(source, secret)
    try:
        with database_errors(source.label, secret, is_connected=False):
            connection = engine.connect()
        try:
            with database_errors(source.label, secret):
                connection = _read_only(connection)
            yield _SqlReader(source, connection, secret)
        except BaseException:
            connection.invalidate()  # closing politely would first fetch all rows that are still on their way
            raise
        finally:
            connection.close()
    finally:
        engine.dispose()


def _engine(source: DatabaseSource, secret: str | None) -> Engine:
    url = source.address
    if url.get_backend_name() == "sqlite":
        return sa.create_engine("sqlite://", creator=lambda: _sqlite(url), poolclass=sa.pool.NullPool)
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS}
    if url.get_backend_name() == "postgresql":
        options["application_name"] = "workbench import"
    known = {key: value for key, value in options.items() if key not in url.query}
    is_known = url.get_backend_name() in {"postgresql", "mysql", "mariadb"}
    return sa.create_engine(
        url if secret is None else url.set(password=secret),
        poolclass=sa.pool.NullPool,
        connect_args=known if is_known else {},
        hide_parameters=True,
    )


def _sqlite(url: URL) -> sqlite3.Connection:
    path = quote(str(Path(url.database or "").absolute()))
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_CONNECT_SECONDS, check_same_thread=False)


def _read_only(connection: Connection) -> Connection:
    """See everything as of one moment, and be unable to write."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        from warehouse.postgresql_times import read_endless_times

        read_endless_times(connection.connection.driver_connection)
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    if dialect in {"mysql", "mariadb"}:
        connection.exec_driver_sql("set session transaction read only")
        connection.commit()
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


class _SqlReader:
    """What SQLAlchemy can reach."""

    def __init__(self, source: DatabaseSource, connection: Connection, secret: str | None) -> None:
        self.source = source
        self.connection = connection
        self.secret = secret

    def tables(self) -> list[str]:
        with self._errors():
            return sorted(sa.inspect(self.connection).get_table_names(self.source.db_schema))

    def keys(self, query: TableQuery) -> DeclaredKeys:
        if query.query is not None:
            return DeclaredKeys()
        schema, name = self._place(query)
        with self._errors(query.name):
            inspector = sa.inspect(self.connection)
            columns = inspector.get_columns(name, schema)
            key = inspector.get_pk_constraint(name, schema)["constrained_columns"]
            links = [
                DeclaredLink(
                    found["constrained_columns"][0],
                    (found["referred_schema"] or schema, found["referred_table"]),
                    found["referred_columns"][0],
                )
                for found in inspector.get_foreign_keys(name, schema)
                if len(found["constrained_columns"]) == 1 and found["referred_columns"]
            ]
        return DeclaredKeys(
            tuple(key),
            tuple(links),
            {column["name"]: column["comment"] or "" for column in columns if column.get("comment")},
            {column["name"]: str(column["type"]) for column in columns if isinstance(column["type"], _LEFT_OUT)},
            tuple(column["name"] for column in columns if isinstance(column["type"], _GROWING)),
        )

    def count(self, query: TableQuery, left_out: Mapping[str, str]) -> int | None:
        if query.query is not None:
            return None
        with self._errors(query.name):
            statement = sa.select(sa.func.count()).select_from(self._select(query, left_out).subquery())
            return int(self.connection.execute(statement).scalar_one())

    def batches(self, query: TableQuery, left_out: Mapping[str, str]) -> Generator[Batch, None, None]:
        if self.connection.dialect.name == "postgresql" and (copied := self._copied(query, left_out)) is not None:
            with closing(copied), self._errors(query.name):
                yield from copied
            return
        options = {"stream_results": True, "yield_per": _MAX_BATCH_ROWS}
        with self._errors(query.name):
            statement = self._select(query, left_out)
            result = self.connection.execution_options(**options).execute(statement)
            try:
                names = list(map(str, result.keys()))
                n_rows = max(1, min(_MAX_BATCH_ROWS, _BATCH_CELLS // max(len(names), 1)))
                yield names, self._arrays(query, names, ())
                for rows in result.partitions(n_rows):
                    yield names, self._arrays(query, names, rows)
            finally:
                _close(result)

    def _copied(self, query: TableQuery, left_out: Mapping[str, str]) -> Generator[Batch, None, None] | None:
        """Return the rows by the server's own COPY; None where they must come by a cursor."""
        from warehouse.postgresql_copying import copied_batches

        with self._errors(query.name):
            statement = self._select(query, left_out).compile(dialect=self.connection.dialect)
            driver = self.connection.connection.driver_connection
            where = f"{self.source.label}, {query.name}"
            return copied_batches(driver, str(statement), statement.params, where)  # type: ignore[arg-type]

    def _arrays(self, query: TableQuery, names: list[str], rows: Sequence[Any]) -> list[Any]:
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        return [
            array_of(values, f"{self.source.label}, {query.name}, column {name}")
            for name, values in zip(names, columns, strict=True)
        ]

    def _select(self, query: TableQuery, left_out: Mapping[str, str]) -> sa.Select[Any]:
        """Return the statement; a query is put in brackets, so that nothing but one SELECT is understood."""
        if query.query is not None:
            text = query.query.strip().rstrip(";").replace(":", "\\:")
            everything: sa.FromClause = sa.text(f"select * from (\n{text}\n) as given").columns().subquery("given")  # noqa: S608
            return self._since(sa.select(sa.literal_column("*")).select_from(everything), query)
        schema, name = self._place(query)
        found = sa.inspect(self.connection).get_columns(name, schema)
        table = sa.table(name, *[sa.column(column["name"]) for column in found], schema=schema)
        columns = [_readable(table.c[column["name"]], column["type"]) for column in found]
        chosen = [column for column, kind in zip(columns, found, strict=True) if kind["name"] not in left_out]
        return self._since(sa.select(*chosen), query)

    def _since(self, statement: sa.Select[Any], query: TableQuery) -> sa.Select[Any]:
        if query.incremental_by is None or query.since is None:
            return statement
        # without a type of its own, a value that was kept as text is what the database takes it for: a date, a number
        since = sa.bindparam("since", query.since, type_=sa.types.NullType())
        return statement.where(sa.column(query.incremental_by) > since)

    def _place(self, query: TableQuery) -> tuple[str | None, str]:
        schema, name = query.where
        return schema or self.source.db_schema, name

    def _errors(self, table: str = "") -> Any:
        return database_errors(self.source.label, self.secret, table=table)


def _close(result: sa.CursorResult[Any]) -> None:
    """Close the cursor, with the rows that are still to come; MariaDB's driver would first fetch all of them."""
    pending = getattr(result.cursor, "_result", None)
    if getattr(pending, "unbuffered_active", False):
        pending.unbuffered_active = False  # type: ignore[union-attr]  # the connection itself is closed next
    result.close()


def _readable(column: sa.ColumnElement[Any], kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    """Return the column as its driver gives it; MySQL's bits as numbers, which it gives as bytes."""
    if type(kind).__name__ == "BIT" and type(kind).__module__.startswith("sqlalchemy.dialects.mysql"):
        return (column + sa.literal_column("0")).label(str(column.key))
    return column
