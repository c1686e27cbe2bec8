"""Lines of a body that streams in: whole lines as they arrive, in bounded memory and time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from core.errors import InputError, WorkbenchError
from core.i18n import msg
from serving.asked import Asked
from serving.problems import PayloadTooLargeError, RequestTimeoutError

__all__ = ["Line", "LineSplitter", "body_chunks"]


@dataclass(slots=True)
class Line:
    """A line with what was read in it: a request, or why there is none; and its answer, where that is made already."""

    number: int
    asked: Asked | None
    outcome: bytes | WorkbenchError | None


class LineSplitter:
    r"""Cuts chunks into lines; a line that is too long is dropped while it comes, and told as None.

    Parameters
    ----------
    max_line_bytes : int
        Longest line that is kept.

    Examples
    --------
    >>> lines = LineSplitter(5)
    >>> lines.feed(b"ab\ncd"), lines.feed(b"e\nmuch too long\nf"), lines.end()
    ([b'ab'], [b'cde', None], [b'f'])
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = b""
        self._is_too_long = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """Return the lines that `chunk` completes."""
        *whole, rest = chunk.split(b"\n")
        found: list[bytes | None] = []
        for part in whole:
            line = self._rest + part
            found.append(None if self._is_too_long or len(line) > self._max_line_bytes else line)
            self._rest, self._is_too_long = b"", False
        self._rest += rest
        if len(self._rest) > self._max_line_bytes:
            self._rest, self._is_too_long = b"", True
        return found

    def end(self) -> list[bytes | None]:
        """Return the last line where it has no end of its own."""
        if self._is_too_long:
            return [None]
        return [self._rest] if self._rest else []


async def body_chunks(request: Request, *, max_bytes: int, max_idle_seconds: float) -> AsyncIterator[bytes]:
    """Yield a body as it comes.

    Parameters
    ----------
    request : Request
        Its body not yet read.
    max_bytes : int
        Bytes read at most in all.
    max_idle_seconds : float
        Longest wait for the next chunk.

    Raises
    ------
    PayloadTooLargeError, RequestTimeoutError, InputError
        If it is too long, too slow, or breaks off.
    """
    n_bytes = 0
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(max_idle_seconds):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            text = msg("Nothing came for {seconds} seconds", seconds=max_idle_seconds)
            raise RequestTimeoutError(text) from None
        except ClientDisconnect:
            raise InputError(msg("The caller went away before the body was complete"), code="incomplete_body") from None
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise PayloadTooLargeError(msg("The body is larger than {n} bytes", n=f"{max_bytes:,}"))
        if chunk:
            yield chunk
