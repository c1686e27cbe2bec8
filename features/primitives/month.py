"""The month of the year."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Month"]


class Month(Transform):
    """1 for January to 12 for December."""

    name: ClassVar[str] = "month"
    phrase: ClassVar[Message] = msg("month of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the month."""
        months = values.view("datetime64[ns]").astype("datetime64[M]")
        return np.asarray(months.view(np.int64) % 12 + 1.0)
