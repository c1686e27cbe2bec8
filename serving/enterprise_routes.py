"""The routes by which business systems read what was known of an enterprise; nothing is ever written by them."""

from typing import Any

from fastapi import APIRouter, Request, Response

from core.errors import InputError
from core.i18n import msg
from serving.admission import admit
from serving.enterprise_desk import READ_PERMISSION, Reader
from serving.enterprise_form import PARAMETERS, read_view_request
from serving.problems import language_of
from serving.service import ScoringService

__all__ = ["enterprise_routes"]


def enterprise_routes(service: ScoringService) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["enterprises"])

    @router.get(
        "/enterprises",
        summary=str(msg("Which tables and columns of enterprises can be read")),
        openapi_extra=_openapi("EnterprisesForm", PARAMETERS[1:2]),
    )
    async def describe(request: Request) -> Response:
        _reader(service, request)
        project = _project(request)
        answer = await service.look_up(lambda: service.enterprises.describe(project))
        return Response(answer, media_type="application/json")

    @router.get(
        "/enterprises/{id}",
        summary=str(msg("What was known of an enterprise at a moment, table by table")),
        openapi_extra=_openapi("EnterpriseForm", PARAMETERS),
    )
    async def enterprise(request: Request, id: str) -> Response:  # noqa: A002 - the name in the address
        reader = _reader(service, request)
        asked = read_view_request(request, id)
        answer = await service.look_up(lambda: service.enterprises.read(asked, reader))
        return Response(answer, media_type="application/json")

    return router


def _reader(service: ScoringService, request: Request) -> Reader:
    language = request.state.language = language_of(request, service.settings.language)
    caller = admit(service, request, READ_PERMISSION)
    return Reader(caller, service.callers.key_id(request.headers["authorization"]), language)


def _project(request: Request) -> str | None:
    given = request.query_params
    if any(name != "project" for name in given) or len(given.getlist("project")) > 1:
        raise InputError(msg("Known parameters are {names}", names="project"), where="query", code="unknown_field")
    return given.get("project")


_PROBLEM = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _openapi(form: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    refusals = {
        "401": msg("No usable key."),
        "403": msg("The key may not read enterprises."),
        "404": msg("No view is published, or nothing was known of the id at that time."),
        "409": msg("The view was published anew since the page before."),
        "422": msg("A parameter is unknown or not as it must be, or the view has no such table."),
        "429": msg("The key sends faster than it may; Retry-After says when to go on."),
        "503": msg("The view cannot be read now, or reading cannot be noted."),
    }
    return {
        "security": [{"bearer": []}],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": str(msg("What was known; each reading is in the audit trail.")),
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{form}"}}},
            },
            **{status: {"description": str(text), **_PROBLEM} for status, text in refusals.items()},
        },
    }
