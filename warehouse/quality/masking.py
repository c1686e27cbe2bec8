"""How values of persons are shown: enough to tell two apart, too little to know one by."""

from typing import Final

__all__ = ["mask"]

_SHORT: Final = 4


def mask(value: str) -> str:
    """Return a text with its middle, or all but its first character, hidden.

    Examples
    --------
    >>> mask("王某澜"), mask("11010519491231002X"), mask("王"), mask("")
    ('王**', '11**************2X', '*', '')
    """
    if len(value) == 1:
        return "*"
    if len(value) <= _SHORT:
        return value[:1] + "*" * (len(value) - 1)
    return value[:2] + "*" * (len(value) - 4) + value[-2:]
