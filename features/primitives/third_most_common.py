"""The third most frequent level."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes

__all__ = ["ThirdMostCommon"]


class ThirdMostCommon(Aggregation):
    """Third most frequent level, in order among equals; null where there are fewer levels.

    Place 3 of what Featuretools gives as ``NMostCommon``.
    """

    name: ClassVar[str] = "third_most_common"
    phrase: ClassVar[Message] = msg("third most frequent value of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("category",)
    gives_level: ClassVar[bool] = True

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Find the third greatest tally."""
        return codes.nth_most_common(2)
