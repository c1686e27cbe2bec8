"""The online snapshot in PostgreSQL: written and put in place in one transaction, read over a few connections."""

import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from core.errors import IntegrityError, UnavailableError
from core.i18n import msg
from features.online import NoSnapshotError, OnlineSnapshot, SnapshotAbout

__all__ = ["PostgreSQLPlace", "PostgreSQLReader", "PostgreSQLSnapshot", "PostgreSQLWriter"]

_SCHEMA: Final = "workbench_online"
_GRACE_SECONDS: Final = 600
"""How long a snapshot that was replaced stays, for those who read in it."""
_MAX_IDLE: Final = 8
_REST_SECONDS: Final = 1.0
"""How long nobody knocks again at a database that did not answer."""
_ASKING: Final = {
    "connect_timeout": 2,
    "tcp_user_timeout": 3_000,
    "keepalives_idle": 5,
    "options": "-c statement_timeout=2000 -c default_transaction_read_only=on",
    "application_name": "workbench online snapshot",
}
# Any number, the same in every process: whoever holds it changes which snapshot is in place.
_LOCK: Final = 5_310_020


@dataclass(frozen=True)
class PostgreSQLPlace:
    """A database that holds the snapshots of one project, and perhaps of others.

    Parameters
    ----------
    url : str
        Its address, ``postgresql://…`` or with the driver named as SQLAlchemy does.
    project : str
        Whose snapshots.
    """

    url: str
    project: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file."""
        return False

    def reader(self) -> "PostgreSQLReader":
        """Return a reader."""
        return PostgreSQLReader(_plain(self.url), self.project)

    @contextmanager
    def writing(self) -> Iterator["PostgreSQLWriter"]:
        """Yield a writer; all that it does is one transaction, so that a crash or a cancel leaves nothing.

        Raises
        ------
        UnavailableError
            The database cannot be reached, or refuses what is needed.
        """
        try:
            with psycopg.connect(_plain(self.url), connect_timeout=5) as connection:
                _prepare(connection)
                writer = PostgreSQLWriter(connection, self.project)
                yield writer
                connection.rollback()
                _drop_replaced(connection)
        except psycopg.Error as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnavailableError(
                msg("the online snapshot cannot be written to the database: {reason}", reason=reason),
                fix=msg("Check that the database runs and that this user may create the schema {schema}.",
                        schema=_SCHEMA),
            ) from error  # fmt: skip

    def withdraw(self) -> bool:
        """Let the pointer show none; the tables go with the next publication."""
        try:
            with psycopg.connect(_plain(self.url), connect_timeout=5) as connection:
                connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
                query = sql.SQL("update {} set replaced_at = now() where project = %s and replaced_at is null")
                return connection.execute(query.format(_table("", "snapshot")), (self.project,)).rowcount > 0
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return False
        except psycopg.Error as error:
            raise _unreachable() from error

    def projects(self) -> list[str]:
        """Return all names under which a snapshot is in place in the database; raises `UnavailableError`."""
        query = sql.SQL("select project from {} where replaced_at is null").format(_table("", "snapshot"))
        try:
            return sorted(name for (name,) in _connections(_plain(self.url), os.getpid()).ask(query, ()))
        except NoSnapshotError:
            return []


class PostgreSQLSnapshot(OnlineSnapshot):
    """One published snapshot; its tables never change."""

    def __init__(self, about: SnapshotAbout, token: str, connections: "_Connections") -> None:
        super().__init__(about)
        self.token = token
        self._connections = connections
        self._queries: dict[tuple[int, int], sql.Composed] = {}

    def find(self, table: int, place: int, keys: Sequence[str]) -> Iterable[tuple[int, bytes]]:
        """Return the rows that have one of `keys`."""
        query = self._queries.get((table, place))
        if query is None:
            query = self._queries[table, place] = sql.SQL(
                "select r.id, r.content from {} k join {} r on r.id = k.id where k.value = any(%s) order by r.id"
            ).format(_table(self.token, f"key_{table}_{place}"), _table(self.token, f"rows_{table}"))
        return [(number, text.encode()) for number, text in self._connections.ask(query, (list(keys),))]


class PostgreSQLReader:
    """The snapshot in place in a database. Safe for several threads.

    Parameters
    ----------
    url : str
        Address that psycopg understands.
    project : str
        Whose snapshots.
    """

    def __init__(self, url: str, project: str) -> None:
        self._connections = _connections(url, os.getpid())
        self._project = project
        self._opened: PostgreSQLSnapshot | None = None

    def current(self) -> PostgreSQLSnapshot:
        """Return the snapshot in place.

        Raises
        ------
        NoSnapshotError
            There is none.
        UnavailableError
            The database cannot be reached.
        IntegrityError
            It is not of this format.
        """
        found = self._in_place("token")
        opened = self._opened
        if opened is None or opened.token != found[0]:
            token, text = self._in_place("token, about")
            try:
                opened = PostgreSQLSnapshot(SnapshotAbout.from_json(text), token, self._connections)
            except ValueError as error:
                raise IntegrityError(msg("the database holds no online snapshot of this version")) from error
            self._opened = opened
        return opened

    def size_bytes(self) -> int:
        """Return what the tables of the snapshot in place take with their indexes."""
        query = sql.SQL(
            "select coalesce(sum(pg_total_relation_size(c.oid)), 0) from pg_class c join pg_namespace n"
            " on n.oid = c.relnamespace where n.nspname = %s and c.relkind = 'r' and starts_with(c.relname, %s)"
        )
        return int(self._connections.ask(query, (_SCHEMA, f"{self.current().token}_"))[0][0])

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._connections.close()

    def _in_place(self, columns: LiteralString) -> Any:
        query = sql.SQL("select {} from {} where project = %s and replaced_at is null").format(
            sql.SQL(columns), _table("", "snapshot")
        )
        rows = self._connections.ask(query, (self._project,))
        if not rows:
            raise _missing()
        return rows[0]


class PostgreSQLWriter:
    """Writes a snapshot into tables of its own within one transaction."""

    def __init__(self, connection: "psycopg.Connection[Any]", project: str) -> None:
        self._connection = connection
        self._project = project
        self._token = f"s{secrets.token_hex(6)}"
        self._number = self._n_keys = 0

    def begin_table(self, number: int, n_keys: int) -> None:
        """Make a table for the rows, and one for each key column."""
        self._number, self._n_keys = number, n_keys
        self._do("create table {} (id bigint not null, content text not null)", f"rows_{number}")
        for place in range(n_keys):
            # Keys are compared as bytes, as everywhere in the engine.
            columns = '(value text collate "C" not null, id bigint not null)'
            self._do(f"create table {{}} {columns}", f"key_{number}_{place}")

    def add(self, first: int, contents: Sequence[str], keys: Sequence[Sequence[str | None]]) -> None:
        """Keep rows and their keys."""
        ids = range(first, first + len(contents))
        self._copy(f"rows_{self._number}", zip(ids, contents, strict=True))
        for place, values in enumerate(keys):
            pairs = zip(values, ids, strict=True)
            self._copy(f"key_{self._number}_{place}", (pair for pair in pairs if pair[0] is not None))

    def end_table(self) -> None:
        """Index the rows by number and by key."""
        self._do("alter table {} add primary key (id)", f"rows_{self._number}")
        self._do("analyze {}", f"rows_{self._number}")
        for place in range(self._n_keys):
            self._do("alter table {} add primary key (value, id)", f"key_{self._number}_{place}")
            self._do("analyze {}", f"key_{self._number}_{place}")

    def publish(self, about: SnapshotAbout) -> None:
        """Let the pointer show this snapshot, and commit."""
        pointer = _table("", "snapshot")
        self._connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        self._connection.execute(
            sql.SQL("update {} set replaced_at = now() where project = %s and replaced_at is null").format(pointer),
            (self._project,),
        )
        self._connection.execute(
            sql.SQL("insert into {} (token, project, about) values (%s, %s, %s)").format(pointer),
            (self._token, self._project, about.to_json()),
        )
        self._connection.commit()

    def _do(self, statement: LiteralString, name: str) -> None:
        self._connection.execute(sql.SQL(statement).format(_table(self._token, name)))

    def _copy(self, name: str, rows: Iterable[tuple[Any, Any]]) -> None:
        query = sql.SQL("copy {} from stdin").format(_table(self._token, name))
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in rows:
                copy.write_row(row)


class _Connections:
    """A few open connections that threads take and give back.

    A connection that broke while it lay idle is not the asker's fault: another is opened for the same question, which
    only reads. A database that does not answer is left alone for a moment, so that nobody else waits for it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._rest_until = 0.0

    def ask(self, query: sql.SQL | sql.Composed, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises
        ------
        UnavailableError
            The database cannot be reached, answers too slowly, or has no such snapshot.
        """
        while (connection := self._take()) is not None:
            if (rows := self._try(connection, query, values)) is not None:
                return rows
        if time.monotonic() < self._rest_until:
            raise _unreachable()
        try:
            return self._done(self._open(), query, values)
        except psycopg.OperationalError as error:
            self._rest_until = time.monotonic() + _REST_SECONDS
            raise _unreachable() from error

    def close(self) -> None:
        """Close the idle ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> "psycopg.Connection[Any] | None":
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _open(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self._url, autocommit=True, **_ASKING)  # type: ignore[arg-type]  # libpq's own words

    def _try(
        self, connection: "psycopg.Connection[Any]", query: sql.SQL | sql.Composed, values: tuple[Any, ...]
    ) -> list[tuple[Any, ...]] | None:
        try:
            return self._done(connection, query, values)
        except psycopg.errors.QueryCanceled as error:
            raise _unreachable() from error
        except psycopg.OperationalError:
            return None

    def _done(
        self, connection: "psycopg.Connection[Any]", query: sql.SQL | sql.Composed, values: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = connection.execute(query, values).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            connection.close()
            raise _missing() from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return rows
        connection.close()
        return rows


@cache
def _connections(url: str, pid: int) -> _Connections:  # noqa: ARG001 - a child process must not share its parent's
    """Return the connections to a database, one set for all projects: who finds it away spares the others the wait."""
    return _Connections(url)


def _plain(url: str) -> str:
    """Return the address without the driver that SQLAlchemy names in it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


def _table(token: str, name: str) -> sql.Identifier:
    return sql.Identifier(_SCHEMA, f"{token}_{name}" if token else name)


def _missing() -> NoSnapshotError:
    return NoSnapshotError(msg("there is no online snapshot"), fix=msg("Publish one."))


def _unreachable() -> UnavailableError:
    return UnavailableError(msg("the online snapshot cannot be read now"), code="no_snapshot")


def _prepare(connection: "psycopg.Connection[Any]") -> None:
    """Make the schema and the table that says which snapshot is in place, once."""
    connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(_SCHEMA)))
    connection.execute(
        sql.SQL(
            "create table if not exists {} (token text primary key, project text not null, about text not null,"
            " published_at timestamptz not null default now(), replaced_at timestamptz)"
        ).format(_table("", "snapshot"))
    )
    connection.execute(
        sql.SQL(
            "create unique index if not exists uq_snapshot_in_place on {} (project) where replaced_at is null"
        ).format(_table("", "snapshot"))
    )
    connection.commit()


def _drop_replaced(connection: "psycopg.Connection[Any]") -> None:
    """Remove the snapshots that were replaced long enough ago; who still reads one keeps it until the next time."""
    pointer = _table("", "snapshot")
    since = sql.SQL("select token from {} where replaced_at < now() - make_interval(secs => %s)").format(pointer)
    for (token,) in connection.execute(since, (_GRACE_SECONDS,)).fetchall():
        try:
            connection.execute("set local lock_timeout = '1s'")
            names = connection.execute(
                "select tablename from pg_tables where schemaname = %s and starts_with(tablename, %s)",
                (_SCHEMA, f"{token}_"),
            ).fetchall()
            for (name,) in names:
                connection.execute(sql.SQL("drop table {}").format(sql.Identifier(_SCHEMA, name)))
            connection.execute(sql.SQL("delete from {} where token = %s").format(pointer), (token,))
            connection.commit()
        except psycopg.errors.LockNotAvailable:
            connection.rollback()
