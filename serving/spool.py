"""Answers that are made faster than their caller reads them: kept on disk, sent as they come, never piled in memory."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["Spool", "SpooledAnswer"]

_CHUNK_BYTES = 65_536


class Spool:
    """A temporary file that one task writes and another one reads to the end.

    A caller that sends its whole batch before it reads the first answer would otherwise wait for the service while
    the service waits for it. Used from the event loop only.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._n_written = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    def write(self, content: bytes) -> None:
        """Add to the end."""
        self._file.seek(self._n_written)
        self._file.write(content)
        self._n_written += len(content)
        self._changed.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self._is_closed = True
        self._changed.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what is written, until it is closed."""
        n_read = 0
        while True:
            self._changed.clear()
            while n_read < self._n_written:
                self._file.seek(n_read)
                chunk = self._file.read(min(_CHUNK_BYTES, self._n_written - n_read))
                n_read += len(chunk)
                yield chunk
            if self._is_closed and n_read == self._n_written:
                return
            await self._changed.wait()


class SpooledAnswer(Response):
    """A response whose body is made while the request's body may still be arriving.

    Starlette's own streaming response listens for the end of the connection, and would take the request's body away.

    Parameters
    ----------
    produce : callable
        Writes into the spool it is given; returns when all is written. It raises nothing a caller should see.
    media_type : str
        Type of the body.
    headers : dict, optional
        More headers.
    """

    def __init__(
        self, produce: Callable[[Spool], Awaitable[None]], media_type: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]
        # The answer may end before the body does: what is left of that must not be read as the next request.
        self.headers["connection"] = "close"
        self._produce = produce
        self.on_end: Callable[[], None] | None = None
        """Called when all is sent, or will never be."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - what ASGI calls
        """Send what is produced as it comes."""
        try:
            await self._send_all(send)
        finally:
            if self.on_end is not None:
                self.on_end()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with tempfile.TemporaryFile() as file:
            spool = Spool(file)
            producer = asyncio.create_task(self._fill(spool))
            try:
                async for chunk in spool.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            finally:
                producer.cancel()
                await asyncio.wait([producer])
            producer.result()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _fill(self, spool: Spool) -> None:
        try:
            await self._produce(spool)
        finally:
            spool.close()
