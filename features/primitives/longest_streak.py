"""The longest run of rows, one after another, that are so."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers, Pieces, Rows, run_lengths

__all__ = ["LongestStreak"]


class LongestStreak(Aggregation):
    """Most consecutive rows in the window that are above 0, or for which the condition holds; 0 where there are none.

    Nulls of a column are passed over: they neither lengthen a run nor end it. A condition that meets a null does not
    hold.
    """

    name: ClassVar[str] = "longest_streak"
    phrase: ClassVar[Message] = msg("longest streak of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean", "rows")
    empty: ClassVar[float] = 0.0
    needs_time: ClassVar[bool] = True
    tests_condition: ClassVar[bool] = True

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Measure runs of the condition."""
        if rows.holds is None:
            raise ValueError(f"{self.name} needs a column or a condition")
        return _longest(rows.pieces, rows.holds)

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Measure runs of values above 0."""
        result = np.empty((len(numbers.values), *numbers.pieces.starts.shape))
        for column in range(len(numbers.values)):
            pieces, values = numbers.known(column)
            result[column] = _longest(pieces, values > 0)
        return result


def _longest(pieces: Pieces, holds: np.ndarray) -> np.ndarray:
    lengths, places = run_lengths(pieces, holds), np.arange(holds.size)
    windows = [
        # A run that began before the window counts from the window's first row on.
        pieces.reduce_from(np.maximum, np.minimum(lengths, places - pieces.to_rows(begin) + 1), begin, 0)
        for begin in pieces.begins.T
    ]
    return np.stack(windows, axis=1).astype(np.float64)
