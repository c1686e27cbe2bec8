"""What rows a model takes: its tables and columns with their types, and a strict check of what was sent."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import MessageLike, msg
from features.column_rows import ColumnRows, as_columns, column_of

if TYPE_CHECKING:
    from features.plan import FeaturePlan
    from warehouse.data_model import DataModel

__all__ = ["ColumnForm", "PayloadSchema", "Warned", "case_key", "printable", "read_time"]

ColumnForm = Literal["key", "text", "number", "boolean", "time"]
Rows = Sequence[Mapping[str, Any]]

MAX_TEXT = 10_000
MAX_KEY = 256
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?)?", re.ASCII)
_SURE_TIMES = re.compile(
    r"(?:(?:(?:19\d\d|2[01]\d\d|2200)-"
    r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"|(?:(?:19|2[01])(?:0[48]|[2468][048]|[13579][26])|2000)-02-29)"
    r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)?\n)*",
    re.ASCII,
)
_MAX_POINTS = 20

# How the types of a plan and of a data model are sent.
_FORM_OF_PLAN: dict[str, ColumnForm] = {"number": "number", "category": "text", "time": "time", "key": "key"}
_FORM_OF_MODEL: dict[str, ColumnForm] = {
    "id": "key",
    "category": "text",
    "text": "text",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "date": "time",
    "datetime": "time",
}


@dataclass(frozen=True)
class PayloadSchema:
    """Tables and columns that a payload may have.

    Parameters
    ----------
    root_table, key_column : str
        What is scored.
    columns : mapping of str to mapping of str to ColumnForm
        Every known column by table: those that the model reads, and those of the data model that it ignores, so that a
        caller's rows stay valid when the next model reads other columns.
    needed : mapping of str to frozenset of str
        The columns that the model reads.
    cutoff_column : str or None
        Time column of the root table that says as of when a row was asked about in training.
    """

    root_table: str
    key_column: str
    columns: Mapping[str, Mapping[str, ColumnForm]]
    needed: Mapping[str, frozenset[str]]
    cutoff_column: str | None = None

    @classmethod
    def of_plan(
        cls, plan: "FeaturePlan", *, cutoff_column: str | None = None, data_model: "DataModel | None" = None
    ) -> "PayloadSchema":
        """Return what rows `plan` takes, with all columns of `data_model` allowed where that is given."""
        columns: dict[str, dict[str, ColumnForm]] = {
            name: {column: _FORM_OF_PLAN[kind] for column, kind in table.columns.items()}
            for name, table in plan.tables.items()
        }
        # What is joined by time alone is not the caller's to send: the scorer has reference data of its own.
        needed = {name: frozenset(table) for name, table in columns.items() if name not in plan.keyless_tables}
        if cutoff_column:
            columns[plan.root_table].setdefault(cutoff_column, "time")
        for name, spec in data_model.tables.items() if data_model else ():
            known = columns.setdefault(name, {})
            for column, its in spec.columns.items():
                # A boolean is a number to the plan; what the plan calls a key stays one.
                if known.get(column, "number") == "number":
                    known[column] = _FORM_OF_MODEL[its.type]
        return cls(plan.root_table, plan.key_column, columns, needed, cutoff_column)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON values; `from_json` reads it back."""
        return {
            "root_table": self.root_table,
            "key_column": self.key_column,
            "cutoff_column": self.cutoff_column,
            "columns": {table: dict(columns) for table, columns in self.columns.items()},
            "needed": {table: sorted(columns) for table, columns in self.needed.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PayloadSchema":
        """Read what `to_json` wrote."""
        needed = {table: frozenset(columns) for table, columns in data["needed"].items()}
        return cls(data["root_table"], data["key_column"], data["columns"], needed, data["cutoff_column"])

    def check(self, tables: Mapping[str, Rows]) -> None:
        """Refuse rows that are not what the model takes.

        Parameters
        ----------
        tables : mapping of str to list of mapping
            Rows as JSON values: text, numbers, true and false, null; times as ``2024-05-31`` or ``2024-05-31T12:00:00``
            in the data's own clock, without a zone.

        Raises
        ------
        InputError
            With one finding per table and column that is unknown or has a value of a wrong type: code, place (table,
            row counted from 1, column), and never the value.
        """
        points = [point for table, rows in tables.items() for point in self._check_table(table, rows)]
        if not points:
            return
        first = points[0]
        raise InputError(
            first.message,
            where=first.where,
            fix=first.fix,
            code=first.code,
            findings=points[:_MAX_POINTS],
        )

    def key_of(self, tables: Mapping[str, Rows], key: str | int | None = None) -> str:
        """Return the key to score: `key`, or that of the root table's only row.

        Raises
        ------
        InputError
            If there is no root row, or several and none is named.
        """
        rows = tables.get(self.root_table, ())
        if key is None:
            if len(rows) != 1:
                raise InputError(
                    msg("{n} rows of {table} came; name the one to score", n=len(rows), table=self.root_table),
                    where="key",
                    code="key_needed",
                )
            key = rows[0].get(self.key_column)
        return case_key(key, where=f"{self.root_table}.{self.key_column}")

    def complete(self, tables: Mapping[str, Rows]) -> "tuple[dict[str, Rows], list[Warned]]":
        """Return the tables that the model reads, the missing ones empty, and what was taken as null or empty.

        Empty text is null, as it is where tables are imported.
        """
        warnings = []
        found: dict[str, Rows] = {}
        for table, needed in self.needed.items():
            found[table] = rows = self._without_empty_texts(table, as_columns(tables.get(table, ())))
            if table not in tables:
                text: MessageLike = msg("{table} was not sent: taken as having no rows", table=table)
                warnings.append(Warned("missing_table", text))
            for column in sorted(needed) if rows else ():
                if n_missing := _n_missing(rows, column):
                    text = msg(
                        "{table} has no {column} in {n} rows: taken as null", table=table, column=column, n=n_missing
                    )
                    warnings.append(Warned("missing_column", text))
        return found, warnings

    def _without_empty_texts(self, table: str, rows: Rows) -> Rows:
        texts = [name for name in self.needed[table] if self.columns[table][name] in ("text", "key")]
        if isinstance(rows, ColumnRows):
            there = {name: rows.columns[name] for name in texts if "" in rows.columns.get(name, ())}
            nulled = {name: [None if value == "" else value for value in values] for name, values in there.items()}
            return rows.replaced(nulled) if there else rows
        if not any(row.get(name) == "" for row in rows for name in texts):
            return rows
        return [{**row, **{name: None for name in texts if row.get(name) == ""}} for row in rows]

    def _check_table(self, table: str, rows: Rows) -> Iterable[Finding]:
        known = self.columns.get(table)
        if known is None:
            fix = msg("Known tables: {tables}", tables=", ".join(self.columns))
            yield Finding("unknown_table", Severity.BAD, msg("The model knows no such table"), printable(table), fix)
            return
        rows = as_columns(rows)
        sent = set(rows.columns) if isinstance(rows, ColumnRows) else set().union(*rows)
        for column in sorted(sent - known.keys())[:_MAX_POINTS]:
            place = f"{table}.{printable(column)}"
            yield Finding("unknown_column", Severity.BAD, msg("The model knows no such column"), place)
        for column, form in known.items():
            if column in sent:
                yield from _check_column(table, column, form, rows)


def case_key(key: str | int | None, *, where: str = "key") -> str:
    """Return a key as text.

    Raises
    ------
    InputError
        If it is empty, too long, or cannot be shown.
    """
    text = "" if key is None else str(key)
    if not text or len(text) > MAX_KEY or not text.isprintable():
        raise InputError(msg("A key has 1 to {n} printable characters", n=MAX_KEY), where=where, code="bad_key")
    return text


class Warned(NamedTuple):
    """Something about an answer that its reader should know: a stable code and a text."""

    code: str
    text: MessageLike


def _n_missing(rows: Rows, column: str) -> int:
    """Return how many of the rows do not have the column."""
    if isinstance(rows, ColumnRows):
        return 0 if column in rows.columns else len(rows)
    return sum(column not in row for row in rows)


def _check_column(table: str, column: str, form: ColumnForm, rows: Rows) -> Iterable[Finding]:
    values = column_of(rows, column)
    types, is_sound, expected = _FORMS[form]
    # The types of a whole column at once, and where it can be its values: a loop over cells costs most of a check.
    found = set(map(type, values))
    if found <= types:
        sweep = _SWEEPS.get(form)
        there = [value for value in values if value is not None] if _NONE in found else values
        if (sweep is not None and sweep(there)) or all(map(is_sound, there)):
            return
    row = next(
        i for i, value in enumerate(values) if type(value) not in types or not (value is None or is_sound(value))
    )
    where = f"{table}, row {row + 1}, column {column}"
    message = msg("Expected {expected}", expected=expected)
    yield Finding("wrong_type", Severity.BAD, message, where)


def _are_finite(values: Sequence[float]) -> bool:
    """Whether all values are finite, told by their sum; False where that cannot tell."""
    try:
        return math.isfinite(sum(values, 0.0))
    except OverflowError:
        return False


def _are_times(values: Sequence[str]) -> bool:
    """Whether all values are times that one pattern can tell to be right; False where it cannot."""
    text = "".join(f"{value}\n" for value in values)
    return text.count("\n") == len(values) and _SURE_TIMES.fullmatch(text) is not None


def _are_keys(values: Sequence[Any]) -> bool:
    """Whether all values are short and printable texts; False where one is a number, which may be a key too."""
    if set(map(type, values)) != {str}:
        return False
    return max(map(len, values)) <= MAX_KEY and "".join(values).isprintable()


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of a float
        return False


def _is_text(value: Any) -> bool:
    return type(value) is not str or len(value) <= MAX_TEXT


def _is_key(value: Any) -> bool:
    return type(value) is not str or (len(value) <= MAX_KEY and (value.isprintable() or not value))


def _is_time(value: str) -> bool:
    match = _TIME.fullmatch(value)
    if match is None or not _FIRST_YEAR <= int(match[1]) <= _LAST_YEAR:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    hour, minute, second = (int(match[i] or 0) for i in (4, 5, 6))
    return hour < 24 and minute < 60 and second < 60


def _is_zero_or_one(value: Any) -> bool:
    return value in (0, 1)


_NONE = type(None)
_FORMS: dict[ColumnForm, tuple[frozenset[type], Callable[[Any], bool], MessageLike]] = {
    "key": (frozenset({str, int, _NONE}), _is_key, msg("a key: text or a whole number")),
    "text": (frozenset({str, int, _NONE}), _is_text, msg("text")),
    "number": (frozenset({int, float, _NONE}), _is_finite, msg("a finite number")),
    "boolean": (frozenset({bool, int, float, _NONE}), _is_zero_or_one, msg("true or false")),
    "time": (
        frozenset({str, _NONE}),
        _is_time,
        msg("a time such as 2024-05-31 or 2024-05-31T12:00:00, without a zone"),
    ),
}


_SWEEPS: dict[ColumnForm, Callable[[Sequence[Any]], bool]] = {
    "number": _are_finite,
    "time": _are_times,
    "key": _are_keys,
}
"""Checks of a whole column that are quicker than one of each value and never say yes where one would say no."""


def printable(name: str) -> str:
    """Return a caller's name cut and made printable, so that an answer echoes no more than that."""
    return "".join(character if character.isprintable() else "?" for character in name[:60])


def read_time(text: str, *, where: str = "as_of") -> np.datetime64:
    """Return a moment in the data's own clock.

    Raises
    ------
    InputError
        If it is not written as ``2024-05-31`` or ``2024-05-31T12:00:00``, is no day of the calendar, or has a zone.

    Examples
    --------
    >>> read_time("2024-05-31T12:00")
    np.datetime64('2024-05-31T12:00:00.000000000')
    """
    if not _is_time(text):
        raise InputError(msg("Expected {expected}", expected=_FORMS["time"][2]), where=where, code="wrong_type")
    return np.datetime64(text.replace(" ", "T"), "ns")
