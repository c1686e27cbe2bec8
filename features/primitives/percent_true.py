"""The share of the rows that are true."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["PercentTrue"]


class PercentTrue(Aggregation):
    """Share of rows above 0; a null counts as not true. NaN for a window without rows."""

    name: ClassVar[str] = "percent_true"
    phrase: ClassVar[Message] = msg("share of rows with {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("boolean",)

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Divide the rows that are true by all rows."""
        pieces = numbers.pieces
        true = pieces.from_cutoff(np.add, pieces.reduce(np.add, (numbers.values > 0).astype(np.float64), 0.0))
        return np.asarray(true / pieces.counts)
