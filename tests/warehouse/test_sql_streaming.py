"""Tables of a database that are too large for memory."""

import gc
import sqlite3

import pandas as pd

from warehouse.sql_importing import import_database
from warehouse.sql_source import DatabaseSource
from warehouse.stored_table import StoredTable


def test_a_large_table_of_a_database_is_stored_as_one_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "large.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table clients (client_id integer primary key, name text)")
        connection.execute(
            "create table loans (loan_no integer primary key, client_id integer references clients (client_id),"
            " signed_on text, amount real)"
        )
        connection.executemany("insert into clients values (?, ?)", [(n, f"公司{n}") for n in range(500)])
        rows = [(n, n % 510 if n % 7 else None, f"2024-01-{n % 28 + 1:02d}", n / 4) for n in range(9_000)]
        connection.executemany("insert into loans values (?, ?, ?, ?)", rows)
    connection.close()
    source = DatabaseSource(url=f"sqlite:///{path}")
    whole = import_database(source)
    monkeypatch.setattr("warehouse.parquet_files.STAGE_FROM_CELLS", -1)
    monkeypatch.setattr("warehouse.sql_reading._MAX_BATCH_ROWS", 1_000)
    stored = import_database(source, staging=tmp_path / "staging")
    assert all(isinstance(table, StoredTable) for table in stored.table_set.tables.values())
    assert stored.data_model == whole.data_model
    assert [finding.text() for finding in stored.findings] == [finding.text() for finding in whole.findings]
    assert stored.table_set.fingerprint == whole.table_set.fingerprint
    pd.testing.assert_frame_equal(stored.table_set.frame("loans"), whole.table_set.frame("loans"))
    del stored
    gc.collect()
    assert list((tmp_path / "staging").iterdir()) == []
