"""Rows held as columns: the same rows, the same features."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from features.column_rows import ColumnRows, as_columns, column_of

CELLS = st.none() | st.integers() | st.text(max_size=3)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), CELLS, max_size=3), max_size=4)


@given(ROWS)
def test_rows_stay_the_rows_they_are(rows: list[dict[str, Any]]) -> None:
    held = as_columns(rows)
    assert held == rows
    assert [held[i] for i in range(len(held))] == rows
    assert held[1:] == rows[1:]
    assert as_columns(held) is held
    for name in "abcd":
        assert column_of(held, name) == [row.get(name) for row in rows]


@given(ROWS)
def test_columns_are_taken_only_where_all_rows_have_the_same(rows: list[dict[str, Any]]) -> None:
    is_alike = len({frozenset(row) for row in rows}) == 1 and bool(rows[0])
    assert isinstance(as_columns(rows), ColumnRows) == is_alike


def test_lists_of_values_become_rows() -> None:
    rows = ColumnRows.of_lists(["a", "b"], [[1, 2], [3, 4]])
    assert rows == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert rows.replaced({"b": [5, 6]})[1] == {"a": 3, "b": 6}
    assert list(ColumnRows.of_lists(["a"], [])) == []
