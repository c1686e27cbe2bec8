"""Quotes of a delimited text: each opens a field, closes one, or stands doubled inside one."""

import csv
import io
from collections.abc import Iterable, Iterator

import numpy as np

from core.errors import InputError
from core.i18n import msg

__all__ = ["are_sound", "check_quotes"]

_QUOTE, _NEWLINE = ord('"'), ord("\n")


def check_quotes(blocks: Iterable[bytes], delimiter: str, where: str) -> None:
    """Refuse an unclosed quote and text after a closing one, which Arrow reads as if nothing were wrong.

    Parameters
    ----------
    blocks : iterable of bytes
        The text as UTF-8 with line feeds at its line ends, in blocks of whole lines; run through once, and a second
        time where the quick look does not settle it.
    delimiter : str
        What cuts the fields.
    where : str
        How the file is named in errors.

    Raises
    ------
    InputError
        Names the line.
    """
    if are_sound(blocks, delimiter):
        return
    quoted = _QuotedLines(line.decode() for block in blocks for line in io.BytesIO(block))
    records = csv.reader(quoted, delimiter=delimiter, strict=True)
    try:
        for _ in records:
            quoted.is_between = True
    except csv.Error as error:
        raise InputError(
            msg("line {line}: a quote is not closed or stands in the wrong place", line=quoted.number),
            where=where,
            fix=msg("Double every quote inside a quoted field."),
            code="bad_quote",
        ) from error


def are_sound(blocks: Iterable[bytes], delimiter: str) -> bool:
    r"""Return whether all quotes, taken in turn as opening and closing ones, stand at the edges of fields.

    True is sure: then a strict reader has nothing to say. False is not: a quote inside a field that is not quoted is
    plain text to a strict reader.

    Examples
    --------
    >>> are_sound([b'a,"b ""c"",d"\n'], ","), are_sound([b'a,"b"c\n'], ","), are_sound([b'a,"b\n'], ",")
    (True, False, False)
    """
    edges = np.array([_NEWLINE, _QUOTE, ord(delimiter)], dtype=np.uint8)
    is_open = False
    for block in blocks:
        data = np.frombuffer(block, np.uint8)
        at = np.flatnonzero(data == _QUOTE)
        if not at.size:
            continue
        before = np.where(at > 0, data[at - 1], _NEWLINE)
        after = np.where(at < len(data) - 1, data[np.minimum(at + 1, len(data) - 1)], _NEWLINE)
        is_opening = (np.arange(at.size) + is_open) % 2 == 0
        if not np.isin(np.where(is_opening, before, after), edges).all():
            return False
        is_open ^= bool(at.size % 2)
    return not is_open


class _QuotedLines:
    """Lines for a CSV reader, without those that hold no quote and stand between two records."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.number = 0
        self.is_between = True

    def __iter__(self) -> "_QuotedLines":
        return self

    def __next__(self) -> str:
        for line in self.lines:
            self.number += 1
            if not self.is_between or '"' in line:
                self.is_between = False
                return line
        raise StopIteration
