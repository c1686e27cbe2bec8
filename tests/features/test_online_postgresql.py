import psycopg
import pytest

from core.errors import UnavailableError
from features import online_postgresql
from features.online_postgresql import PostgreSQLPlace
from features.online_publishing import publish_snapshot
from tests.features.test_streaming import two_parents

pytestmark = pytest.mark.postgresql


def tables_of(url):
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        query = "select tablename from pg_tables where schemaname = 'workbench_online' order by tablename"
        return [name for (name,) in connection.execute(query)]


def test_those_that_were_replaced_long_ago_are_dropped_and_those_of_other_projects_kept(postgresql_url, monkeypatch):
    world, plan = two_parents()
    publish_snapshot(world, PostgreSQLPlace(postgresql_url, "other"), [plan])
    n_tables = len(tables_of(postgresql_url))
    place = PostgreSQLPlace(postgresql_url, "guarantee")
    publish_snapshot(world, place, [plan])
    publish_snapshot(world, place, [plan])
    assert len(tables_of(postgresql_url)) == 3 * n_tables - 2
    monkeypatch.setattr(online_postgresql, "_GRACE_SECONDS", 0)
    publish_snapshot(world, place, [plan])
    assert len(tables_of(postgresql_url)) == 2 * n_tables - 1


def test_a_connection_that_broke_while_idle_is_replaced(postgresql_url, postgresql_server):
    world, plan = two_parents()
    place = PostgreSQLPlace(postgresql_url, "guarantee")
    publish_snapshot(world, place, [plan])
    reader = place.reader()
    key = world.frame("deal")["deal"][0]
    expected = reader.current().rows_of(plan, key)
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'workbench%'"
        )
    assert reader.current().rows_of(plan, key) == expected
    reader.close()


def test_a_database_that_is_away_is_said_and_not_knocked_at_again_at_once(monkeypatch):
    knocked = []

    def refuse(*_, **__):
        knocked.append(1)
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(online_postgresql.psycopg, "connect", refuse)
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nowhere"
    for project in ("guarantee", "guarantee", "other"):
        reader = PostgreSQLPlace(url, project).reader()
        with pytest.raises(UnavailableError) as refused:
            reader.current()
        assert refused.value.code == "no_snapshot"
    assert len(knocked) == 1


def test_a_reader_cannot_write(postgresql_url):
    world, plan = two_parents()
    place = PostgreSQLPlace(postgresql_url, "guarantee")
    publish_snapshot(world, place, [plan])
    reader = place.reader()
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader._connections.ask(psycopg.sql.SQL("delete from workbench_online.snapshot returning token"), ())
    reader.close()
