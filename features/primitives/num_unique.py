"""How many different levels there are."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes

__all__ = ["NumUnique"]


class NumUnique(Aggregation):
    """Distinct levels; NaN for a window without rows."""

    name: ClassVar[str] = "num_unique"
    phrase: ClassVar[Message] = msg("number of different values of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("category",)
    of_parents: ClassVar[bool] = True

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Count the levels that are there."""
        distinct = codes.per_window(lambda tally: (tally > 0).sum(axis=1))
        return np.where(codes.pieces.counts > 0, distinct, np.nan)
