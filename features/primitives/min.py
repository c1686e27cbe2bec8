"""The least value."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Min"]


class Min(Aggregation):
    """Least value; NaN where there are none."""

    name: ClassVar[str] = "min"
    phrase: ClassVar[Message] = msg("minimum of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    keeps_unit: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Reduce by np.minimum."""
        pieces = numbers.pieces
        reached = pieces.from_cutoff(np.minimum, pieces.reduce(np.minimum, numbers.filled(np.inf), np.inf))
        return np.where(numbers.counts > 0, reached, np.nan)
