"""Connections and transactions, the same on SQLite and PostgreSQL."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from core.database.migration import is_newest, upgrade
from core.errors import ConfigurationError, UnavailableError
from core.i18n import msg

__all__ = ["Database"]

_BUSY_TIMEOUT_S = 5.0
_READING = "workbench_reading"


class Database:
    """One database: its connections, its transactions and its migrations.

    Safe for use by several threads; a child process makes its own.

    Parameters
    ----------
    url : str
        SQLAlchemy address: ``sqlite:///<file>`` or ``postgresql+psycopg://<user>@<host>/<name>``. The folder of a
        SQLite file is made on first use.

    Examples
    --------
    >>> with Database("sqlite://") as database, database.connect() as connection:
    ...     connection.exec_driver_sql("select 1 + 1").scalar_one()
    2
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def engine(self) -> Engine:
        """The SQLAlchemy engine. Its own transactions are writing ones, as those of `begin`."""
        try:
            address = make_url(self.url)
            is_sqlite = address.get_backend_name() == "sqlite"
            engine = create_engine(address, json_serializer=_to_json, pool_pre_ping=not is_sqlite)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                msg("the database address is not usable: {reason}", reason=type(error).__name__),
                where="WORKBENCH_DATABASE_URL",
                fix=msg("use sqlite:///<file> or postgresql+psycopg://<user>:<password>@<host>/<name>"),
            ) from None
        if is_sqlite:
            _prepare_sqlite(engine)
        return engine

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a writing transaction: committed at the end, rolled back where the body raises.

        On SQLite the write lock is taken at once (``BEGIN IMMEDIATE``), so a body never fails half-way because another
        process writes; it waits up to 5 s at the start.

        Raises
        ------
        UnavailableError
            Where the database cannot be reached, or the lock is not free in time.
        """
        with self._open(reading=False) as connection:
            yield connection
            connection.commit()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a reading transaction; a statement that writes is refused by the database.

        Raises
        ------
        UnavailableError
            Where the database cannot be reached.
        """
        with self._open(reading=True) as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the tables to the newest version.

        Does nothing where they are. Several threads and processes may call it at once.

        Raises
        ------
        ConfigurationError
            Where a newer version of the product made the tables.
        UnavailableError
            Where the database cannot be reached.
        """
        with self.connect() as connection:
            if is_newest(connection):
                return
        with self.begin() as connection:
            upgrade(connection)

    def dispose(self) -> None:
        """Close the idle connections; the next use opens new ones."""
        self.engine.dispose()

    def _open(self, *, reading: bool) -> Connection:
        options = {_READING: reading, "postgresql_readonly": reading}
        connection: Connection | None = None
        try:
            connection = self.engine.connect().execution_options(**options)
            connection.begin()
        except (DBAPIError, OSError) as error:
            if connection is not None:
                connection.close()
            raise _unavailable(self.engine, error) from error
        return connection

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dispose()


def _unavailable(engine: Engine, error: DBAPIError | OSError) -> UnavailableError:
    address = engine.url.render_as_string(hide_password=True)
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = (str(cause).splitlines() or [""])[0]
    return UnavailableError(
        msg("the database {address} cannot be used now: {reason}", address=address, reason=reason),
        fix=msg("check that it runs, that this user may use it, and that no other program holds it"),
    )


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _prepare_sqlite(engine: Engine) -> None:
    """Make SQLite behave: many processes, real transactions, foreign keys."""
    event.listen(engine, "do_connect", _make_folder)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _make_folder(dialect: Any, record: Any, arguments: list[Any], options: dict[str, Any]) -> None:  # noqa: ARG001
    if arguments and arguments[0] != ":memory:":
        Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:  # noqa: ARG001
    # The driver's own transactions start too late and end too early; `_begin_sqlite` starts them instead.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {round(_BUSY_TIMEOUT_S * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    _switch_to_wal(connection)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Of several processes that make a new file at once, SQLite refuses all but one here without waiting.
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_READING):
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
