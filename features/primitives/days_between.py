"""Days from one date of a row to another."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["DaysBetween"]


class DaysBetween(Transform):
    """Days of 24 hours from the second column to the first: the term of a contract from its start and end."""

    name: ClassVar[str] = "days_between"
    phrase: ClassVar[Message] = msg("days to {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    second: ClassVar[Reads | None] = "time"

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the days between."""
        if second is None:
            raise ValueError("days_between needs a second column")
        return np.asarray((values - second) / 86_400_000_000_000)
