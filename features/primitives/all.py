"""Whether every row is true."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["All"]


class All(Aggregation):
    """1 where every known value is above 0, else 0; NaN where nothing is known."""

    name: ClassVar[str] = "all"
    phrase: ClassVar[Message] = msg("whether always {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("boolean",)

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Look at the least value."""
        pieces = numbers.pieces
        reached = pieces.from_cutoff(np.minimum, pieces.reduce(np.minimum, numbers.filled(np.inf), np.inf))
        return np.where(numbers.counts > 0, (reached > 0).astype(np.float64), np.nan)
