"""How words and numbers are written and cut so that they fit a chart."""

import html
import math
import re
from collections.abc import Sequence
from unicodedata import east_asian_width

from core.i18n.formats import interval, metric

__all__ = [
    "Estimate",
    "balanced",
    "estimate",
    "metric_ticks",
    "nice_step",
    "plain",
    "safe",
    "sentence_case",
    "shorten",
    "signed",
    "text_width",
    "thin",
    "tight",
    "wrap",
]

Estimate = tuple[float, float, float]
"""A value with the low and the high end of its interval; the ends may be NaN."""

_CALENDAR_STEPS = (1, 2, 3, 4, 6, 12, 24, 36, 60, 120)  # of months, quarters or years
_CHINESE = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_CHINESE_GAP = re.compile(f"(?<={_CHINESE}) (?={_CHINESE})")
_UNBROKEN = "\u00a0"
_NOT_FIRST = "，。；：、）】》！？%,.;:)]"


def estimate(value: Estimate | None) -> str:
    """Return a metric with its interval as text, the interval left out where it is not known."""
    if value is None or not math.isfinite(value[0]):
        return "–"
    known = all(map(math.isfinite, value[1:]))
    return f"{metric(value[0])} {interval(value[1], value[2])}" if known else metric(value[0])


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign, a real minus among them.

    Examples
    --------
    >>> signed(-0.314), signed(0.5)
    ('−0.31', '+0.50')
    """
    return f"{value:+.{digits}f}".replace("-", "−")


def plain(value: float) -> str:
    """Return an amount in as few digits as tell it, thousands separated.

    Examples
    --------
    >>> plain(1234567.8), plain(0.123456), plain(12.0)
    ('1,234,568', '0.123', '12')
    """
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def metric_ticks(low: float, high: float, n: int = 8) -> tuple[list[float], list[str]]:
    """Return round tick positions within `low` to `high` and their texts, written as metrics are (``.40``).

    Examples
    --------
    >>> metric_ticks(0.28, 0.45)
    ([0.3, 0.35, 0.4, 0.45], ['.30', '.35', '.40', '.45'])
    """
    step = nice_step((high - low) / n)
    first, last = math.ceil(round(low / step, 6)), math.floor(round(high / step, 6))
    ticks = [round(i * step, 10) for i in range(first, last + 1)]
    digits = max(2, -math.floor(math.log10(step)))
    return ticks, [_without_leading_zero(f"{tick:.{digits}f}") for tick in ticks]


def nice_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, the smallest not below `rough`.

    Examples
    --------
    >>> nice_step(0.034)
    0.05
    """
    if not rough > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    factor = next((f for f in (1, 2, 5) if f * power >= rough * 0.999), 10)
    return factor * power


def _without_leading_zero(text: str) -> str:
    sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    return sign + (digits[1:] if digits.startswith("0.") and float(digits) else digits.replace("0.00", "0"))


def thin(labels: Sequence[str], most: int = 7) -> list[str]:
    """Return at most `most` of the labels, evenly spaced, the last one always among them.

    Examples
    --------
    >>> thin(["1", "2", "3", "4", "5"], most=3)
    ['1', '3', '5']
    """
    if len(labels) <= most:
        return list(labels)
    fewest = math.ceil(len(labels) / most)
    step = next((step for step in _CALENDAR_STEPS if step >= fewest), fewest)
    return list(reversed(labels[::-1][::step]))


def safe(text: str) -> str:
    """Return `text` with the signs that a figure would read as markup made harmless."""
    return html.escape(text, quote=False)


def sentence_case(text: str) -> str:
    """Return `text` with a capital first letter, but for one that opens a technical name.

    Examples
    --------
    >>> sentence_case("score: it rose"), sentence_case("x_1 rose")
    ('Score: it rose', 'x_1 rose')
    """
    first = text.split(" ", 1)[0].rstrip(":,")
    return text[:1].upper() + text[1:] if first.isalpha() and first.isascii() else text


def tight(text: str) -> str:
    """Return `text` without the blanks that filled-in names leave between Chinese characters.

    Examples
    --------
    >>> tight("渠道（近 6 个月） 影响最大")
    '渠道（近 6 个月）影响最大'
    """
    return _CHINESE_GAP.sub("", text)


def text_width(text: str) -> int:
    """Return how many Latin letters wide `text` is; a Chinese character counts two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def shorten(name: str, width: int = 30) -> str:
    """Return `name`, cut in the middle where it is wider than `width` letters, its ends kept.

    Examples
    --------
    >>> shorten("mean(repay_record.amount, 12 months)", 20)
    'mean(repa…2 months)'
    """
    if text_width(name) <= width:
        return name
    half = (width - 1) // 2
    head, tail = "", ""
    for letter in name:
        if text_width(head + letter) > half:
            break
        head += letter
    for letter in reversed(name):
        if text_width(letter + tail) > half:
            break
        tail = letter + tail
    return f"{head.rstrip()}…{tail}"


def wrap(text: str, width: int) -> list[str]:
    r"""Return `text` in lines of at most about `width` letters, broken at blanks or between Chinese characters.

    Examples
    --------
    >>> wrap("one two three", 8), wrap("共 145\u00a0万元", 8)
    (['one two', 'three'], ['共', '145\xa0万元'])
    """
    lines, line = [], ""
    for piece in _pieces(text):
        if line and text_width(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines or [""]


def balanced(text: str, width: int) -> list[str]:
    """Return `text` in as few lines as `width` allows, about equally long, so that no word stands alone.

    Examples
    --------
    >>> balanced("one two three four", 15)
    ['one two', 'three four']
    """
    lines = wrap(text, width)
    while len(lines) > 1 and width > 1 and len(narrower := wrap(text, width - 1)) == len(lines):
        lines, width = narrower, width - 1
    return lines


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for letter in text:
        wide = east_asian_width(letter) in "WF"
        after_break = not pieces or pieces[-1].endswith(" ") or east_asian_width(pieces[-1][-1]) in "WF"
        is_glued = bool(pieces) and pieces[-1].endswith(_UNBROKEN)
        if pieces and (letter == " " or letter in _NOT_FIRST or is_glued or not (wide or after_break)):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces
