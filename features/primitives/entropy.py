"""How evenly the rows spread over the levels."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Aggregation, Reads
from features.reductions import Codes, add_levels

__all__ = ["Entropy"]


class Entropy(Aggregation):
    """Shannon entropy in nats of the shares of the levels; 0 where none is known, NaN for a window without rows."""

    name: ClassVar[str] = "entropy"
    phrase: ClassVar[Message] = msg("entropy of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("category",)

    def of_codes(self, codes: Codes) -> np.ndarray:
        """Add up -p log p."""
        return np.where(codes.pieces.counts > 0, codes.per_window(_entropy), np.nan)


def _entropy(tally: np.ndarray) -> np.ndarray:
    shares = tally / np.maximum(add_levels(tally), 1)[:, None, :]
    return add_levels(-shares * np.log(np.where(shares > 0, shares, 1.0)))
