"""Rows of one table held as columns: what checks and computes them reads columns, and gathers them once."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, overload

__all__ = ["ColumnRows", "as_columns", "column_of"]

Row = Mapping[str, Any]


class ColumnRows(Sequence[Row]):
    """Rows that all have the same columns; each row is made when it is asked for. Equal to a list of equal rows.

    Parameters
    ----------
    columns : mapping of str to list
        The values of each column, row after row.
    n_rows : int
        Rows.
    """

    __slots__ = ("_n_rows", "columns")

    def __init__(self, columns: Mapping[str, list[Any]], n_rows: int) -> None:
        self.columns = columns
        self._n_rows = n_rows

    @classmethod
    def of_lists(cls, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> "ColumnRows":
        """Return rows that come as lists of values in the order of `names`; raises ValueError where one is no such."""
        if not rows:
            return cls({name: [] for name in names}, 0)
        return cls(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), len(rows))

    def replaced(self, columns: Mapping[str, list[Any]]) -> "ColumnRows":
        """Return the rows with other values in `columns`."""
        return ColumnRows({**self.columns, **columns}, self._n_rows)

    def __len__(self) -> int:
        return self._n_rows

    def __iter__(self) -> Iterator[Row]:
        names = list(self.columns)
        if not names:
            return iter([{} for _ in range(self._n_rows)])
        return (dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True))

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return list(self)[index]
        return {name: values[index] for name, values in self.columns.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __repr__(self) -> str:
        return repr(list(self))


def as_columns(rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows as columns where all have the same, else as they are.

    Examples
    --------
    >>> as_columns([{"a": 1, "b": 2}, {"b": 4, "a": 3}]).columns
    {'a': [1, 3], 'b': [2, 4]}
    >>> as_columns([{"a": 1}, {"b": 2}])
    [{'a': 1}, {'b': 2}]
    """
    if isinstance(rows, ColumnRows) or not rows or not rows[0]:
        return rows
    names = tuple(rows[0])
    if set(map(len, rows)) != {len(names)}:
        return rows
    try:
        return ColumnRows.of_lists(names, list(map(_getter(names), rows)))
    except KeyError:
        return rows


def column_of(rows: Sequence[Row], name: str) -> list[Any]:
    """Return the values of a column, None where a row does not have it."""
    if isinstance(rows, ColumnRows):
        return rows.columns[name] if name in rows.columns else [None] * len(rows)
    return [row.get(name) for row in rows]


def _getter(names: tuple[str, ...]) -> Any:
    """Return what takes the values of `names` out of a row, as a tuple."""
    if len(names) == 1:
        return lambda row: (row[names[0]],)
    return itemgetter(*names)
