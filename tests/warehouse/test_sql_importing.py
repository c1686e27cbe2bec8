"""Databases to import from: real servers, and files."""

# ruff: noqa: DTZ001 - columns without a time zone hold times without one
import datetime as dt
import logging
import re
import socket
import sqlite3
import time
import traceback
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from core.errors import (
    CancelledError,
    ConfigurationError,
    InputError,
    NotFoundError,
    UnavailableError,
    WorkbenchError,
)
from core.progress import CallbackProgress
from warehouse import postgresql_copying
from warehouse.data_model import DataModel
from warehouse.importing import import_tables
from warehouse.sql_importing import import_database
from warehouse.sql_source import DatabaseSource, TableQuery

ENTERPRISES = [
    (1, "甲公司", "A", dt.date(2019, 3, 5), 1),
    (2, "乙公司", "B", dt.date(2020, 2, 29), 0),
    (3, "it's", None, None, None),
]
LOANS = [
    (10, 1, 1_500_000.25, dt.date(2024, 1, 5), dt.datetime(2024, 1, 5, 9, 30, 15)),
    (11, 1, 20.0, dt.date(2024, 2, 6), dt.datetime(2024, 2, 6, 0, 0)),
    (12, 3, None, None, None),
    (13, None, -3.5, dt.date(2024, 3, 7), dt.datetime(2024, 3, 7, 23, 59, 59)),
]
TABLES = """
create table enterprises (
  ent_id integer primary key, name varchar(60) not null, grade varchar(2), founded_on date, is_active smallint);
create table loans (
  loan_no integer primary key, borrower integer references enterprises (ent_id), amount decimal(18, 2),
  signed_on date, entered {moment});
"""


def fill(run, moment="timestamp"):
    """Make the two tables through `run(statement, rows)`, with a mark that the driver understands."""
    for statement in TABLES.format(moment=moment).split(";")[:-1]:
        run(statement, None)
    run("insert into enterprises values ({})", ENTERPRISES)
    run("insert into loans values ({})", LOANS)


def fill_server(server):
    def run(statement, rows):
        with server.engine.begin() as connection:
            if rows is None:
                connection.exec_driver_sql(statement)
            else:
                connection.exec_driver_sql(statement.format(", ".join(["%s"] * len(rows[0]))), rows)

    tables = TABLES if server.kind == "postgresql" else TABLES.replace("integer references enterprises (ent_id)", "int")
    for statement in tables.format(moment="timestamp" if server.kind == "postgresql" else "datetime").split(";")[:-1]:
        run(statement, None)
    if server.kind == "mariadb":  # an inline reference is not kept as a foreign key
        run("alter table loans add foreign key (borrower) references enterprises (ent_id)", None)
    run("insert into enterprises values ({})", ENTERPRISES)
    run("insert into loans values ({})", LOANS)
    grant(server, "enterprises", "loans")


def grant(server, *tables):
    for table in tables:
        server.run(f"grant select on {table} to {server.reader}")


@pytest.fixture
def secret(server, monkeypatch):
    """The reader's password, in the environment."""
    monkeypatch.setenv("SOURCE_PASSWORD", server.reader_password)
    return server.reader_password


@pytest.fixture
def filled(server, secret):
    fill_server(server)
    return server


@pytest.fixture
def source(filled):
    return DatabaseSource(url=filled.url(), password_env="SOURCE_PASSWORD")


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


@pytest.fixture
def sqlite_source(tmp_path):
    path = tmp_path / "guarantees.db"
    with sqlite3.connect(path) as connection:

        def run(statement, rows):
            if rows is None:
                connection.execute(statement)
            else:
                texts = [[str(v) if isinstance(v, dt.date) else v for v in row] for row in rows]
                connection.executemany(statement.format(", ".join("?" * len(rows[0]))), texts)

        fill(run)
    connection.close()
    return DatabaseSource(url=f"sqlite:///{path}")


@pytest.fixture
def duckdb_source(tmp_path):
    path = tmp_path / "guarantees.duckdb"
    with duckdb.connect(path) as connection:

        def run(statement, rows):
            if rows is None:
                connection.execute(statement)
            else:
                connection.executemany(statement.format(", ".join("?" * len(rows[0]))), rows)

        fill(run)
    return DatabaseSource(url=f"duckdb:///{path}")


def expect_the_two_tables(result):
    assert set(result.table_set.names) == {"enterprises", "loans"}
    tables = result.data_model.tables
    assert (tables["enterprises"].primary_key, tables["loans"].primary_key) == (["ent_id"], ["loan_no"])
    assert [str(link) for link in result.data_model.relationships] == ["loans.borrower -> enterprises.ent_id"]
    enterprises, loans = result.table_set.frame("enterprises"), result.table_set.frame("loans")
    assert enterprises["ent_id"].tolist() == ["1", "2", "3"]
    assert enterprises["name"].tolist() == ["甲公司", "乙公司", "it's"]
    assert enterprises["grade"].tolist() == ["A", "B", None]
    assert enterprises["founded_on"].tolist() == [pd.Timestamp("2019-03-05"), pd.Timestamp("2020-02-29"), pd.NaT]
    np.testing.assert_array_equal(enterprises["is_active"], [1, 0, np.nan])
    assert loans["borrower"].tolist() == ["1", "1", "3", None]
    np.testing.assert_array_equal(loans["amount"], [1_500_000.25, 20, np.nan, -3.5])
    assert loans["entered"].tolist()[:2] == [pd.Timestamp("2024-01-05 09:30:15"), pd.Timestamp("2024-02-06")]
    assert tables["loans"].columns["entered"].type == "datetime"
    assert {finding.code for finding in result.findings} >= {"null_foreign_key"}


# ---------------------------------------------------------------------------------------------- what is read


def test_a_server_gives_its_tables_with_the_keys_that_it_declares(source, staging):
    expect_the_two_tables(import_database(source, staging=staging))
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_database_file_gives_the_same(request, kind, staging):
    expect_the_two_tables(import_database(request.getfixturevalue(f"{kind}_source"), staging=staging))
    assert list(staging.iterdir()) == []


def test_a_database_and_its_files_give_the_same_frames(source, folder):
    stored = import_database(source).table_set
    rows = [",".join("" if v is None else f"{v}" for v in row) for row in LOANS]
    files = import_tables(
        folder({"loans.csv": "loan_no,borrower,amount,signed_on,entered\n" + "\n".join(rows) + "\n"}),
        DataModel.from_text("tables: {loans: {columns: {borrower: {type: id}}}}"),
    ).table_set
    pd.testing.assert_frame_equal(stored.frame("loans"), files.frame("loans"))


def test_chosen_tables_and_a_query(source, filled):
    chosen = source.model_copy(
        update={
            "tables": [
                TableQuery(name="borrowers", table="enterprises"),
                TableQuery(
                    name="large",
                    query="select loan_no, amount, '10:30' as clock, 5 % 3 as rest from loans where amount > 10 --;",
                ),
            ]
        }
    )
    result = import_database(chosen)
    assert result.table_set.names == ("borrowers", "large")
    assert result.table_set.frame("large")["loan_no"].tolist() == ["10", "11"]
    assert result.table_set.frame("large")["clock"].tolist() == ["10:30", "10:30"]
    assert "file" not in result.data_model.tables["large"].model_fields_set


def test_the_model_of_a_person_goes_before_the_catalogue(source):
    given = DataModel.from_text(
        "{relationships: [], tables: {loans: {primary_key: [], columns: {amount: {type: number, unit: CNY}}}}}"
    )
    result = import_database(source, given)
    loans = result.data_model.tables["loans"]
    assert loans.primary_key == []
    assert loans.columns["amount"].unit == "CNY"
    assert [str(link) for link in result.data_model.relationships] == []


def test_the_complete_model_of_a_database_imports_again(source):
    first = import_database(source)
    again = import_database(source, DataModel.from_text(first.data_model.to_yaml()))
    assert again.table_set.fingerprint == first.table_set.fingerprint


def test_comments_become_labels(source, filled):
    if filled.kind == "postgresql":
        filled.run("comment on column loans.amount is '放款金额'")
    else:
        filled.run("alter table loans modify amount decimal(18, 2) comment '放款金额'")
    assert import_database(source).data_model.tables["loans"].columns["amount"].label == {"zh": "放款金额"}


def test_a_declared_key_is_tested_where_a_query_breaks_it(source):
    doubled = [TableQuery(name="loans", query="select * from loans union all select * from loans")]
    given = DataModel.from_text("tables: {loans: {primary_key: [loan_no]}}")
    with pytest.raises(InputError) as caught:
        import_database(source.model_copy(update={"tables": doubled}), given)
    assert caught.value.code == "duplicate_key"


def test_rows_without_their_parent_are_counted(source):
    chosen = [
        TableQuery(name="enterprises", query="select * from enterprises where ent_id > 1"),
        TableQuery(name="loans"),
    ]
    given = DataModel.from_text(
        "{tables: {enterprises: {primary_key: [ent_id]}}, relationships: "
        "[{parent: enterprises, parent_column: ent_id, child: loans, child_column: borrower}]}"
    )
    result = import_database(source.model_copy(update={"tables": chosen}), given)
    told = {finding.code: finding.text() for finding in result.findings}
    assert told["orphan_rows"] == "loans, column borrower: 2 of 4 rows name a enterprises that is not there, first 1"


@pytest.mark.postgresql
def test_every_kind_of_column_of_postgresql(postgresql_source, codes):
    postgresql_source.run(
        "create table kinds (id bigint primary key, big numeric(38), whole numeric(12, 0), money numeric(12, 2), "
        "flag boolean, d date, zoned timestamptz, u uuid, doc jsonb, clock time, raw bytea, many integer[], f real)",
        "insert into kinds values (9007199254740993, 123456789012345678901234567890, 5, 1.10, true, 'infinity', "
        "'2024-01-01 00:00:00Z', '00000000-0000-0000-0000-000000000001', '{\"a\": 1}', '10:30', 'x', '{1}', 1.5)",
        "insert into kinds (id, d) values (2, '0044-03-15 BC')",
    )
    address = postgresql_source.address
    source = DatabaseSource(url=postgresql_source.url(address.username), password_env="OWNER")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OWNER", str(address.password))
        result = import_database(source)
    frame = result.table_set.frame("kinds")
    first = frame.iloc[0].to_dict()
    assert first["id"] == "9007199254740993"
    assert first["big"] == "123456789012345678901234567890"
    assert (first["whole"], first["money"], first["flag"], first["f"]) == (5, 1.10, 1, 1.5)
    assert first["zoned"] == pd.Timestamp("2024-01-01 08:00")
    assert first["u"] == "00000000-0000-0000-0000-000000000001"
    assert (first["doc"], first["clock"]) == ('{"a": 1}', "10:30:00")
    assert frame["d"].isna().all()
    assert "outside_dates" in codes(result.findings, "column d")
    assert codes(result.findings, "column raw") == codes(result.findings, "column many") == ["column_left_out"]


_PLAIN_KINDS = (
    "create type grade as enum ('a', 'b')",
    "create table plain (id bigint primary key, small smallint, whole numeric(30, 0), money numeric(20, 4), "
    "f real, e double precision, flag boolean, d date, moment timestamp, zoned timestamptz, word text, code char(4), "
    "kind grade, u uuid)",
    "insert into plain values (1, 1, 5, 1.1000, 0.1, 1e-300, true, '2024-02-29', '2024-02-29 10:00:00.123456', "
    "'2024-02-29 10:00:00.5+05:30', 'a, \"b\"\n%\\.c', 'x', 'a', '00000000-0000-0000-0000-000000000001')",
    "insert into plain values (2, -2, null, 'NaN', 'NaN', 'Infinity', false, '0044-03-15 BC', 'infinity', "
    "'1890-01-01 00:00:00+08:05:43', '', '', null, null)",
    "insert into plain values (3, null, 7, -2, null, '-Infinity', null, 'infinity', '10000-01-01', '-infinity', "
    "null, null, 'b', null)",
    "insert into plain (id, whole, word) values (9007199254740993, 123456789012345678901234567890, '%s ;x \\n')",
    "insert into plain (id, word, moment) select n, '说明 ' || n, timestamp '2020-01-01' + n * interval '1 hour' "
    "from generate_series(10, 400) as n",
)


@pytest.mark.postgresql
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_a_copy_of_postgresql_gives_what_a_cursor_gives(postgresql_source, monkeypatch, zone):
    address = postgresql_source.address
    postgresql_source.run(*_PLAIN_KINDS, f"alter database {address.database} set timezone to '{zone}'")
    monkeypatch.setenv("OWNER", str(address.password))
    monkeypatch.setattr("warehouse.postgresql_copying._BLOCK_BYTES", 1_000)
    select = "select id, moment::date as day, zoned::date as here, word from plain"
    tables = [
        TableQuery(name="plain"),
        TableQuery(name="later", table="plain", incremental_by="id", since=3),
        TableQuery(name="newer", table="plain", incremental_by="moment", since=dt.datetime(2020, 1, 2, 3, 4, 5)),
        TableQuery(name="some", query=f"{select} where word like '%说%' or word = ':x' or id < 3"),
        TableQuery(name="none", query=f"{select} where id < 0", incremental_by="id", since=5),
    ]
    source = DatabaseSource(url=postgresql_source.url(address.username), password_env="OWNER", tables=tables)
    seen, copied_batches = [], postgresql_copying.copied_batches
    monkeypatch.setattr(
        postgresql_copying, "copied_batches", lambda *given: seen.append(copied_batches(*given)) or seen[-1]
    )
    copied = import_database(source)
    assert None not in seen
    assert len(seen) == 5
    monkeypatch.setattr(postgresql_copying, "copied_batches", lambda *_: None)
    by_cursor = import_database(source)
    for name in by_cursor.table_set.names:
        pd.testing.assert_frame_equal(copied.table_set.frame(name), by_cursor.table_set.frame(name))
    assert copied.data_model == by_cursor.data_model
    assert copied.table_set.fingerprint == by_cursor.table_set.fingerprint
    assert [item.text() for item in copied.findings] == [item.text() for item in by_cursor.findings]
    assert copied.watermarks == by_cursor.watermarks
    frame = copied.table_set.frame("plain").set_index("id")
    assert frame.loc["1", "word"] == 'a, "b"\n%\\.c'
    assert frame["word"].isna().sum() == 1  # an empty text is none, and no missing one
    assert frame.loc["9007199254740993", "whole"] == "123456789012345678901234567890"


def test_every_kind_of_column_of_mariadb(mariadb_source, monkeypatch, codes):
    mariadb_source.run(
        "create table kinds (id bigint unsigned primary key, flag bit(1), tiny tinyint(1), d date, y year, clock time, "
        "word enum('a', 'b'), doc json, raw blob, amount decimal(12, 2))",
        "set sql_mode = ''",
        "insert into kinds values (18446744073709551615, b'1', 1, '0000-00-00', 2024, '10:30', 'a', '{}', 'x', 1.10)",
        "insert into kinds values (2, b'0', 0, '2024-01-02', null, null, 'b', null, null, null)",
    )
    grant(mariadb_source, "kinds")
    monkeypatch.setenv("SOURCE_PASSWORD", mariadb_source.reader_password)
    result = import_database(DatabaseSource(url=mariadb_source.url(), password_env="SOURCE_PASSWORD"))
    frame = result.table_set.frame("kinds").set_index("id")
    top = frame.loc["18446744073709551615"].to_dict()
    assert (top["flag"], top["tiny"], top["y"], top["word"], top["amount"]) == (1, 1, 2024, "a", 1.10)
    assert frame["d"].tolist() == [pd.Timestamp("2024-01-02"), pd.NaT]
    assert codes(result.findings, "column raw") == ["column_left_out"]


def test_a_batch_of_another_type_widens_the_column(tmp_path, monkeypatch):
    monkeypatch.setattr("warehouse.sql_reading._MAX_BATCH_ROWS", 2)
    path = tmp_path / "mixed.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (k, whole, mixed, late)")
        rows = [(1, 1, 1, None), (2, 2, 2, None), (3, 2.5, "x", "a"), (4, None, None, "b"), (5, 3, 4, "c")]
        connection.executemany("insert into t values (?, ?, ?, ?)", rows)
    connection.close()
    frame = import_database(DatabaseSource(url=f"sqlite:///{path}")).table_set.frame("t")
    np.testing.assert_array_equal(frame["whole"], [1, 2, 2.5, np.nan, 3])
    assert frame["mixed"].tolist() == ["1", "2", "x", None, "4"]
    assert frame["late"].tolist() == [None, None, "a", "b", "c"]


# ---------------------------------------------------------------------------------------------- bit by bit


@pytest.mark.parametrize(("column", "first"), [("loan_no", 13), ("entered", dt.datetime(2024, 3, 7, 23, 59, 59))])
def test_only_what_is_new_since_the_watermark_comes(source, filled, codes, column, first):
    bit = source.model_copy(update={"tables": [TableQuery(name="loans", incremental_by=column)]})
    whole = import_database(bit)
    assert whole.watermarks == {"loans": first}
    assert codes(whole.findings, f"column {column}").count("null_watermark") == (column == "entered")

    again = import_database(bit.with_watermarks(dict(whole.watermarks)))
    assert (again.table_set.names, again.watermarks) == ((), {"loans": first})
    assert codes(again.findings) == ["nothing_new"]

    filled.run("insert into loans values (14, 2, 7, '2024-04-01', '2024-04-01 10:00:00')")
    more = import_database(bit.with_watermarks(dict(whole.watermarks)))
    assert more.table_set.frame("loans")["loan_no"].tolist() == ["14"]
    assert more.watermarks == {"loans": 14 if column == "loan_no" else dt.datetime(2024, 4, 1, 10)}


def test_an_incremental_query_and_a_table_without_news_beside_one_with(source, filled):
    bit = source.model_copy(
        update={
            "tables": [
                TableQuery(name="enterprises", incremental_by="ent_id", since=3),
                TableQuery(name="l", query="select * from loans", incremental_by="loan_no", since=11),
            ]
        }
    )
    given = DataModel.from_text("tables: {enterprises: {primary_key: [ent_id]}}")
    result = import_database(bit, given)
    assert result.table_set.frame("l")["loan_no"].tolist() == ["12", "13"]
    assert result.watermarks == {"enterprises": 3, "l": 13}


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_is_imported_bit_by_bit_too(request, kind):
    source = request.getfixturevalue(f"{kind}_source")
    bit = source.model_copy(update={"tables": [TableQuery(name="loans", incremental_by="signed_on")]})
    first = import_database(bit)
    assert str(first.watermarks["loans"]) == "2024-03-07"
    earlier = {"loans": type(first.watermarks["loans"])(*((2024, 2, 6) if kind == "duckdb" else ("2024-02-06",)))}
    assert len(import_database(bit.with_watermarks(earlier)).table_set.frame("loans")) == 1


# ---------------------------------------------------------------------------------------------- what goes wrong


def failure(source, staging, kind=WorkbenchError):
    with pytest.raises(kind) as caught:
        import_database(source, staging=staging)
    assert not staging.exists() or list(staging.iterdir()) == []
    return caught.value


def test_a_wrong_password_is_said_and_never_shown(source, staging, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    wrong = "hunter2-not-this-one"
    monkeypatch.setenv("SOURCE_PASSWORD", wrong)
    error = failure(source, staging, ConfigurationError)
    assert error.code == "database_login"
    shown = "".join(traceback.format_exception(error)) + repr(error) + error.text("zh") + caplog.text
    assert wrong not in shown + repr(source) + source.model_dump_json()


def test_the_right_password_stands_in_no_log_and_no_result(source, secret, caplog):
    caplog.set_level(logging.DEBUG)
    result = import_database(source)
    told = [finding.text() for finding in result.findings]
    assert secret not in caplog.text + repr(result) + result.data_model.to_yaml() + str(told) + repr(source)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    for url in ("postgresql://me:s3cret@db/x", "postgresql://me@db/x?password=s3cret", "mysql://me@db/x?passwd=s3cret"):
        with pytest.raises(ValueError, match="must not hold the password") as caught:
            DatabaseSource(url=url)
        assert "s3cret" not in str(caught.value)


def test_a_password_comes_from_a_file_too(source, secret, tmp_path, staging):
    path = tmp_path / "secret"
    path.write_text(secret + "\n")
    by_file = source.model_copy(update={"password_env": None, "password_file": str(path)})
    assert len(import_database(by_file).table_set.names) == 2
    path.unlink()
    assert failure(by_file, staging).code == "no_password"
    nowhere = source.model_copy(update={"password_env": "NOBODY_SET_THIS"})
    assert "NOBODY_SET_THIS" in failure(nowhere, staging).text()


def test_a_server_that_is_down_is_said(source, filled, staging):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    down = source.model_copy(update={"url": filled.url(port=closed)})
    error = failure(down, staging, UnavailableError)
    assert error.code == "database_down"
    assert str(closed) in error.where


def test_a_missing_permission_in_the_middle_leaves_nothing(source, filled, staging):
    filled.run(f"revoke select on loans from {filled.reader}")
    chosen = source.model_copy(update={"tables": [TableQuery(name="enterprises"), TableQuery(name="loans")]})
    seen = []
    with pytest.raises(WorkbenchError) as caught:
        import_database(chosen, staging=staging, progress=CallbackProgress(lambda _, text: seen.append(text.text())))
    assert caught.value.code == ("database_permission" if filled.kind == "postgresql" else caught.value.code)
    assert caught.value.code in {"database_permission", "no_table"}  # MariaDB hides what one may not see
    assert "3 rows of enterprises read" in seen
    assert "loans" in caught.value.where
    assert list(staging.iterdir()) == []


def test_a_column_that_may_not_be_read_is_a_missing_permission(source, filled, staging):
    filled.run(f"revoke select on loans from {filled.reader}", f"grant select (loan_no) on loans to {filled.reader}")
    chosen = [TableQuery(name="loans", query="select loan_no, amount from loans")]
    error = failure(source.model_copy(update={"tables": chosen}), staging)
    assert error.code == "database_permission"
    assert "Ask the owner" in error.text()


def hangs_up(server):
    """Cut every connection of the reader."""
    if server.kind == "postgresql":
        server.run("select pg_terminate_backend(pid) from pg_stat_activity where usename = :name", name=server.reader)
        return
    with server.engine.begin() as connection:
        found = connection.exec_driver_sql(
            "select id from information_schema.processlist where user = %s", (server.reader,)
        )
        for (number,) in found.fetchall():
            connection.exec_driver_sql(f"kill {number}")


def many_rows(n):
    digits = " cross join ".join(
        f"(select 0 as a union all select 1 union all select 2 union all select 3 union all select 4) t{at}"
        for at in range(n)
    )
    return TableQuery(name="many", query=f"select t0.a, repeat('x', 100) as filling from {digits}")


def is_first_of_many(seen):
    """Whether the first rows of the large table were told just now."""
    return [bool(re.fullmatch(r"[1-9]\d* rows of many read", text)) for text in seen].count(True) == 1 and (
        seen[-1].endswith("rows of many read")
    )


def test_a_server_that_goes_away_in_the_middle_leaves_nothing(source, filled, staging):
    seen = []

    def cut(_, text):
        seen.append(text.text())
        if is_first_of_many(seen):
            hangs_up(filled)

    chosen = source.model_copy(update={"tables": [TableQuery(name="enterprises"), many_rows(8)]})
    with pytest.raises(UnavailableError) as caught:
        import_database(chosen, staging=staging, progress=CallbackProgress(cut))
    assert caught.value.code == "database_down"
    assert list(staging.iterdir()) == []


def test_a_cancel_is_heard_between_two_batches(source, staging):
    seen = []

    def cancel(_, text):
        seen.append(text.text())
        if is_first_of_many(seen):
            raise CancelledError("stop")

    started = time.monotonic()
    with pytest.raises(CancelledError):
        import_database(
            source.model_copy(update={"tables": [many_rows(9)]}), staging=staging, progress=CallbackProgress(cancel)
        )
    assert time.monotonic() - started < 10
    assert list(staging.iterdir()) == []


def test_all_tables_are_seen_as_of_one_moment(source, filled):
    def insert(_, text):
        if text.text() == "3 rows of enterprises read":
            filled.run("insert into loans values (99, 1, 1, '2024-04-01', null)")

    chosen = source.model_copy(update={"tables": [TableQuery(name="enterprises"), TableQuery(name="loans")]})
    result = import_database(chosen, progress=CallbackProgress(insert))
    assert len(result.table_set.frame("loans")) == len(LOANS)
    assert len(import_database(chosen).table_set.frame("loans")) == len(LOANS) + 1


@pytest.mark.parametrize("query", ["delete from loans", "select 1; delete from loans", "update loans set amount = 1"])
def test_a_query_that_writes_is_refused(source, filled, staging, query):
    filled.run(f"grant delete, update on loans to {filled.reader}")
    failure(source.model_copy(update={"tables": [TableQuery(name="x", query=query)]}), staging, WorkbenchError)
    assert len(import_database(source).table_set.frame("loans")) == len(LOANS)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (TableQuery(name="nobody"), "no_table"),
        (TableQuery(name="x", query="selec 1"), "bad_query"),
        (TableQuery(name="x", query="select nothing_of_that_name from loans"), "bad_query"),
        (TableQuery(name="x", query="select * from loans where 1 = 0"), "no_rows"),
        (TableQuery(name="x", query="select 1 as a, 2 as a"), None),
        (TableQuery(name="loans", incremental_by="nobody"), None),
    ],
)
def test_what_is_not_there_or_not_understood_is_said(source, staging, table, code):
    error = failure(source.model_copy(update={"tables": [table]}), staging)
    # MariaDB tells a user without rights nothing, not even that a table is not there
    assert error.code in {code or error.code, "database_permission" if code == "no_table" else code}
    assert table.name in error.where


def test_files_that_are_no_databases_are_said(tmp_path, staging):
    for kind in ("sqlite", "duckdb"):
        missing = DatabaseSource(url=f"{kind}:///{tmp_path / 'nothing.db'}")
        failure(missing, staging, NotFoundError)
        path = tmp_path / f"{kind}.db"
        path.write_bytes(b"hello" * 1000)
        assert failure(DatabaseSource(url=f"{kind}:///{path}"), staging, InputError).code == "damaged"
        assert not (tmp_path / "nothing.db").exists()


def test_a_file_is_opened_for_reading_only(sqlite_source, duckdb_source, staging, tmp_path):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    peek = TableQuery(name="x", query=f"select * from read_csv('{tmp_path / 'secret.csv'}')")
    failure(duckdb_source.model_copy(update={"tables": [peek]}), staging)
    for source in (sqlite_source, duckdb_source):
        path = Path(source.address.database)
        before = path.read_bytes()
        failure(source.model_copy(update={"tables": [TableQuery(name="x", query="delete from loans")]}), staging)
        import_database(source)
        assert path.read_bytes() == before


def test_a_kind_of_database_without_a_driver_is_said(staging):
    error = failure(DatabaseSource(url="oracle://me@db/x"), staging, ConfigurationError)
    assert error.code == "no_driver"


def test_progress_goes_up(source):
    seen = []
    import_database(source, progress=CallbackProgress(lambda share, _: seen.append(share)))
    assert seen == sorted(seen)
    assert seen[-1] == 1
