"""Reading a body: bytes counted while they come, in bounded time, plain."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from core.errors import InputError
from core.i18n import msg
from serving.problems import PayloadTooLargeError, RequestTimeoutError, UnsupportedBodyError

__all__ = ["content_type", "read_body", "read_count", "read_flag"]


async def read_body(request: Request, *, max_bytes: int, max_seconds: float) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    request : Request
        Its body not yet read.
    max_bytes : int
        Bytes read at most, whatever ``Content-Length`` claims.
    max_seconds : float
        Time for the whole body.

    Raises
    ------
    PayloadTooLargeError, RequestTimeoutError, UnsupportedBodyError
        If it is too long, too slow, or compressed or not JSON.
    """
    _check_form(request)
    if int(request.headers.get("content-length", "0") or 0) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    n_bytes = 0
    try:
        async with asyncio.timeout(max_seconds):
            async for chunk in request.stream():
                n_bytes += len(chunk)
                if n_bytes > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise RequestTimeoutError(
            msg("The body did not arrive within {seconds} seconds", seconds=max_seconds)
        ) from None
    except ClientDisconnect:
        raise InputError(msg("The caller went away before the body was complete"), code="incomplete_body") from None
    return b"".join(chunks)


def content_type(request: Request) -> str:
    """Return the type of the body, refusing one that is compressed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedBodyError(msg("Compressed bodies are not read; send plain JSON"))
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def read_flag(request: Request, name: str, *, default: bool) -> bool:
    """Return a query parameter that is ``true`` or ``false``."""
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise InputError(msg("Expected true or false"), where=name, code="wrong_type")
    return default if text is None else text == "true"


def read_count(request: Request, name: str, *, default: int, most: int) -> int:
    """Return a query parameter that is a whole number from 0 to `most` (at most 9)."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if len(text) != 1 or text not in "0123456789" or int(text) > most:
        raise InputError(msg("Expected a whole number from 0 to {most}", most=most), where=name, code="wrong_type")
    return int(text)


def _check_form(request: Request) -> None:
    if content_type(request) != "application/json":
        raise UnsupportedBodyError(msg("The body must be sent as application/json"))


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(msg("The body is larger than {n} bytes", n=f"{max_bytes:,}"))
