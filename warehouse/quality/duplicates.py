"""Rows that stand in a table more than once."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from core.findings import Severity
from core.i18n import msg
from warehouse.quality.faults import Array, Fault, TableCase, place

__all__ = ["duplicate_rows", "repeated_keys"]

_MIN_COLUMNS: Final = 4
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)


def duplicate_rows(case: TableCase) -> Iterable[Fault]:
    """Yield the rows that repeat an earlier one in every column, or in every column but a key of one column.

    A running number differs in rows that were loaded twice. Where it is left out, at least four columns must be left,
    a time among them: less may well come twice.
    """
    key = case.spec.primary_key
    columns = [name for name in case.spec.columns if key != [name]]
    if len(key) > 1 or (key and (len(columns) < _MIN_COLUMNS or case.times is None)):
        return  # a key of several columns is checked by its own rule
    rows = place(_repeats(case, columns))
    if len(rows):
        yield Fault(
            "duplicate_rows",
            "uniqueness",
            Severity.WATCH,
            (),
            msg("{n} rows repeat an earlier row in every column but the key", n=len(rows))
            if key
            else msg("{n} rows repeat an earlier row in every column", n=len(rows)),
            msg("Remove them where they are not meant: each counts in sums and counts."),
            rows,
        )


def repeated_keys(case: TableCase) -> Iterable[Fault]:
    """Yield the rows that repeat a primary key of several columns."""
    key = case.spec.primary_key
    if len(key) < 2:
        return
    rows = place(_repeats(case, key))
    if len(rows):
        yield Fault(
            "key_repeated",
            "uniqueness",
            Severity.BAD,
            tuple(key),
            msg("{n} rows repeat the key of an earlier row", n=len(rows)),
            msg("Correct the file, or name another primary_key (or []) in the data model."),
            rows,
        )


def _repeats(case: TableCase, columns: list[str]) -> Array:
    """Return which rows repeat an earlier one; rows are compared in full only where numbers and times agree."""
    hashes = np.zeros(case.n_rows, dtype=np.uint64)
    texts = []
    for name in columns:
        values = case.column(name).to_numpy()
        if values.dtype == object:
            texts.append(name)
        else:
            hashes = _mixed(hashes, _bits(values))
    suspects = _not_alone(hashes)
    for name in texts:
        if not suspects.any():
            break
        part = case.column(name).to_numpy()[suspects]
        hashes[suspects] = _mixed(hashes[suspects], pd.util.hash_array(_without_null(part)))
        suspects = _not_alone(hashes)
    repeats = np.zeros(case.n_rows, dtype=bool)
    repeats[suspects] = case.table_set.rows(case.name, columns, place(suspects)).duplicated().to_numpy()
    return repeats


def _not_alone(hashes: Array) -> Array:
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    flags = np.zeros(len(hashes), dtype=bool)
    flags[order[1:][same]] = True
    flags[order[:-1][same]] = True
    return flags


def _mixed(hashes: Array, values: Array) -> Array:
    mixed = (hashes ^ values) * _MULTIPLIER
    result: Array = mixed ^ (mixed >> _SHIFT)
    return result


def _bits(values: Array) -> Array:
    """Return numbers or times as whole numbers that are equal where the values are: one zero, one NaN."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values + 0.0)
    bits: Array = np.ascontiguousarray(values).view(np.uint64)
    return bits


def _without_null(values: Array) -> Array:
    return np.where(pd.isna(values), "\0", values)
