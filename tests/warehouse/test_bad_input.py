"""Hostile and half-right files that the tests of the single readers do not have; `docs/bad-input.md` lists them all."""

import datetime as dt
import decimal
import io
import random
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InputError, WorkbenchError
from warehouse.data_model import DataModel
from warehouse.importing import import_tables

SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)
HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>k</t></is></c><c r="B1" t="inlineStr"><is><t>x</t></is></c></row>'


def model(column, **spec):
    return DataModel.model_validate({"tables": {"t": {"columns": {column: spec}}}})


def refused(source, code, *words, given=None):
    with pytest.raises(InputError) as caught:
        import_tables(source, given)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.text()
    assert caught.value.text("zh") != caught.value.text("en")


# ---------------------------------------------------------------------------------------------- numbers and dates


@pytest.mark.parametrize(
    ("unit", "header", "expected"),
    [
        ("10k CNY", "x", [3.0, 5.0, 0.12, 20_000.0]),
        (None, "x（万元）", [3.0, 5.0, 0.12, 20_000.0]),
        ("CNY", "x", [30_000.0, 5.0, 0.12, 2e8]),
        ("percent", "x", [30_000.0, 5.0, 12.0, 2e8]),
        ("ratio", "x", [30_000.0, 5.0, 0.12, 2e8]),
    ],
)
def test_a_number_that_says_its_unit_is_brought_to_that_of_the_column(folder, codes, unit, header, expected):
    source = folder({"t.csv": f"k,{header}\n1,¥3万\n2,5\n3,１２％\n4,2亿\n"})
    result = import_tables(source, model(header, type="number", unit=unit))
    np.testing.assert_allclose(result.table_set.frame("t")[header], expected, rtol=1e-15)
    assert codes(result.findings, f"t, column {header}") == ["formatted_numbers"]


@pytest.mark.parametrize("unit", [None, "points"])
def test_numbers_with_a_unit_beside_numbers_without_are_flagged_where_no_unit_tells(folder, unit):
    result = import_tables(folder({"t.csv": "k,x\n1,¥3万\n2,5\n3,7%\n"}), model("x", type="number", unit=unit))
    told = {finding.code: finding.text() for finding in result.findings}
    assert told["mixed_units"].startswith("t, column x: 2 numbers carry 千, 万, 亿 or %, others do not")
    assert "mixed_units" not in codes_of(import_tables(folder({"t.csv": "k,x\n1,3万\n2,5万\n"})))


def codes_of(result):
    return [finding.code for finding in result.findings]


def test_digits_that_are_no_day_are_named_under_the_name_of_a_date_and_kept(folder):
    result = import_tables(folder({"t.csv": "k,open_date\n1,20240229\n2,20240230\n3,20240301\n"}))
    told = [finding.text() for finding in result.findings if finding.code == "mixed_values"]
    assert told == [
        "t.csv, row 3, column open_date: 1 of 3 values are no dates, first '20240230'; the column is kept as it stands"
    ]
    assert result.table_set.frame("t")["open_date"].tolist() == [20240229, 20240230, 20240301]


def test_day_numbers_of_a_workbook_are_no_dates_by_themselves_and_are_flagged(folder, tmp_path, codes):
    source = folder({"t.csv": "k,open_date\n1,45292\n2,45293\n"})
    result = import_tables(source)
    assert codes(result.findings, "column open_date") == ["day_numbers"]
    refused(
        source,
        "bad_value",
        "t.csv, row 2, column open_date",
        "day numbers of Excel",
        given=model("open_date", type="date"),
    )
    book = openpyxl.Workbook()
    for row in (["k", "open_date"], [1, 45292], [2, 45292.5]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    assert codes(import_tables(tmp_path / "t.xlsx").findings, "column open_date") == ["day_numbers"]
    read = import_tables(tmp_path / "t.xlsx", model("open_date", type="date")).table_set.frame("t")["open_date"]
    assert read.dt.strftime("%Y-%m-%d").tolist() == ["2024-01-01"] * 2


def test_days_counted_by_other_programs_are_flagged_too(folder, codes):
    result = import_tables(folder({"t.csv": "k,ApprovalDate\n1,15074\n2,15130\n3,10554\n"}))  # SAS: 2001, 2001, 1988
    assert codes(result.findings, "column ApprovalDate") == ["day_numbers"]


def test_a_question_mark_among_numbers_or_dates_is_missing_and_told(folder, codes):
    rows = "1,5,2024-01-01,a,0017\n2,?,?,?,?\n3,未知,.,b,0018\n4,7.5,2024-03-01,b,0018\n"
    result = import_tables(folder({"t.csv": "k,x,day,word,code\n" + rows}))
    frame = result.table_set.frame("t")
    np.testing.assert_array_equal(frame["x"], [5, np.nan, np.nan, 7.5])
    assert frame["day"].isna().tolist() == [False, True, True, False]
    assert frame["word"].tolist() == ["a", "?", "b", "b"]
    assert frame["code"].tolist() == ["0017", "?", "0018", "0018"]
    assert codes(result.findings, "column x") == ["missing_marks"]
    assert "missing_marks" in codes(result.findings, "column day")
    told = next(finding.text() for finding in result.findings if finding.code == "missing_marks")
    assert told == "t, column x: 2 values are written ? . * 不详 or 未知 and were read as missing"


def test_a_dash_among_numbers_may_be_zero_and_stays(folder):
    rows = "".join(f"{row},{row}.5\n" for row in range(20)) + "20,-\n"
    result = import_tables(folder({"t.csv": "k,x\n" + rows}))
    assert result.data_model.tables["t"].columns["x"].type == "text"
    assert "mixed_values" in codes_of(result)


def test_a_unique_number_of_the_loan_is_the_key_though_it_stands_second(folder):
    content = "Selected,LoanNr_ChkDgt,amount\n" + "".join(f"{row % 2},{row + 1000},{row * 1.5}\n" for row in range(30))
    assert import_tables(folder({"t.csv": content})).data_model.tables["t"].primary_key == ["LoanNr_ChkDgt"]


# ---------------------------------------------------------------------------------------------- workbooks


def workbook(path, rows="", entries=()):
    """Write a workbook whose one sheet has `rows` as its XML, with other entries put in or in the place of its own."""
    book, plain = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["k"])
    book.save(plain)
    with zipfile.ZipFile(plain) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if rows:
        content["xl/worksheets/sheet1.xml"] = SHEET.format(HEADER + rows).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (content | dict(entries)).items():
            archive.writestr(name, data)
    return path


def cell(reference, value, kind="n"):
    return f'<c r="{reference}" t="{kind}"><v>{value}</v></c>'


def test_cells_far_to_the_right_are_refused_before_they_fill_the_memory(tmp_path):
    rows = "".join(f'<row r="{row}">{cell(f"XFD{row}", row)}</row>' for row in range(2, 20_000))
    path = workbook(tmp_path / "t.xlsx", rows)
    assert path.stat().st_size < 200_000  # as rows of 16,384 cells they would take 2.6 GB
    tracemalloc.start()
    refused(path, "ragged_rows", "row 2 has values beside the header's 2 columns")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


def test_integers_past_64_bits_keep_their_digits(tmp_path):
    digits = "9" * 30
    path = workbook(tmp_path / "t.xlsx", f'<row r="2">{cell("A2", 1)}{cell("B2", digits)}</row>')
    assert import_tables(path).table_set.frame("t")["x"].tolist() == [digits]


@pytest.mark.parametrize(
    "wrong", [cell("B2", 99, "s"), cell("B2", "nan"), cell("B2", "9" * 5_000), cell("B2", "2024-02-30", "d")]
)
def test_a_cell_that_no_program_writes_is_damage(tmp_path, wrong):
    refused(workbook(tmp_path / "t.xlsx", f'<row r="2">{cell("A2", 1)}{wrong}</row>'), "damaged", "t.xlsx")


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:9/x">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd" [<!ENTITY a "ha">]>',
    ],
    ids=["laughs", "file", "http", "dtd"],
)
@pytest.mark.parametrize("entry", ["xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_declarations_in_the_xml_of_a_workbook_are_refused_and_nothing_is_fetched(
    tmp_path, monkeypatch, entry, declaration
):
    def never(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", never)
    row = f'<row r="2">{cell("A2", 1)}<c r="B2" t="inlineStr"><is><t>&a;</t></is></c></row>'
    sheet = declaration + SHEET.format(HEADER + row)
    book = declaration + '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">&a;</workbook>'
    path = workbook(tmp_path / "t.xlsx", entries={entry: sheet if "sheet" in entry else book}.items())
    refused(path, "damaged", "t.xlsx")


def test_deep_nesting_and_long_tokens_in_a_workbook_end_soon(tmp_path):
    path = workbook(tmp_path / "deep.xlsx", "<a>" * 100_000 + "</a>" * 100_000)
    refused(path, "no_rows")
    token = "".join(map(chr, np.random.default_rng(1).integers(97, 123, 1 << 20)))
    path = workbook(tmp_path / "t.xlsx", f'<row r="2" x="{token}">{cell("A2", 1)}{cell("B2", 2)}</row>')
    assert import_tables(path).table_set.frame("t")["x"].tolist() == [2]


@pytest.mark.parametrize("ending", ["xlsx", "zip"])
def test_a_size_that_the_list_of_contents_lies_about_is_found_out(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    rows = "".join(f'<row r="{row}">{cell(f"A{row}", row)}{cell(f"B{row}", 1)}</row>' for row in range(2, 2_000))
    workbook(path, rows, {"t.csv": "k,x\n" + "1,2\n" * 5_000}.items())
    if ending == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", "k,x\n" + "1,2\n" * 5_000)
    lying = bytearray(path.read_bytes())
    at = lying.find(b"PK\x01\x02")
    while at >= 0:  # the size, once unpacked, of every entry of the central directory
        struct.pack_into("<I", lying, at + 24, 100)
        at = lying.find(b"PK\x01\x02", at + 4)
    path.write_bytes(lying)
    refused(path, "damaged", f"t.{ending}")


@pytest.mark.parametrize("name", ["t.xls", "t.csv", "t.xlsx"])
def test_an_old_workbook_is_known_by_its_bytes_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4_096))
    refused(tmp_path / name, "unsupported_file" if name == "t.xls" else "wrong_content", name)


def test_ten_thousand_columns_are_refused_in_every_format(tmp_path, folder):
    names = [f"c{n}" for n in range(10_000)]
    line = ",".join(names) + "\n" + ",".join("1" * len(names)) + "\n"
    refused(folder({"t.csv": line}), "too_many_columns", "10000", "5000")
    pq.write_table(pa.table({name: [1] for name in names}), tmp_path / "t.parquet")
    refused(tmp_path / "t.parquet", "too_many_columns", "10000")
    book = openpyxl.Workbook()
    book.active.append(names)
    book.active.append([1] * len(names))
    book.save(tmp_path / "t.xlsx")
    refused(tmp_path / "t.xlsx", "too_many_columns", "10000")


def test_a_line_of_thirty_megabytes_is_refused_by_its_length(folder):
    refused(folder({"t.csv": "k,x\n1," + "9" * (30 << 20) + "\n"}), "line_too_long", "line 2", "2097152 allowed")
    refused(folder({"t.csv": "9" * (30 << 20)}), "line_too_long", "line 1")


# ---------------------------------------------------------------------------------------------- Parquet


def test_decimals_past_64_bits_keep_their_digits(tmp_path):
    long = decimal.Decimal("9" * 38)
    pq.write_table(pa.table({"k": [1, 2], "x": pa.array([long, None], pa.decimal128(38, 0))}), tmp_path / "t.parquet")
    frame = import_tables(tmp_path / "t.parquet").table_set.frame("t")
    assert frame["x"].tolist() == ["9" * 38, None]


@pytest.fixture(params=["in memory", "staged"])
def size(request, monkeypatch):
    if request.param == "staged":
        monkeypatch.setattr("warehouse.parquet_files.STAGE_FROM_CELLS", -1)


@pytest.mark.usefixtures("size")
def test_control_characters_and_bytes_that_are_no_text_are_refused_in_parquet_too(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"k": [1, 2, 3], "x": ["a", "tab\tand line\n", "b\x00"]}), path)
    refused(path, "control_character", "t.parquet, row 3, column x", "0x00")
    bad = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 3], np.int32)), pa.py_buffer(b"a\xff\xfe"))
    pq.write_table(pa.table({"k": [1, 2], "x": bad}), path)
    refused(path, "damaged", "t.parquet", "UTF8")


# ---------------------------------------------------------------------------------------------- whatever else


def mutations(content, n):
    draw = random.Random(7)
    for _ in range(n):
        changed = bytearray(content)
        for _ in range(3):
            changed[draw.randrange(4, len(changed) - 8)] = draw.randrange(256)
        yield bytes(changed)


def test_a_parquet_file_with_changed_bytes_is_read_or_refused_and_nothing_else(tmp_path):
    path, out = tmp_path / "t.parquet", io.BytesIO()
    when = pa.array([dt.date(2024, 1, 1)] * 500)
    pq.write_table(pa.table({"k": list(range(500)), "x": ["abc"] * 500, "d": when}), out)
    assert read_or_refused(path, mutations(out.getvalue(), 150)) > 50


def test_a_workbook_with_changed_xml_is_read_or_refused_and_nothing_else(tmp_path):
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["k", "x", "d"])
    for row in range(30):
        book.active.append([row, f"t{row}", dt.datetime(2024, 1, 1)])  # noqa: DTZ001 - a workbook has no zone
    book.save(out)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert read_or_refused(tmp_path / "t.xlsx", changed_books(parts, 150)) > 30


def changed_books(parts, n):
    """Yield the workbook with an attribute, a text or a few characters of one part replaced."""
    draw = random.Random(7)
    odd = ["", "-1", "99999999999", "x", "A0", "1e999", "nan"]
    for _ in range(n):
        name = draw.choice(sorted(parts))
        text = parts[name]
        places = list(re.finditer(draw.choice([r'"([^"]*)"', r">([^<]+)<"]), text))
        if places and draw.random() < 0.7:
            start, end = draw.choice(places).span(1)
            text = text[:start] + draw.choice(odd) + text[end:]
        else:
            start = draw.randrange(len(text))
            text = text[:start] + text[start + draw.randrange(1, 60) :]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for part, content in (parts | {name: text}).items():
                archive.writestr(part, content)
        yield out.getvalue()


def read_or_refused(path, contents):
    """Import each content and count the refusals; anything but a refusal of ours fails the test."""
    n_refused = 0
    for content in contents:
        path.write_bytes(content)
        try:
            import_tables(path)
        except WorkbenchError as error:
            assert path.name in error.where
            n_refused += 1
    return n_refused


def test_hostile_column_names_are_kept_as_they_are(folder):
    names = ["a,b", "[x]", "{y}", 'say "z"', "k:v", "两 字", "=1+1", "<script>", "a__b"]
    line = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    source = folder(
        {"t.csv": "k," + line + "\n" + "".join(f"{row}" + f",{row}" * len(names) + "\n" for row in range(3))}
    )
    result = import_tables(source)
    assert list(result.table_set.frame("t").columns) == ["k", *names]
    assert DataModel.from_text(result.data_model.to_yaml()) == result.data_model


def test_times_with_and_without_a_zone_in_one_column_are_flagged_and_none_is_lost(folder, codes):
    times = ["2024-01-01T00:00:00Z", "2024-01-01 08:00:00", "2024-01-01T09:00:00+09:00"]
    result = import_tables(folder({"t.csv": "k,seen_at\n" + "".join(f"{n},{text}\n" for n, text in enumerate(times))}))
    read = result.table_set.frame("t")["seen_at"].dt.strftime("%Y-%m-%d %H:%M").tolist()
    assert read == ["2024-01-01 08:00"] * 3
    assert {"zoned_times", "mixed_zones"} <= set(codes(result.findings, "column seen_at"))
