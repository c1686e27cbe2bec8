import datetime as dt
import io
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from core.errors import InputError
from warehouse.data_model import DataModel
from warehouse.importing import import_tables

CLIENTS = [["client_id", "name", "opened", "limit"], [1, "甲公司", dt.date(2024, 1, 5), 10.5], [2, "乙公司", None, 20]]
LOANS = [["loan_id", "client_id"], [10, 1], [11, 2], [12, 1]]


@pytest.fixture
def workbook(tmp_path):
    """Write sheets (title → rows) to a workbook, after `change` had its way with it."""

    def write(sheets, change=lambda _: None, name="book.xlsx"):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        change(book)
        path = tmp_path / name
        book.save(path)
        return path

    return write


def refused(path, code, model=None):
    with pytest.raises(InputError) as caught:
        import_tables(path, model)
    assert caught.value.code == code
    assert path.name in caught.value.where
    return caught.value.text()


def test_one_sheet_is_a_table_named_after_the_file(workbook):
    result = import_tables(workbook({"Sheet1": CLIENTS, "Sheet2": []}))
    frame = result.table_set.frame("book")
    assert frame["client_id"].tolist() == ["1", "2"]
    assert frame["opened"].tolist() == [pd.Timestamp("2024-01-05"), pd.NaT]
    np.testing.assert_array_equal(frame["limit"], [10.5, 20])
    assert result.data_model.tables["book"].event_time == "opened"


def test_several_clean_sheets_are_tables_named_after_the_sheets(workbook):
    result = import_tables(workbook({"clients": CLIENTS, "loans": LOANS}))
    assert result.table_set.names == ("clients", "loans")
    assert [str(link) for link in result.data_model.relationships] == ["loans.client_id -> clients.client_id"]


def test_an_unclear_sheet_makes_us_ask_which_is_meant(workbook):
    path = workbook({"clients": CLIENTS, "notes": [["Report of 2024"], ["made", "by", "hand"]]})
    text = refused(path, "which_sheet")
    assert "not every sheet is a table: notes" in text
    assert "clients, notes" in text
    answer = DataModel.from_text("tables: {customers: {file: book.xlsx, sheet: clients}}")
    assert import_tables(path, answer).table_set.names == ("customers",)
    assert "no sheet x" in refused(path, "which_sheet", DataModel.from_text("tables: {a: {file: book.xlsx, sheet: x}}"))


def test_the_complete_model_of_a_workbook_imports_again(workbook):
    path = workbook({"clients": CLIENTS, "loans": LOANS})
    first = import_tables(path)
    again = import_tables(path, DataModel.from_text(first.data_model.to_yaml()))
    assert again.table_set.fingerprint == first.table_set.fingerprint


def test_a_hidden_sheet_is_left_out_and_told(workbook, codes):
    def hide(book):
        book["secret"].sheet_state = "hidden"

    result = import_tables(workbook({"clients": CLIENTS, "secret": LOANS}, hide))
    assert result.table_set.names == ("book",)
    assert codes(result.findings, "secret") == ["hidden_sheet"]


def test_a_merged_header_is_refused_and_merged_cells_are_told(workbook, codes):
    path = workbook({"s": CLIENTS}, lambda book: book["s"].merge_cells("A1:B1"))
    assert "row 1 are merged" in refused(path, "merged_header")
    path = workbook({"s": CLIENTS}, lambda book: book["s"].merge_cells("B2:B3"))
    assert "merged_cells" in codes(import_tables(path).findings)


@pytest.mark.parametrize(
    ("rows", "code", "words"),
    [
        ([], "no_rows", "no rows"),
        ([["a", "b"]], "no_rows", "header and no rows"),
        ([["a", "a"], [1, 2]], "duplicate_header", "a"),
        ([["a", None, "b"], [1, 2, 3]], "unnamed_column", "column 2"),
        ([["a", "b"], [1, 2], [1, 2, 3]], "ragged_rows", "row 3"),
    ],
)
def test_a_sheet_that_is_no_table_is_refused(workbook, rows, code, words):
    assert words in refused(workbook({"s": rows}), code)


def test_rows_are_numbered_as_excel_numbers_them(workbook):
    path = workbook({"s": [[], ["k", "x"], [1, 5], [], [2, "abc"]]})
    with pytest.raises(InputError, match=r"book\.xlsx, row 5, column x: 1 values are not of type number, first 'abc'"):
        import_tables(path, DataModel.from_text("tables: {book: {columns: {x: {type: number}}}}"))


def test_a_formula_without_a_stored_value_is_refused_and_never_computed(workbook):
    path = workbook({"s": [["k", "x"], [1, "=1+1"], [2, 3]]})
    assert "formula in B2" in refused(path, "formula")


def test_a_stored_formula_value_is_read(workbook):
    path = workbook({"s": [["k", "x"], [1, "=1+1"], [2, 3]]})
    rewrite(path, "xl/worksheets/sheet1.xml", b"<v></v>", b"<v>2</v>", b"<v />", b"<v>2</v>", b"<v/>", b"<v>2</v>")
    np.testing.assert_array_equal(import_tables(path).table_set.frame("book")["x"], [2, 3])


def rewrite(path, entry, *pairs):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        content[entry] = content[entry].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_numbers_stored_as_text_keep_their_zeros_and_mixed_cells_are_text(workbook):
    rows = [["code", "mixed"], *[[f"00{n:02d}", n if n % 2 else "x"] for n in range(10, 20)]]
    frame = import_tables(workbook({"s": rows})).table_set.frame("book")
    assert frame["code"].iloc[0] == "0010"
    assert frame["mixed"].tolist()[:4] == ["x", "11", "x", "13"]


@pytest.mark.parametrize(("is_1904", "expected"), [(False, "2024-01-01"), (True, "2028-01-02")])
def test_day_numbers_are_dates_of_the_workbooks_calendar_where_declared(workbook, codes, is_1904, expected):
    def set_epoch(book):
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904 if is_1904 else book.epoch

    path = workbook({"s": [["k", "day"], [1, 45292], [2, None]]}, set_epoch)
    result = import_tables(path, DataModel.from_text("tables: {book: {columns: {day: {type: date}}}}"))
    assert result.table_set.frame("book")["day"].iloc[0] == pd.Timestamp(expected)
    assert "serial_dates" in codes(result.findings)


def test_errors_of_excel_are_missing_and_told(workbook, codes):
    result = import_tables(workbook({"s": [["k", "x"], [1, "#DIV/0!"], [2, 5], [3, 6]]}))
    np.testing.assert_array_equal(result.table_set.frame("book")["x"], [np.nan, 5, 6])
    assert "error_cells" in codes(result.findings)


def bomb(path, n_bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as entry:
            for _ in range(n_bytes >> 20):
                entry.write(b" " * (1 << 20))


def test_a_zip_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    path = tmp_path / "bomb.xlsx"
    bomb(path, 300 << 20)
    assert path.stat().st_size < 1 << 20

    def opened(*_):
        raise AssertionError("inflated")

    monkeypatch.setattr(zipfile.ZipFile, "open", opened)
    assert "inflate" in refused(path, "too_large")


@pytest.mark.parametrize("entry", ["../../evil.xml", "/etc/evil.xml", "C:\\evil.xml"])
def test_an_archive_that_leads_out_is_refused(workbook, entry):
    path = workbook({"s": CLIENTS})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, "x")
    refused(path, "bad_archive")


def test_a_workbook_with_macros_is_refused(workbook):
    path = workbook({"s": CLIENTS})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", "x")
    assert "macros" in refused(path, "wrong_content")


@pytest.mark.parametrize("entry", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
def test_a_damaged_workbook_is_refused(workbook, entry):
    path = workbook({"s": CLIENTS})
    rewrite(path, entry, b"</", b"<<")
    refused(path, "damaged")


def test_entities_in_a_workbook_are_refused(workbook):
    path = workbook({"s": CLIENTS})
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><worksheet'
    rewrite(path, "xl/worksheets/sheet1.xml", b"<worksheet", laughs)
    refused(path, "damaged")


def test_a_truncated_workbook_is_refused(workbook):
    path = workbook({"s": CLIENTS})
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged" in refused(path, "wrong_content")


def test_reading_leaves_no_open_file(workbook):
    path = workbook({"s": CLIENTS})
    import_tables(path)
    path.write_bytes(io.BytesIO(path.read_bytes()).getvalue())
    assert import_tables(path).table_set.names == ("book",)
