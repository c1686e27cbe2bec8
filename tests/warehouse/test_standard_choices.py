"""What a person decides goes before what is proposed; the standard can be searched and handed on."""

import csv
import io

import pandas as pd
import pytest
from openpyxl import load_workbook
from pydantic import ValidationError

from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.quality import assess
from warehouse.standard import load
from warehouse.standard.choices import StandardChoices
from warehouse.standard.matching import match_columns
from warehouse.standard.search import PARTS, entries, find, header, to_csv, to_workbook
from warehouse.table_set import TableSet


def firms() -> TableSet:
    columns = {"ent_id": "id", "uscc": "id", "remark": "text", "scale": "category", "employees": "integer"}
    model = DataModel(
        tables={"enterprise": TableSpec(columns={name: ColumnSpec(type=kind) for name, kind in columns.items()})}
    )
    frame = pd.DataFrame(
        {
            "ent_id": ["a", "b"], "uscc": ["91330100MA2AX00007", "x"], "remark": ["3", "77"], "scale": ["3", "88"],
            "employees": [1, 2],
        }
    )  # fmt: skip
    return TableSet.from_frames({"enterprise": frame}, model)


def fields(choices: StandardChoices | None = None) -> dict[str, str]:
    found = match_columns(firms(), load(), choices)
    return {one.column: f"{one.standard_table}.{one.field}" for one in found.columns}


def test_a_decision_goes_before_the_proposal_and_takes_its_field_from_others() -> None:
    assert fields()["scale"] == "enterprise.scale"
    assert "remark" not in fields()
    decided = StandardChoices(columns={"enterprise": {"remark": "enterprise.scale", "employees": None}})
    assert fields(decided) == {
        "ent_id": "enterprise.ent_id", "uscc": "enterprise.uscc", "remark": "enterprise.scale",
    }  # fmt: skip
    match = match_columns(firms(), load(), decided)
    (chosen,) = [one for one in match.columns if one.column == "remark"]
    assert (chosen.confidence, chosen.evidence) == (1.0, ("chosen",))
    unknown = [one for one in match.findings if one.code == "standard_code_unknown"]
    assert [one.where for one in unknown] == ["enterprise, column remark"]
    assert "1 rows hold 1 codes" in str(unknown[0].message)


def test_a_table_can_be_none_of_the_standard_or_another() -> None:
    assert (
        match_columns(firms(), load(), StandardChoices(tables={"enterprise": None})).standard_table("enterprise")
        is None
    )
    person = match_columns(firms(), load(), StandardChoices(tables={"enterprise": "person"}))
    assert person.standard_table("enterprise") == "person"


def test_the_quality_of_data_is_held_to_what_was_decided() -> None:
    decided = StandardChoices(columns={"enterprise": {"remark": "enterprise.scale"}})
    before = {one.column for one in assess(firms(), load()).findings if one.dimension == "validity"}
    after = {one.column for one in assess(firms(), load(), choices=decided).findings if one.dimension == "validity"}
    assert "remark" in after - before
    assert "scale" in before - after


def test_unknown_codes_are_told_of_once_whether_kept_as_text_or_number() -> None:
    decided = StandardChoices(columns={"enterprise": {"remark": None, "employees": "enterprise.scale"}})
    found = assess(firms(), load(), choices=decided).findings
    as_number = [one for one in found if one.column == "employees" and one.code == "standard_code_unknown"]
    as_text = [one for one in found if one.column == "scale" and "code" in one.code]
    assert [one.dimension for one in as_number] == ["standard"]
    assert [one.dimension for one in as_text] in (["validity"], [])


@pytest.mark.parametrize(
    "content", [{"tables": {"a": "nothing"}}, {"columns": {"a": {"b": "enterprise.nothing"}}}, {"x": 1}]
)
def test_what_the_standard_does_not_have_cannot_be_chosen(content: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StandardChoices.model_validate(content)


def test_decisions_add_up_and_can_be_taken_back() -> None:
    both = (
        StandardChoices()
        .with_column("a", "b", "enterprise.uscc")
        .with_table("a", "enterprise")
        .with_column("c", "d", None)
    )
    assert both.columns == {"a": {"b": "enterprise.uscc"}, "c": {"d": None}}
    assert both.without_table("a") == StandardChoices(columns={"c": {"d": None}})
    assert both.fingerprint != StandardChoices().fingerprint


def test_every_line_of_the_standard_is_found_by_code_and_by_either_language() -> None:
    assert [len(entries(part)) for part in PARTS] == [
        sum(len(table.fields) for table in load().tables.values()),
        sum(len(table.entries) for table in load().code_tables.values()),
        len(load().elements),
    ]
    assert find("统一社会信用代码", ["fields"])[0].code == "uscc"
    assert find("UNIFIED social", ["fields"])[0].code == "uscc"
    assert [one.part for one in find("ED01AJ01", ["elements"])] == ["elements"]
    assert {one.code for one in find("ED01AJ01")} == {"ED01AJ01"}
    assert find("制造业", ["codes"])[0].code == "C"
    assert find("nothing like this") == ()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_csv_and_workbook_hold_every_line_and_no_formula(language: str) -> None:
    book = load_workbook(io.BytesIO(to_workbook(language)), read_only=True)
    for part, sheet in zip(PARTS, book.worksheets, strict=True):
        content = to_csv(part, language)
        assert content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert rows[0] == header(part, language)
        assert len(rows) == len(entries(part)) + 1
        assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
        cells = list(sheet.iter_rows(values_only=True))
        assert [cell or "" for cell in cells[1]][:2] == rows[1][:2]
        assert len(cells) == len(rows)
