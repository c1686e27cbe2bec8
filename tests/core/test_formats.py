"""Figures and times as they are shown."""

import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.i18n.formats import ago, count, difference, interval, metric, money_cny, percent, when

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.402, ".402"),
        (0.40251, ".403"),
        (0.0402, ".0402"),
        (0.05, ".0500"),
        (-0.402, "-.402"),
        (0.99951, "1.00"),
        (1, "1.00"),
        (0, "0"),
        (-0.0, "0"),
        (12.34, "12.3"),
        (100.4, "100"),
        (999.6, "1,000"),
        (123456.7, "123,457"),
        (0.0000123, "1.23e-05"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_a_metric_has_three_significant_digits_and_no_leading_zero(value, shown):
    assert metric(value) == shown


@given(st.floats(-1e6, 1e6))
def test_a_shown_metric_is_the_value_to_half_a_unit_of_its_third_digit(value):
    shown = float(metric(value).replace(",", ""))
    assert abs(shown - value) <= max(abs(value) * 0.005 * 1.000001, 1e-300)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0031, ".0031"), (-0.0012, "-.0012"), (0.0000280, "0"), (-0.00004, "0"), (0, "0"), (-1.25, "-1.2500"),
     (None, "–"), (math.nan, "–")],
)  # fmt: skip
def test_a_difference_has_four_decimals(value, shown):
    assert difference(value) == shown


def test_an_interval_of_differences_is_written_as_they_are():
    assert interval(-0.0000002, 0.00213, difference) == "[0, .0021]"


@pytest.mark.parametrize(
    ("low", "high", "shown"), [(0.361, 0.441, "[.361, .441]"), (None, 0.4, "–"), (0.1, math.nan, "–")]
)
def test_an_interval_stands_in_brackets(low, high, shown):
    assert interval(low, high) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"), [(0.1234, "12.3%"), (0, "0.0%"), (-0.5, "-50.0%"), (None, "–"), (math.nan, "–")]
)
def test_a_ratio_is_a_percentage_with_one_decimal(ratio, shown):
    assert percent(ratio) == shown


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (999, "999"), (1234567, "1,234,567"), (None, "–"), (math.nan, "–")]
)
def test_counts_have_their_thousands_separated(number, shown):
    assert count(number) == shown


@pytest.mark.parametrize(
    ("amount", "english", "chinese"),
    [
        (860, "CNY 860", "860 元"),
        (12_345, "CNY 12,345", "1.234 万元"),
        (5_000_000, "CNY 5 million", "500 万元"),
        (-5_250_000, "CNY -5.25 million", "-525 万元"),
        (123_400_000, "CNY 123.4 million", "1.234 亿元"),
        (1_500_000_000, "CNY 1.5 billion", "15 亿元"),
        (123_456_000_000_000, "CNY 123,456 billion", "1,234,560 亿元"),
        (None, "–", "–"),
    ],
)
def test_money_is_in_the_units_of_the_reader(amount, english, chinese):
    assert (money_cny(amount), money_cny(amount, "zh")) == (english, chinese)


def test_times_are_shown_in_the_zone_of_the_machine():
    moment = datetime(2026, 3, 1, 8, 30, tzinfo=timezone(timedelta(hours=8)))
    local = moment.astimezone()
    assert when(moment) == f"{local:%Y-%m-%d %H:%M}"
    assert when(date(2026, 3, 1), "zh") == "2026年3月1日"
    assert when(None) == "–"


@pytest.mark.parametrize(
    ("elapsed", "english", "chinese"),
    [
        (timedelta(seconds=5), "just now", "刚刚"),
        (timedelta(seconds=-5), "just now", "刚刚"),
        (timedelta(seconds=61), "1 min ago", "1 分钟前"),
        (timedelta(minutes=59, seconds=59), "59 min ago", "59 分钟前"),
        (timedelta(hours=23, minutes=59), "23 h ago", "23 小时前"),
        (timedelta(hours=25), "1 day ago", "1 天前"),
        (timedelta(days=59), "59 days ago", "59 天前"),
    ],
)
def test_a_short_while_ago_is_told_in_words(elapsed, english, chinese):
    assert ago(NOON - elapsed, NOON) == english
    assert ago(NOON - elapsed, NOON, "zh") == chinese


@pytest.mark.parametrize("elapsed", [timedelta(days=60), timedelta(days=-1)])
def test_long_ago_and_the_future_are_told_by_date(elapsed):
    assert ago(NOON - elapsed, NOON) == when(NOON - elapsed)


def test_now_is_the_default_and_nothing_is_a_dash():
    assert ago(datetime.now(UTC) - timedelta(minutes=5, seconds=1)) == "5 min ago"
    assert ago(None) == "–"


def test_the_missing_time_of_pandas_is_a_dash():
    pandas = pytest.importorskip("pandas")
    assert when(pandas.NaT) == ago(pandas.NaT) == "–"
