"""The latest value."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes, Numbers

__all__ = ["Last"]


class Last(Aggregation):
    """Value of the latest row of the window, null where it is null or there is no row."""

    name: ClassVar[str] = "last"
    phrase: ClassVar[Message] = msg("latest value of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean", "category")
    keeps_unit: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    gives_level: ClassVar[bool] = True
    is_windowed: ClassVar[bool] = False

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Read the number of the latest row."""
        return numbers.at(np.broadcast_to(numbers.pieces.ends[:, None] - 1, numbers.pieces.starts.shape))

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Read the level of the latest row."""
        return codes.at(np.broadcast_to(codes.pieces.ends[:, None] - 1, codes.pieces.starts.shape))
