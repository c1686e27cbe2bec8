"""Whether a text holds a word."""

from typing import ClassVar

import numpy as np

from core.i18n import Message, msg
from features.primitives.interface import Reads, Transform

__all__ = ["Contains"]


class Contains(Transform):
    """1 where the text holds the definition's word, else 0; null where there is no text."""

    name: ClassVar[str] = "contains"
    phrase: ClassVar[Message] = msg("words of {what}")
    reads: ClassVar[tuple[Reads, ...]] = ("text",)

    def of_row(self, values: np.ndarray, second: np.ndarray | None, cutoffs: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the values, which say so already: each different text is looked through once."""
        return values
