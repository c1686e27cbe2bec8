"""The short way to an answer and the long one: nobody can tell them apart."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from core.errors import AuthenticationError, InputError, WorkbenchError
from core.i18n import msg
from serving.direct import DirectRoute
from serving.headers import SECURITY_HEADERS, SecurityHeaders
from serving.problems import add_problem_handlers, known_problem

ERRORS: dict[str, WorkbenchError] = {
    "input": InputError(msg("This field is needed"), where="project", code="missing_field"),
    "key": AuthenticationError(msg("An API key is needed")),
}


def make_app(*, is_direct: bool, refused: list[str]) -> FastAPI:
    async def answer(request: Request) -> bytes:
        kind = (await request.body()).decode()
        request.state.request_id = "r-1"
        if kind == "bug":
            raise ZeroDivisionError
        if kind in ERRORS:
            raise ERRORS[kind]
        return b'{"ok":true}'

    app = FastAPI(docs_url=None)
    app.post("/v1/score")(_routed(answer))
    app.add_middleware(SecurityHeaders)
    answer_problem = known_problem("en", lambda request, error: refused.append(f"{request.url.path} {error.code}"))
    if is_direct:
        app.add_middleware(DirectRoute, path="/v1/score", answer=answer, answer_problem=answer_problem)
    add_problem_handlers(app, "en", answer_problem)
    return app


def _routed(answer: Callable[[Request], Awaitable[bytes]]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        return Response(await answer(request), media_type="application/json")

    return route


async def ask(app: FastAPI, method: str, path: str, body: str, language: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://scorer") as client:
        return await client.request(method, path, content=body, headers={"Accept-Language": language})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/score", "good", 200),
        ("POST", "/v1/score", "input", 422),
        ("POST", "/v1/score", "key", 401),
        ("POST", "/v1/score", "bug", 500),
        ("GET", "/v1/score", "", 405),
        ("POST", "/v1/score/", "good", 307),
        ("POST", "/v1/scores", "", 404),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_ways_give_the_same_answer(method: str, path: str, body: str, status: int, language: str) -> None:
    seen = []
    for is_direct in (True, False):
        refused: list[str] = []
        app = make_app(is_direct=is_direct, refused=refused)
        answer = asyncio.run(ask(app, method, path, body, language))
        seen.append((answer.status_code, answer.content, dict(answer.headers), refused))
    assert seen[0] == seen[1]
    assert seen[0][0] == status
    assert {name.lower() for name in SECURITY_HEADERS} <= set(seen[0][2])
