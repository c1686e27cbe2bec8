"""How the service says no: a code, a sentence in the caller's language, the place; never what was sent."""

import logging
from collections.abc import Callable
from typing import Any, cast

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from core.errors import AuthenticationError, UnavailableError, WorkbenchError
from core.i18n import MessageLike, msg, render
from serving.headers import SECURITY_HEADERS

__all__ = [
    "PayloadTooLargeError",
    "RequestTimeoutError",
    "TooManyRequestsError",
    "UnsupportedBodyError",
    "add_problem_handlers",
    "known_problem",
    "language_in",
    "language_of",
    "problem_content",
    "problem_response",
]

_LOG = logging.getLogger(__name__)
_MAX_POINTS = 20


class PayloadTooLargeError(WorkbenchError):
    """More bytes came than the service reads."""

    default_code = "payload_too_large"
    http_status = 413


class RequestTimeoutError(WorkbenchError):
    """The caller did not finish sending in time."""

    default_code = "request_timeout"
    http_status = 408


class UnsupportedBodyError(WorkbenchError):
    """The body is not plain JSON: compressed, or of another type."""

    default_code = "unsupported_body"
    http_status = 415


class TooManyRequestsError(WorkbenchError):
    """A key sends faster than it may."""

    default_code = "too_many_requests"
    http_status = 429

    def __init__(self, message: MessageLike, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def problem_response(
    error: WorkbenchError, language: str, request_id: str | None = None, *, status: int | None = None
) -> Response:
    """Return `error` as the service's answer, with the status of its class where none is given."""
    content = problem_content(error, language, request_id)
    headers = {}
    if isinstance(error, AuthenticationError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = "1"
    if isinstance(error, TooManyRequestsError):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, PayloadTooLargeError | RequestTimeoutError):
        # The rest of the body is not read: the connection cannot be used again.
        headers["Connection"] = "close"
    return Response(orjson.dumps(content), status or error.http_status, headers, "application/json")


def problem_content(error: WorkbenchError, language: str, request_id: str | None = None) -> dict[str, Any]:
    """Return `error` as JSON values, with its first points."""
    content: dict[str, Any] = {"error": error.to_json(language), "request_id": request_id}
    if error.findings:
        content["error"]["points"] = [
            {"code": finding.code, "where": finding.where, "message": str(render(finding.message, language))}
            for finding in error.findings[:_MAX_POINTS]
        ]
    return content


def language_of(request: Request, default: str) -> str:
    """Return the language that the request's ``Accept-Language`` asks for first, of ours; `default` where none is."""
    return language_in(request.headers.get("accept-language", ""), default)


def language_in(accepted: str, default: str) -> str:
    """Return the language that the value of an ``Accept-Language`` header asks for first; see `language_of`."""
    for part in accepted.lower().split(",") if accepted else ():
        name = part.split(";")[0].strip().split("-")[0]
        if name in {"en", "zh"}:
            return name
    return default


def known_problem(
    default_language: str, on_refused: Callable[[Request, WorkbenchError], None]
) -> Callable[[Request, WorkbenchError], Response]:
    """Return what answers a request with an error of ours, in the language of the request, and tells `on_refused`."""

    def answer(request: Request, error: WorkbenchError) -> Response:
        on_refused(request, error)
        language = getattr(request.state, "language", None) or language_of(request, default_language)
        return problem_response(error, language, getattr(request.state, "request_id", None))

    return answer


def add_problem_handlers(
    app: FastAPI, default_language: str, answer_known: Callable[[Request, WorkbenchError], Response]
) -> None:
    """Let `app` answer every error in the one form above, with no trace of the inside; ours by `answer_known`."""

    async def on_known(request: Request, error: Exception) -> Response:
        return answer_known(request, cast("WorkbenchError", error))

    async def on_http(request: Request, error: Exception) -> Response:
        refused = cast("HTTPException", error)
        code, message = _HTTP_PROBLEMS.get(refused.status_code, ("http_error", msg("The request cannot be answered")))
        problem = WorkbenchError(message, code=code)
        response = problem_response(problem, language_of(request, default_language), status=refused.status_code)
        response.headers.update(refused.headers or {})
        return response

    async def on_unknown(request: Request, error: Exception) -> Response:
        _LOG.error("an unexpected error in %s", request.url.path, exc_info=error)
        problem = WorkbenchError(msg("Something went wrong inside; the operators can see what"), code="internal")
        language = language_of(request, default_language)
        response = problem_response(problem, language, getattr(request.state, "request_id", None))
        # This answer is made outside of all middleware.
        response.headers.update(SECURITY_HEADERS)
        return response

    app.add_exception_handler(WorkbenchError, on_known)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_unknown)


_HTTP_PROBLEMS: dict[int, tuple[str, MessageLike]] = {
    404: ("not_found", msg("There is nothing at this address")),
    405: ("method_not_allowed", msg("This address does not take this method")),
}
