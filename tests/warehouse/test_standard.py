import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFoundError
from warehouse.data_model import ColumnSpec
from warehouse.standard import load
from warehouse.standard.catalogue import SOURCES
from warehouse.standard.check_digits import is_credit_code, is_identity_number

STANDARD = load()
FIELDS = list(STANDARD.fields)


def test_the_catalogue_holds_every_element_and_every_code_of_the_central_bank():
    reports = [element.report for element in STANDARD.elements.values()]
    assert (reports.count("enterprise"), reports.count("individual")) == (978, 353)
    shipped = [table for table in STANDARD.code_tables.values() if table.standard == "central bank"]
    assert sum(len(table.entries) for table in shipped) == 967


def test_elements_follow_the_naming_grammar_of_the_reports():
    """Unit, block letter or 0, kind letter, two digits; the kind letter says the kind, the path names the unit."""
    kinds = {"I": "identifier", "D": "code", "J": "amount", "S": "count", "R": "date", "Q": "text"}
    for element in STANDARD.elements.values():
        assert re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0][IQDJSRE]\d{2}", element.code), element
        assert element.kind in {kinds[element.code[5]], "rate"}, element
        assert element.code[:4] in element.path, element


def test_elements_have_the_units_that_the_reports_print():
    units = {code: STANDARD.element(code).unit for code in ("EB01AJ01", "ED01BJ04", "EF010J01", "PD01CJ06", "EG02BJ01")}
    assert units["EB01AJ01"] == units["ED01BJ04"] == "10k CNY"
    assert units["EF010J01"] == units["PD01CJ06"] == "CNY"
    assert STANDARD.element("ED01BH".replace("BH", "BD01")).code_tables == ("2045",)


def test_code_tables_that_elements_name_are_shipped_but_for_currencies_countries_and_foreign_regions():
    named = {table for element in STANDARD.elements.values() for table in element.code_tables}
    assert named - set(STANDARD.code_tables) == {"1061", "2001", "3001", "3002", "3003"}


def test_sectors_and_regions_are_those_of_the_national_standards():
    assert "".join(STANDARD.code_table("sector").entries) == "ABCDEFGHIJKLMNOPQRST"
    cities = STANDARD.code_table("city").entries
    assert len(cities) == 11
    assert {region[:4] for region in STANDARD.code_table("region").entries} == set(cities)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.id)
def test_a_field_is_whole(field):
    assert set(field.label) == {"en", "zh"} and all(field.label.values())
    assert re.search("[\u4e00-\u9fff]", field.label["zh"])
    assert field.source in SOURCES
    ColumnSpec(type=field.type, role=field.role, label=field.label, unit=field.unit)
    assert set(field.code_tables) <= set(STANDARD.code_tables) | {"1061", "3003"}
    assert (field.minimum is None) or field.type in {"number", "integer"}
    assert str(STANDARD.table(field.table).known_at_rule(field.code))


def test_tables_name_only_fields_of_theirs():
    for table in STANDARD.tables.values():
        late = {field.known_at for field in table.fields.values()}
        named = {*table.primary_key, table.event_time, table.known_at, *late} - {None}
        assert named <= set(table.fields), table.code
        assert all(not table.fields[key].nullable for key in table.primary_key), table.code


def test_the_subject_tables_of_the_platform_are_there():
    assert len(STANDARD.tables) >= 31 + 14  # the details of credit reports are tables of their own
    assert {"enterprise", "person", "vat_monthly", "compensation", "cr_loan_account", "ind_query"} <= set(
        STANDARD.tables
    )


def test_rules_say_since_when_a_value_is_known():
    rules = [
        str(STANDARD.table(table).known_at_rule(field))
        for table, field in (
            ("person", "education"),
            ("vat_monthly", "sales"),
            ("application", "decision"),
            ("application", "amount"),
        )
    ]
    assert rules == [
        "always known",
        "known with its row, from known_at on",
        "filled in later, known from decision_time on",
        "known with its row, from app_time on",
    ]


def test_what_the_standard_does_not_have_is_named():
    with pytest.raises(NotFoundError, match="enterprise: the data standard has no colour"):
        STANDARD.field("enterprise", "colour")
    with pytest.raises(NotFoundError):
        STANDARD.code_table("3003")


def test_allowed_values_are_those_of_all_code_tables_of_a_field():
    reasons = STANDARD.allowed_values(STANDARD.field("credit_query", "reason"))
    assert {"01", "18", "20", "26"} <= reasons
    assert STANDARD.allowed_values(STANDARD.field("enterprise", "ent_name")) is None


def test_the_catalogue_is_read_once_and_needs_no_pandas():
    assert load() is STANDARD
    code = "import sys; from warehouse.standard import load; load(); print(*{'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_the_check_of_a_credit_code_is_the_hand_worked_one():
    """91350100M000100Y43 is the example of the national standard; M has the value 21, Y 30.

    Weighted by 1 3 9 27 19 26 16 17 20 29 25 13 8 24 10 30 28 its first 17 characters add up to
    9 + 3 + 27 + 135 + 26 + 420 + 8 + 900 + 112 = 1640 = 52 * 31 + 28, so the check is 31 - 28 = 3.
    """
    codes = [f"91350100M000100Y4{last}" for last in "0123456789ABCDEFGHJKLMNPQRTUWXY"]
    assert is_credit_code(np.array(codes, dtype=object)).tolist() == [code[-1] == "3" for code in codes]


def test_the_check_of_an_identity_number_is_the_hand_worked_one():
    """11010519491231002X is the example of the national standard: the sum is 167, its remainder of 11 is 2: X."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    assert sum(w * int(d) for w, d in zip(weights, "11010519491231002", strict=True)) == 167
    numbers = [f"11010519491231002{last}" for last in "0123456789Xx"]
    assert is_identity_number(np.array(numbers, dtype=object)).tolist() == [number[-1] == "X" for number in numbers]


def test_an_identity_number_has_a_day_of_birth_that_exists():
    """Both have the right check digit; only 2000 was a leap year."""

    def with_check(body):
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        return body + "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]

    numbers = [with_check("99010120000229001"), with_check("99010119000229001"), with_check("99010120001301001")]
    assert is_identity_number(np.array(numbers, dtype=object)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "value", [None, "", 9.1, "91350100m000100y43", "91350100M000100Y4", "91350100M000100Y433", "９" * 18]
)
def test_what_is_no_code_is_not_valid(value):
    values = np.array([value, "x"], dtype=object)
    assert not is_credit_code(values).any()
    assert not is_identity_number(values).any()


ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit_check(body):
    """The check character by the definition, digit by digit."""
    total = sum(ALPHABET.index(character) * 3**place for place, character in enumerate(body))
    return ALPHABET[-total % 31]


@given(st.text(ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_always_seen(body, place, other):
    code = body + credit_check(body)
    wrong = code[:place] + other + code[place + 1 :]
    assert is_credit_code(np.array([code, wrong], dtype=object)).tolist() == [True, other == code[place]]
