"""Features read from one row: of the root itself, or of a parent."""

import numpy as np

from features.definitions import FeatureDefinition
from features.engine_data import TableArrays
from features.histories import NO_TIME
from features.plan import FeaturePlan
from features.primitives.vocabulary import TRANSFORMS
from features.words import holds_word

__all__ = ["plan_codes", "read_row"]


def plan_codes(plan: FeaturePlan, item: FeatureDefinition, levels: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
    """Turn codes of the data's `levels` (-1 for null) into codes of the plan's frozen levels."""
    known = {level: float(code) for code, level in enumerate(plan.levels.get(item.alias, ()))}
    other = float(len(known))
    translation = np.array([*(known.get(level, other) for level in levels), np.nan])
    translated: np.ndarray = translation[codes]
    return translated


def read_row(
    plan: FeaturePlan, table: TableArrays, item: FeatureDefinition, rows: np.ndarray, limits: np.ndarray,
    cutoffs: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the values of `item` from `rows` of `table` (-1: none); columns filled in later only before `limits`."""
    for column in (item.column, item.second):
        late = table.late_from(column or "")
        if late is not None and late.size:
            rows = np.where(late[rows] < limits, rows, -1)
    if not table.n_rows:
        return np.full(rows.shape, np.nan)
    column = item.column or ""
    if item.kind == "category":
        return plan_codes(plan, item, table.levels[column], np.where(rows >= 0, table.codes[column][rows], -1))
    if item.word is not None:
        codes = np.where(rows >= 0, table.codes[column][rows], -1)
        flags = np.append(holds_word(table.levels[column], item.word), np.nan)[codes]
        return TRANSFORMS[item.primitive].of_row(flags, None, cutoffs)
    values, known = _values(table, column, rows)
    second = None
    if item.second is not None:
        second, is_known = _values(table, item.second, rows)
        known = known & is_known
    return np.where(known, TRANSFORMS[item.primitive].of_row(values, second, cutoffs), np.nan)


def _values(table: TableArrays, column: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers or times of `column`, and which of them there are; a time that is not there is 0."""
    if column in table.times:
        times = np.where(rows >= 0, table.times[column][rows], NO_TIME)
        return np.where(times == NO_TIME, 0, times), times != NO_TIME
    return table.numbers[table.number_rows[column]][rows], rows >= 0
