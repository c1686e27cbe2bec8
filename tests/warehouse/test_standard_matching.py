import json

import pandas as pd
import pytest

from warehouse.data_model import DataModel
from warehouse.modelling.edits import apply_edit
from warehouse.standard import load
from warehouse.standard.matching import match_columns
from warehouse.standard.naming import normal_name, similarity, unit_of
from warehouse.table_set import TableSet

STANDARD = load()


def matched(match):
    return {column.column: f"{column.standard_table}.{column.field}" for column in match.columns}


def table_set(text, **frames):
    return TableSet.from_frames(
        {name: pd.DataFrame(frame) for name, frame in frames.items()}, DataModel.from_text(text)
    )


@pytest.fixture(scope="module")
def chinese():
    """An upload as a county institution might send it: other names, units in brackets, one column we do not know."""
    return table_set(
        """
tables:
  担保申请:
    columns:
      业务编号: {type: id}
      客户代码: {type: id}
      受理时间: {type: datetime}
      申请金额（元）: {type: number}
      期限: {type: text}
      企业规模: {type: category}
      证照: {type: id}
      备忘: {type: text}
""",
        担保申请={
            "业务编号": ["1", "2", "3", "4"],
            "客户代码": ["a", "b", "a", "c"],
            "受理时间": pd.to_datetime(["2024-01-05"] * 4),
            "申请金额（元）": [1e6, 2e6, 3e6, None],
            "期限": ["12", "12", "6", "半年"],
            "企业规模": ["4", "5", "小型", "小型"],
            "证照": ["91350100M000100Y43"] * 3 + [None],
            "备忘": ["x", None, None, None],
        },
    )


@pytest.fixture(scope="module")
def match(chinese):
    return match_columns(chinese, STANDARD)


def test_columns_are_found_by_other_names_labels_words_and_values(match):
    assert match.standard_table("担保申请") == "application"
    assert matched(match) == {
        "业务编号": "application.app_id",
        "受理时间": "application.app_time",
        "申请金额（元）": "application.amount",
        "期限": "application.term_months",
        "企业规模": "application.scale",
        "证照": "enterprise.uscc",
    }
    evidence = {column.column: column.evidence for column in match.columns}
    assert evidence["业务编号"] == ("alias", "type")
    assert evidence["证照"] == ("type", "values")
    assert all(0.6 <= column.confidence <= 1 for column in match.columns)


def by_code(match):
    found = {}
    for finding in match.findings:
        found.setdefault(finding.code, []).append(finding.where)
    return found


def test_differences_from_the_standard_are_findings(match):
    found = by_code(match)
    assert found["standard_type_differs"] == ["担保申请, column 期限"]
    assert found["standard_unit_differs"] == ["担保申请, column 申请金额（元）"]
    assert found["standard_code_unknown"] == ["担保申请, column 企业规模"]
    assert found["standard_column_unknown"] == ["担保申请, column 客户代码", "担保申请, column 备忘"]
    assert "担保申请, column 申请金额（元）" in found["standard_values_missing"]
    asked_for = [finding.text() for finding in match.findings if finding.code == "standard_field_missing"]
    assert [text.split("asks for ")[1].split(" ")[0] for text in asked_for] == ["ent_id", "channel"]


def test_another_unit_tells_how_to_bring_features_to_that_of_the_standard(match):
    (finding,) = [finding for finding in match.findings if finding.code == "standard_unit_differs"]
    assert "choose 10k CNY as the feature unit" in finding.fix.text()
    assert "multiplied by 0.0001" in finding.fix.text()


def test_a_unit_that_features_are_brought_to_is_no_difference(chinese):
    column = {"do": "set_column", "table": "担保申请", "column": "申请金额（元）"}
    model = apply_edit(chinese.data_model, {**column, "field": "unit", "value": "CNY"})
    model = apply_edit(model, {**column, "field": "feature_unit", "value": "10k CNY"})
    converted = TableSet.from_frames({name: chinese.frame(name) for name in chinese.names}, model)
    assert "standard_unit_differs" not in by_code(match_columns(converted, STANDARD))


def test_codes_outside_the_table_are_counted_and_shown(match):
    (finding,) = [finding for finding in match.findings if finding.code == "standard_code_unknown"]
    assert "2 rows hold 1 codes that are not in the code table 2005, such as '小型'" in finding.text()


def test_the_standard_matches_itself():
    """Every table under its own name, every field under its own: nothing differs."""
    model = DataModel.from_text("tables: {}").model_copy(
        update={
            "tables": DataModel.model_validate(
                {
                    "tables": {
                        table.code: {
                            "label": table.label,
                            "columns": {
                                field.code: {"type": field.type, "unit": field.unit, "label": field.label}
                                for field in table.fields.values()
                            },
                        }
                        for table in STANDARD.tables.values()
                    }
                }
            ).tables
        }
    )
    match = match_columns(model, STANDARD)
    assert [table.table for table in match.tables] == [table.standard_table for table in match.tables]
    assert [column.confidence for column in match.columns] == [1.0] * len(list(STANDARD.fields))
    assert match.findings == ()


def test_what_is_not_of_the_standard_is_left_alone():
    match = match_columns(
        table_set("tables: {weather: {columns: {station: {type: id}, rain: {type: number}}}}",
                  weather={"station": ["a"], "rain": [1.0]}), STANDARD)  # fmt: skip
    assert match.columns == ()
    assert [finding.code for finding in match.findings] == ["standard_table_unknown"]


def test_a_field_is_given_to_one_column_only():
    match = match_columns(
        DataModel.from_text("tables: {enterprise: {columns: {ent_name: {}, 企业名称: {}, ent_id: {type: id}}}}"),
        STANDARD,
    )
    assert [(column.column, column.field) for column in match.columns] == [
        ("ent_name", "ent_name"),
        ("ent_id", "ent_id"),
    ]


def test_a_match_is_json(match):
    data = json.loads(json.dumps(match.to_json(), allow_nan=False))
    assert data["tables"] == [
        {"table": "担保申请", "standard_table": "application", "confidence": match.tables[0].confidence}
    ]
    assert {finding["code"] for finding in data["findings"]} == set(by_code(match))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("注册资本(万元)", "10k CNY"),
        ("金额（元）", "CNY"),
        ("rate_pct", "percent"),
        ("yuan", None),
        ("month", None),
        ("", None),
    ],
)
def test_units_stand_in_names(name, unit):
    assert unit_of(name) == unit


def test_names_are_compared_without_case_separators_and_units():
    assert normal_name("REG_CAPITAL_WAN") == normal_name("regCapital") == "regcapital"
    assert similarity("担保金额", "放款日期") == 0
    assert similarity("enterprises", "Enterprise") == 1
