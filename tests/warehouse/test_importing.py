"""What comes in, and what each kind of bad input is told."""

import gc
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CancelledError, ConfigurationError, InputError, NotFoundError
from core.progress import CallbackProgress
from warehouse.data_model import DataModel
from warehouse.importing import import_tables
from warehouse.text_files import MAX_LINE_BYTES, decode

CLIENTS = "client_id,name,opened\n1,甲公司,2024-01-05\n2,乙公司,2024-02-29\n3,丙公司,2023-12-31\n"
LOANS = "loan_id,client_id,amount\n10,1,100.5\n11,1,200\n12,3,\n"


@pytest.fixture(autouse=True, params=["in memory", "staged"])
def size(request, monkeypatch, tmp_path):
    """Run each test twice: as it is, and as if every file were too large for memory; the staging is left empty."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "staging"))
    if request.param == "staged":
        monkeypatch.setattr("warehouse.text_files.STAGE_FROM_BYTES", -1)
        monkeypatch.setattr("warehouse.parquet_files.STAGE_FROM_CELLS", -1)
        monkeypatch.setattr("warehouse.times_in_text._BLOCK", 3)
        monkeypatch.setattr("warehouse.numbers_in_text._BLOCK", 3)
    yield request.param
    gc.collect()
    assert list(tmp_path.glob("staging/*")) == []


def model(text):
    return DataModel.from_text(text)


# ---------------------------------------------------------------------------------------------- what is read


def test_a_folder_becomes_tables_named_by_files(folder):
    result = import_tables(folder({"clients.csv": CLIENTS, "loans.csv.gz": LOANS}))
    assert result.table_set.names == ("clients", "loans")
    assert result.table_set.frame("clients")["name"].tolist() == ["甲公司", "乙公司", "丙公司"]
    np.testing.assert_array_equal(result.table_set.frame("loans")["amount"], [100.5, 200, np.nan])
    assert result.data_model.tables["clients"].primary_key == ["client_id"]
    assert result.data_model.tables["clients"].event_time == "opened"
    assert [str(link) for link in result.data_model.relationships] == ["loans.client_id -> clients.client_id"]
    assert result.data_model.tables["loans"].file == "loans.csv.gz"


def test_one_file_is_a_table(folder):
    assert import_tables(folder({"clients.csv": CLIENTS}) / "clients.csv").table_set.names == ("clients",)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("gbk", "gb18030"), ("utf-16", "utf-16")],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_give_the_same_tables(folder, encoding, told, line_end):
    source = folder({"clients.csv": CLIENTS.replace("\n", line_end).encode(encoding)})
    result = import_tables(source)
    pd.testing.assert_frame_equal(
        result.table_set.frame("clients"),
        pd.DataFrame(
            {
                "client_id": ["1", "2", "3"],
                "name": ["甲公司", "乙公司", "丙公司"],
                "opened": pd.to_datetime(["2024-01-05", "2024-02-29", "2023-12-31"]),
            }
        ),
    )
    assert result.sources[0].encoding == told
    assert any(finding.code == "encoding" and told in finding.text() for finding in result.findings)


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=4, max_size=200))
def test_chinese_in_gbk_is_read_right_or_refused_and_never_garbled(text):
    try:
        data, encoding = decode(text.encode("gbk"), "a.csv")
    except InputError:
        return  # bytes that are mostly good UTF-8, or rare characters only
    assert encoding == "gb18030" or text.encode("gbk") == data
    if encoding == "gb18030":
        assert data.decode() == text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(folder, delimiter):
    content = f'a{delimiter}b{delimiter}c\n"x,;|y"{delimiter}2{delimiter}\n'
    result = import_tables(folder({"t.csv": content}))
    assert result.table_set.frame("t").iloc[0].tolist()[:2] == ["x,;|y", 2]
    assert result.sources[0].delimiter == delimiter


def test_quoted_newlines_doubled_quotes_and_blanks(folder):
    content = 'k,text\n1,"two\nlines"\n2,"he said ""no"""\n3,"  edges  "\n\n4,5" pipe\n'
    frame = import_tables(folder({"t.csv": content}), model("tables: {t: {columns: {text: {type: text}}}}"))
    assert frame.table_set.frame("t")["text"].tolist() == ["two\nlines", 'he said "no"', "edges", '5" pipe']


def test_codes_stay_text(folder):
    content = "uscc,area,invoice_no,amount\n" + "".join(
        f"9133010077{row:08d},0371,{row:08d},{row}\n" for row in range(20)
    )
    table = import_tables(folder({"t.csv": content})).table_set
    assert table.frame("t").iloc[7].tolist() == ["913301007700000007", "0371", "00000007", 7]
    assert table.spec("t").columns["area"].type == "category"
    assert table.spec("t").columns["uscc"].type == "id"


def test_eighteen_digits_are_kept_digit_by_digit(folder):
    content = "x\n" + "".join(f"{110101199003070000 + row}\n" for row in range(5))
    assert import_tables(folder({"t.csv": content})).table_set.frame("t")["x"].iloc[3] == "110101199003070003"


def test_types_of_a_text_file(folder):
    rows = [
        f"{row},{row % 3},{row / 4},{'true' if row % 2 else 'false'},2024-01-{row + 1:02d},2024010{row % 9 + 1},"
        f"2024-01-01 10:{row:02d},{'AB'[row % 2]},note {row}"
        for row in range(20)
    ]
    content = "n,code,x,flag,day,compact_date,moment,grade,remark\n" + "\n".join(rows) + "\n"
    types = {
        name: spec.type
        for name, spec in import_tables(folder({"t.csv": content})).data_model.tables["t"].columns.items()
    }
    assert types == {
        "n": "id", "code": "integer", "x": "number", "flag": "boolean", "day": "date", "compact_date": "date",
        "moment": "datetime", "grade": "category", "remark": "text",
    }  # fmt: skip  # the first column is unique: it is the key


def test_words_for_null_are_missing(folder):
    content = "k,x,s\n1,1.5,a\n2,NA,\n3,NULL,b\n4,,\\N\n5, ,c\n"
    frame = import_tables(folder({"t.csv": content})).table_set.frame("t")
    np.testing.assert_array_equal(frame["x"], [1.5, np.nan, np.nan, np.nan, np.nan])
    assert frame["s"].tolist() == ["a", None, "b", None, "c"]


def test_parquet_keeps_its_types(folder, tmp_path):
    frame = pd.DataFrame(
        {
            "loan_id": [1, 2, 3],
            "code": ["007", "8", None],
            "amount": [1.5, None, 2.0],
            "n": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "grade": pd.Categorical(["A", "B", "A"]),
        }
    )
    source = folder({})
    frame.to_parquet(source / "loans.parquet")
    table = import_tables(source).table_set
    assert table.frame("loans")["code"].tolist() == ["007", "8", None]
    assert {name: spec.type for name, spec in table.spec("loans").columns.items()} == {
        "loan_id": "id", "code": "text", "amount": "number", "n": "integer", "flag": "boolean", "day": "date",
        "grade": "text",
    }  # fmt: skip
    np.testing.assert_array_equal(table.frame("loans")["n"], [1, np.nan, 3])


def test_what_the_model_says_wins_column_by_column(folder):
    given = model(
        """
tables:
  clients:
    columns: {name: {role: ignore, label: {zh: 名称}}, opened: {role: feature}}
  loans:
    columns: {amount: {type: category}, client_id: {role: feature}}
    primary_key: []
"""
    )
    result = import_tables(folder({"clients.csv": CLIENTS, "loans.csv": LOANS}), given)
    clients, loans = result.data_model.tables["clients"], result.data_model.tables["loans"]
    assert (clients.columns["name"].type, clients.columns["name"].role) == ("text", "ignore")
    assert clients.columns["name"].label == {"zh": "名称"}
    assert (clients.event_time, clients.columns["opened"].type) == (None, "date")
    assert result.table_set.frame("loans")["amount"].tolist() == ["100.5", "200", None]
    assert (loans.primary_key, result.data_model.relationships) == ([], [])


@pytest.mark.parametrize(("more", "known_at"), [("", None), (", seen: {type: date, role: known_at}", "seen")])
def test_the_time_of_late_columns_is_not_that_of_the_rows_though_its_role_is_known_at(folder, more, known_at):
    content = "loan_id,signed,seen,status,closed\n1,2024-01-01,2024-01-05,paid,2024-06-01\n2,2024-02-01,2024-02-05,,\n"
    late = "event_time: signed, late_columns: [{columns: [status], known_at: closed}]"
    columns = f"columns: {{closed: {{type: date, role: known_at}}{more}}}"
    given = model(f"tables: {{loans: {{{late}, {columns}}}}}")
    table = import_tables(folder({"loans.csv": content}), given).data_model.tables["loans"]
    assert (table.event_time, table.known_at) == ("signed", known_at)
    assert [(group.columns, group.known_at) for group in table.late_columns] == [(["status"], "closed")]


def test_late_columns_and_lag_come_from_the_model(folder):
    content = "loan_id,signed,status,closed\n1,2024-01-01,paid,2024-06-01\n2,2024-02-01,,\n"
    given = model("tables: {loans: {known_at_lag_days: 3, late_columns: [{columns: [status], known_at: closed}]}}")
    result = import_tables(folder({"loans.csv": content}), given)
    assert result.data_model.tables["loans"].event_time == "signed"
    assert result.table_set.known_at("loans")[0] == np.datetime64("2024-01-04")
    assert result.table_set.as_of == pd.Timestamp("2024-06-01")


def test_a_column_with_a_known_at_time_of_its_own_is_late(folder):
    content = "loan_id,signed,status,status_known_at\n1,2024-01-01,paid,2024-06-01\n2,2024-02-01,open,\n"
    table = import_tables(folder({"loans.csv": content})).data_model.tables["loans"]
    assert [(group.columns, group.known_at) for group in table.late_columns] == [(["status"], "status_known_at")]
    assert (table.event_time, table.known_at) == ("signed", None)


def test_the_model_names_the_file_of_a_table(folder):
    given = model("tables: {customers: {file: c_2024.csv}}")
    assert import_tables(folder({"c_2024.csv": CLIENTS}), given).table_set.names == ("customers",)


def test_a_model_in_the_folder_is_taken_where_none_is_given(folder):
    source = folder({"clients.csv": CLIENTS, "data_model.yaml": "tables: {clients: {columns: {name: {role: ignore}}}}"})
    assert import_tables(source).data_model.tables["clients"].columns["name"].role == "ignore"


def test_the_complete_model_imports_to_the_same_tables(folder):
    source = folder({"clients.csv": CLIENTS, "loans.csv": LOANS})
    first = import_tables(source)
    again = import_tables(source, DataModel.from_text(first.data_model.to_yaml()))
    assert again.data_model == first.data_model
    assert again.table_set.fingerprint == first.table_set.fingerprint


def test_dates_and_numbers_as_people_write_them_where_declared(folder):
    content = 'k,x,d\n1,"1,234.5",二〇二四年三月五日\n2,12%,2024/3/6\n3,¥3万,20240307\n'
    given = model("tables: {t: {columns: {x: {type: number}, d: {type: date}}}}")
    result = import_tables(folder({"t.csv": content}), given)
    frame = result.table_set.frame("t")
    np.testing.assert_allclose(frame["x"], [1234.5, 0.12, 30_000], rtol=1e-15)
    assert frame["d"].dt.strftime("%m%d").tolist() == ["0305", "0306", "0307"]
    assert "formatted_numbers" in [finding.code for finding in result.findings]


def test_keys_of_numbers_and_of_texts_are_one(folder):
    source = folder({"clients.csv": CLIENTS})
    pq.write_table(pa.table({"client_id": [1.0, 3.0, None], "x": [1, 2, 3]}), source / "loans.parquet")
    result = import_tables(source)
    assert result.table_set.frame("loans")["client_id"].tolist() == ["1", "3", None]
    assert len(result.data_model.relationships) == 1


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", "", "no_rows", ["a.csv", "no rows"]),
        ("a.csv", "\n \n", "no_rows", ["a.csv"]),
        ("a.csv.gz", "", "no_rows", ["a.csv.gz"]),
        ("a.csv", "x,y\n", "no_rows", ["a.csv", "header and no rows"]),
        ("a.csv", "x,y,x,z,z\n1,2,3,4,5\n", "duplicate_header", ["x, z"]),
        ("a.csv", "x,,y\n1,2,3\n", "unnamed_column", ["column 2"]),
        ("a.csv", "x,a\u202eb\n1,2\n", "bad_column_name", ["column 2"]),
        ("a.csv", "x,y\n1,2\n1\n1,2,3\n", "ragged_rows", ["line 3", "1 fields", "has 2", "2 such lines"]),
        ("a.csv", 'x,y\n1,"a\nb"\n1,2,3\n', "ragged_rows", ["line 4", "3 fields"]),
        ("a.csv", 'x,y\n1,2\n1,"open\n3,4\n', "bad_quote", ["line 4"]),
        ("a.csv", 'x,y\n1,"ab"c\n', "bad_quote", ["line 2"]),
        ("a.csv", "x,y\n1,2\n3,\x00\n", "control_character", ["byte 10", "line 3", "0x00"]),
        ("a.csv", "x,y\n1,\x1b[31m\n", "control_character", ["byte 6", "0x1b"]),
        ("a.csv", b"x,y\n1,caf\xe9\n", "undecodable", ["byte 9", "line 2", "e9"]),
        ("a.csv", "x,y\n1,中文字\n".encode() + b"2,\xff\n", "undecodable", ["byte 18", "line 3"]),
        ("a.csv", "x,y\n1,中文字\n".encode("gb18030") + b"2,\xff\xff\n", "undecodable", ["line 3"]),
        ("a.csv", "x,y\n1," + "9" * (MAX_LINE_BYTES + 1) + "\n", "line_too_long", ["line 2"]),
        ("a.csv", ",".join(f"c{n}" for n in range(5001)) + "\n", "too_many_columns", ["5001", "5000"]),
        ("a.csv", b"PK\x03\x04rest", "wrong_content", ["a.csv", "archive"]),
        ("a.csv", b"\xd0\xcf\x11\xe0rest", "wrong_content", ["xls or encrypted"]),
        ("a.csv", gzip.compress(b"x\n1\n", mtime=0), "wrong_content", ["gzip"]),
        ("a.xlsx", "x,y\n1,2\n", "wrong_content", ["excel", "text"]),
        ("a.xlsx", b"\xd0\xcf\x11\xe0rest", "wrong_content", ["encrypted"]),
        ("a.parquet", "x,y\n1,2\n", "wrong_content", ["parquet", "text"]),
        ("a.parquet", b"PAR1nothing", "damaged", ["a.parquet"]),
        ("a.xls", "x", "unsupported_file", [".xls"]),
        ("a.xlsm", "x", "unsupported_file", [".xlsm"]),
        ("a.rar", "x", "unsupported_file", [".rar"]),
        ("a.zip", "x", "wrong_content", ["zip", "text"]),
        ("notes.md", "x", "no_files", ["CSV"]),
    ],
)  # fmt: skip
def test_bad_files_are_refused_and_named(folder, name, content, code, words):
    source = folder({name: content})
    with pytest.raises(InputError) as caught:
        import_tables(source)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.text()
    assert caught.value.text("zh") != caught.value.text("en")


def test_one_bad_file_refuses_the_folder(folder):
    with pytest.raises(InputError, match=r"^loans\.csv"):
        import_tables(folder({"clients.csv": CLIENTS, "loans.csv": ""}))


def test_an_upload_cut_short_is_refused(folder):
    source = folder({"clients.csv.gz": CLIENTS * 1000})
    path = source / "clients.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError) as caught:
        import_tables(source)
    assert caught.value.code == "damaged"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("client_id,x\n1,a\n2,b\n2,c\n", "duplicate_key", ["clients.csv, row 4", "first 2", "row 3"]),
        ("client_id,x\n1,a\n,b\n3,c\n", "null_key", ["clients.csv, row 3", "1 rows", "client_id"]),
    ],
)
def test_a_declared_key_with_doubles_or_nulls_is_refused_with_a_sample(folder, content, code, words):
    with pytest.raises(InputError) as caught:
        import_tables(folder({"clients.csv": content}), model("tables: {clients: {primary_key: [client_id]}}"))
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.text()


def test_the_column_a_table_is_named_after_must_be_a_key_or_be_declared_none(folder):
    rows = "".join(f"{row},{row % 7}\n" for row in range(200))
    source = folder({"clients.csv": "client_id,x\n" + rows + "5,1\n"})
    with pytest.raises(InputError, match=r"clients\.csv, row 202: 1 rows repeat a value of the key client_id, first 5"):
        import_tables(source)
    result = import_tables(source, model("tables: {clients: {primary_key: []}}"))
    assert result.data_model.tables["clients"].primary_key == []


@pytest.mark.parametrize(
    ("kind", "value", "row"),
    [("number", "abc", 3), ("integer", "1.5", 3), ("date", "20240230", 3), ("boolean", "2", 3), ("datetime", "x", 3)],
)
def test_a_value_that_is_not_of_the_declared_type_is_named(folder, kind, value, row):
    good = {"number": "1", "integer": "1", "date": "2024-01-01", "boolean": "1", "datetime": "2024-01-01"}[kind]
    source = folder({"t.csv": f"k,x\n1,{good}\n2,{value}\n3,{value}\n"})
    with pytest.raises(InputError) as caught:
        import_tables(source, model(f"tables: {{t: {{columns: {{x: {{type: {kind}}}}}}}}}"))
    assert caught.value.where == f"t.csv, row {row}, column x"
    assert f"2 values are not of type {kind}, first '{value}'" in caught.value.text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tables: {nobody: {}}", "no file for the table nobody"),
        ("tables: {clients: {columns: {age: {}}}}", "the column age, which is not there"),
        ("tables: {clients: {primary_key: [age]}}", "the column age"),
        ("tables: {clients: {file: other.csv}}", "no file for the table clients"),
        (
            "relationships: [{parent: clients, parent_column: id, child: clients, child_column: client_id}]",
            r"names clients\.id, which is not there",
        ),
    ],
)
def test_a_model_that_does_not_fit_the_files_is_refused(folder, text, problem):
    with pytest.raises((ConfigurationError, InputError), match=problem):
        import_tables(folder({"clients.csv": CLIENTS}), model(text))


def test_two_files_for_one_table_are_refused(folder):
    with pytest.raises(InputError, match=r"the table clients comes from clients\.csv already"):
        import_tables(folder({"clients.csv": CLIENTS, "clients.csv.gz": CLIENTS}))


def test_parquet_with_lists_is_refused_by_column(folder):
    source = folder({})
    pq.write_table(pa.table({"x": [[1], [2]]}), source / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet, column x: values of the kind list"):
        import_tables(source)


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    source = folder({"clients.csv": CLIENTS})
    (tmp_path / "secret.csv").write_text(LOANS)
    (source / "loans.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(InputError, match="leads out of the folder"):
        import_tables(source)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(NotFoundError):
        import_tables(tmp_path / "nothing")


def test_progress_goes_up_and_a_cancel_is_heard(folder):
    source = folder({"clients.csv": CLIENTS, "loans.csv": LOANS})
    seen = []
    import_tables(source, progress=CallbackProgress(lambda fraction, _: seen.append(fraction)))
    assert seen == sorted(seen)
    assert seen[-1] == 1

    def cancel(fraction, message):
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        import_tables(source, progress=CallbackProgress(cancel))


# ---------------------------------------------------------------------------------------------- what is told


def test_orphans_and_null_foreign_keys_are_counted(folder, codes):
    rows = "".join(f"{row + 100},{row % 20 + 1}\n" for row in range(60)) + "900,77\n901,\n902,\n"
    clients = "client_id,x\n" + "".join(f"{row + 1},{row}\n" for row in range(20))
    result = import_tables(folder({"clients.csv": clients, "loans.csv": "loan_id,client_id\n" + rows}))
    told = {finding.code: finding.text() for finding in result.findings}
    assert told["orphan_rows"] == "loans, column client_id: 1 of 63 rows name a clients that is not there, first 77"
    assert told["null_foreign_key"] == "loans, column client_id: 2 of 63 rows name no clients"
    assert len(result.table_set.frame("loans")) == 63


def test_columns_that_say_nothing_are_ignored_with_the_reason(folder, codes):
    result = import_tables(folder({"t.csv": "k,one,none,x\n1,7,,1\n2,7,,2\n3,7,,2\n"}))
    assert codes(result.findings, "column one") == ["constant_column"]
    assert codes(result.findings, "column none") == ["empty_column"]
    roles = {name: spec.role for name, spec in result.data_model.tables["t"].columns.items()}
    assert roles == {"k": "key", "one": "ignore", "none": "ignore", "x": "feature"}


def test_unlikely_and_placeholder_dates_are_counted(folder, codes):
    days = ["1900-01-01", "9999-12-31", "2199-01-01", "2024-01-01"]
    content = "k,some_date\n" + "".join(f"{row},{day}\n" for row, day in enumerate(days))
    result = import_tables(folder({"t.csv": content}))
    assert sorted(codes(result.findings, "some_date")) == [
        "early_dates", "future_dates", "missing_event_time", "outside_dates",
    ]  # fmt: skip


def test_infinite_and_extreme_values_are_told(folder, codes):
    result = import_tables(folder({"t.csv": "k,x,y\n1,inf,1e308\n2,1,2\n3,-Infinity,3\n"}))
    assert codes(result.findings, "column x") == ["infinite_values"]
    assert codes(result.findings, "column y") == ["extreme_values"]
    np.testing.assert_array_equal(result.table_set.frame("t")["x"], [np.nan, 1, np.nan])


def test_doubled_rows_are_counted(folder):
    rows = "a,b,2024-01-01\n" * 3 + "a,c,2024-01-01\n"
    result = import_tables(folder({"t.csv": "x,y,day\n" + rows}))
    told = [finding.text() for finding in result.findings if finding.code == "duplicate_rows"]
    assert told == ["t: 2 rows are the same as another row in every column"]


def test_nearly_numbers_stay_text_and_the_odd_one_is_named(folder):
    content = "k,x\n" + "".join(f"{row},{row}.5\n" for row in range(30)) + "30,x\n"
    result = import_tables(folder({"t.csv": content}))
    told = [finding.text() for finding in result.findings if finding.code == "mixed_values"]
    assert told == [
        "t.csv, row 32, column x: 1 of 31 values are no numbers, first 'x'; the column is kept as it stands"
    ]
    assert result.data_model.tables["t"].columns["x"].type == "text"


def test_dates_the_calendar_does_not_have_are_named(folder):
    content = "k,day\n" + "".join(f"{row},2024-01-{row % 28 + 1:02d}\n" for row in range(30)) + "30,2024-02-30\n"
    told = [finding.text() for finding in import_tables(folder({"t.csv": content})).findings]
    assert any("row 32" in text and "no dates, first '2024-02-30'" in text for text in told)


def test_the_same_file_twice_and_other_files_are_told(folder, codes):
    result = import_tables(folder({"a.csv": CLIENTS, "b.csv": CLIENTS, "readme.md": "hello"}))
    assert "same_file_twice" in codes(result.findings, "b.csv")
    assert codes(result.findings, "readme.md") == ["skipped_file"]


def test_characters_lost_earlier_are_told(folder, codes):
    result = import_tables(folder({"t.csv": "k,x\n1,a\ufffd\n2,b\n"}))
    assert "garbled_text" in codes(result.findings, "t.csv")


def test_a_declared_foreign_key_without_a_parent_is_told(folder, codes):
    given = model("tables: {loans: {columns: {client_id: {role: foreign_key}}}}")
    assert codes(import_tables(folder({"loans.csv": LOANS}), given).findings, "client_id") == ["unlinked_foreign_key"]


def test_a_model_that_lists_its_links_gets_no_others_for_columns_it_describes(folder):
    given = model(
        "{relationships: [], tables: {loans: {columns: {client_id: {type: id, role: foreign_key}}, primary_key: []}}}"
    )
    result = import_tables(folder({"clients.csv": CLIENTS, "loans.csv": LOANS}), given)
    assert result.data_model.relationships == []
    assert "unlinked_foreign_key" not in [finding.code for finding in result.findings]


def test_encoding_and_delimiter_of_the_model_are_used(folder):
    source = folder({"t.csv": "k|x,y|名\n1|a,b|联通\n2|c|移动\n".encode("gb18030")})
    given = model("tables: {t: {encoding: gb18030, delimiter: '|'}}")
    assert import_tables(source, given).table_set.frame("t").iloc[0].tolist() == ["1", "a,b", "联通"]
    with pytest.raises(InputError) as caught:
        import_tables(source, model("tables: {t: {encoding: utf-8}}"))
    assert caught.value.code == "undecodable"


def test_a_parquet_file_of_too_many_cells_is_refused_before_it_is_read(folder, monkeypatch):
    source = folder({})
    pq.write_table(pa.table({"x": [1, 2], "y": [3, 4]}), source / "a.parquet")
    monkeypatch.setattr("warehouse.parquet_files.MAX_CELLS", 3)
    with pytest.raises(InputError, match=r"a\.parquet: the table has 4 cells"):
        import_tables(source)


def test_rows_known_before_they_happened_are_counted(folder, codes):
    content = "k,period_end,published_at\n1,2024-03-31,2024-04-20\n2,2024-03-31,2024-01-01\n3,2024-06-30,\n"
    result = import_tables(folder({"t.csv": content}))
    assert result.data_model.tables["t"].known_at == "published_at"
    assert sorted(codes(result.findings, "published_at")) == ["known_before_event", "never_known"]
