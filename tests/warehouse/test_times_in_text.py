import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.times_in_text import parse_times

FIRST, LAST = dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1)  # noqa: DTZ001 - our times have no zone
DAYS = st.dates(dt.date(1700, 1, 1), dt.date(2250, 12, 31))


def one(text, **options):
    found = parse_times(pa.array([text]), **options)
    return found.times[0] if found.ok[0] else None


@given(DAYS, st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日", "%Y-%m-%d 00:00:00"]))
def test_each_way_to_write_a_day_gives_that_day(day, form):
    assert one(day.strftime(form).rjust(8, "0")) == np.datetime64(day)


@given(st.datetimes(FIRST, LAST))
def test_iso_times_keep_their_microseconds(moment):
    assert one(moment.isoformat()) == np.datetime64(moment)


@given(st.integers(0, 99_999_999))
def test_eight_digits_are_a_date_only_where_the_calendar_has_it(number):
    text = f"{number:08d}"
    try:
        expected = dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        expected = None
    found = parse_times(pa.array([text]))
    assert found.ok[0] == (expected is not None or number == 0)
    if expected is not None and 1678 <= expected.year <= 2261:
        assert found.times[0] == np.datetime64(expected)


@given(st.text(max_size=20))
def test_no_text_makes_it_fail(text):
    parse_times(pa.array([text]), short_forms=True)


@pytest.mark.parametrize(
    "text", ["20240230", "2023-02-29", "2024-13-01", "2024-04-31", "2024-01-01 24:00", "1/1/24", "十"]
)
def test_a_day_the_calendar_does_not_have_is_no_date(text):
    assert one(text) is None


@pytest.mark.parametrize("text", ["9999-12-31", "0001-01-01", "0000-00-00", "00000000", "99991231"])
def test_placeholders_are_read_as_missing_and_told(text):
    found = parse_times(pa.array([text]))
    assert found.ok.all()
    assert found.outside.all()
    assert np.isnat(found.times[0])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("二〇二四年三月五日", "2024-03-05"),
        ("二〇二四年十二月二十三日", "2024-12-23"),
        ("二零一九年十月三十日", "2019-10-30"),
        ("24-Jun-91", "1991-06-24"),
        ("4 October 2005", "2005-10-04"),
        ("2024-02", "2024-02-29"),
        ("2024年11月", "2024-11-30"),
    ],
)
def test_words_and_months(text, day):
    assert one(text) == np.datetime64(day)


@pytest.mark.parametrize(("text", "day"), [("930101", "1993-01-01"), ("202402", "2024-02-29"), ("2006", "2006-12-31")])
def test_short_forms_only_where_asked(text, day):
    assert one(text) is None
    assert one(text, short_forms=True) == np.datetime64(day)


def test_the_whole_column_decides_between_day_first_and_month_first():
    days = parse_times(pa.array(["13/02/2024", "01/02/2024"]))
    months = parse_times(pa.array(["02/13/2024", "01/02/2024"]))
    either = parse_times(pa.array(["01/02/2024"]))
    assert days.times[1] == np.datetime64("2024-02-01")
    assert months.times[1] == np.datetime64("2024-01-02")
    assert (days.is_ambiguous, months.is_ambiguous, either.is_ambiguous) == (False, False, True)


def test_a_column_with_both_orders_is_not_read_as_dates():
    assert parse_times(pa.array(["13/02/2024", "02/13/2024"])).ok.tolist() == [True, False]


def test_time_zones_are_brought_to_chinas_clock():
    found = parse_times(pa.array(["2024-01-01T00:00:00Z", "2024-01-01 08:00:00+08:00", "2023-12-31 19:00:00-0500"]))
    assert found.zoned.all()
    assert (found.times == np.datetime64("2024-01-01T08:00:00")).all()
