"""The day of the month."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["DayOfMonth"]


class DayOfMonth(Transform):
    """1 to 31."""

    name: ClassVar[str] = "day_of_month"
    phrase: ClassVar[Message] = msg("day of the month of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the day."""
        days = values.view("datetime64[ns]").astype("datetime64[D]")
        return np.asarray((days - days.astype("datetime64[M]")).astype(np.int64) + 1.0)
