"""The most frequent level."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes

__all__ = ["Mode"]


class Mode(Aggregation):
    """Most frequent level, the first in order among equals; null where there is none."""

    name: ClassVar[str] = "mode"
    phrase: ClassVar[Message] = msg("most frequent value of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("category",)
    gives_level: ClassVar[bool] = True

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Find the greatest tally."""
        return codes.nth_most_common(0)
