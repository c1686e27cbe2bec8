"""The shortest time between one row and the next."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Rows, days_from

__all__ = ["MinGap"]


class MinGap(Aggregation):
    """Shortest gap in days within the window; NaN for fewer than two rows with a time."""

    name: ClassVar[str] = "min_gap"
    phrase: ClassVar[Message] = msg("shortest gap in days between rows in {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("rows",)
    needs_time: ClassVar[bool] = True

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Reduce the gaps; the one before a window's first row is none of its own."""
        timed, pieces = rows.timed, rows.timed.pieces
        times = timed.times
        gaps = days_from(np.concatenate([times[:1], times[:-1]]), times)
        begins = np.minimum(pieces.begins + 1, pieces.ends[:, None])
        found = np.stack([pieces.reduce_from(np.minimum, gaps, begin, np.inf) for begin in begins.T], axis=1)
        return np.where(pieces.counts > 1, found, np.nan)
