"""The standard deviation of the values, in two passes."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Numbers

__all__ = ["Std"]


class Std(Aggregation):
    """Sample standard deviation (divisor n - 1); NaN for fewer than two values.

    Two passes within each piece; pieces are joined by the update of Chan, Golub and LeVeque (1983), whose terms are all
    positive. All values of a root row are first measured from the mean of its newest piece, so that the means which
    are compared when pieces are joined keep their digits on large amounts too.
    """

    name: ClassVar[str] = "std"
    phrase: ClassVar[Message] = msg("standard deviation of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    keeps_unit: ClassVar[bool] = True

    def of_numbers(self, numbers: Numbers) -> np.ndarray:
        """Measure the spread within pieces, and join the pieces from the cutoff backwards."""
        pieces, n = numbers.pieces, numbers.piece_counts
        origin = _newest_mean(numbers)
        values = numbers.values - pieces.spread(np.broadcast_to(origin[..., None], n.shape))
        sums = pieces.reduce(np.add, values if numbers.null is None else np.where(numbers.null, 0.0, values), 0.0)
        centre = np.divide(sums, n, out=np.zeros_like(sums), where=n > 0)
        deviation = values - pieces.spread(centre)
        if numbers.null is not None:
            deviation[numbers.null] = 0.0
        squares = pieces.reduce(np.add, np.square(deviation, out=deviation), 0.0)
        joined = np.empty_like(squares)
        joined_n, joined_mean, joined_squares = n[..., -1], centre[..., -1], squares[..., -1]
        joined[..., -1] = joined_squares
        for piece in range(squares.shape[-1] - 2, -1, -1):
            total = joined_n + n[..., piece]
            share = np.divide(n[..., piece], total, out=np.zeros_like(joined_mean), where=total > 0)
            gap = centre[..., piece] - joined_mean
            joined_squares = joined_squares + squares[..., piece] + gap * gap * joined_n * share
            joined_mean = joined_mean + gap * share
            joined_n = total
            joined[..., piece] = joined_squares
        degrees = numbers.counts - 1.0
        variance = np.divide(pieces.by_window(joined), degrees, out=np.full_like(joined, np.nan), where=degrees > 0)
        return np.asarray(np.sqrt(variance))


def _newest_mean(numbers: Numbers) -> np.ndarray:
    """Return the mean of the newest piece that has a value, per column and root row; 0 where there is none."""
    n, sums = numbers.piece_counts, numbers.piece_sums
    newest = n.shape[-1] - 1 - np.argmax(n[..., ::-1] > 0, axis=-1)[..., None]
    count_there = np.take_along_axis(n, newest, axis=-1)[..., 0]
    sum_there = np.take_along_axis(sums, newest, axis=-1)[..., 0]
    return np.asarray(np.divide(sum_there, count_there, out=np.zeros_like(sum_there), where=count_there > 0))
