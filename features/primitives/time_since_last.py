"""Days since the latest row."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Rows

__all__ = ["TimeSinceLast"]


class TimeSinceLast(Aggregation):
    """Days from the latest row to the cutoff; NaN where there is none or it has no time."""

    name: ClassVar[str] = "time_since_last"
    phrase: ClassVar[Message] = msg("days since the latest row in {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("rows",)
    needs_time: ClassVar[bool] = True
    is_windowed: ClassVar[bool] = False

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Measure from the last row."""
        return rows.days_to_cutoff(np.broadcast_to(rows.pieces.ends[:, None] - 1, rows.pieces.starts.shape))
