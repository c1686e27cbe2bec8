import json

import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigurationError, ConflictError, IntegrityError, NotFoundError
from warehouse.data_model import DataModel
from warehouse.table_set import TableSet, new_folder

MODEL = DataModel.from_text(
    """
tables:
  clients:
    columns:
      client_id: {type: id, role: key}
      grade: {type: category}
      age: {type: integer}
      is_active: {type: boolean}
    primary_key: [client_id]
  loans:
    columns:
      client_id: {type: id, role: foreign_key}
      amount: {type: number}
      signed: {type: date, role: event_time}
      status: {type: category}
      closed: {type: datetime}
    event_time: signed
    known_at_lag_days: 2.5
    late_columns: [{columns: [status], known_at: closed}]
relationships: [{parent: clients, parent_column: client_id, child: loans, child_column: client_id}]
"""
)


def frames():
    return {
        "clients": pd.DataFrame(
            {
                "client_id": [1, 2, 3],
                "grade": ["A", None, "客户"],
                "age": [30, 40, 50],
                "is_active": [True, False, None],
            }
        ),
        "loans": pd.DataFrame(
            {
                "client_id": [1.0, 1.0, np.nan],
                "amount": [1.5, np.nan, -0.0],
                "signed": ["2024-01-01", None, "2024-03-01"],
                "status": ["paid", None, np.nan],
                "closed": pd.to_datetime(["2024-05-01 12:30", None, "9999-12-31"], errors="coerce"),
            }
        ),
    }


@pytest.fixture
def table_set():
    return TableSet.from_frames(frames(), MODEL)


def test_frames_are_brought_to_one_type_per_kind(table_set):
    clients, loans = table_set.frame("clients"), table_set.frame("loans")
    assert [str(kind) for kind in clients.dtypes] == ["object", "object", "int64", "float64"]
    assert [str(kind) for kind in loans.dtypes] == ["object", "float64", "datetime64[ns]", "object", "datetime64[ns]"]
    assert clients["client_id"].tolist() == ["1", "2", "3"]
    assert loans["client_id"].tolist() == ["1", "1", None]
    assert clients["grade"].tolist() == ["A", None, "客户"]
    np.testing.assert_array_equal(clients["is_active"], [1, 0, np.nan])


def test_an_integer_with_nulls_is_a_float():
    given = frames()
    given["clients"]["age"] = [30, None, 50]
    assert str(TableSet.from_frames(given, MODEL).frame("clients")["age"].dtype) == "float64"


@pytest.mark.parametrize(
    ("table", "column", "values", "problem"),
    [
        ("clients", "age", [1, 2, 2.5], "not of type integer"),
        ("clients", "is_active", [0, 1, 2], "not of type boolean"),
        ("loans", "amount", ["1", "x", "2"], "not of type number"),
        ("loans", "client_id", [1.5, 2.0, 3.0], "not of type id"),
        ("loans", "signed", ["2024-02-30", None, None], "not of type date"),
    ],
)
def test_a_value_of_another_type_is_refused(table, column, values, problem):
    given = frames()
    given[table][column] = values
    with pytest.raises(ConfigurationError, match=f"{table}, column {column}: the values are {problem}"):
        TableSet.from_frames(given, MODEL)


def test_missing_and_unknown_columns_and_tables_are_named():
    given = frames()
    with pytest.raises(ConfigurationError, match="missing: loans"):
        TableSet.from_frames({"clients": given["clients"]}, MODEL)
    with pytest.raises(ConfigurationError, match="clients: missing: age"):
        TableSet.from_frames(given | {"clients": given["clients"].drop(columns="age")}, MODEL)
    with pytest.raises(ConfigurationError, match="clients: not in the data model: extra"):
        TableSet.from_frames(given | {"clients": given["clients"].assign(extra=1)}, MODEL)


def test_known_at_is_event_time_plus_lag_and_nothing_for_static_tables(table_set):
    known_at = table_set.known_at("loans")
    assert known_at.dtype == "datetime64[ns]"
    assert known_at[0] == np.datetime64("2024-01-03T12:00")
    assert np.isnat(known_at[1])
    assert table_set.known_at("clients") is None
    assert table_set.event_time("clients") is None


def test_a_known_at_column_goes_before_the_lag():
    model = MODEL.model_copy(
        update={"tables": {**MODEL.tables, "loans": MODEL.tables["loans"].model_copy(update={"known_at": "closed"})}}
    )
    assert TableSet.from_frames(frames(), model).known_at("loans")[0] == np.datetime64("2024-05-01T12:30")


def test_as_of_is_the_latest_known_at_time_late_columns_too(table_set):
    assert table_set.as_of == pd.Timestamp("2024-05-01 12:30")
    given = frames()
    given["loans"]["closed"] = pd.to_datetime([None, None, "2250-01-01"])  # "never" in many systems
    assert TableSet.from_frames(given, MODEL).as_of == pd.Timestamp("2024-03-03 12:00")


def test_as_of_of_the_model_decides():
    model = MODEL.model_copy(update={"as_of": pd.Timestamp("2024-02-01").date()})
    assert TableSet.from_frames(frames(), model).as_of == pd.Timestamp("2024-02-01")


def test_what_is_saved_comes_back(table_set, tmp_path):
    table_set.save(tmp_path / "set")
    loaded = TableSet.load(tmp_path / "set")
    assert loaded.data_model == table_set.data_model
    for name in table_set.names:
        pd.testing.assert_frame_equal(loaded.frame(name), table_set.frame(name))
    assert loaded.fingerprint == table_set.fingerprint
    assert TableSet(loaded.tables, loaded.data_model).fingerprint == table_set.fingerprint


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("clients", "grade", ["A", "None", "客户"]),
        ("clients", "grade", ["A", "", "客户"]),
        ("clients", "grade", ["", "A", "客户"]),
        ("clients", "age", [30, 40, 51]),
        ("loans", "amount", [1.5, 0.0, -0.0]),
        ("loans", "signed", ["2024-01-01", None, "2024-03-02"]),
        ("loans", "status", [None, "paid", None]),
    ],
)
def test_another_value_is_another_fingerprint(table_set, table, column, values):
    given = frames()
    given[table][column] = values
    assert TableSet.from_frames(given, MODEL).fingerprint != table_set.fingerprint


def test_row_order_is_content(table_set):
    given = frames()
    given["clients"] = given["clients"].iloc[::-1]
    assert TableSet.from_frames(given, MODEL).fingerprint != table_set.fingerprint


def test_saving_again_replaces_and_leaves_nothing_else(table_set, tmp_path):
    table_set.save(tmp_path / "set")
    given = frames()
    given["clients"]["age"] = [1, 2, 3]
    TableSet.from_frames(given, MODEL).save(tmp_path / "set")
    assert TableSet.load(tmp_path / "set").frame("clients")["age"].tolist() == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_folder_of_something_else_is_not_replaced(table_set, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConflictError, match="not empty"):
        table_set.save(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_failure_while_writing_keeps_the_old_folder_and_leaves_nothing(tmp_path):
    target = tmp_path / "set"
    target.mkdir()
    (target / "old").touch()

    def write():
        with new_folder(target) as temporary:
            (temporary / "half").touch()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "old"]


def test_a_changed_or_missing_file_is_refused(table_set, tmp_path):
    table_set.save(tmp_path / "set")
    path = tmp_path / "set" / "loans.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"loans\.parquet"):
        TableSet.load(tmp_path / "set")
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        TableSet.load(tmp_path / "set")


def test_a_file_that_the_manifest_does_not_name_is_not_trusted(table_set, tmp_path):
    table_set.save(tmp_path / "set")
    manifest = tmp_path / "set" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["files"]["loans.parquet"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match=r"loans\.parquet"):
        TableSet.load(tmp_path / "set")


def test_what_is_not_there_is_said(table_set, tmp_path):
    with pytest.raises(NotFoundError):
        TableSet.load(tmp_path)
    with pytest.raises(NotFoundError, match="no table nobody"):
        table_set.frame("nobody")


def test_tables_stay_in_their_files_from_fewer_cells_on_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("warehouse.table_set._IN_FILES_FROM_CELLS", 3)
    model = DataModel.from_text("tables: {few: {columns: {a: {type: id}}}, many: {columns: {a: {type: id}}}}")
    frames = {"few": pd.DataFrame({"a": ["x"]}), "many": pd.DataFrame({"a": list("abcde")})}
    TableSet.from_frames(frames, model).save(tmp_path / "set")
    asked, plain = TableSet.load(tmp_path / "set", in_files=True), TableSet.load(tmp_path / "set")
    assert [type(table).__name__ for table in asked.tables.values()] == ["Table", "StoredTable"]
    assert [type(table).__name__ for table in plain.tables.values()] == ["Table", "Table"]
    assert TableSet(asked.tables, model).fingerprint == plain.fingerprint
