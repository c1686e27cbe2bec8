"""The day of the week."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Weekday"]


class Weekday(Transform):
    """0 for Monday to 6 for Sunday."""

    name: ClassVar[str] = "weekday"
    phrase: ClassVar[Message] = msg("weekday of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the day of the week."""
        days = values.view("datetime64[ns]").astype("datetime64[D]")
        return (days.view(np.int64) + 3) % 7 * 1.0  # 1970-01-01 was a Thursday
