"""The middle value."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers, Pieces

__all__ = ["Median"]


class Median(Aggregation):
    """Middle value, the mean of the two middle ones where their number is even; NaN where there are none."""

    name: ClassVar[str] = "median"
    phrase: ClassVar[Message] = msg("median of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    keeps_unit: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Sort each root row's values once and pick each window's middle out of the order."""
        columns = [self._of_column(*numbers.known(column)) for column in range(len(numbers.values))]
        return np.stack(columns) if columns else np.empty((0, *numbers.pieces.starts.shape))

    def _of_column(self, pieces: Pieces, values: np.ndarray) -> np.ndarray:
        result = np.full(pieces.starts.shape, np.nan)
        if not values.size:
            return result
        order = np.lexsort((values, pieces.to_rows(np.arange(len(pieces.starts)))))
        for window, begin in enumerate(pieces.begins.T):
            counts = pieces.counts[:, window]
            reached = np.cumsum(order >= pieces.to_rows(begin))
            before = np.concatenate([[0], reached])[pieces.starts[:, 0]]
            low, high = (
                values[order[np.minimum(np.searchsorted(reached, before + place + 1), values.size - 1)]]
                for place in ((counts - 1) // 2, counts // 2)
            )
            result[:, window] = np.where(counts > 0, low * 0.5 + high * 0.5, np.nan)
        return result
