"""One number of a row over another."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Ratio"]


class Ratio(Transform):
    """First column over second; NaN where the second is 0 or either is null."""

    name: ClassVar[str] = "ratio"
    phrase: ClassVar[Message] = msg("{what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number",)
    second: ClassVar[Reads | None] = "number"

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the quotient."""
        if second is None:
            raise ValueError("ratio needs a second column")
        return np.asarray(values / np.where(second == 0, np.nan, second))
