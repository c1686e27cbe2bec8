"""Column names of a file: all there, all different, none of them unprintable."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

from core.errors import InputError
from core.i18n import msg

__all__ = ["MAX_COLUMNS", "check_header", "table_name"]

MAX_COLUMNS: Final = 5_000
_MAX_NAME: Final = 200
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_header(names: Sequence[str], where: str) -> list[str]:
    """Return the column names without blanks at their ends.

    Raises
    ------
    InputError
        More than 5,000 columns, a column without a name, two of one name, an invisible character or more than 200
        characters in a name.
    """
    if len(names) > MAX_COLUMNS:
        raise InputError(
            msg("there are {n} columns, more than the {limit} allowed", n=len(names), limit=MAX_COLUMNS),
            where=where,
            code="too_many_columns",
        )
    header = [str(name).strip() for name in names]
    for position, name in enumerate(header, start=1):
        _check_name(name, position, where)
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise InputError(
            msg("the header has these column names more than once: {names}", names=", ".join(twice[:10])),
            where=where,
            fix=msg("Give every column its own name."),
            code="duplicate_header",
        )
    return header


def table_name(stem: str) -> str:
    """Return a table name made of a file or sheet name: what a path or a line could trip over becomes ``_``.

    Examples
    --------
    >>> table_name("../企业 表.2024")
    '_企业 表.2024'
    """
    kept = (
        "_" if character in '/\\:*?"<>|' or unicodedata.category(character) in _INVISIBLE else character
        for character in unicodedata.normalize("NFC", stem)
    )
    return "".join(kept).strip().lstrip(".")[:_MAX_NAME].strip() or "table"


def _check_name(name: str, position: int, where: str) -> None:
    if not name:
        raise InputError(
            msg("column {position} has no name in the header", position=position),
            where=where,
            fix=msg("Give every column its own name."),
            code="unnamed_column",
        )
    if len(name) > _MAX_NAME or any(unicodedata.category(character) in _INVISIBLE for character in name):
        raise InputError(
            msg("the name of column {position} is too long or has invisible characters", position=position),
            where=where,
            code="bad_column_name",
        )
