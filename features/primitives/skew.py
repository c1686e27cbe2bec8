"""How lopsided the values are."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Skew"]


class Skew(Aggregation):
    """Sample skewness G1 as pandas has it; NaN for fewer than three values, 0 where all are equal.

    Two passes over each window, in units of the greatest value and then of the greatest deviation, so that nothing
    overflows.
    """

    name: ClassVar[str] = "skew"
    phrase: ClassVar[Message] = msg("skewness of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Take the third moment over the second to the power of 3/2."""
        windows = [
            self._from(numbers, begin, numbers.counts[..., window])
            for window, begin in enumerate(numbers.pieces.begins.T)
        ]
        return np.stack(windows, axis=-1)

    def _from(self, numbers: Numbers, begins: np.ndarray, n: np.ndarray) -> np.ndarray:
        pieces = numbers.pieces
        low = pieces.reduce_from(np.minimum, numbers.filled(np.inf), begins, np.inf)
        high = pieces.reduce_from(np.maximum, numbers.filled(-np.inf), begins, -np.inf)
        scale = -np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]  # a power of two: it changes no digit
        values = np.ldexp(numbers.values, pieces.to_rows(scale)) - pieces.to_rows(np.ldexp(low, scale))
        deviation = self._centred(numbers, values, begins, n)
        largest = pieces.reduce_from(np.maximum, np.abs(deviation), begins, 0.0)
        deviation = deviation / pieces.to_rows(np.where(largest > 0, largest, 1.0))
        squares = pieces.reduce_from(np.add, deviation**2, begins, 0.0)
        cubes = pieces.reduce_from(np.add, deviation**3, begins, 0.0)
        skewness = n * np.sqrt(n - 1) / (n - 2) * cubes / squares**1.5
        return np.where(n < 3, np.nan, np.where(low == high, 0.0, skewness))

    def _centred(self, numbers: Numbers, values: np.ndarray, begins: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Return the distances from the window's mean, 0 for null; the mean is corrected once."""
        for _ in range(2):
            values = values if numbers.null is None else np.where(numbers.null, 0.0, values)
            mean = numbers.pieces.reduce_from(np.add, values, begins, 0.0) / np.maximum(n, 1)
            values = values - numbers.pieces.to_rows(mean)
        return values if numbers.null is None else np.where(numbers.null, 0.0, values)
