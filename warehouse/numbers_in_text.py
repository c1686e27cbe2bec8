"""Numbers written as text, plain or as people write them: ``1,234.5``, ``12%``, ``¥3万``, full-width digits."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["NumbersInText", "is_code", "parse_booleans", "parse_numbers"]

_PLAIN: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INFINITE: Final = r"(?i)^[+-]?inf(inity)?$"
_WRITTEN: Final = (
    r"^(?P<open>\(?)(?P<sign>[+-]?)[¥$€]?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?P<unit>[千万亿]?)元?\s?(?P<percent>%?)(?P<close>\)?)$"
)
_UNITS: Final = {"千": 1e3, "万": 1e4, "亿": 1e8}
_BLOCK: Final = 1_000_000
_FIELDS: Final = ("numbers", "ok", "written", "scaled", "percent")
_CODE: Final = r"^[+-]?(0\d|\d{16,}$)"
_TRUE: Final = ("1", "1.0", "true", "t", "yes", "y", "是", "有", "真")
_FALSE: Final = ("0", "0.0", "false", "f", "no", "n", "否", "无", "假")


@dataclass(frozen=True)
class NumbersInText:
    """What became of the texts.

    Parameters
    ----------
    numbers : ndarray of float64
        The numbers, NaN where the text is none.
    ok : ndarray of bool
        Whether the text is a number.
    written : ndarray of bool
        Whether it was written with separators, a unit, a percent sign or full-width digits.
    scaled : ndarray of bool
        Whether 千, 万 or 亿 stand behind the digits, and are in the number.
    percent : ndarray of bool
        Whether a percent sign stands behind the digits, and the number is a hundredth of them.
    """

    numbers: np.ndarray
    ok: np.ndarray
    written: np.ndarray
    scaled: np.ndarray
    percent: np.ndarray


def parse_numbers(texts: Any) -> NumbersInText:
    """Read an Arrow array of non-null `texts` as numbers; ``12%`` is 0.12 and ``3万`` is 30,000.

    Examples
    --------
    >>> parse_numbers(pa.array(["1e3", "1,234.5", "12%", "¥3万", "(5)", "1,5", "-inf"])).numbers.tolist()
    [1000.0, 1234.5, 0.12, 30000.0, -5.0, nan, -inf]
    """
    if len(texts) > _BLOCK:
        parts = [parse_numbers(texts.slice(start, _BLOCK)) for start in range(0, len(texts), _BLOCK)]
        return NumbersInText(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))
    if (numbers := _all_plain(texts)) is not None:
        no = np.zeros(len(texts), dtype=bool)
        return NumbersInText(numbers, ~no, no, no, no)
    plain = _matches(texts, _PLAIN)
    if not plain.all():
        plain |= _matches(texts, _INFINITE)
    numbers = np.full(len(texts), np.nan)
    numbers[plain] = _numpy(pc.cast(texts.filter(pa.array(plain)), pa.float64()))
    written, scaled, percent = (np.zeros(len(texts), dtype=bool) for _ in range(3))
    if not plain.all():
        rest = np.flatnonzero(~plain)
        found = _parse_written(texts.take(pa.array(rest)))
        numbers[rest[found.ok]], written[rest] = found.numbers[found.ok], found.ok
        scaled[rest], percent[rest] = found.scaled, found.percent
    return NumbersInText(numbers, plain | written, written, scaled, percent)


def is_code(texts: Any) -> bool:
    """Whether digits here are a code and no number: a leading zero, or more than the 15 digits a float keeps.

    Examples
    --------
    >>> is_code(pa.array(["12", "0371"])), is_code(pa.array(["110101199003071234"])), is_code(pa.array(["0", "0.5"]))
    (True, True, False)
    """
    return bool(_matches(texts, _CODE).any())


def parse_booleans(texts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return 1.0, 0.0 or NaN for each of the non-null `texts`, and whether each is a word for true or false."""
    lower = pc.utf8_lower(texts)
    true = _numpy(pc.is_in(lower, pa.array(_TRUE, lower.type)))
    false = _numpy(pc.is_in(lower, pa.array(_FALSE, lower.type)))
    return np.where(true, 1.0, np.where(false, 0.0, np.nan)), true | false


def _all_plain(texts: Any) -> np.ndarray | None:
    """Return the numbers where all texts are plain ones, quickly; None where one is not."""
    try:
        numbers = _numpy(pc.cast(texts, pa.float64()))
    except pa.ArrowInvalid:
        return None
    return None if np.isnan(numbers).any() else numbers


def _parse_written(texts: Any) -> NumbersInText:
    texts = pc.utf8_normalize(texts, "NFKC")
    ok = _matches(texts, _WRITTEN)
    parts = pc.extract_regex(texts.filter(pa.array(ok)), _WRITTEN)
    opened, closed = (_numpy(pc.equal(parts.field(name), mark)) for name, mark in (("open", "("), ("close", ")")))
    digits = pc.cast(pc.replace_substring(parts.field("digits"), ",", ""), pa.float64())
    factor = np.ones(len(parts))
    for unit, size in _UNITS.items():
        factor[_numpy(pc.equal(parts.field("unit"), unit))] = size
    negative = _numpy(pc.equal(parts.field("sign"), "-")) ^ opened
    values = np.full(len(texts), np.nan)
    hundredths = _numpy(pc.equal(parts.field("percent"), "%"))
    values[ok] = np.where(negative, -1.0, 1.0) * _numpy(digits) * factor / np.where(hundredths, 100.0, 1.0)
    scaled, percent = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    scaled[ok], percent[ok] = factor > 1, hundredths
    ok[ok] = opened == closed
    return NumbersInText(values, ok, ok, scaled & ok, percent & ok)


def _matches(texts: Any, pattern: str) -> np.ndarray:
    return _numpy(pc.match_substring_regex(texts, pattern))


def _numpy(array: Any) -> np.ndarray:
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values.copy() if not values.flags.writeable else values
