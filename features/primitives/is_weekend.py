"""Whether the day is a Saturday or Sunday."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["IsWeekend"]


class IsWeekend(Transform):
    """1 on Saturday and Sunday, else 0."""

    name: ClassVar[str] = "is_weekend"
    phrase: ClassVar[Message] = msg("whether {what} is at a weekend")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return whether the weekday is 5 or 6."""
        days = values.view("datetime64[ns]").astype("datetime64[D]")
        return ((days.view(np.int64) + 3) % 7 >= 5).astype(np.float64)
