"""Rules as data and as pandera schemas, and the arithmetic of single checks against plain definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigurationError
from warehouse.data_model import DataModel
from warehouse.profile import profile
from warehouse.quality import RuleSet, assess
from warehouse.quality.duplicates import duplicate_rows
from warehouse.quality.faults import TableCase
from warehouse.quality.masking import mask
from warehouse.quality.personal import personal_columns
from warehouse.quality.rules import propose_rules
from warehouse.quality.schemas import to_schema
from warehouse.standard import load
from warehouse.standard.matching import match_columns
from warehouse.table_set import TableSet

STANDARD = load()
MODEL = """
tables:
  enterprise:
    columns:
      ent_id: {type: id, role: key}
      uscc: {type: id}
      scale: {type: category}
      reg_capital: {type: number, unit: 10k CNY}
      paid_capital: {type: number, unit: 10k CNY}
      mobile: {type: text}
    primary_key: [ent_id]
"""


@pytest.fixture
def enterprises():
    frame = pd.DataFrame(
        {
            "ent_id": ["1", "2", "3", "4"],
            "uscc": ["91350100M000100Y43", "91350100m000100y43", "91350100M000100Y44", None],
            "scale": ["4", "5", "小", None],
            "reg_capital": [100.0, -5.0, np.nan, 10.0],
            "paid_capital": [50.0, -6.0, 7.0, 11.0],
            "mobile": ["13800000000", None, "13900000000", "13700000000"],
        }
    )
    return TableSet.from_frames({"enterprise": frame}, DataModel.from_text(MODEL))


@pytest.fixture
def rules(enterprises):
    match = match_columns(enterprises, STANDARD)
    return propose_rules(enterprises, STANDARD, {"enterprise": match.fields_of("enterprise", STANDARD)})


def test_rules_come_from_the_catalogue_and_from_the_keys(rules):
    columns = rules.tables["enterprise"].columns
    assert (columns["ent_id"].required, columns["ent_id"].unique) == (True, True)
    assert (columns["uscc"].check, columns["uscc"].required) == ("credit_code", True)
    assert columns["scale"].code_tables == ["2005"]
    assert columns["reg_capital"].minimum == 0
    assert "mobile" not in columns
    assert [(rule.lower, rule.upper) for rule in rules.tables["enterprise"].orders] == [("paid_capital", "reg_capital")]


def test_without_a_standard_only_keys_and_times_give_rules(enterprises):
    (columns,) = [table.columns for table in propose_rules(enterprises).tables.values()]
    assert list(columns) == ["ent_id"]


def test_rules_go_to_yaml_and_back(rules):
    assert RuleSet.from_text(rules.to_yaml()) == rules
    assert RuleSet.from_text(rules.to_yaml()).fingerprint == rules.fingerprint
    assert "required: false" not in rules.to_yaml()


def counts(report):
    return {
        (finding.column, finding.code): finding.count for finding in report.findings if finding.dimension != "standard"
    }


def test_every_broken_rule_is_counted(enterprises):
    assert counts(assess(enterprises, STANDARD)) == {
        ("uscc", "value_missing"): 1,
        ("uscc", "small_letters"): 1,
        ("uscc", "invalid_credit_code"): 1,
        ("scale", "value_missing"): 1,
        ("scale", "unknown_code"): 1,
        ("reg_capital", "below_minimum"): 1,
        ("paid_capital", "below_minimum"): 1,
        ("paid_capital, reg_capital", "out_of_order"): 1,
    }


def test_edited_rules_are_the_ones_that_count(enterprises):
    edited = RuleSet.from_text(
        """
tables:
  enterprise:
    columns:
      paid_capital: {maximum: 10}
      scale: {values: [小], code_tables: ["2005"]}
      mobile: {pattern: "1[3-9][0-9]{9}", required: true}
    sums: [{total: reg_capital, parts: [paid_capital], relative: 0.2}]
"""
    )
    assert counts(assess(enterprises, STANDARD, rules=edited)) == {
        ("paid_capital", "above_maximum"): 2,
        ("mobile", "value_missing"): 1,
        ("reg_capital, paid_capital", "sum_differs"): 1,
    }


def test_a_schema_is_pandera_s_and_refuses_the_same_values(enterprises, rules):
    import pandera.pandas as pa

    schema = to_schema(rules.tables["enterprise"], STANDARD)
    assert isinstance(schema, pa.DataFrameSchema)
    frame = enterprises.frame("enterprise")
    with pytest.raises(pa.errors.SchemaErrors) as refused:
        schema.validate(frame, lazy=True)
    named = set(refused.value.failure_cases["check"])
    assert {"below_minimum", "unknown_code", "invalid_credit_code", "out_of_order"} <= named
    good = frame.iloc[:1].assign(scale="4")
    assert schema.validate(good).equals(good)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{columns: {colour: {required: true}}}", "a rule names the column colour"),
        ("{orders: [{lower: scale, upper: colour}]}", "a rule names the column colour"),
        ("{columns: {scale: {code_tables: ['1']}}}", "scale: there is no code table 1"),
    ],
)
def test_a_rule_about_nothing_is_refused(enterprises, text, problem):
    rules = RuleSet.from_text(f"tables: {{enterprise: {text}}}")
    with pytest.raises(ConfigurationError, match=problem):
        assess(enterprises, STANDARD, rules=rules)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{scale: {least: 1}}", "line 1"), ("{scale: {minimum: 2, maximum: 1}}", "the minimum is above the maximum")],
)
def test_a_wrong_rule_is_refused_with_its_line(text, problem):
    with pytest.raises(ConfigurationError, match=problem):
        RuleSet.from_text(f"tables: {{enterprise: {{columns: {text}}}}}")


def test_personal_columns_are_known_by_standard_by_name_and_by_value():
    model = DataModel.from_text(
        "tables: {person: {columns: "
        "{person_id: {type: id}, person_name: {}, 联系地址: {}, c: {}, d: {}, amount: {type: number}}}}"
    )
    frame = pd.DataFrame(
        {
            "person_id": ["P1", "P2"],
            "person_name": ["甲", "乙"],
            "联系地址": ["x", "y"],
            "c": ["11010519491231002X", None],
            "d": ["13800000000", "13900000000"],
            "amount": [13800000000.0, 1.0],
        }
    )
    table_set = TableSet.from_frames({"person": frame}, model)
    fields = match_columns(table_set, STANDARD).fields_of("person", STANDARD)
    assert personal_columns(table_set.spec("person"), table_set.frame("person"), fields) == {
        "person_name",
        "联系地址",
        "c",
        "d",
    }


@given(st.text(max_size=30))
def test_a_masked_text_keeps_its_length_and_hides_most(text):
    masked = mask(text)
    assert len(masked) == len(text)
    kept = sum(one == other for one, other in zip(masked, text, strict=True) if other != "*")
    assert kept <= max(4 * (len(text) > 4), len(text) and 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]), st.sampled_from([0.0, -0.0, 1.5, np.nan]), st.sampled_from([1, 2])
        ),
        max_size=30,
    )
)
def test_repeated_rows_are_those_of_pandas(rows):
    frame = pd.DataFrame(rows, columns=["text", "number", "whole"]).astype(
        {"text": object, "number": float, "whole": "int64"}
    )
    model = DataModel.from_text(
        "tables: {t: {columns: {text: {type: category}, number: {type: number}, whole: {type: integer}}}}"
    )
    table_set = TableSet.from_frames({"t": frame}, model)
    case = TableCase(table_set, profile(table_set).tables[0], {})
    found = [row for fault in duplicate_rows(case) for row in fault.rows.tolist()]
    assert found == np.flatnonzero(table_set.frame("t").duplicated()).tolist()


LOANS = """
tables:
  firm: {columns: {firm_id: {type: id, role: key}}, primary_key: [firm_id]}
  loan: {columns: {firm_id: {type: id, role: foreign_key}, amount: {type: number, unit: 10k CNY}}}
relationships: [{parent: firm, parent_column: firm_id, child: loan, child_column: firm_id}]
"""


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.sampled_from([1e4, 1e-4]))
def test_slips_are_found_among_amounts_that_spread_over_thousands(seed, n_slips, factor):
    """Firms differ by far more than a firm differs from itself; its own history tells, where the column cannot."""
    random = np.random.default_rng(seed)
    size = np.repeat(random.normal(2, 0.9, 100), 8)
    amount = 10 ** (size + random.normal(0, 0.08, 800))
    firms = random.choice(100, n_slips, replace=False)
    rows = np.sort(firms * 8 + random.integers(0, 8, n_slips))
    amount[rows] *= factor
    keys = [f"F{number}" for number in range(100)]
    table_set = TableSet.from_frames(
        {
            "firm": pd.DataFrame({"firm_id": keys}),
            "loan": pd.DataFrame({"firm_id": np.repeat(keys, 8), "amount": amount}),
        },
        DataModel.from_text(LOANS),
    )
    (loan,) = [table for table in assess(table_set).tables if table.name == "loan"]
    slips = [finding for finding in loan.findings if finding.code == "unit_slip"]
    assert [finding.count for finding in slips] == [n_slips]
    assert ("large" if factor > 1 else "small") in str(slips[0].message)


def test_empty_tables_and_no_tables_are_assessed():
    empty = TableSet.from_frames({"firm": pd.DataFrame({"firm_id": []}, dtype=object), "loan": pd.DataFrame(
        {"firm_id": [], "amount": []}, dtype=object)}, DataModel.from_text(LOANS))  # fmt: skip
    assert assess(empty, STANDARD).score == 100
    assert assess(TableSet({}, DataModel())).tables == ()


@given(st.integers(0, 2**32 - 1))
def test_a_long_tail_is_no_slip(seed):
    """Amounts that spread over eight decades, as invoices do, are large now and then without being wrong."""
    random = np.random.default_rng(seed)
    amount = 10 ** (3 + 0.75 * random.standard_t(6, 5_000))
    keys = [f"F{number}" for number in range(50)]
    loans = pd.DataFrame({"firm_id": np.tile(keys, 100), "amount": amount})
    table_set = TableSet.from_frames(
        {"firm": pd.DataFrame({"firm_id": keys}), "loan": loans}, DataModel.from_text(LOANS)
    )
    assert [finding for finding in assess(table_set).findings if finding.code == "unit_slip"] == []


def test_a_time_on_the_day_of_a_date_is_not_after_it():
    model = DataModel.from_text("tables: {t: {columns: {day: {type: date}, time: {type: datetime}}}}")
    days = pd.date_range("2024-01-01", periods=400)
    times = (days - pd.Timedelta(days=3)).to_series(index=range(400)).copy()
    times[7] = days[7] + pd.Timedelta(hours=13)
    table_set = TableSet.from_frames({"t": pd.DataFrame({"day": days, "time": times})}, model)
    rules = RuleSet.from_text("tables: {t: {orders: [{lower: time, upper: day}]}}")
    assert [finding.code for finding in assess(table_set).findings] == []
    assert [finding.code for finding in assess(table_set, rules=rules).findings] == []


def test_a_day_of_overrun_is_no_swap_of_dates_that_lie_months_apart():
    model = DataModel.from_text("tables: {t: {columns: {due: {type: date}, closed: {type: date}}}}")
    due = pd.Series(pd.date_range("2024-01-01", periods=1_000))
    closed = due - pd.to_timedelta(np.arange(1_000) % 100 + 30, unit="D")
    closed[10] = due[10] + pd.Timedelta(days=1)
    closed[20:22] = due[20:22] + pd.Timedelta(days=80)
    table_set = TableSet.from_frames({"t": pd.DataFrame({"due": due, "closed": closed})}, model)
    (finding,) = assess(table_set).findings
    assert (finding.code, finding.column, finding.count) == ("dates_out_of_order", "closed, due", 2)
