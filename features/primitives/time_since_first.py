"""Days since the first row."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Rows

__all__ = ["TimeSinceFirst"]


class TimeSinceFirst(Aggregation):
    """Days from the first row with a time to the cutoff; NaN where there is none."""

    name: ClassVar[str] = "time_since_first"
    phrase: ClassVar[Message] = msg("days since the first row in {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("rows",)
    needs_time: ClassVar[bool] = True

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Measure from the first row."""
        return rows.timed.days_to_cutoff(rows.timed.pieces.begins)
