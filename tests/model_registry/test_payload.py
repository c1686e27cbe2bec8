"""Rows are taken as they are meant, or refused by place."""

import copy
import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from model_registry import payload as payload_module
from model_registry.payload import PayloadSchema, read_time

SCHEMA = PayloadSchema(
    root_table="loan",
    key_column="id",
    columns={
        "loan": {"id": "key", "at": "time", "amount": "number", "kind": "text", "is_new": "boolean"},
        "payment": {"loan_id": "key", "paid": "number"},
    },
    needed={"loan": frozenset({"id", "at", "amount"}), "payment": frozenset({"loan_id", "paid"})},
    cutoff_column="at",
)
GOOD: dict[str, list[dict[str, Any]]] = {
    "loan": [{"id": "L1", "at": "2024-05-31", "amount": 1.5, "kind": "a", "is_new": True}],
    "payment": [{"loan_id": "L1", "paid": 3}, {"loan_id": "L1", "paid": None}],
}


def refusal(tables: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        SCHEMA.check(tables)
    return caught.value


def changed(table: str, row: int, column: str, value: Any) -> dict[str, Any]:
    tables = copy.deepcopy(GOOD)
    tables[table][row][column] = value
    return tables


def test_good_rows_pass() -> None:
    SCHEMA.check(GOOD)
    SCHEMA.check({"loan": [{"id": 7, "is_new": 0, "amount": -5}]})
    SCHEMA.check({})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def is_number(value: Any) -> bool:
    if type(value) is int:
        return abs(value) <= int(1.7976931348623157e308)
    return type(value) is float and math.isfinite(value)


@settings(max_examples=300, deadline=None)
@given(JSON_VALUES)
def test_a_number_is_a_finite_number_or_null_and_nothing_else(value: Any) -> None:
    tables = changed("payment", 1, "paid", value)
    if value is None or is_number(value):
        SCHEMA.check(tables)
    else:
        error = refusal(tables)
        assert (error.code, error.where) == ("wrong_type", "payment, row 2, column paid")


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_what_the_check_lets_through_as_time_numpy_reads_as_that_time(value: Any) -> None:
    try:
        SCHEMA.check(changed("loan", 0, "at", value))
    except InputError as error:
        assert error.where == "loan, row 1, column at"
    else:
        assert value is None or str(read_time(value))[:10] == value[:10]


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 12, 31)))  # noqa: DTZ001
def test_every_moment_of_the_range_is_read(moment: Any) -> None:
    assert read_time(moment.isoformat()) == np.datetime64(moment, "ns")


@pytest.mark.parametrize(
    "text",
    ["2024-02-30", "2024-13-01", "2024-1-1", "2024-01-01T24:00", "2024-01-01Z", "2024-01-01T00:00+08:00", "1899-12-31",
     "2201-01-01", "20240101", "二〇二四-01-01", "２０２４-01-01", "2024-01-01\n", "", "now", "NaT"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_time(text)


@pytest.mark.parametrize(
    ("table", "column", "value", "is_good"),
    [
        ("loan", "is_new", False, True),
        ("loan", "is_new", 1, True),
        ("loan", "is_new", 1.0, True),
        ("loan", "is_new", 2, False),
        ("loan", "is_new", "true", False),
        ("loan", "kind", 3, True),
        ("loan", "kind", True, False),
        ("loan", "kind", 3.5, False),
        ("loan", "kind", "", True),
        ("loan", "id", "a\nb", False),
        ("loan", "id", "x" * 257, False),
        ("loan", "amount", True, False),
        ("loan", "amount", 10**400, False),
    ],
)
def test_each_form_takes_its_own_values(table: str, column: str, value: Any, is_good: bool) -> None:
    tables = changed(table, 0, column, value)
    if is_good:
        SCHEMA.check(tables)
    else:
        assert refusal(tables).code == "wrong_type"


def test_unknown_names_are_cut_and_made_printable() -> None:
    error = refusal({"loan": [{"id": "L1", "\x1b[31m" + "x" * 500: 1}]})
    assert error.code == "unknown_column"
    assert len(error.where) < 80 and error.where.isprintable()


def test_the_key_is_the_only_root_row_or_must_be_named() -> None:
    assert SCHEMA.key_of(GOOD) == "L1"
    assert SCHEMA.key_of({"loan": [{"id": 7}]}) == "7"
    assert SCHEMA.key_of({"loan": [{"id": "a"}, {"id": "b"}]}, "b") == "b"
    for tables in ({}, {"loan": []}, {"loan": [{"id": "a"}, {"id": "b"}]}, {"loan": [{"id": None}]}, {"loan": [{}]}):
        with pytest.raises(InputError):
            SCHEMA.key_of(tables)


def test_what_is_missing_is_completed_and_said() -> None:
    rows, warnings = SCHEMA.complete({"loan": [{"id": "L1", "at": None}]})
    assert rows == {"loan": [{"id": "L1", "at": None}], "payment": ()}
    assert [warned.code for warned in warnings] == ["missing_column", "missing_table"]


def test_an_empty_text_is_null_as_in_an_imported_table() -> None:
    sent = {"loan": [{"id": "L1", "at": None, "amount": 1}], "payment": [{"loan_id": "", "paid": 1}]}
    rows, _ = SCHEMA.complete(sent)
    assert rows["payment"] == [{"loan_id": None, "paid": 1}]
    assert sent["payment"] == [{"loan_id": "", "paid": 1}]


def test_the_schema_travels_as_json() -> None:
    assert PayloadSchema.from_json(SCHEMA.to_json()) == SCHEMA


@given(values=st.lists(st.one_of(
    st.from_regex(r"\A[12]\d{3}-[01]\d-[0-3]\d([T ][0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,10})?)?)?\n?\Z"),
    st.dates().map(str), st.datetimes().map(lambda moment: moment.isoformat()), st.text(max_size=12),
), max_size=6))  # fmt: skip
def test_a_sweep_over_times_never_accepts_what_one_alone_would_not_be(values: list[str]) -> None:
    if payload_module._are_times(values):
        assert all(map(payload_module._is_time, values))


def test_a_sweep_over_times_knows_the_calendar() -> None:
    day = np.arange("1896-01-01", "2204-12-31", dtype="datetime64[D]").astype(str).tolist()
    swept = [value for value in day if payload_module._are_times([value])]
    sound = [value for value in day if payload_module._is_time(value)]
    assert swept == sound


@given(st.lists(st.text(max_size=4) | st.sampled_from(["k" * 256, "k" * 257, "\x00", "a b"]), min_size=1, max_size=4))
def test_a_sweep_over_keys_says_what_one_by_one_says(values: list[str]) -> None:
    assert payload_module._are_keys(values) == all(map(payload_module._is_key, values))


@given(values=st.lists(st.floats() | st.integers() | st.sampled_from([10**400, 1e308, -1e308]), max_size=6))
def test_a_sweep_over_numbers_never_accepts_what_one_alone_would_not_be(values: list[float]) -> None:
    if payload_module._are_finite(values):
        assert all(map(payload_module._is_finite, values))
