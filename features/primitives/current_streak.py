"""The run of rows that are so, up to the latest one."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers, Pieces, Rows, run_lengths

__all__ = ["CurrentStreak"]


class CurrentStreak(Aggregation):
    """Consecutive rows up to the latest one that are above 0, or for which the condition holds; 0 where there are none.

    Nulls of a column are passed over. A condition that meets a null does not hold.
    """

    name: ClassVar[str] = "current_streak"
    phrase: ClassVar[Message] = msg("current streak of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean", "rows")
    empty: ClassVar[float] = 0.0
    needs_time: ClassVar[bool] = True
    tests_condition: ClassVar[bool] = True

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Measure the last run of the condition."""
        if rows.holds is None:
            raise ValueError(f"{self.name} needs a column or a condition")
        return _current(rows.pieces, rows.holds)

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Measure the last run of values above 0."""
        result = np.empty((len(numbers.values), *numbers.pieces.starts.shape))
        for column in range(len(numbers.values)):
            pieces, values = numbers.known(column)
            result[column] = _current(pieces, values > 0)
        return result


def _current(pieces: Pieces, holds: np.ndarray) -> np.ndarray:
    if not holds.size:
        return np.zeros(pieces.starts.shape)
    latest = run_lengths(pieces, holds)[np.clip(pieces.ends - 1, 0, None)]
    return np.asarray(np.minimum(latest[:, None], pieces.counts), dtype=np.float64)
