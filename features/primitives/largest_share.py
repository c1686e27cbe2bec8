"""How much of the whole the largest part has."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes, Numbers, Pieces, add_levels

__all__ = ["LargestShare"]


class LargestShare(Aggregation):
    """The largest part as a share of the whole: 1 where there is one part only, small where there are many alike.

    Parts are the values themselves (those above 0), or the levels of a category: by rows, or by the weight of a second
    column, such as the amount per counterparty. NaN where there is no part.
    """

    name: ClassVar[str] = "largest_share"
    phrase: ClassVar[Message] = msg("share of the largest {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "category")
    takes_weights: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Divide the largest value by the sum, both in units of the largest."""
        positive = np.where(numbers.values > 0, numbers.values, 0.0)
        windows = [_share(numbers.pieces, positive, begin) for begin in numbers.pieces.begins.T]
        return np.stack(windows, axis=-1)

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Divide the largest tally by the sum."""
        return codes.per_window(_of_tally)


def _share(pieces: Pieces, values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    largest = pieces.reduce_from(np.maximum, values, begins, 0.0)
    parts = values / pieces.to_rows(np.where(largest > 0, largest, 1.0))
    return np.where(largest > 0, 1.0 / pieces.reduce_from(np.add, parts, begins, 0.0), np.nan)


def _of_tally(tally: np.ndarray) -> np.ndarray:
    largest = tally.max(axis=1)
    parts = tally / np.where(largest > 0, largest, 1)[:, None, :]
    return np.where(largest > 0, 1.0 / add_levels(parts), np.nan)
