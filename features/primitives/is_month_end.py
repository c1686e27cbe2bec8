"""Whether the day is the last of its month."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["IsMonthEnd"]


class IsMonthEnd(Transform):
    """1 on the last day of a month, else 0."""

    name: ClassVar[str] = "is_month_end"
    phrase: ClassVar[Message] = msg("whether {what} is at the end of a month")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return whether the next day is in another month."""
        days = values.view("datetime64[ns]").astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        return np.asarray((days + np.timedelta64(1, "D")).astype("datetime64[M]") != months, dtype=np.float64)
