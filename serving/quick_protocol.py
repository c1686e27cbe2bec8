"""HTTP for the quick desk: a request whose body comes along with its head is answered without a task of its own."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from serving.connections import HurriedProtocol
from serving.headers import RAW_SECURITY_HEADERS
from serving.quick_desk import QuickDesk

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["QuickProtocol"]

_PATH: Final = "/v1/score"
_HELD_SECONDS: Final = 0.05
# Below uvicorn's own mark, beyond which it reads on only for an application that asks for more.
_MAX_HELD_BYTES: Final = 32_768
_HEAD: Final = b"".join(
    [b"content-type: application/json\r\n", *(b"%b: %b\r\n" % header for header in RAW_SECURITY_HEADERS)]
)


class QuickProtocol(HurriedProtocol):
    """A protocol that asks the quick desk first; what that does not take goes on as ever.

    Where uvicorn reads HTTP by h11, everything does.

    Parameters
    ----------
    desk : QuickDesk
        Of the application that is served.
    """

    def __init__(self, *args: Any, desk: QuickDesk, **options: Any) -> None:
        super().__init__(*args, **options)
        self._desk = desk
        self._held: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._going_on: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Read on; what is long in coming is for the application, which knows how long to wait and how much to take."""
        super().data_received(data)
        if self._held is None:
            return
        cycle, _ = self._held
        if cycle.waiting_for_100_continue or len(cycle.body) > _MAX_HELD_BYTES:
            self._go_on()
        elif self._going_on is None:
            self._going_on = self.loop.call_later(_HELD_SECONDS, self._go_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what was not complete."""
        self._let_go()
        super().connection_lost(exc)

    def on_message_complete(self) -> None:
        """Ask the desk, now that the body is there."""
        super().on_message_complete()
        self._ask_desk()

    def _start_asgi_task(self, cycle: "RequestResponseCycle", app: "ASGI3Application") -> None:
        scope = cycle.scope
        if scope["path"] != _PATH or scope["method"] != "POST" or scope["root_path"] or self.flow.write_paused:
            super()._start_asgi_task(cycle, app)
            return
        self._held = cycle, app
        self._ask_desk()

    def _ask_desk(self) -> None:
        if self._held is None or self._held[0].more_body:
            return
        cycle, app = self._held
        give_back = partial(super()._start_asgi_task, cycle, app)
        if self._desk.take(cycle.scope["headers"], bytes(cycle.body), partial(self._give, cycle), give_back):
            self._let_go()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Let the application answer what is held, complete or not."""
        if self._held is not None:
            cycle, app = self._held
            self._let_go()
            super()._start_asgi_task(cycle, app)

    def _let_go(self) -> None:
        self._held = None
        if self._going_on is not None:
            self._going_on.cancel()
            self._going_on = None

    def _give(self, cycle: "RequestResponseCycle", content: bytes) -> None:
        """Send an answer the way uvicorn does: head and body, then what comes next on the connection."""
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        headers = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        if not cycle.keep_alive:
            headers.append(b"connection: close\r\n")
        length = b"content-length: %d\r\n" % len(content)
        self.transport.write(b"".join([b"HTTP/1.1 200 OK\r\n", *headers, length, _HEAD, b"\r\n", content]))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
