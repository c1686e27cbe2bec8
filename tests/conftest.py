"""Fixtures for everybody: a migrated database, on SQLite and on a real PostgreSQL server; what a second try hid.

``database`` runs a test twice, on both; ``sqlite_database`` and ``postgresql_database`` give one of them, and
``database_url`` one without tables. The server is Debian's, started once per test process in a temporary folder on a
free loopback port, and stopped by its own pid.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import inspect, text

from core.database import Database
from tests.ports import free_port


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell why the first try of a test failed where a second one was given: it may be the product's fault."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


_START_TIMEOUT_S = 60
_FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60"}


@dataclass(frozen=True)
class PostgreSQLServer:
    """A running server that nobody else uses."""

    user: str
    password: str
    port: int
    version: int

    def url(self, name: str) -> str:
        """Return the SQLAlchemy address of one of its databases."""
        return f"postgresql+psycopg://{self.user}:{self.password}@127.0.0.1:{self.port}/{name}"

    def new_database(self) -> Iterator[str]:
        """Give the address of an empty database, dropped afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        # Without fsync a copy of the files is five times as fast as the log; before version 15 it is the only way.
        strategy = sql.SQL("strategy file_copy" if self.version >= 15 else "")
        self.execute(sql.SQL("create database {} template template0 {}").format(sql.Identifier(name), strategy))
        yield self.url(name)
        self.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def execute(self, statement: sql.Composable) -> None:
        """Run a statement outside any transaction."""
        address = self.url("postgres").replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """Start a PostgreSQL server for this test process."""
    binaries = _postgresql_binaries()
    owner = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # initdb refuses root
    folder = Path(tempfile.mkdtemp(prefix="workbench-postgresql-"))
    try:
        shutil.chown(folder, owner)
        password = secrets.token_hex(16)
        password_file = folder / "password"
        password_file.write_text(password)
        shutil.chown(password_file, owner)
        _run_initdb(binaries, folder, owner, password_file)
        yield from _running(binaries, folder, owner, password)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    """Address of an empty PostgreSQL database of one test's own."""
    yield from postgresql_server.new_database()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'workbench.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def sqlite_database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database of one test's own."""
    path = shutil.copy(migrated_file, tmp_path / "workbench.db")
    with Database(f"sqlite:///{path}") as database:
        yield database


@pytest.fixture
def postgresql_database(migrated_postgresql_url: str) -> Iterator[Database]:
    """A migrated PostgreSQL database, emptied after each test; a test that changes tables takes `postgresql_url`."""
    with Database(migrated_postgresql_url) as database:
        yield database
        _empty(database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated database; the test runs once on SQLite and once on PostgreSQL."""
    return request.getfixturevalue(f"{request.param}_database")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "workbench.db"
    with Database(f"sqlite:///{path}") as database:
        database.migrate()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql_url(postgresql_server: PostgreSQLServer) -> Iterator[str]:
    """Address of a migrated PostgreSQL database that the tests of this process share, one after the other."""
    for url in postgresql_server.new_database():
        with Database(url) as database:
            database.migrate()
        yield url


def _empty(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("set local lock_timeout = '10s'"))  # a test that left a transaction open fails here
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
        months = {name for name in names if re.fullmatch(r"score_\w+_\d{4}_\d{2}", name)}
        if months:
            connection.execute(text(f"drop table {', '.join(sorted(months))}"))
        names -= months
        connection.execute(text(f"truncate {', '.join(sorted(names))} restart identity cascade"))


def _postgresql_binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if installed:
        return installed[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    reason = "no PostgreSQL server binaries here: install the package postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _as(owner: str) -> dict[str, object]:
    """Return how a child process becomes `owner`, and looks at nothing of ours."""
    record = pwd.getpwnam(owner)
    identity: dict[str, object] = {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": []}
    return {"cwd": "/", "env": {"LC_ALL": "C", "PATH": os.defpath}, **(identity if os.geteuid() == 0 else {})}


def _run_initdb(binaries: Path, folder: Path, owner: str, password_file: Path) -> None:
    command = [binaries / "initdb", "-D", folder / "data", "-U", "workbench", "-E", "UTF8", "--locale=C", "--no-sync"]
    command += ["-A", "scram-sha-256", f"--pwfile={password_file}"]
    done = subprocess.run(command, **_as(owner), capture_output=True, text=True, timeout=120, check=False)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


def _version(binaries: Path) -> int:
    told = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[2].partition(".")[0])


def _running(binaries: Path, folder: Path, owner: str, password: str) -> Iterator[PostgreSQLServer]:
    server = PostgreSQLServer("workbench", password, free_port(), _version(binaries))
    options = {"listen_addresses": "127.0.0.1", "port": server.port, "unix_socket_directories": ""}
    command: list[object] = [binaries / "postgres", "-D", folder / "data"]
    for name, value in (options | _FAST_AND_FORGETFUL).items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, **_as(owner), stdout=log, stderr=log)  # type: ignore[call-overload]
        try:
            _wait_until_ready(server, process, folder / "log")
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            process.wait(timeout=60)


def _wait_until_ready(server: PostgreSQLServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            return server.execute(sql.SQL("select {}").format(sql.Literal(1)))
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
