"""Connections kept in bounds: who does not finish asking is hung up on, and idle ones shut nobody out."""

import asyncio
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import UnavailableError
from core.i18n import msg
from serving.headers import SECURITY_HEADERS
from serving.problems import problem_response

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
except ImportError:  # a host without httptools serves with what uvicorn has of its own
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Protocol  # type: ignore[assignment]

__all__ = ["Crowd", "HurriedProtocol"]

_HEAD_SECONDS: Final = 10.0
_MAX_HEAD_BYTES: Final = 65_536


class HurriedProtocol(_Protocol):
    """uvicorn's protocol with an end to its patience.

    uvicorn waits for the head of a request without any limit of time, and httptools without one of size: a caller who
    sends a byte a minute would keep his connection for good. Here the head must be complete `_HEAD_SECONDS` after the
    connection was made, or after its first byte where an answer went before, and is 64 KB at most.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._hanging_up: asyncio.TimerHandle | None = None
        self._n_head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether a head is still being waited for."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
            return
        self._n_head_bytes += len(data)
        if self._n_head_bytes > _MAX_HEAD_BYTES:
            self._hang_up()
        elif self._hanging_up is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._hanging_up = self.loop.call_later(_HEAD_SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        self._n_head_bytes = 0
        if self._hanging_up is not None:
            self._hanging_up.cancel()
            self._hanging_up = None

    def _hang_up(self) -> None:
        self._stop_waiting()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


class Crowd:
    """ASGI layer before all others: so many requests at once, whether their bodies are complete or still arriving.

    uvicorn's own limit counts idle connections too, so that a crowd of these would shut everybody out.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    max_at_once : int
        Requests at a time.
    language : {"en", "zh"}
        Language of the refusal.
    """

    def __init__(self, app: ASGIApp, max_at_once: int, language: str) -> None:
        self._app = app
        self._max_at_once = max_at_once
        self._language = language
        self._n = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or say that there are too many."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._n >= self._max_at_once:
            await self._refuse(scope, receive, send)
        else:
            self._n += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._n -= 1

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = msg("Too many requests are being worked on; send this one again")
        response = problem_response(UnavailableError(text, code="overloaded"), self._language)
        response.headers.update(SECURITY_HEADERS)
        # What follows of the body is not read.
        response.headers["Connection"] = "close"
        await response(scope, receive, send)
