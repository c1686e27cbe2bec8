"""The sum of the values."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Sum"]


class Sum(Aggregation):
    """Sum of the values; 0 where there are none."""

    name: ClassVar[str] = "sum"
    phrase: ClassVar[Message] = msg("sum of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean")
    keeps_unit: ClassVar[bool] = True
    empty: ClassVar[float] = 0.0

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Add up the values."""
        return numbers.sums
