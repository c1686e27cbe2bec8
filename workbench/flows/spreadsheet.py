"""Texts that a spreadsheet may open: it would run one that begins like a formula."""

import re
from typing import Final

__all__ = ["BYTE_ORDER_MARK", "FORMULA_START", "guarded"]

FORMULA_START: Final = r"[=+\-@\t\r＝＋－＠]"
"""How a text begins that a spreadsheet takes for a formula."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Stands before UTF-8 text so that Excel reads it as such."""


def guarded(text: str) -> str:
    """Return `text` with an apostrophe before it where a spreadsheet would run it.

    Examples
    --------
    >>> guarded("=1+1"), guarded("sum of sales")
    ("'=1+1", 'sum of sales')
    """
    return f"'{text}" if re.match(FORMULA_START, text) else text
