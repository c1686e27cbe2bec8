"""Small folders of files to import, the real data sets, and real database servers to import from.

MariaDB is Debian's, started once per test process in a temporary folder on a free loopback port, as PostgreSQL is (see
``tests/conftest.py``), and stopped by its own pid.
"""

import gzip
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings

from core.findings import Finding

# the same examples on every machine and at every load, and no folder of old ones in the checkout
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write files (text as UTF-8, bytes as they are; ``.gz`` names are compressed) and return their folder."""

    def write(files: dict[str, str | bytes]) -> Path:
        target = tmp_path / "source"
        target.mkdir(exist_ok=True)
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (target / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return target

    return write


@pytest.fixture
def codes() -> Callable[..., list[str]]:
    """Return the codes of findings, of those in one place where it is given."""

    def of(findings: tuple[Finding, ...] | list[Finding], where: str = "") -> list[str]:
        return [finding.code for finding in findings if where in finding.where]

    return of


@dataclass(frozen=True)
class Server:
    """A server with an empty database: as its owner, and as a reader whose rights the owner grants."""

    kind: str
    address: sa.URL
    reader: str
    reader_password: str

    @property
    def engine(self) -> sa.Engine:
        """The database, as its owner."""
        return sa.create_engine(self.address, poolclass=sa.NullPool)

    def run(self, *statements: str, **values: Any) -> None:
        """Run statements as the owner."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)

    def url(self, user: str | None = None, **changes: Any) -> str:
        """Return the address as a person writes it, without the password and the driver."""
        plain = sa.URL.create(
            self.kind, user or self.reader, None, self.address.host, self.address.port, self.address.database
        )
        return plain.set(**changes).render_as_string(hide_password=False)


@pytest.fixture(params=[pytest.param("postgresql", marks=pytest.mark.postgresql), "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """A server with an empty database; the test runs on PostgreSQL and on MariaDB."""
    return request.getfixturevalue(f"{request.param}_source")


@pytest.fixture
def postgresql_source(postgresql_url: str, postgresql_server: Any) -> Iterator[Server]:
    """An empty PostgreSQL database, and a user who may connect and nothing else."""
    reader, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(12)
    server = Server("postgresql", sa.make_url(postgresql_url), reader, password)
    server.run(f"create user {reader} password '{password}'")
    yield server
    server.run(f"drop owned by {reader}", f"drop user {reader}")


@pytest.fixture
def mariadb_source(mariadb_port: int) -> Iterator[Server]:
    """An empty MariaDB database, and a user who may connect and nothing else."""
    name, reader, password = f"test_{secrets.token_hex(4)}", f"reader_{secrets.token_hex(4)}", secrets.token_hex(12)
    root = sa.URL.create("mysql+pymysql", "root", None, "127.0.0.1", mariadb_port)
    Server("mariadb", root, reader, password).run(
        f"create database {name} character set utf8mb4", f"create user {reader}@'%' identified by '{password}'"
    )
    server = Server("mariadb", root.set(database=name), reader, password)
    yield server
    server.run(f"drop user {reader}@'%'", f"drop database {name}")


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    """Start a MariaDB server for this test process, its root without a password, and return its port."""
    installer = shutil.which("mariadb-install-db")
    binary = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if installer is None or binary is None:
        reason = "no MariaDB server binaries here: install the package mariadb-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="workbench-mariadb-"))
    user = ["--user=mysql"] if os.geteuid() == 0 else []  # the server refuses root
    try:
        if user:
            shutil.chown(folder, "mysql")
        common = ["--no-defaults", f"--datadir={folder / 'data'}", *user]
        command = [installer, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        yield from _running([binary, *common], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _running(command: list[str], folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", "--skip-name-resolve"]
    options += [f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=16M"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd="/")
        try:
            _wait_until_ready(port, process, folder / "log")
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    import pymysql

    deadline = time.monotonic() + 60
    while True:
        try:
            return pymysql.connect(host="127.0.0.1", port=port, user="root").close()
        except pymysql.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"MariaDB did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
