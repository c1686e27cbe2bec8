"""The routes of the scoring service."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from core.errors import WorkbenchError
from core.i18n import msg
from core.settings import Settings
from features.online import SnapshotAbout
from serving.admission import admit
from serving.answer_form import ANSWER_SCHEMAS
from serving.arrow_batch import ARROW, answer_arrow
from serving.batch import LINES, LineBatch
from serving.body import content_type, read_body, read_count, read_flag
from serving.deployed import DeployedModel
from serving.direct import DirectRoute
from serving.docs_page import STYLE, docs_page
from serving.enterprise_form import ENTERPRISE_SCHEMAS
from serving.enterprise_routes import enterprise_routes
from serving.headers import SecurityHeaders
from serving.limits import Limits
from serving.lookups import Lookups
from serving.outcome_form import OutcomesRequest, read_outcomes_request
from serving.parquet_batch import PARQUET, answer_parquet
from serving.problems import UnsupportedBodyError, add_problem_handlers, known_problem, language_of
from serving.quick_desk import QuickDesk
from serving.refusals import UNKNOWN
from serving.request_form import LOOKUP_PERMISSION, ScoreRequest, read_request
from serving.service import Given, ScoringService
from serving.spool import SpooledAnswer
from serving.strict_json import parse

__all__ = ["MAX_BODY_BYTES", "create_app"]

_LOG = logging.getLogger(__name__)
MAX_BODY_BYTES = 10_000_000
_MAX_BODY_SECONDS = 10.0
_LARGE_BODY_BYTES = 200_000
_STALE_SECONDS = 15.0
_BEAT_SECONDS = 0.5
_BATCH_KINDS = (LINES, ARROW, PARQUET)


def create_app(settings: Settings, limits: Limits | None = None, *, beat: Callable[[], None] | None = None) -> FastAPI:
    """Return the application; it starts its service when the server starts it.

    Parameters
    ----------
    settings : Settings
        Where database, bundles and the local folder are.
    limits : Limits, optional
        What one process takes on.
    beat : callable, optional
        Called twice a second while answers can be given, by the loop that gives them: it stops when they stop.
    """
    service = ScoringService(settings, limits=limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        beating = asyncio.create_task(_beat(service, beat)) if beat is not None else None
        yield
        if beating is not None:
            beating.cancel()
        await run_in_threadpool(service.stop)

    app = FastAPI(title="Scoring service", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    # For the server, which asks it before the application.
    app.state.desk = QuickDesk(service)
    app.include_router(_scoring(service))
    app.include_router(_listing(service))
    app.include_router(enterprise_routes(service))
    app.include_router(_operations(service))
    app.include_router(_documentation(app, settings))
    app.add_middleware(SecurityHeaders)
    answer_problem = known_problem(settings.language, service_refusal(service))
    app.add_middleware(
        DirectRoute, path="/v1/score", answer=partial(_counted_score, service), answer_problem=answer_problem
    )
    add_problem_handlers(app, settings.language, answer_problem)
    describe(app)
    return app


async def _beat(service: ScoringService, beat: Callable[[], None]) -> None:
    while True:
        if service.is_well:
            beat()
        await asyncio.sleep(_BEAT_SECONDS)


def describe(app: FastAPI) -> None:
    """Let the application describe errors and keys too, which FastAPI does not know of."""
    plain = app.openapi

    def with_components() -> dict[str, Any]:
        description = plain()
        for kind, named in _COMPONENTS.items():
            description.setdefault("components", {}).setdefault(kind, {}).update(named)
        return description

    app.openapi = with_components  # type: ignore[method-assign]  # FastAPI's documented way


def _scoring(service: ScoringService) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["scoring"])

    @router.post(
        "/score", summary=str(msg("Score one enterprise, application or contract")), openapi_extra=_SCORE_OPENAPI
    )
    async def score(request: Request) -> Response:
        return Response(await _counted_score(service, request), media_type="application/json")

    @router.post(
        "/score/batch",
        summary=str(msg("Score many, a line or a row of Arrow or Parquet each")),
        openapi_extra=_BATCH_OPENAPI,
    )
    async def score_batch(request: Request) -> Response:
        language = request.state.language = language_of(request, service.settings.language)
        caller = admit(service, request)
        kind = content_type(request)
        is_kept = read_flag(request, "keep", default=True)
        # Lines say for themselves how many they want, columns all the same number.
        n_reasons = read_count(request, "reasons", default=0, most=4)
        if kind not in _BATCH_KINDS:
            raise UnsupportedBodyError(msg("The body must be sent as {kinds}", kinds=", ".join(_BATCH_KINDS)))
        service.batches.enter()
        try:
            if kind == ARROW:
                answer = await answer_arrow(service, request, is_kept=is_kept, n_reasons=n_reasons, language=language)
            elif kind == PARQUET:
                answer = await answer_parquet(service, request, is_kept=is_kept, n_reasons=n_reasons, language=language)
            else:
                batch = LineBatch(service, request, language, caller, is_kept=is_kept)
                answer = SpooledAnswer(batch.produce, LINES)
        except BaseException:
            service.batches.leave()
            raise
        answer.on_end = service.batches.leave
        return answer

    @router.post(
        "/outcomes", summary=str(msg("Tell what became of cases that were scored")), openapi_extra=_OUTCOMES_OPENAPI
    )
    async def outcomes(request: Request) -> Response:
        language = request.state.language = language_of(request, service.settings.language)
        caller = admit(service, request)
        body = await read_body(request, max_bytes=MAX_BODY_BYTES, max_seconds=_MAX_BODY_SECONDS)
        report = read_outcomes_request(await run_in_threadpool(parse, body))
        return _json(await run_in_threadpool(service.outcomes.keep, report, caller.name, language))

    return router


def _listing(service: ScoringService) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["scoring"])

    @router.get(
        "/models",
        summary=str(msg("What is deployed, and which rows it takes")),
        openapi_extra=_LIST_OPENAPI,
    )
    async def models(request: Request) -> Response:
        admit(service, request)
        return _json([_model(model, service.lookups) for model in service.answering()])

    @router.get(
        "/deployments",
        summary=str(msg("Which version stands in which slot, for which share of the enterprises")),
        openapi_extra=_LIST_OPENAPI,
    )
    async def deployments(request: Request) -> Response:
        admit(service, request)
        return _json(service.deployments())

    return router


def service_refusal(service: ScoringService) -> Callable[[Request, WorkbenchError], None]:
    """Return what notes a refusal, under the caller's name where that is known."""

    def note(request: Request, error: WorkbenchError) -> None:
        caller: str = getattr(request.state, "caller", None) or UNKNOWN
        # The pattern of the address: an id in it would make a count of its own, and names an enterprise.
        path = getattr(request.scope.get("route"), "path", request.url.path)
        service.refusals.note(caller, path, error.code)

    return note


async def _counted_score(service: ScoringService, request: Request) -> bytes:
    started = time.perf_counter()
    slot, status = None, 500
    try:
        content, slot = await _score(service, request)
        status = 200
    except WorkbenchError as error:
        status = error.http_status
        raise
    finally:
        project: str = getattr(request.state, "project", "")
        service.note(project, slot, status, time.perf_counter() - started)
    return content


async def _score(service: ScoringService, request: Request) -> Given:
    language = request.state.language = language_of(request, service.settings.language)
    caller = admit(service, request)
    body = await read_body(request, max_bytes=MAX_BODY_BYTES, max_seconds=_MAX_BODY_SECONDS)
    # Who sends slowly is not inside yet, and so takes nobody's place.
    with service.gate.entered():
        # A long body is read in a thread, so that the short ones do not wait for it.
        content = await run_in_threadpool(parse, body) if len(body) > _LARGE_BODY_BYTES else parse(body)
        asked = read_request(content)
        if asked.is_looked_up:
            caller.require(LOOKUP_PERMISSION)
        request.state.language = asked.language or language
        request.state.request_id = asked.request_id
        if service.models.holds(asked.project):
            request.state.project = asked.project
        return await service.answer(asked, content, language=language)


def _operations(service: ScoringService) -> APIRouter:
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary=str(msg("Whether the process answers")))
    async def healthz() -> Response:
        return _json({"status": "ok"})

    @router.get("/readyz", summary=str(msg("Whether scores can be given")))
    async def readyz() -> Response:
        age = service.models.seconds_since_contact()
        is_ready = bool(service.models.all())
        content = {
            "status": "ready" if is_ready else "no model",
            "registry": "ok" if age is not None and age < _STALE_SECONDS else "stale",
            "models": {model.slot.project: model.slot.number for model in service.models.all()},
            "snapshots": {
                model.slot.project: _snapshot(service.lookups.about(model.slot.project))
                for model in service.models.all()
            },
            "split": {model.slot.project: _split(model) for model in service.answering() if model.slot.share},
            "problems": service.problems(),
        }
        return _json(content, 200 if is_ready else 503)

    @router.get("/metrics", summary=str(msg("Figures for Prometheus")), response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _documentation(app: FastAPI, settings: Settings) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        page = docs_page(app.openapi(), language_of(request, settings.language))
        return Response(page, media_type="text/html; charset=utf-8")

    @router.get("/docs/style.css")
    async def style() -> Response:
        return Response(STYLE, media_type="text/css; charset=utf-8")

    return router


def _split(rival: DeployedModel) -> dict[str, Any]:
    return {"version": rival.slot.number, "share": rival.slot.share}


def _snapshot(about: SnapshotAbout | None) -> dict[str, str] | None:
    if about is None:
        return None
    return {name: str(getattr(about, name).astype("datetime64[s]")) for name in ("as_of", "published_at")}


def _model(model: DeployedModel, lookups: Lookups) -> dict[str, Any]:
    slot, scorer = model.slot, model.scorer
    about = lookups.about(slot.project)
    return {
        "project": slot.project,
        "slot": slot.slot,
        "version": slot.number,
        "bundle_hash": slot.bundle_hash,
        "deployed_at": slot.since,
        "approval_expires_at": slot.expires_at,
        "n_features": len(scorer.plan.aliases),
        "rows": scorer.payload.to_json(),
        "features": scorer.ready.to_json(),
        # None as well where the snapshot was published for other models: no id can be asked for.
        "snapshot": _snapshot(about if about is not None and about.covers(scorer.plan) else None),
    }


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


_PROBLEM = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _schema(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


_SCORE_OPENAPI: dict[str, Any] = {
    "security": [{"bearer": []}],
    "requestBody": {"required": True, "content": {"application/json": {"schema": ScoreRequest.model_json_schema()}}},
    "responses": {
        "200": {
            "description": str(msg("The answer, kept in the score log.")),
            "content": {"application/json": _schema("AnswerForm")},
        },
        "401": {"description": str(msg("No usable key.")), **_PROBLEM},
        "403": {"description": str(msg("The key may not score, or not by id.")), **_PROBLEM},
        "404": {
            "description": str(
                msg(
                    "No model is deployed for the project, or the key is not among the rows, or the id not in the "
                    "online snapshot."
                )
            ),
            **_PROBLEM,
        },
        "409": {"description": str(msg("Another request was answered under this request_id.")), **_PROBLEM},
        "408": {"description": str(msg("The body did not arrive in time.")), **_PROBLEM},
        "413": {"description": str(msg("The body is too large.")), **_PROBLEM},
        "415": {"description": str(msg("The body is not plain JSON.")), **_PROBLEM},
        "422": {"description": str(msg("The request or a row is not as it must be.")), **_PROBLEM},
        "429": {
            "description": str(msg("The key sends faster than it may; Retry-After says when to go on.")),
            **_PROBLEM,
        },
        "503": {
            "description": str(msg("The model, the log or the online snapshot is not available now.")),
            **_PROBLEM,
        },
    },
}

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

_LIST_OPENAPI: dict[str, Any] = {
    "security": [{"bearer": []}],
    "responses": {status: _SCORE_OPENAPI["responses"][status] for status in ("401", "403", "429")},
}

_BATCH_OPENAPI: dict[str, Any] = {
    "security": [{"bearer": []}],
    "parameters": [
        {
            "name": "keep",
            "in": "query",
            "schema": {"type": "boolean", "default": True},
            "description": str(msg("false: the answers do not go to the score log.")),
        },
        {
            "name": "project",
            "in": "query",
            "schema": {"type": "string"},
            "description": str(msg("Arrow and Parquet: project whose champion answers.")),
        },
        {
            "name": "reasons",
            "in": "query",
            "schema": {"type": "integer", "minimum": 0, "maximum": 4, "default": 0},
            "description": str(msg("Arrow and Parquet: reasons at most for each row, in a column of lists.")),
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            LINES: {"schema": ScoreRequest.model_json_schema()},
            **dict.fromkeys((ARROW, PARQUET), _BINARY),
        },
    },
    "responses": {
        "200": {
            "description": str(msg("A line or a row per row: its answer or its error.")),
            "content": {LINES: _schema("BatchLineForm"), **dict.fromkeys((ARROW, PARQUET), _BINARY)},
        },
        **{
            status: _SCORE_OPENAPI["responses"][status]
            for status in ("401", "403", "404", "413", "415", "422", "429", "503")
        },
    },
}

_OUTCOMES_OPENAPI: dict[str, Any] = {
    "security": [{"bearer": []}],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": OutcomesRequest.model_json_schema()}},
    },
    "responses": {
        "200": {
            "description": str(msg("The effect of each: new, corrected, unchanged, or why it was refused.")),
            "content": {"application/json": _schema("OutcomesForm")},
        },
        **{
            status: _SCORE_OPENAPI["responses"][status]
            for status in ("401", "403", "404", "408", "413", "415", "422", "429", "503")
        },
    },
}

_COMPONENTS: dict[str, Any] = {
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    "schemas": {
        **ANSWER_SCHEMAS,
        **ENTERPRISE_SCHEMAS,
        "Problem": {
            "type": "object",
            "required": ["error", "request_id"],
            "properties": {
                "request_id": {"type": ["string", "null"]},
                "error": {
                    "type": "object",
                    "required": ["code", "message", "where", "fix"],
                    "properties": {name: {"type": "string"} for name in ("code", "message", "where", "fix")}
                    | {"points": {"type": "array", "items": {"type": "object"}}},
                },
            },
        },
    },
}
