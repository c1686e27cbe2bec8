"""The quick look at quotes never passes what a strict CSV reader refuses."""

import csv
import io
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InputError
from warehouse.quotes import are_sound, check_quotes


def is_strict(text):
    try:
        list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error:
        return False
    return True


def in_blocks(text, n):
    """Cut a text at line ends into up to `n` blocks."""
    lines = io.BytesIO(text.encode()).readlines()
    step = max(1, len(lines) // n)
    return [b"".join(lines[start : start + step]) for start in range(0, len(lines), step)]


@given(st.text('",\nax', max_size=24), st.integers(1, 4))
@example('a,"b\nc"\n', 2)
@example('"""a"""\n', 1)
@example('a,"b"c\n', 1)
@example('""""\n', 1)
def test_what_is_called_sound_a_strict_reader_accepts(text, n):
    blocks = in_blocks(text, n)
    if are_sound(blocks, ","):
        assert is_strict(text)
    if is_strict(text):
        check_quotes(blocks, ",", "t.csv")
    else:
        with pytest.raises(InputError):
            check_quotes(blocks, ",", "t.csv")


@given(
    st.lists(st.lists(st.text('",\nax中', max_size=5), min_size=2, max_size=4), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_what_a_writer_writes_is_sound(rows, n):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    assert are_sound(in_blocks(out.getvalue(), n), ",")


def test_a_quoted_megabyte_is_looked_at_in_a_moment():
    block = b'"10000000","2024-01-05","a ""b"" c"\n' * 200_000
    start = time.process_time()
    assert are_sound([block, block], ",")
    assert time.process_time() - start < 3
