"""Where something was seen, ``"loans.csv, row 17, column amount"``, as a reader of either language says it."""

import re
from typing import Final

from core.i18n import Message, msg, render

__all__ = ["place_text"]

_PART: Final = re.compile(r", (column|row|line) (.+?)(?=, (?:column|row|line) |$)", re.DOTALL)


def place_text(where: str, language: str) -> str:
    """Return the place of a finding or error in words.

    Parameters
    ----------
    where : str
        A file or table, and what follows of ``, row N``, ``, line N`` and ``, column NAME``. What is written otherwise
        comes back as it is.
    language : {"en", "zh"}

    Examples
    --------
    >>> place_text("loans.csv, row 17, column amount", "zh")
    'loans.csv，第 17 行，amount 列'
    """
    if language == "en":
        return where
    parts = list(_PART.finditer(where))
    said = where[: parts[0].start()] if parts else where
    for part in parts:
        said = str(render(_further(said, *part.groups()), language))
    return said


def _further(place: str, kind: str, name: str) -> Message:
    if kind == "column":
        return msg("{place}, column {name}", place=place, name=name)
    if kind == "line":
        return msg("{place}, line {n}", place=place, n=name)
    return msg("{place}, row {n}", place=place, n=name)
