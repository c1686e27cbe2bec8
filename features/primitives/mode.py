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
        result = np.empty(codes.pieces.starts.shape, dtype=np.int64)
        for block, tally, decode in codes.tallies():
            best = tally.argmax(axis=1)
            has_any = np.take_along_axis(tally, best[:, None, :], axis=1)[:, 0] > 0
            result[block] = np.where(has_any, decode(best), -1)
        return result
