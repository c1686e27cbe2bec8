"""Reading a body: bytes counted while they come, in bounded time, plain."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from core.errors import InputError
from core.i18n import msg
from serving.problems import PayloadTooLargeError, RequestTimeoutError, UnsupportedBodyError

__all__ = ["read_body"]


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


def _check_form(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedBodyError(msg("Compressed bodies are not read; send plain JSON"))
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedBodyError(msg("The body must be sent as application/json"))


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(msg("The body is larger than {n} bytes", n=f"{max_bytes:,}"))
