"""The value as it is."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Identity"]


class Identity(Transform):
    """The value itself; of a category its level."""

    name: ClassVar[str] = "identity"
    phrase: ClassVar[Message] = msg("{what}")
    reads: ClassVar[tuple[Reads, ...]] = ("number", "boolean", "category")
    keeps_unit: ClassVar[bool] = True

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the values."""
        return values
