"""The second most frequent level."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes

__all__ = ["SecondMostCommon"]


class SecondMostCommon(Aggregation):
    """Second most frequent level, in order among equals; null where there are fewer levels.

    Place 2 of what Featuretools gives as ``NMostCommon``.
    """

    name: ClassVar[str] = "second_most_common"
    phrase: ClassVar[Message] = msg("second most frequent value of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("category",)
    gives_level: ClassVar[bool] = True

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Find the second greatest tally."""
        return codes.nth_most_common(1)
