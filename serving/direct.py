"""The shortest way for the request that comes most: past routing and middleware, which cost more than a score."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import WorkbenchError
from serving.headers import RAW_SECURITY_HEADERS, SecurityHeaders

__all__ = ["DirectRoute"]


class DirectRoute:
    """ASGI middleware that hands the requests of one route to what answers them; all others go on as ever.

    The route itself stays where it is, so that it is described, and answers under another root path. What comes back
    is the same on both ways.

    Parameters
    ----------
    app : ASGIApp
        Where all other requests go.
    path : str
        Of the route; its method is POST.
    answer : callable
        Makes the body of the answer, JSON; raises `WorkbenchError` where there is none.
    answer_problem : callable
        Makes a response of such an error.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        answer: Callable[[Request], Awaitable[bytes]],
        answer_problem: Callable[[Request, WorkbenchError], Response],
    ) -> None:
        self._app = app
        self._path = path
        self._answer = answer
        self._answer_problem = answer_problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if (
            scope["type"] != "http"
            or scope["path"] != self._path
            or scope["method"] != "POST"
            or scope.get("root_path")
        ):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            content = await self._answer(request)
        except WorkbenchError as error:
            await SecurityHeaders(self._answer_problem(request, error))(scope, receive, send)
            return
        length = (b"content-length", b"%d" % len(content))
        headers = [length, (b"content-type", b"application/json"), *RAW_SECURITY_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
