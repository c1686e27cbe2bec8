"""JSON as it should have been sent: one value per key, real numbers, shallow, valid text.

A strict reader in Python costs five times as much as orjson, which takes keys that come twice and rounds long integers.
So orjson reads, and its answer is taken where counting proves that there was neither; else the strict reader decides.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NoReturn

import orjson

from core.errors import InputError
from core.i18n import MessageLike, msg

__all__ = ["MAX_DEPTH", "parse", "parse_lines"]

MAX_DEPTH = 32

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTAINERS = (dict, list)
_WHITESPACE = b" \t\n\r"
# Shorter integers stand in 64 bits, so that orjson reads them as they are. A fraction may be as long as it likes: what
# counts is a number that begins with so many digits, after a sign or whatever else may stand before it.
_LONG = b":" + b"0" * 19
_ALIKE = bytes.maketrans(b"123456789,[- \t\n\r", b"000000000:::::::")
_LONG_INTEGER = re.compile(rb"(?<![0-9.])[0-9]{19,}(?![0-9.eE])")


def parse(body: bytes) -> Any:
    """Read a JSON document from bytes.

    Parameters
    ----------
    body : bytes
        UTF-8.

    Returns
    -------
    object
        dict, list, str, int, float, bool or None. Numbers may still be infinite (``1e999``): who reads one checks it.

    Raises
    ------
    InputError
        If the text is not UTF-8 or not JSON, has a key twice in one object, says NaN or Infinity, nests deeper than
        `MAX_DEPTH`, or holds half a surrogate pair. What was sent is never in the message.

    Examples
    --------
    >>> parse(b'{"a": [1, 2.5, null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _parse_strictly(body)
    return value if _is_sure(body, value) else _parse_strictly(body)


def parse_lines(lines: Sequence[bytes]) -> list[Any] | None:
    """Read several documents as `parse` does each, at half the cost; None where one of them has to be read by `parse`.

    What is counted is the sum over all of them. In each, the objects hold at most as many pairs as its text has colons
    after quotes, so that where the sums are equal no pair was dropped anywhere.
    """
    try:
        values = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    return values if _is_sure(b",".join(lines), values, within=1) else None


def _is_sure(body: bytes, value: Any, within: int = 0) -> bool:
    """Whether `value` is surely what `body` says: no key came twice, no integer was rounded, nothing nests too deep.

    Each pair of the text has a colon, right after the quote that ends its key once whitespace is gone; texts may have
    more of these, so that there are at most as many pairs. Where the objects hold as many, no pair was dropped.
    `within` is how many lists are around what the body says.
    """
    n_pairs = _count_pairs(value, within + body.count(b"{") + body.count(b"["), MAX_DEPTH + within)
    if n_pairs is None:
        return False
    if body.count(b":") != n_pairs and body.translate(None, _WHITESPACE).count(b'":') != n_pairs:
        return False
    return _LONG not in (b":" + body).translate(_ALIKE) or _LONG_INTEGER.search(body) is None


def _count_pairs(value: Any, max_containers: int, max_depth: int) -> int | None:
    """Return how many pairs the objects of `value` hold together; None where it nests deeper than `max_depth`.

    Level by level, and no deeper than there are objects and lists: the cells of a table are never looked at.
    """
    level = [value] if type(value) in _CONTAINERS else []
    n_pairs = n_containers = 0
    for _ in range(max_depth):
        objects = [one for one in level if type(one) is dict]
        n_pairs += sum(map(len, objects))
        n_containers += len(level)
        if not level or n_containers == max_containers:
            return n_pairs
        inside: Iterable[Any] = chain.from_iterable(one.values() if type(one) is dict else one for one in level)
        level = [one for one in inside if type(one) in _CONTAINERS]
    return None if level else n_pairs


def _parse_strictly(body: bytes) -> Any:
    _check_depth(body)
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise _refused("not_utf8", msg("The body is not UTF-8 (byte {byte})", byte=error.start)) from None
    except json.JSONDecodeError as error:
        problem = msg("The body is not JSON (line {line}, column {column})", line=error.lineno, column=error.colno)
        raise _refused("not_json", problem) from None
    except ValueError:
        # Python refuses integers of more than 4,300 digits.
        raise _refused("number_too_long", msg("The body has a number with too many digits")) from None
    if _SURROGATE.search(body):
        _check_text(value)
    return value


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before the parser descends into it."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise _refused("too_deep", msg("The body nests deeper than {depth} levels", depth=MAX_DEPTH))


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _refused("not_text", msg("The body has half a surrogate pair, which is no text")) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("duplicate_key", msg("The body has a key twice in one object"))
    return found


def _constant(_: str) -> NoReturn:
    raise _refused("not_a_number", msg("NaN and Infinity are not JSON; send null"))


def _refused(code: str, message: MessageLike) -> InputError:
    return InputError(message, code=code)
