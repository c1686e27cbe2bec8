"""Credit reports in XML: what is read, what is found out about them, and what is refused (faults 19 to 22)."""

import time
from pathlib import Path

import pytest

from core.errors import InputError
from core.findings import Severity
from warehouse.credit_reports.subjects import Subjects
from warehouse.credit_reports.tables import ReportTables, read_files
from warehouse.credit_reports.values import parse
from warehouse.importing import import_tables

CODE = "91330100MA0000000X"

HEAD = (
    "<EAA><EA01><EA01A><EA01AI01>{number}</EA01AI01><EA01AR01>2024-03-05T10:20:30</EA01AR01></EA01A>"
    "<EA01B><EA01BD02>18</EA01BD02></EA01B>"
    "<EA01C><EA01CQ01>杭州测试有限公司</EA01CQ01><EA01CS01>1</EA01CS01>"
    f"<EA01CH><EA01CD01>20</EA01CD01><EA01CI01>{CODE.lower()}</EA01CI01></EA01CH></EA01C></EA01></EAA>"
)
SUMMARY = (
    "<EBA><EB01><EB01A><EB01AR01>2015</EB01AR01><EB01AJ01>300</EB01AJ01></EB01A></EB01></EBA>"
    "<EBB><EB02><EB02A><EB02AJ03>0</EB02AJ03></EB02A>"
    "<EB02C><EB02CS01>1</EB02CS01><EB02CH><EB02CR01>2024-02</EB02CR01><EB02CJ01>310</EB02CJ01></EB02CH></EB02C>"
    "</EB02></EBB>"
)
ACCOUNT = (
    "<EDA><ED01><ED01A><ED01AI01>007</ED01AI01><ED01AD01>1</ED01AD01><ED01AR01>20230105</ED01AR01>"
    "<ED01AJ01>400</ED01AJ01></ED01A><ED01B><ED01BS01>2</ED01BS01>"
    "<ED01BH><ED01BR01>2024-02-29</ED01BR01><ED01BJ01>300</ED01BJ01><ED01BD01>1</ED01BD01></ED01BH>"
    "<ED01BH><ED01BR01>2024-01-31</ED01BR01><ED01BJ01>320</ED01BJ01><ED01BD01>2</ED01BD01></ED01BH>"
    "</ED01B></ED01></EDA>"
)


def report(number: str = "R1", *, summary: str = SUMMARY, details: str = ACCOUNT) -> str:
    return f"<Document>{HEAD.format(number=number)}{summary}{details}</Document>"


def written(folder: Path, content: str | bytes, name: str = "report.xml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(folder: Path, content: str | bytes, subjects: Subjects | None = None) -> ReportTables:
    return read_files([written(folder, content)], subjects or Subjects({CODE: "E1"}))


def rows(tables: ReportTables, name: str) -> list[dict[str, object]]:
    table = tables.tables[name]
    return [{column: one.array[row].as_py() for column, one in table.columns.items()} for row in range(table.n_rows)]


def codes(tables: ReportTables) -> dict[str, str]:
    return {finding.code: finding.text() for finding in tables.findings}


def test_a_report_becomes_rows_known_at_its_time(tmp_path: Path) -> None:
    found = read(tmp_path, report())
    (head,), (summary,), (account,) = (rows(found, name) for name in ("credit_report", "cr_summary", "cr_loan_account"))
    assert (head["report_id"], head["ent_id"], head["reason"], head["has_details"]) == ("R1", "E1", "18", 1)
    assert str(head["report_time"]) == "2024-03-05 10:20:30"
    assert (summary["EB01AR01"], summary["EB01AJ01"], summary["EB02AJ03"]) == (2015, 300, 0)
    assert (account["ED01AI01"], account["ED01AJ01"], account["ED01BJ01"], account["ED01BD01"]) == (
        "R1-007", 400.0, 300, "1"
    )  # fmt: skip
    assert str(account["ED01AR01"]) == "2023-01-05 00:00:00"
    assert [(row["ED01AI01"], row["ED01BD01"]) for row in rows(found, "cr_perf")] == [("R1-007", "1"), ("R1-007", "2")]
    assert [str(row["EB02CR01"]) for row in rows(found, "cr_debt_hist")] == ["2024-02-29 00:00:00"]
    assert found.findings == ()
    assert found.specs["cr_loan_account"].known_at == "report_time"


def test_absent_and_empty_segments_units_and_leaves_are_alike(tmp_path: Path) -> None:
    bare = report(details="<EDA/><EDB></EDB><EDC><ED06/></EDC>", summary=SUMMARY.replace("300", "0"))
    empty = bare.replace("<EDB></EDB>", "<EDB><ED04><ED04A><ED04AJ01> </ED04AJ01></ED04A></ED04></EDB>")
    for content in (bare, empty):
        found = read(tmp_path, content)
        assert set(found.tables) == {"credit_report", "cr_summary", "cr_debt_hist"}
        assert found.findings == ()


def test_many_reports_in_one_file_in_any_wrapping(tmp_path: Path) -> None:
    one, two = report("R1"), report("R2")
    for content in (
        f"<Documents>{one}{two}</Documents>",
        f'<?xml version="1.0"?><Msg><Body>{one}</Body><Body>{two}</Body></Msg>',
        f'<?xml version="1.0" encoding="UTF-8"?>\n{one}\n<?xml version="1.0" encoding="UTF-8"?>\n{two}',
    ):
        found = read(tmp_path, content)
        assert found.n_reports == 2
        assert [row["ED01AI01"] for row in rows(found, "cr_loan_account")] == ["R1-007", "R2-007"]


def test_the_same_report_again_is_taken_once_and_another_of_its_number_is_refused(tmp_path: Path) -> None:
    first, again = written(tmp_path, report(), "a.xml"), written(tmp_path, f"<All>\n{report()}\n</All>", "b.xml")
    found = read_files([first, again])
    assert found.tables["credit_report"].n_rows == 1
    assert "report_twice" in codes(found)
    other = written(tmp_path, report(summary=SUMMARY.replace("300", "301")), "c.xml")
    with pytest.raises(InputError, match=r"c\.xml: the report R1 stands in a\.xml with other content") as refused:
        read_files([first, other])
    assert refused.value.code == "report_differs"


def test_liabilities_of_a_report_are_its_total_or_the_sum_of_its_kinds(tmp_path: Path) -> None:
    def of(*items: tuple[str, int]) -> str:
        inner = "".join(
            f"<EB05AH><EB05AD01>{kind}</EB05AD01><EB05AJ03>{amount}</EB05AJ03></EB05AH>" for kind, amount in items
        )
        return report(summary=f"{SUMMARY}<EBE><EB05><EB05A>{inner}</EB05A></EB05></EBE>")

    with_total, without = of(("2", 10), ("3", 5), ("0", 15)), of(("2", 10), ("3", 5))
    assert [rows(read(tmp_path, each), "cr_summary")[0]["EB05AJ03"] for each in (with_total, without)] == [15, 15]


def test_an_enterprise_nobody_knows_stands_under_its_credit_code(tmp_path: Path) -> None:
    found = read(tmp_path, report(), Subjects())
    assert rows(found, "cr_summary")[0]["ent_id"] == CODE
    assert "1 reports are on enterprises that no table knows" in codes(found)["report_subject_unknown"]


# --- fault 19: entities, DTD, external references


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE d [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE d [<!ENTITY big "' + "x" * 50_000 + '">]>',
        '<!DOCTYPE d [<!ENTITY f SYSTEM "{file}">]>',
        '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.ent">%p;]>',
        "<!DOCTYPE Document>",
    ],
    ids=["laughs", "quadratic", "file", "dtd", "parameter", "bare"],
)
def test_a_document_type_is_refused_and_nothing_is_fetched(
    tmp_path: Path, prolog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = written(tmp_path, "secret", "secret.txt")

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("something was opened")

    path = written(tmp_path, prolog.replace("{file}", secret.as_uri()) + report())
    monkeypatch.setattr("socket.socket.connect", reached)
    with pytest.raises(InputError) as refused:
        read_files([path])
    assert refused.value.code == "xml_declaration"
    assert "secret" not in str(refused.value)


# --- fault 20: deep nesting, long tokens


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<Document>" + "<a>" * 200_000 + "</a>" * 200_000 + "</Document>", "xml_too_deep"),
        ("<a>" * 100_000, "xml_too_deep"),
        ("<Document><EA01CQ01>" + "x" * 1_000_000 + "</EA01CQ01></Document>", "xml_too_long"),
        ('<Document><a b="' + "x" * 1_000_000 + '"/></Document>', "xml_too_long"),
        ("<Document><" + "x" * 1_000_000 + "/></Document>", "xml_too_long"),
        ("<Document>" + "<a/>" * 500_001 + "</Document>", "too_large"),
    ],
    ids=["deep", "open", "value", "attribute", "name", "many"],
)
def test_deep_nesting_and_long_tokens_are_refused_soon(tmp_path: Path, content: str, code: str) -> None:
    path = written(tmp_path, content)
    started = time.process_time()
    with pytest.raises(InputError) as refused:
        read_files([path])
    assert refused.value.code == code
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "no_credit_report"),
        ("no xml", "bad_xml"),
        (report()[:-40], "bad_xml"),
        (report().replace("杭州", "\0"), "bad_xml"),
        ("<Documents/>", "no_credit_report"),
        (report().replace("R1", ""), "report_head"),
        (report().replace("2024-03-05T10:20:30", "5 March"), "report_head"),
        (report().replace(CODE.lower(), ""), "report_head"),
    ],
)
def test_what_is_no_whole_report_is_refused(tmp_path: Path, content: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, content)
    assert refused.value.code == code
    assert "report.xml" in refused.value.where


# --- fault 21: encodings


@pytest.mark.parametrize(
    ("declared", "written_in", "is_told"),
    [
        ("UTF-8", "utf-8", False), ("GBK", "gbk", False), ("GB2312", "gb2312", False), ("GB18030", "gb18030", False),
        ("UTF-16", "utf-16", False), ("UTF-8", "utf-8-sig", False), ("", "utf-8", False),
        ("UTF-8", "gbk", True), ("GBK", "utf-8", True), ("", "gb18030", True),
    ],
)  # fmt: skip
def test_the_text_is_right_whatever_the_declaration(
    tmp_path: Path, declared: str, written_in: str, is_told: bool
) -> None:
    prolog = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    court = "<EFB><EF02><EF020I01>1</EF020I01><EF020Q01>杭州市中级人民法院</EF020Q01></EF02></EFB>"
    found = read(tmp_path, (prolog + report(details=ACCOUNT + court)).encode(written_in))
    assert [row["value"] for row in rows(found, "cr_element")] == ["杭州市中级人民法院"]
    assert ("report_encoding_differs" in codes(found)) == is_told


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (f'<?xml version="1.0" encoding="EBCDIC-37"?>{report()}'.encode(), "ebcdic-37, which is not read"),
        (report().encode().replace("杭".encode(), b"\xff\xff"), "at offset 1"),
    ],
)
def test_bytes_of_no_encoding_are_refused_with_their_place(tmp_path: Path, content: bytes, match: str) -> None:
    with pytest.raises(InputError, match=match) as refused:
        read(tmp_path, content)
    assert refused.value.code == "encoding"


# --- fault 22: unknown versions, missing parts


def test_elements_of_a_newer_version_are_kept_and_told(tmp_path: Path) -> None:
    newer = ACCOUNT.replace("</ED01A>", "<ED01AX99>neu</ED01AX99></ED01A>")
    found = read(tmp_path, report(details=newer + "<EZZ><EZ01><EZ010Q01>1</EZ010Q01></EZ01></EZZ>"))
    kept = {(row["unit"], row["element"], row["value"]) for row in rows(found, "cr_element")}
    assert kept == {("ED01-1", "ED01AX99", "neu"), ("EZ01-1", "EZ010Q01", "1")}
    (told,) = [finding for finding in found.findings if finding.code == "report_element_unknown"]
    assert told.severity is Severity.WATCH
    assert all(name in told.text() for name in ("ED01AX99", "EZ010Q01", "EZZ"))
    assert rows(found, "cr_loan_account")[0]["ED01AJ01"] == 400.0


@pytest.mark.parametrize(
    ("content", "segment"),
    [
        (report(summary=SUMMARY.partition("<EBB>")[0]), "EBB"),
        (report(summary="<EBB>" + SUMMARY.partition("<EBB>")[2]), "EBA"),
        (report(details="<EDC/>"), "EDA"),
    ],
)
def test_a_missing_segment_is_named_and_the_rest_is_taken(tmp_path: Path, content: str, segment: str) -> None:
    found = read(tmp_path, content)
    (told,) = [finding for finding in found.findings if finding.code == "report_section_missing"]
    assert (told.severity, told.where) == (Severity.BAD, segment)
    assert "R1" in told.text()
    assert found.tables["credit_report"].n_rows == 1


def test_fewer_items_than_the_report_says_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, report(details=ACCOUNT.replace("<ED01BS01>2<", "<ED01BS01>24<")))
    assert "1 blocks say another number of items than they have: R1" in codes(found)["report_count_differs"]


def test_unknown_codes_are_counted_and_kept(tmp_path: Path) -> None:
    found = read(tmp_path, report(details=ACCOUNT.replace("<ED01AD01>1<", "<ED01AD01>77<")))
    assert rows(found, "cr_loan_account")[0]["ED01AD01"] == "77"
    assert codes(found)["report_code_unknown"].startswith("ED01AD01: 1 values are not in the code table")


def test_values_that_are_none_are_missing_and_told_by_element(tmp_path: Path) -> None:
    wrong = ACCOUNT.replace("20230105", "20230230").replace(">400<", ">4百<")
    found = read(tmp_path, report(details=wrong))
    (account,) = rows(found, "cr_loan_account")
    assert "ED01AJ01" not in account  # no report has a value
    told = {finding.where: finding for finding in found.findings if finding.code == "report_value_unreadable"}
    assert set(told) == {"ED01AR01", "ED01AJ01"}
    assert all(finding.severity is Severity.BAD for finding in told.values())


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("20240229", "date", "2024-02-29 00:00:00"), ("2024.02.29", "date", "2024-02-29 00:00:00"),
        ("2024-02", "date", "2024-02-29 00:00:00"), ("2024-02-29 08:09:10", "datetime", "2024-02-29 08:09:10"),
        ("2024-02-29T08:09:10.25", "datetime", "2024-02-29 08:09:10.250000"),
        ("-12.5", "number", "-12.5"), ("12.00", "integer", "12"), ("0012", "category", "0012"),
    ],
)  # fmt: skip
def test_values_are_read_as_written(text: str, kind: str, expected: str) -> None:
    assert str(parse(text, kind)) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("20240230", "date"), ("2024-13", "date"), ("2024-02.29", "date"), ("29/02/2024", "date"), ("2024", "date"),
        ("2024-02-29 25:00:00", "datetime"), ("1,234", "number"), ("１２", "number"), ("NaN", "number"),
        ("1e5", "number"), ("3万", "number"), ("12.5", "integer"), ("9" * 19, "integer"),
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_value_is_none(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, kind)


def test_reports_on_persons_are_left_out_and_told(tmp_path: Path) -> None:
    person = "<Document><PRH><PA01><PA01A><PA01AI01>P1</PA01AI01></PA01A></PA01></PRH></Document>"
    found = read(tmp_path, f"<All>{report()}{person}</All>")
    assert found.n_reports == 1
    assert "report_of_person" in codes(found)


def test_an_import_takes_reports_beside_tables_and_knows_whom_they_are_on(tmp_path: Path) -> None:
    written(tmp_path, f"企业编号,统一社会信用代码\nE1,{CODE}\nE2,x\n", "firms.csv")
    written(tmp_path, "query_id,report_id,app_id\nQ7,R1,A3\nQ8,R9,A4\n", "credit_query.csv")
    written(tmp_path, report())
    imported = import_tables(tmp_path)
    (head,) = imported.table_set.frame("credit_report").to_dict("records")
    assert (head["ent_id"], head["query_id"], head["app_id"]) == ("E1", "Q7", "A3")
    assert imported.table_set.spec("cr_perf").primary_key == ["ED01AI01", "ED01BR01"]
    assert {source.name for source in imported.sources} == {"firms.csv", "credit_query.csv", "report.xml"}
