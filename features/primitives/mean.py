"""The mean of the values."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Mean"]


class Mean(Aggregation):
    """Mean of the values; NaN where there are none."""

    name: ClassVar[str] = "mean"
    phrase: ClassVar[Message] = msg("mean of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean")
    keeps_unit: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Divide sums by counts."""
        return np.asarray(numbers.sums / numbers.counts)
