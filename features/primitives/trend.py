"""How fast the values rise or fall."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.histories import NO_TIME
from features.primitives.interface import Aggregation, Reads
from features.reductions import DAY_NS, Numbers, Pieces

__all__ = ["Trend"]


class Trend(Aggregation):
    """Slope per day of the straight line through values and event times (least squares).

    NaN for fewer than three values with a time, 0 where all times are equal, as Featuretools has it; but always per
    day, where Featuretools takes hours, minutes or seconds if the first time is not midnight.
    """

    name: ClassVar[str] = "trend"
    phrase: ClassVar[Message] = msg("trend per day of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    needs_time: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Divide the common deviations of values and days by the squared deviations of days, window by window."""
        times = numbers.rows.times
        columns = [self._of_column(numbers, column, times) for column in range(len(numbers.values))]
        return np.stack(columns) if columns else np.empty((0, *numbers.pieces.starts.shape))

    def _of_column(self, numbers: Numbers, column: int, times: np.ndarray) -> np.ndarray:
        values = numbers.values[column]
        usable = ~np.isnan(values) & (times != NO_TIME)
        pieces, values, times = numbers.pieces.keep(usable), values[usable], times[usable]
        if not values.size:
            return np.full(pieces.starts.shape, np.nan)
        days = times / DAY_NS
        windows = [self._from(pieces, days, values, window) for window in range(pieces.starts.shape[1])]
        return np.stack(windows, axis=1)

    def _from(self, pieces: Pieces, days: np.ndarray, values: np.ndarray, window: int) -> np.ndarray:
        n, begins = pieces.counts[:, window], pieces.begins[:, window]
        x, y = (_centred(pieces, array, begins, n) for array in (days, values))
        common = pieces.reduce_from(np.add, x * y, begins, 0.0)
        squares = pieces.reduce_from(np.add, x * x, begins, 0.0)
        last = np.clip(pieces.ends - 1, 0, days.size - 1)
        is_one_moment = days[np.minimum(begins, days.size - 1)] == days[last]
        slope = common / np.where(is_one_moment, 1.0, squares)
        return np.where(n <= 2, np.nan, np.where(is_one_moment, 0.0, slope))


def _centred(pieces: Pieces, values: np.ndarray, begins: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the distances of the values from the mean of their window."""
    origin = values[np.minimum(begins, values.size - 1)]
    values = values - pieces.to_rows(origin)
    mean = pieces.reduce_from(np.add, values, begins, 0.0) / np.maximum(n, 1)
    return np.asarray(values - pieces.to_rows(mean))
