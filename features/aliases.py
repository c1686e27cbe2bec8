"""Aliases: plain names of features, made of their parts, that are one-to-one with what the feature is."""

import hashlib
import re
from typing import Final

__all__ = ["make_alias"]

_MAX_ALIAS: Final = 120
_ALIAS: Final = re.compile(r"[A-Za-z0-9_]+")


def make_alias(identifier: str, parts: list[str], *, is_plain: bool = True) -> str:
    """Join `parts` by two underscores; where that loses something, end with eight digits of the identifier's hash.

    With `is_plain` false the digits are there in any case: the parts may be read in more than one way.

    Examples
    --------
    >>> make_alias("amount", ["amount"])
    'amount'
    >>> make_alias("金额", ["金额"]).startswith("x_")
    True
    """
    clean = [re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in parts]
    alias = "__".join(clean)
    is_faithful = is_plain and clean == parts and not any("__" in part for part in parts) and len(alias) <= _MAX_ALIAS
    if is_faithful and _ALIAS.fullmatch(alias):
        return alias
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:8]
    stem = "__".join(part for part in clean if part)[: _MAX_ALIAS - 9].rstrip("_")
    return f"{stem or 'x'}_{digest}"
