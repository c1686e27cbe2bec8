"""How concentrated the whole is on few parts."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes, Numbers, Pieces, add_levels

__all__ = ["Herfindahl"]


class Herfindahl(Aggregation):
    """Herfindahl index: the sum of the squared shares, 1 for one part only, 1 / n for n equal parts.

    Parts are those of `LargestShare`. NaN where there is no part.
    """

    name: ClassVar[str] = "herfindahl"
    phrase: ClassVar[Message] = msg("concentration (Herfindahl) of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "category")
    takes_weights: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Square the shares of the values above 0, all in units of the largest."""
        positive = np.where(numbers.values > 0, numbers.values, 0.0)
        windows = [_index(numbers.pieces, positive, begin) for begin in numbers.pieces.begins.T]
        return np.stack(windows, axis=-1)

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Square the shares of the levels."""
        return codes.per_window(_of_tally)


def _index(pieces: Pieces, values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    largest = pieces.reduce_from(np.maximum, values, begins, 0.0)
    parts = values / pieces.to_rows(np.where(largest > 0, largest, 1.0))
    total = pieces.reduce_from(np.add, parts, begins, 0.0)
    squares = pieces.reduce_from(np.add, parts * parts, begins, 0.0)
    return np.where(largest > 0, squares / (total * total), np.nan)


def _of_tally(tally: np.ndarray) -> np.ndarray:
    largest = tally.max(axis=1)
    parts = tally / np.where(largest > 0, largest, 1)[:, None, :]
    total = add_levels(parts)
    return np.where(largest > 0, add_levels(parts * parts) / (total * total), np.nan)
