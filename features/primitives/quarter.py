"""The quarter of the year."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Quarter"]


class Quarter(Transform):
    """1 to 4."""

    name: ClassVar[str] = "quarter"
    phrase: ClassVar[Message] = msg("quarter of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("time",)
    is_own_only: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the quarter."""
        months = values.view("datetime64[ns]").astype("datetime64[M]")
        return np.asarray(months.view(np.int64) % 12 // 3 + 1.0)
