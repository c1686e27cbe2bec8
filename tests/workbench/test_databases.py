"""Tables of a database: looked at, imported whole and row by row, the password in one file only."""

import sqlite3
import stat
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from core.errors import ConfigurationError, NotFoundError, PermissionDeniedError, WorkbenchError
from tests.workbench.conftest import VIEWER
from workbench.flows import databases, importing, projects, quality
from workbench.flows.context import Context
from workbench.flows.databases import DatabaseSource, address
from workbench.flows.spec import ProjectSpec

FIRMS = [(1, "C", "2024-01-05"), (2, "F", "2024-02-05")]
TABLES = "create table firms (firm_id integer primary key, sector varchar(2), loaded_on date)"
GROWING = [{"name": "firms", "incremental_by": "loaded_on"}]


@pytest.fixture
def project(ctx: Context) -> str:
    return projects.create(ctx, ProjectSpec(name="p")).name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "loans.db"
    write(path, TABLES)
    write(path, "insert into firms values (?, ?, ?)", FIRMS)
    return path


def write(path: Path, statement: str, rows: list[tuple[object, ...]] | None = None) -> None:
    with sqlite3.connect(path) as connection:
        connection.executemany(statement, [()] if rows is None else rows)
    connection.close()


def test_what_there_is_is_told_before_anything_is_imported(ctx: Context, file: Path) -> None:
    (table,) = databases.tables(ctx, DatabaseSource(url=f"sqlite:///{file}"))
    assert (table.name, table.n_rows, table.primary_key) == ("firms", 2, ("firm_id",))
    assert table.growing == ("firm_id", "loaded_on")  # numbers and times, to choose from
    with pytest.raises(PermissionDeniedError):
        databases.tables(ctx.acting_as(VIEWER), DatabaseSource(url=f"sqlite:///{file}"))
    with pytest.raises(NotFoundError):
        databases.tables(ctx, DatabaseSource(url=f"sqlite:///{file}.not"))


def test_new_rows_are_put_to_the_old_ones_and_known_keys_replaced(ctx: Context, project: str, file: Path) -> None:
    databases.remember(ctx, project, DatabaseSource(url=f"sqlite:///{file}", tables=GROWING))
    assert databases.read(ctx, project).n_rows == 2
    write(file, "update firms set sector = 'E', loaded_on = '2024-03-01' where firm_id = 1")
    write(file, "insert into firms values (?, ?, ?)", [(3, "A", "2024-03-02"), (4, "A", "2023-12-31")])
    result = databases.read(ctx, project, only_new=True)
    frame = importing.tables(ctx, project).frame("firms")
    # A row that was loaded late with an earlier date is never seen: that is what a growing column means.
    assert dict(zip(frame["firm_id"], frame["sector"], strict=True)) == {"1": "E", "2": "F", "3": "A"}
    assert [item.code for item in result.findings if item.where == "firms"] == ["rows_added"]
    assert [item.data_fingerprint for item in quality.state(ctx, project).history][-1] == result.fingerprint
    again = databases.read(ctx, project, only_new=True)
    assert again.fingerprint == result.fingerprint
    assert databases.read(ctx, project).n_rows == 4


def with_late_rows(grows: str, reread: float, key: str = "primary key") -> tuple[str, list[dict[str, object]]]:
    table = f"create table firms (firm_id integer {key}, sector varchar(2), loaded_on date, step integer)"
    return table, [{"name": "firms", "incremental_by": grows, "reread": reread}]


@pytest.mark.parametrize("key", ["primary key", ""])
@pytest.mark.parametrize(("grows", "reread"), [("loaded_on", 3.0), ("step", 5.0)])
def test_rows_that_come_late_are_seen_as_far_back_as_is_read_again(
    ctx: Context, project: str, tmp_path: Path, grows: str, reread: float, key: str
) -> None:
    file = tmp_path / "late.db"
    table, growing = with_late_rows(grows, reread, key)
    write(file, table)
    rows = [(1, "C", "2024-01-01", 1), (2, "F", "2024-03-04", 18), (3, "E", "2024-03-05", 20)]
    write(file, "insert into firms values (?, ?, ?, ?)", rows)
    model = {"tables": {"firms": {"primary_key": ["firm_id"] if key else []}}}
    projects.write_spec(ctx, project, ProjectSpec.model_validate({"name": "p", "data": model}))
    databases.remember(ctx, project, DatabaseSource(url=f"sqlite:///{file}", tables=growing))
    assert databases.read(ctx, project).n_rows == 3
    late = [(4, "A", "2024-03-03", 16), (5, "A", "2024-02-01", 3)]  # within what is read again, and long before it
    write(file, "insert into firms values (?, ?, ?, ?)", late)
    result = databases.read(ctx, project, only_new=True)
    frame = importing.tables(ctx, project).frame("firms")
    assert sorted(map(int, frame["firm_id"])) == [1, 2, 3, 4]
    again = databases.read(ctx, project, only_new=True)
    assert again.n_rows == result.n_rows == 4
    write(file, "delete from firms where firm_id = 3")
    write(file, "insert into firms values (?, ?, ?, ?)", [(6, "A", "2024-03-06", 21)])
    databases.read(ctx, project, only_new=True)
    numbers = sorted(map(int, importing.tables(ctx, project).frame("firms")["firm_id"]))
    assert numbers == ([1, 2, 3, 4, 6] if key else [1, 2, 4, 6])  # without a key what was read again is replaced whole


def test_how_far_a_table_was_read_never_goes_back(ctx: Context, project: str, file: Path) -> None:
    growing = [{"name": "firms", "incremental_by": "loaded_on", "reread": 60.0}]
    databases.remember(ctx, project, DatabaseSource(url=f"sqlite:///{file}", tables=growing))
    databases.read(ctx, project)
    write(file, "delete from firms where firm_id = 2")
    databases.read(ctx, project, only_new=True)
    kept = next((projects.folder(ctx, project) / "data").glob("*/watermarks.json")).parent.parent
    marks = sorted(path.read_text() for path in kept.glob("*/watermarks.json"))
    assert all("2024-02-05" in mark for mark in marks)


def test_texts_cannot_be_read_again_by_a_distance(ctx: Context, project: str, file: Path) -> None:
    growing = [{"name": "firms", "incremental_by": "sector", "reread": 1.0}]
    databases.remember(ctx, project, DatabaseSource(url=f"sqlite:///{file}", tables=growing))
    databases.read(ctx, project)
    with pytest.raises(ConfigurationError, match="texts have no distance"):
        databases.read(ctx, project, only_new=True)


@pytest.mark.postgresql
def test_a_permission_that_is_gone_leaves_the_tables_of_before(ctx: Context, project: str, postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("create table firms (firm_id integer primary key, sector text)"))
        connection.execute(sa.text("create table loans (loan_id integer primary key, firm_id integer)"))
        connection.execute(sa.text("insert into firms select n, 'A' from generate_series(1, 5) n"))
        connection.execute(sa.text("insert into loans select n, n % 5 + 1 from generate_series(1, 9) n"))
        connection.execute(sa.text("create role half_reader login password 'only-here-1'"))
        connection.execute(sa.text("grant select on firms, loans to half_reader"))
    url = sa.make_url(postgresql_url)
    try:
        place = address("postgresql", url.database or "", host=url.host or "", port=url.port, user="half_reader")
        password = databases.keep_password(ctx, project, "only-here-1")
        chosen = [{"name": "firms"}, {"name": "loans"}]
        databases.remember(ctx, project, DatabaseSource(url=place, password_file=str(password), tables=chosen))
        before = databases.read(ctx, project)
        assert before.n_rows == 14
        with engine.begin() as connection:
            connection.execute(sa.text("revoke select on loans from half_reader"))
        with pytest.raises(WorkbenchError) as caught:
            databases.read(ctx, project)
        assert caught.value.code == "database_permission"
        assert importing.stored(ctx, project) == before
        assert importing.tables(ctx, project).fingerprint == before.fingerprint
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("drop owned by half_reader"))
            connection.execute(sa.text("drop role half_reader"))


def test_without_a_database_or_with_other_columns_nothing_is_lost(ctx: Context, project: str, file: Path) -> None:
    with pytest.raises(ConfigurationError, match="names no database"):
        databases.read(ctx, project)
    databases.remember(ctx, project, DatabaseSource(url=f"sqlite:///{file}", tables=GROWING))
    before = databases.read(ctx, project)
    write(file, "alter table firms add column staff integer")
    write(file, "insert into firms values (?, ?, ?, ?)", [(5, "A", "2024-05-01", 7)])
    with pytest.raises(ConfigurationError, match="staff"):
        databases.read(ctx, project, only_new=True)
    assert importing.stored(ctx, project) == before


@pytest.mark.postgresql
def test_the_password_is_in_one_file_that_only_this_user_reads(ctx: Context, project: str, postgresql_url: str) -> None:
    url = sa.make_url(postgresql_url)
    assert url.password is not None
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(TABLES)
        connection.cursor().executemany("insert into firms values (%s, %s, %s)", FIRMS)
    path = databases.keep_password(ctx, project, url.password)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    where = address("postgresql", str(url.database), host=str(url.host), port=url.port, user=str(url.username))
    source = DatabaseSource(url=where, password_file=str(path), tables=GROWING)
    databases.remember(ctx, project, source)
    assert databases.read(ctx, project).n_rows == 2
    assert databases.read(ctx, project, only_new=True).n_rows == 2
    held = [found for found in ctx.settings.home.rglob("*") if found.is_file() and found != path]
    assert not [found for found in held if url.password.encode() in found.read_bytes()]
    databases.keep_password(ctx, project, "wrong")
    with pytest.raises(WorkbenchError) as error:
        databases.read(ctx, project)
    assert "wrong" not in error.value.text("en").replace("wrong password", "")
    databases.forget_password(ctx, project)
    with pytest.raises(ConfigurationError, match="password"):
        databases.read(ctx, project)
