"""Mean days between one row and the next."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Rows, days_from

__all__ = ["AvgTimeBetween"]


class AvgTimeBetween(Aggregation):
    """Days from the first row to the latest over the number of gaps; NaN for fewer than two rows with a time."""

    name: ClassVar[str] = "avg_time_between"
    phrase: ClassVar[Message] = msg("mean days between rows in {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("rows",)
    needs_time: ClassVar[bool] = True

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Divide the whole span by the number of gaps."""
        pieces, times = rows.timed.pieces, rows.timed.times
        if not times.size:
            return np.full(pieces.starts.shape, np.nan)
        latest = np.broadcast_to(times[np.maximum(pieces.ends - 1, 0), None], pieces.starts.shape)
        gaps = pieces.counts - 1
        span = days_from(times[np.minimum(pieces.begins, times.size - 1)], latest.copy())
        return np.where(gaps > 0, span / np.maximum(gaps, 1), np.nan)
