"""The database: transactions, many writers, column types, migrations, on SQLite and PostgreSQL."""

import importlib
import math
import pkgutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from core.database import Database, Json, UtcDateTime, metadata
from core.database.migration import MIGRATIONS, downgrade, newest, upgrade
from core.database.rows import insert_missing
from core.errors import ConfigurationError, UnavailableError
from core.tables import login_failure

_PACKAGES = (
    "core",
    "warehouse",
    "sample_data",
    "features",
    "reporting",
    "automl",
    "model_registry",
    "monitoring",
    "risk_control",
    "serving",
    "workbench",
)

_own = MetaData()
notes = Table(
    "note",
    _own,
    Column("id", Integer, primary_key=True),
    Column("word", String(50)),
    Column("at", UtcDateTime()),
    Column("data", Json()),
)


@pytest.fixture
def noted(database_url: str):
    with Database(database_url) as database:
        with database.begin() as connection:
            _own.create_all(connection)
        yield database


def _words(database: Database) -> list[str]:
    with database.connect() as connection:
        return list(connection.execute(select(notes.c.word).order_by(notes.c.id)).scalars())


def test_a_transaction_is_kept_at_its_end_and_undone_where_it_raises(noted):
    with noted.begin() as connection:
        connection.execute(insert(notes).values(word="kept"))
    with pytest.raises(RuntimeError, match="half-way"), noted.begin() as connection:
        connection.execute(insert(notes).values(word="undone"))
        raise RuntimeError("half-way")
    assert _words(noted) == ["kept"]


def test_a_reading_connection_cannot_write_and_the_next_one_can(noted):
    with pytest.raises(DBAPIError, match=r"read-?only"), noted.connect() as connection:
        connection.execute(insert(notes).values(word="refused"))
    with noted.begin() as connection:
        connection.execute(insert(notes).values(word="allowed"))
    assert _words(noted) == ["allowed"]


def test_sqlite_runs_with_wal_a_busy_timeout_and_foreign_keys(sqlite_database):
    with sqlite_database.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"pragma {name}").scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1}


_WRITER = """
    import sys
    from sqlalchemy import text
    from core.database import Database
    url, writer, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Database(url) as database:
        for i in range(n):
            with database.begin() as connection:
                value = connection.execute(text("select value from counter")).scalar_one()
                connection.execute(text("update counter set value = :value"), {"value": value + 1})
                connection.execute(text("insert into mark values (:writer, :i)"), {"writer": writer, "i": i})
"""


def test_four_processes_write_to_sqlite_at_once_and_lose_nothing(tmp_path, run_python):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with Database(url) as database:
        with database.begin() as connection:
            connection.execute(text("create table counter (value integer)"))
            connection.execute(text("insert into counter values (0)"))
            connection.execute(text("create table mark (writer integer, i integer)"))
        run_python(_WRITER, url, 100, n=4)
        with database.connect() as connection:
            # Each writer reads, then writes: a lost update would leave the counter behind the marks.
            assert connection.execute(text("select value from counter")).scalar_one() == 400
            assert connection.execute(text("select count(distinct writer * 1000 + i) from mark")).scalar_one() == 400


def test_a_lock_that_is_not_free_in_time_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("core.database.connection._BUSY_TIMEOUT_S", 0.1)
    with Database(f"sqlite:///{tmp_path / 'held.db'}") as holder, Database(holder.url) as waiter:
        with holder.begin(), pytest.raises(UnavailableError, match="locked"), waiter.begin():
            pass
        with waiter.begin() as connection:  # the refused transaction left nothing behind
            connection.execute(text("create table free (id integer)"))


def test_an_unreachable_server_is_a_clear_error_without_the_password():
    database = Database("postgresql+psycopg://somebody:hidden-word@127.0.0.1:1/none")
    with pytest.raises(UnavailableError) as caught, database.connect():
        pass
    assert "127.0.0.1" in str(caught.value)
    assert "hidden-word" not in str(caught.value)


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    (tmp_path / "text.db").write_text("this is no database\n" * 100)
    with pytest.raises(UnavailableError, match="not a database"), Database(f"sqlite:///{tmp_path}/text.db").connect():
        pass
    with pytest.raises(UnavailableError), Database(f"sqlite:///{tmp_path}/text.db/inside/x.db").begin():
        pass


@pytest.mark.parametrize("url", ["no address", "oracle+none://x", "sqlite+nodriver:///x"])
def test_an_unusable_address_is_a_configuration_error(url):
    with pytest.raises(ConfigurationError) as caught, Database(url).connect():
        pass
    assert caught.value.where == "WORKBENCH_DATABASE_URL"


_zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=_zones)  # noqa: DTZ001
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moment=_moments, value=_values)
def test_moments_and_json_come_back_as_they_were(noted, moment, value):
    with noted.begin() as connection:
        key = connection.execute(insert(notes).values(at=moment, data=value)).inserted_primary_key[0]
    with noted.connect() as connection:
        row = connection.execute(select(notes).where(notes.c.id == key)).one()
    assert row.at == moment
    assert row.at.tzinfo is UTC
    assert row.data == value


def test_moments_sort_by_time_whatever_their_zone(noted):
    east = timezone(timedelta(hours=8))
    with noted.begin() as connection:
        connection.execute(insert(notes).values(word="second", at=datetime(2026, 1, 1, 9, tzinfo=UTC)))
        connection.execute(insert(notes).values(word="first", at=datetime(2026, 1, 1, 16, tzinfo=east)))
    with noted.connect() as connection:
        assert list(connection.execute(select(notes.c.word).order_by(notes.c.at)).scalars()) == ["first", "second"]


@pytest.mark.parametrize(
    "values",
    [{"at": datetime(2026, 1, 1)}, {"data": {"x": math.nan}}, {"data": [math.inf]}],  # noqa: DTZ001
)
def test_a_moment_without_zone_and_numbers_that_json_lacks_are_refused(noted, values):
    with pytest.raises((StatementError, ValueError)), noted.begin() as connection:
        connection.execute(insert(notes).values(**values))
    assert _words(noted) == []


def test_no_json_is_null(noted):
    with noted.begin() as connection:
        connection.execute(insert(notes).values(word="none", data=None))
    with noted.connect() as connection:
        assert connection.execute(select(func.count()).where(notes.c.data.is_(None))).scalar_one() == 1


def test_insert_missing_adds_only_what_is_not_there(noted):
    rows = [{"id": number, "word": str(number)} for number in range(20_000)]
    with noted.begin() as connection:
        connection.execute(insert(notes).values(id=7, word="older"))
        assert insert_missing(connection, notes, rows) == 19_999
        assert insert_missing(connection, notes, rows) == 0
        assert insert_missing(connection, notes, rows[:1]) == 0
        assert insert_missing(connection, notes, [{"id": 20_000, "word": "one"}]) == 1
        assert insert_missing(connection, notes, []) == 0
        assert connection.execute(select(notes.c.word).where(notes.c.id == 7)).scalar_one() == "older"


_MIGRATOR = """
    import sys
    from core.database import Database
    with Database(sys.argv[1]) as database:
        database.migrate()
        database.migrate()
"""


def test_several_processes_may_migrate_a_new_database_at_once(database_url, run_python):
    run_python(_MIGRATOR, database_url, n=2)
    with Database(database_url) as database, database.connect() as connection:
        versions = connection.execute(text("select version_num from alembic_version")).scalars().all()
    assert versions == [newest()]


def test_migrations_make_the_tables_that_the_code_declares(database):
    """The migrated schema and `metadata` are equal, so that no package's table lacks its migration."""
    _import_all_tables()
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_foreign_keys_hold(database):
    _import_all_tables()
    with database.connect() as connection:
        for name, table in metadata.tables.items():
            declared = {(key.parent.name, key.column.table.name) for key in table.foreign_keys}
            made = {
                (column, key["referred_table"])
                for key in inspect(connection).get_foreign_keys(name)
                for column in key["constrained_columns"]
            }
            assert made == declared, name


def test_migrations_go_down_to_nothing_and_up_again(database_url):
    with Database(database_url) as database:
        database.migrate()
        before = _tables(database)
        with database.begin() as connection:
            downgrade(connection, "base")
        assert _tables(database) == {"alembic_version"}
        database.migrate()
        assert _tables(database) == before


def test_each_version_upgrades_by_itself_with_data_in_place(database_url):
    with Database(database_url) as database:
        for revision in _revisions():
            with database.begin() as connection:
                upgrade(connection, revision)
                _put_data_once(connection)
        with database.connect() as connection:
            assert connection.execute(text("select count(*) from login_failure")).scalar_one() == 1


def test_a_migration_that_fails_leaves_nothing_half_done(database_url):
    with Database(database_url) as database:
        with database.begin() as connection:
            connection.execute(text("create table api_key (id integer)"))  # stands in the way of the first version
        before = _tables(database)
        with pytest.raises(DBAPIError):
            database.migrate()
        assert _tables(database) == before


def test_tables_of_a_newer_version_are_refused_and_left_alone(database_url):
    with Database(database_url) as database:
        database.migrate()
        with database.begin() as connection:
            connection.execute(text("update alembic_version set version_num = '9999'"))
        with pytest.raises(ConfigurationError, match="9999"):
            database.migrate()
        with database.connect() as connection:
            assert connection.execute(text("select version_num from alembic_version")).scalar_one() == "9999"


def test_threads_may_migrate_at_once(database_url):
    with Database(database_url) as database, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: database.migrate(), range(4)))
        assert "audit_record" in _tables(database)


def test_versions_stand_in_one_line():
    """Their numbers are in their files' names, and each names the one before it."""
    script = ScriptDirectory(str(MIGRATIONS))
    line = [step.revision for step in script.walk_revisions()][::-1]
    assert line == _revisions() == [f"{number:04d}" for number in range(1, len(line) + 1)]
    assert script.get_heads() == [newest()]


def test_a_database_that_needs_no_migration_needs_no_alembic(sqlite_database, run_python):
    code = """
        import sys
        from core.database import Database
        with Database(sys.argv[1]) as database:
            database.migrate()
        print("alembic" in sys.modules)
    """
    assert run_python(code, sqlite_database.url) == ["False\n"]


def _put_data_once(connection: Connection) -> None:
    row = {"name_hash": "0" * 64, "n_failures": 1, "last_failure_at": datetime(2026, 1, 1, tzinfo=UTC)}
    insert_missing(connection, login_failure, [row])


def _tables(database: Database) -> set[str]:
    with database.connect() as connection:
        return set(inspect(connection).get_table_names())


def _revisions() -> list[str]:
    return sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _import_all_tables() -> None:
    """Import every module called ``tables`` outside the pages' own folders: those declare on `metadata`."""
    root = Path(__file__).parents[2]
    for package in _PACKAGES:
        for module in pkgutil.walk_packages([str(root / package)], f"{package}."):
            if module.name.endswith(".tables") and not module.name.startswith("workbench.ui."):
                importlib.import_module(module.name)
