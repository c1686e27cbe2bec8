import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.numbers_in_text import is_code, parse_booleans, parse_numbers


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_what_python_writes_is_read_exactly(numbers):
    found = parse_numbers(pa.array([repr(number) for number in numbers]))
    assert found.ok.all()
    assert not found.written.any()
    np.testing.assert_array_equal(found.numbers, numbers)


@given(st.integers(-(10**12), 10**12), st.integers(0, 99))
def test_thousands_separators_do_not_change_the_number(whole, cents):
    found = parse_numbers(pa.array([f"{whole:,}.{cents:02d}"]))
    assert found.ok.all()
    assert found.numbers[0] == float(f"{whole}.{cents:02d}")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12%", 0.12),
        ("１２．５％", 0.125),
        ("¥3万", 30_000),
        ("￥1,234.50", 1234.5),
        ("1.5亿元", 150_000_000),
        ("5千", 5_000),
        ("(1,000)", -1_000),
        ("-¥7", -7),
        ("１２３", 123),
        ("+5", 5),
    ],
)
def test_numbers_as_people_write_them(text, number):
    found = parse_numbers(pa.array([text]))
    assert found.ok.tolist() == [True]
    assert found.numbers[0] == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["1,5", "12,34,567", "1.2.3", "(5", "5)", "abc", "1e", "0x10", "--5", "12%%", "万", "nan"]
)
def test_what_is_no_number_is_not_made_one(text):
    found = parse_numbers(pa.array([text]))
    assert found.ok.tolist() == [False]
    assert np.isnan(found.numbers[0])


@given(st.text(max_size=12))
def test_no_text_makes_it_fail(text):
    found = parse_numbers(pa.array([text]))
    assert found.ok[0] == (not np.isnan(found.numbers[0]))


def test_leading_zeros_and_long_digits_are_codes():
    assert is_code(pa.array(["0371"]))
    assert is_code(pa.array(["123456789012345678"]))
    assert not is_code(pa.array(["0", "0.5", "-0.25", "10", "123456789012345"]))


def test_words_for_true_and_false():
    values, ok = parse_booleans(pa.array(["是", "否", "TRUE", "0", "maybe"]))
    np.testing.assert_array_equal(values, [1, 0, 1, 0, np.nan])
    assert ok.tolist() == [True, True, True, True, False]
