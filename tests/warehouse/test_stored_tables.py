"""What is said of tables that stay in their files is what is said of the same tables in memory."""

import numpy as np
import pandas as pd
import pytest

from sample_data import generate_world
from warehouse.profile import profile
from warehouse.quality import assess
from warehouse.standard import load
from warehouse.stored_table import StoredTable
from warehouse.table_set import Table, TableSet


@pytest.fixture(scope="module")
def world():
    return generate_world(60, seed=3).table_set


@pytest.fixture
def stored(world, tmp_path, monkeypatch):
    monkeypatch.setattr("warehouse.table_set.STORED_FROM_CELLS", -1)
    monkeypatch.setattr("warehouse.profile.MANY_ROWS", 100)
    world.save(tmp_path / "world")
    loaded = TableSet.load(tmp_path / "world")
    assert {type(table) for table in loaded.tables.values()} == {StoredTable}
    return loaded


def test_profile_and_assessment_are_the_same(world, stored):
    found, in_files = profile(world), profile(stored)
    assert in_files.to_json() == found.to_json()
    told = assess(stored, load(), figures=in_files).to_json()
    expected = assess(world, load(), figures=found).to_json()
    assert told == expected
    assert len(expected["tables"]) == len(world.names)


def test_rows_and_columns_are_the_same(world, stored):
    for name in ("application", "vat_monthly"):
        columns = list(world.spec(name).columns)[:6]
        positions = np.array([5, 0, 17])
        pd.testing.assert_frame_equal(stored.rows(name, columns, positions), world.rows(name, columns, positions))
        pd.testing.assert_frame_equal(stored.first_rows(name, 7), world.first_rows(name, 7))
        pd.testing.assert_frame_equal(stored.frame(name), world.frame(name))
        assert stored.n_rows(name) == world.n_rows(name) == len(world.frame(name))


def test_only_large_tables_stay_in_their_files(world, tmp_path, monkeypatch):
    n_cells = {name: len(world.frame(name)) * len(world.spec(name).columns) for name in world.names}
    monkeypatch.setattr("warehouse.table_set.STORED_FROM_CELLS", sorted(n_cells.values())[-3])
    world.save(tmp_path / "world")
    loaded = TableSet.load(tmp_path / "world")
    assert sorted(name for name, table in loaded.tables.items() if not isinstance(table, Table)) == sorted(
        sorted(n_cells, key=lambda name: n_cells[name])[-2:]
    )
    assert loaded.fingerprint == world.fingerprint
