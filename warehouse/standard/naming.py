"""What names have in common: their normal form, their words, and the unit that stands in them."""

import re
from functools import lru_cache
from typing import Final

from warehouse.column_names import singular, tokens

__all__ = ["normal_name", "similarity", "unit_of"]

_BRACKETS: Final = re.compile(r"[（(\[【].*?[)）\]】]")
_UNITS: Final = {
    "10k cny": "10k CNY",
    "10k yuan": "10k CNY",
    "万元": "10k CNY",
    "万元人民币": "10k CNY",
    "wan": "10k CNY",
    "wan yuan": "10k CNY",
    "cny": "CNY",
    "rmb": "CNY",
    "yuan": "CNY",
    "元": "CNY",
    "人民币元": "CNY",
    "percent": "percent",
    "pct": "percent",
    "%": "percent",
    "ratio": "ratio",
    "ratio per year": "ratio",
    "days": "days",
    "天": "days",
    "months": "months",
    "月": "months",
    "个月": "months",
}
_SUFFIXES: Final = frozenset({"cny", "rmb", "yuan", "wan", "pct", "percent", "days", "months"})


@lru_cache(maxsize=20_000)
def normal_name(name: str) -> str:
    """Return a name without case, separators, brackets and units.

    Examples
    --------
    >>> normal_name("Ent_Name"), normal_name("entName"), normal_name("注册资本（万元）"), normal_name("amount_cny")
    ('entname', 'entname', '注册资本', 'amount')
    """
    words = list(tokens(_BRACKETS.sub(" ", name))) or list(tokens(name))
    if len(words) > 1 and words[-1] in _SUFFIXES:
        words.pop()
    return "".join(words)


@lru_cache(maxsize=100_000)
def similarity(one: str, other: str) -> float:
    """Return how much two names have in common, from 0 to 1: shared words, or shared pairs of Chinese characters.

    Examples
    --------
    >>> similarity("loan_amount", "amount of loan"), similarity("担保金额", "担保总金额")
    (0.8, 0.5714285714285714)
    """
    mine, theirs = _parts(one), _parts(other)
    if not mine or not theirs:
        return 0.0
    return 2 * len(mine & theirs) / (len(mine) + len(theirs))


def unit_of(text: str, *, is_unit: bool = False) -> str | None:
    """Return the unit that stands in brackets or at the end of a name, or that a text is; None where there is none.

    Examples
    --------
    >>> unit_of("注册资本（万元）"), unit_of("amount_cny"), unit_of("10k CNY", is_unit=True), unit_of("amount")
    ('10k CNY', 'CNY', '10k CNY', None)
    """
    if is_unit:
        return _UNITS.get(text.strip().lower(), text.strip())
    for inside in _BRACKETS.findall(text):
        if unit := _UNITS.get(inside[1:-1].strip().lower()):
            return unit
    words = tokens(text)
    return _UNITS.get(words[-1]) if len(words) > 1 and words[-1] in _SUFFIXES else None


@lru_cache(maxsize=100_000)
def _parts(name: str) -> frozenset[str]:
    parts: set[str] = set()
    for word in tokens(_BRACKETS.sub(" ", name)):
        if word.isascii():
            parts.add(singular(word))
        elif len(word) == 1:
            parts.add(word)
        else:
            parts.update(word[start : start + 2] for start in range(len(word) - 1))
    return frozenset(parts)
