"""JSON as it should have been sent: one value per key, real numbers, shallow, valid text."""

import json
import re
from typing import Any, NoReturn

from core.errors import InputError
from core.i18n import MessageLike, msg

__all__ = ["MAX_DEPTH", "parse"]

MAX_DEPTH = 32

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


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
