"""How many rows there are."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Rows

__all__ = ["Count"]


class Count(Aggregation):
    """Rows per window; 0 where there are none."""

    name: ClassVar[str] = "count"
    phrase: ClassVar[Message] = msg("number of rows in {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("rows",)
    empty: ClassVar[float] = 0.0

    def of_rows(self, rows: Rows) -> np.ndarray:
        """Count the rows."""
        return rows.pieces.counts.astype(np.float64)
