"""The greatest value."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Max"]


class Max(Aggregation):
    """Greatest value; NaN where there are none."""

    name: ClassVar[str] = "max"
    phrase: ClassVar[Message] = msg("maximum of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    keeps_unit: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Reduce by np.maximum."""
        pieces = numbers.pieces
        reached = pieces.from_cutoff(np.maximum, pieces.reduce(np.maximum, numbers.filled(-np.inf), -np.inf))
        return np.where(numbers.counts > 0, reached, np.nan)
