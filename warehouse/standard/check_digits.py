"""The check characters of the unified social credit code (GB 32100) and of the identity number (GB 11643).

Both take the whole column at once; light: numpy only.
"""

from typing import Any, Final

import numpy as np

__all__ = ["is_credit_code", "is_identity_number"]

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_LENGTH: Final = 18
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # no I, O, S, V, Z
_CREDIT_WEIGHTS: Final = np.array([pow(3, power, 31) for power in range(17)])
_IDENTITY_WEIGHTS: Final = np.array([pow(2, 17 - power, 11) for power in range(17)])
_IDENTITY_CHECK: Final = "10X98765432"
_FIRST_BIRTH: Final = np.datetime64("1850-01-01")
_N_CODE_POINTS: Final = 128


def is_credit_code(values: np.ndarray[Any, Any]) -> Flags:
    """Return which texts are 18-character codes of GB 32100-2015 with a valid check character.

    The last character makes the sum of the values of all, weighted by the powers of 3 and with its own of weight 1,
    a multiple of 31. Small letters, which some systems write, are not valid.

    Parameters
    ----------
    values : array of shape (n,)
        Texts; anything else, None too, is not valid.

    Examples
    --------
    >>> is_credit_code(np.array(["91350100M000100Y43", "91350100M000100Y44", None], dtype=object))
    array([ True, False, False])
    """
    characters, candidates = _characters(values)
    digits = _values(_CREDIT_ALPHABET)[characters]
    good = (digits >= 0).all(axis=1)
    check = (31 - digits[:, :17] @ _CREDIT_WEIGHTS % 31) % 31
    return _scattered(candidates, good & (check == digits[:, 17]))


def is_identity_number(values: np.ndarray[Any, Any]) -> Flags:
    """Return which texts are identity numbers of GB 11643-1999: 18 characters, a day of birth, a valid check.

    Parameters
    ----------
    values : array of shape (n,)
        Texts; anything else, None too, is not valid.

    Examples
    --------
    >>> is_identity_number(np.array(["11010519491231002X", "110105194912310021"], dtype=object))
    array([ True, False])
    """
    characters, candidates = _characters(values)
    digits = _values("0123456789")[characters[:, :17]]
    good = (digits >= 0).all(axis=1) & _is_day(digits[:, 6:14])
    check = _code_points(_IDENTITY_CHECK)[digits @ _IDENTITY_WEIGHTS % 11]
    return _scattered(candidates, good & (check == characters[:, 17]))


def _characters(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Flags]:
    """Return the code points of the texts of 18 plain characters, of shape (n_such, 18), and which they are."""
    candidates = np.fromiter(
        (isinstance(value, str) and len(value) == _LENGTH and value.isascii() for value in values), bool, len(values)
    )
    texts = np.array(values[candidates], dtype=f"U{_LENGTH}")
    return texts.view(np.uint32).reshape(len(texts), _LENGTH), candidates


def _values(alphabet: str) -> np.ndarray[Any, Any]:
    """Return the value of every plain character: its place in the alphabet, -1 where it is not in it."""
    values = np.full(_N_CODE_POINTS, -1, dtype=np.int64)
    values[_code_points(alphabet)] = np.arange(len(alphabet))
    return values


def _code_points(text: str) -> np.ndarray[Any, Any]:
    return np.array([ord(character) for character in text], dtype=np.int64)


def _is_day(digits: np.ndarray[Any, Any]) -> Flags:
    """Return which eight digits are a day from 1850 on that the calendar has."""
    number = digits @ 10 ** np.arange(7, -1, -1)
    year, month, day = number // 10_000, number // 100 % 100, number % 100
    plausible = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1) & (year <= 9999)
    months = ((np.where(plausible, year, 1970) - 1970) * 12 + np.where(plausible, month, 1) - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (np.where(plausible, day, 1) - 1)
    result: Flags = plausible & (days.astype("datetime64[M]") == months) & (days >= _FIRST_BIRTH)
    return result


def _scattered(candidates: Flags, good: Flags) -> Flags:
    flags = np.zeros(len(candidates), dtype=bool)
    flags[candidates] = good
    return flags
