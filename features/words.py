"""Words of texts: what counts as one, whether a text holds it, and which are frequent enough to tell anything by."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

__all__ = ["frequent_words", "holds_word", "is_text", "plain_text", "words_of"]

_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN: Final = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_IS_HAN: Final = re.compile(rf"[{_HAN}]")
_SHORTEST, _LONGEST = 2, 4
"""Characters of a Chinese word: texts are not cut into words, so every run of so many counts."""
_LEAST_TEXTS: Final = 50
_LEAST_LEVELS: Final = 2
_LEAST_ROWS: Final = 30
_LEAST_SHARE: Final = 0.002
_MOST_SHARE: Final = 0.95


def plain_text(text: str) -> str:
    """Return the runs of letters, digits and Chinese characters of `text` in one case and width, blanks around each.

    Examples
    --------
    >>> plain_text("Wells-Fargo Bank, N.A."), plain_text("四川ＡＢＣ建筑有限公司")
    (' wells fargo bank n a ', ' 四川 abc 建筑有限公司 ')
    """
    runs = _RUN.findall(unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(runs)} " if runs else ""


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text in plain form: runs with a letter, of Chinese all of 2 to 4 characters in a row.

    Examples
    --------
    >>> list(words_of(plain_text("Bank 1 of 成都市")))
    ['bank', 'of', '成都', '都市', '成都市']
    """
    for run in text.split():
        if not _IS_HAN.match(run):
            if len(run) > 1 and not run.isdigit():
                yield run
            continue
        for length in range(_SHORTEST, min(_LONGEST, len(run)) + 1):
            yield from (run[start : start + length] for start in range(len(run) - length + 1))


def holds_word(levels: tuple[str, ...], word: str) -> np.ndarray:
    """Return 1 for each of `levels` that holds `word`, else 0; of other scripts than Chinese only whole words.

    Parameters
    ----------
    levels : tuple of str
        Texts as they stand in the data.
    word : str
        In plain form; several words in a row may be asked for as one.

    Examples
    --------
    >>> holds_word(("First Union Bank", "Unionbank", "成都市建筑公司"), "union").tolist()
    [1.0, 0.0, 0.0]
    >>> holds_word(("成都市建筑公司", "建筑材料"), "建筑").tolist()
    [1.0, 1.0]
    """
    sought = word if _IS_HAN.match(word) else f" {word} "
    return np.array([sought in text for text in _plain_texts(levels)], dtype=np.float64)


def is_text(levels: Sequence[str]) -> bool:
    """Whether the different values of a column are texts of words rather than names or codes: many, of several words.

    Examples
    --------
    >>> is_text([f"A{code}" for code in range(100)]), is_text([f"{code} First Bank" for code in range(100)])
    (False, True)
    """
    if len(levels) < _LEAST_TEXTS:
        return False
    return float(np.mean([_length(plain_text(level)) >= _SHORTEST for level in levels])) >= 0.5


def frequent_words(levels: Sequence[str], counts: np.ndarray, most: int) -> list[str]:
    """Return the words that split the rows best by size: at most `most`, by how many rows hold them or do not.

    A word must stand in enough rows, in nearly all of none, and in two different texts: one that stands in a single
    text is that text. Words that stand in the same texts are one: side by side in all of them, they are kept together
    ("credit union"); of Chinese runs of characters the shortest is kept, the earliest of equals.

    Parameters
    ----------
    levels : sequence of str
        Different texts.
    counts : ndarray of int, shape (n_levels,)
        Rows with each.
    most : int
        Words to return.
    """
    texts = [plain_text(level) for level in levels]
    texts_of: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in set(words_of(text)):
            texts_of.setdefault(word, []).append(number)
    n_rows = int(counts.sum())
    least = max(_LEAST_ROWS, _LEAST_SHARE * n_rows)
    alike: dict[tuple[int, ...], list[str]] = {}
    for word, numbers in texts_of.items():
        if len(numbers) >= _LEAST_LEVELS and least <= counts[numbers].sum() <= _MOST_SHARE * n_rows:
            alike.setdefault(tuple(numbers), []).append(word)
    spread = {
        _together(words, [texts[number] for number in numbers]): _spread(int(counts[list(numbers)].sum()), n_rows)
        for numbers, words in alike.items()
    }
    return sorted(spread, key=lambda word: (-spread[word], word))[:most]


def _together(words: Sequence[str], texts: Sequence[str]) -> str:
    """Return what stands for words that the same texts hold."""
    first = texts[0]
    han = [word for word in words if _IS_HAN.match(word)]
    if len(han) == len(words):
        return min(words, key=lambda word: (len(word), first.index(word)))
    members = set(words) - set(han)
    runs = first.split()
    start = next(place for place, run in enumerate(runs) if run in members)
    end = start + 1
    while end < len(runs) and runs[end] in members:
        end += 1
    phrase = " ".join(runs[start:end])
    return phrase if all(f" {phrase} " in text for text in texts) else runs[start]


def _spread(n: int, n_rows: int) -> float:
    return n * (n_rows - n) / n_rows


def _length(text: str) -> int:
    """Return how many words a text in plain form is long; two Chinese characters are about one."""
    return sum(len(run) // _SHORTEST if _IS_HAN.match(run) else 1 for run in text.split())


@lru_cache(maxsize=8)
def _plain_texts(levels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(plain_text(level) for level in levels)
