"""The first value."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes, Numbers

__all__ = ["First"]


class First(Aggregation):
    """Value of the first row of the window, null where it is null or there is no row."""

    name: ClassVar[str] = "first"
    phrase: ClassVar[Message] = msg("first value of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean", "category")
    keeps_unit: ClassVar[bool] = True
    needs_time: ClassVar[bool] = True
    gives_level: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Read the number of the first row."""
        return numbers.at(numbers.pieces.begins)

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Read the level of the first row."""
        return codes.at(codes.pieces.begins)
