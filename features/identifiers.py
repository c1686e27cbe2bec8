"""Columns that only name the row or the time: a model learns them by heart, and they say nothing of the next case."""

import re
from typing import Final

import numpy as np

from core.findings import Finding, Severity
from core.i18n import Message, msg
from core.i18n.formats import percent
from features.ranks import rank_correlation
from features.raw_columns import RawColumn

__all__ = ["check_clock", "check_identifier"]

_LEAST_ROWS: Final = 100
_LEAST_VALUES: Final = 3
_UNIQUE: Final = 0.99
_NEARLY_UNIQUE: Final = 0.9
_ROUNDED: Final = 0.2
_IN_STEP: Final = 0.95
_NUMBERING: Final = re.compile(
    r"(^|[^a-z])(id|no|nr|num|number|code|key|index|idx|seq|serial|row)([^a-z]|$)|编号|序号|号$|代码|流水",
    re.IGNORECASE,
)


def check_identifier(column: RawColumn, cutoffs: np.ndarray) -> Finding | None:
    """Find values that only name the row: no two alike, counted on with the time or the file, or called a number."""
    n_rows = int(column.is_known.sum())
    if column.is_in_words or column.kind == "time" or n_rows < _LEAST_ROWS or _repeats_rows(column):
        return None
    values = column.values[column.is_known]
    distinct = len(np.unique(values)) / n_rows
    if column.kind == "category":
        if distinct < _NEARLY_UNIQUE:
            return None
        return _names_the_row(column, msg("has {share} different values: it names the row", share=percent(distinct)))
    if distinct < _UNIQUE or (values % 1 != 0).any() or (values % 10 == 0).mean() >= _ROUNDED:
        return None
    if abs(rank_correlation(values, column.positions[column.is_known].astype(np.float64))) >= _IN_STEP:
        return _names_the_row(column, msg("grows from row to row of the table: it is a row number"))
    if abs(rank_correlation(values, _times(cutoffs[column.is_known]))) >= _IN_STEP:
        return _names_the_row(column, msg("no two rows share a value, and it grows with time: it is a serial number"))
    if _NUMBERING.search(column.column):
        return _names_the_row(column, msg("no two rows share a value, and it is called a number or a code"))
    message = msg("no two rows share a value, and the whole numbers are not rounded as a quantity is")
    return _names_the_row(column, message, Severity.WATCH)


def check_clock(column: RawColumn, cutoffs: np.ndarray) -> Finding | None:
    """Find a number that runs with the calendar: all later rows lie beyond what was learnt."""
    if column.kind != "number" or _repeats_rows(column):
        return None
    values = column.values[column.is_known]
    if (
        len(values) < _LEAST_ROWS
        or len(np.unique(values)) < _LEAST_VALUES
        or len(np.unique(values)) >= _UNIQUE * len(values)
    ):
        return None
    correlation = rank_correlation(values, _times(cutoffs[column.is_known]))
    if abs(correlation) < _IN_STEP:
        return None
    return Finding(
        "runs_with_time",
        Severity.WATCH,
        msg("runs with the cutoff time (rank correlation {figure}): it says when, and later rows lie beyond all that "
            "was learnt", figure=f"{correlation:.3f}"),
        where=column.subject,
        fix=msg("Leave it out, or use the time that has passed instead."),
    )  # fmt: skip


def _names_the_row(column: RawColumn, message: Message, severity: Severity = Severity.BAD) -> Finding:
    fix = msg("Give the column the role ignore or the type id: a model can only learn rows by heart from it.")
    return Finding("identifier", severity, message, where=column.subject, fix=fix)


def _repeats_rows(column: RawColumn) -> bool:
    """Whether several cases share a row of the table, as those of one enterprise do."""
    rows = column.positions[column.positions >= 0]
    return len(np.unique(rows)) < _NEARLY_UNIQUE * len(rows)


def _times(moments: np.ndarray) -> np.ndarray:
    return moments.astype("datetime64[ns]").view(np.int64).astype(np.float64)
