"""Days from a date to the cutoff."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["DaysSince"]


class DaysSince(Transform):
    """Days of 24 hours, with fractions; negative for a date still to come."""

    name: ClassVar[str] = "days_since"
    phrase: ClassVar[Message] = msg("days since {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the days passed."""
        return np.asarray((cutoffs - values) / 86_400_000_000_000)
