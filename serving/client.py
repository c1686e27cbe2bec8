"""A typed client of the scoring service, in one file that needs httpx and pydantic and nothing else of the project.

Install it with the extra ``client``, or copy this file. Every request has an id, made here where the caller names none,
so that it can be sent again after a lost connection: the service gives the same answer and keeps one record.

Examples
--------
>>> with ScoringClient("https://scorer.example", "gw_...") as client:  # doctest: +SKIP
...     answer = client.score(ScoreRequest(project="sample", id="A0035843", language="zh"))
...     print(answer.grade, answer.probability, [reason.text for reason in answer.reasons])
"""

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Answer",
    "AsyncScoringClient",
    "BatchLine",
    "Enterprise",
    "Outcome",
    "OutcomeReport",
    "Problem",
    "Reason",
    "Retries",
    "ScoreRequest",
    "ScoringClient",
    "ScoringError",
    "TableRows",
    "Warned",
]

_AGAIN = frozenset({429, 502, 503, 504})
_LINES = {"Content-Type": "application/x-ndjson"}


class _Sent(BaseModel):
    """Something that is sent: a field that the service does not know is refused here already."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Received(BaseModel):
    """Something that comes back: a newer service may add fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ScoreRequest(_Sent):
    """What to score: exactly one of `tables`, `features`, `id` and `row`. The fields are those of the service."""

    project: str
    tables: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    features: Mapping[str, Any] | None = None
    id: str | int | None = None
    row: Mapping[str, Any] | None = None
    key: str | int | None = None
    entity: str | int | None = None
    as_of: str | None = None
    request_id: str | None = None
    language: Literal["en", "zh"] | None = None
    reasons: int = Field(default=4, ge=0, le=4)


class Reason(_Received):
    """What moved the score: code and statement for the applicant; feature, text and log-odds for the analyst."""

    code: str
    statement: str
    feature: str
    name: str
    text: str
    direction: Literal["raises", "lowers"]
    contribution: float


class Warned(_Received):
    """What the reader of an answer should know."""

    code: str
    text: str


class Answer(_Received):
    """One score, as it stands in the score log."""

    request_id: str
    project: str
    version: int
    bundle_hash: str
    key: str
    as_of: str
    probability: float
    score: float
    grade: str
    reasons: list[Reason]
    warnings: list[Warned]
    snapshots: dict[str, str]


class Problem(_Received):
    """Why there is no answer: a stable code, a sentence, the place, and what to do."""

    code: str
    message: str
    where: str = ""
    fix: str = ""
    points: list[dict[str, Any]] = []


class BatchLine(_Received):
    """One row of a batch: its number, from 1, and its answer or its error."""

    row: int
    answer: Answer | None = None
    error: Problem | None = None


class Outcome(_Sent):
    """What became of a case, named by the request that was answered or by its key: 1 bad, 0 good, None open."""

    request_id: str | None = None
    key: str | int | None = None
    outcome: Literal[0, 1] | None
    observed_at: str


class _Report(_Sent):
    project: str
    outcomes: Sequence[Outcome]
    report_id: str


class OutcomeReport(_Received):
    """What the service kept of a report, and the effect or the error of each outcome."""

    project: str
    kept: int
    refused: int
    results: list[dict[str, Any]]


class TableRows(_Received):
    """Rows of one table, the newest first; `next` asks for more, None at the end."""

    rows: list[dict[str, Any]]
    n_rows: int
    next: str | None = None


class Enterprise(_Received):
    """What was known of an enterprise strictly before `as_of`; `masked` names columns whose values are not shown."""

    project: str
    id: str
    as_of: str
    data_as_of: str
    published_at: str
    enterprise: dict[str, Any]
    tables: dict[str, TableRows]
    masked: dict[str, list[str]] = {}
    warnings: list[Warned] = []


class ScoringError(Exception):
    """The service refused, or could not be reached however often it was asked.

    Parameters
    ----------
    status : int or None
        HTTP status; None where no answer came.
    problem : Problem
        What is wrong.
    """

    def __init__(self, status: int | None, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.message}")
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Retries:
    """How often and how soon a request is sent again after 429, 502, 503, 504, a timeout or a broken connection.

    Parameters
    ----------
    attempts : int, default=5
        Times it is sent in all.
    first_pause_seconds, longest_pause_seconds : float
        The pause doubles from the one to the other, and is shortened at random so that callers do not return together.
        Where the service names a time (``Retry-After``), that time is waited, up to the longest pause.
    """

    attempts: int = 5
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 10.0

    def pause(self, n_failed: int, response: httpx.Response | None) -> float:
        """Return the seconds to wait after the `n_failed`-th failure."""
        named = response.headers.get("retry-after", "") if response is not None else ""
        if named.isascii() and named.isdigit():
            return min(float(named), self.longest_pause_seconds)
        longest = min(self.first_pause_seconds * 2 ** (n_failed - 1), self.longest_pause_seconds)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


class _Call:
    """One request through all its attempts: says after each whether it is over, and how long to wait if not."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._n_failed = 0

    def after(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Return the pause before the next attempt, None where `outcome` is the answer; raise where it is the end."""
        response = outcome if isinstance(outcome, httpx.Response) else None
        if response is not None and response.status_code not in _AGAIN:
            if response.is_success:
                return None
            raise _error(response)
        self._n_failed += 1
        if self._n_failed < self._retries.attempts:
            return self._retries.pause(self._n_failed, response)
        if response is not None:
            raise _error(response)
        text = f"no answer after {self._n_failed} attempts ({type(outcome).__name__})"
        raise ScoringError(None, Problem(code="unreachable", message=text)) from (
            outcome if isinstance(outcome, Exception) else None
        )


class ScoringClient:
    """Asks the scoring service. Safe for several threads; keeps its connections open until it is closed.

    Parameters
    ----------
    address : str
        Of the service, such as ``https://scorer.example``.
    key : str
        API key.
    timeout_seconds : float, default=10
        For one attempt.
    retries : Retries, optional
        How often and how soon a request is repeated.
    transport : httpx.BaseTransport, optional
        For certificates, proxies and tests.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.Client(base_url=address, headers=_headers(key), timeout=timeout_seconds, transport=transport)

    def score(self, request: ScoreRequest) -> Answer:
        """Return the answer to one request; raises `ScoringError` where there is none."""
        return Answer.model_validate_json(self._post("/v1/score", _json(_named(request))).content)

    def score_batch(self, requests: Iterable[ScoreRequest], *, rows_at_once: int = 1000) -> Iterator[BatchLine]:
        """Yield the answer or error of each request, in their order; any number in little memory.

        They are sent in parts of `rows_at_once`, each of which is repeated whole where its connection breaks.
        """
        rest, n_before = iter(requests), 0
        while part := [_named(request) for request in islice(rest, rows_at_once)]:
            response = self._post("/v1/score/batch", _lines(part), _LINES)
            yield from _batch_lines(response, n_before, len(part))
            n_before += len(part)

    def report_outcomes(
        self, project: str, outcomes: Sequence[Outcome], *, report_id: str | None = None
    ) -> OutcomeReport:
        """Tell what became of cases; a report that is repeated under its id changes nothing."""
        return OutcomeReport.model_validate_json(
            self._post("/v1/outcomes", _report(project, outcomes, report_id)).content
        )

    def models(self) -> list[dict[str, Any]]:
        """Return what is deployed, and which rows and features it takes."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/models").json()
        return found

    def deployments(self) -> list[dict[str, Any]]:
        """Return which version stands in which slot, and which share of the enterprises it answers."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/deployments").json()
        return found

    def enterprise(
        self,
        id: str,  # noqa: A002 - the name of the service's own field
        *,
        as_of: str | None = None,
        project: str | None = None,
        tables: Sequence[str] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Enterprise:
        """Return what was known of an enterprise; raises `ScoringError` where it was not known (``no_history``).

        Parameters
        ----------
        id : str
            Its key.
        as_of : str, optional
            Moment in the data's own clock, ``2024-05-31T12:00:00``; now by default.
        project : str, optional
            Whose data; may be left out where there is only one.
        tables : sequence of str, optional
            Only these; by default all.
        limit : int, optional
            Most rows of each table.
        after : str, optional
            What `TableRows.next` held of the one table in `tables`.
        """
        query = _query(as_of=as_of, project=project, tables=tables, limit=limit, after=after)
        return Enterprise.model_validate_json(self._send("GET", _enterprise_path(id), params=query).content)

    def enterprise_rows(
        self,
        id: str,  # noqa: A002
        table: str,
        *,
        as_of: str,
        project: str | None = None,
        rows_at_once: int = 1000,
    ) -> Iterator[dict[str, Any]]:
        """Yield all rows of one table that were known of an enterprise at a moment, the newest first, page by page."""
        after: str | None = None
        while True:
            page = self.enterprise(
                id, as_of=as_of, project=project, tables=[table], limit=rows_at_once, after=after
            ).tables[table]
            yield from page.rows
            if (after := page.next) is None:
                return

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _post(self, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self._send("POST", path, content=content, headers=headers)

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        call = _Call(self._retries)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(method, path, **sent)
            except httpx.TransportError as error:
                outcome = error
            pause = call.after(outcome)
            if pause is None and isinstance(outcome, httpx.Response):
                return outcome
            time.sleep(pause or 0.0)


class AsyncScoringClient:
    """The same for asyncio; see `ScoringClient`."""

    def __init__(
        self,
        address: str,
        key: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(
            base_url=address, headers=_headers(key), timeout=timeout_seconds, transport=transport
        )

    async def score(self, request: ScoreRequest) -> Answer:
        """See `ScoringClient.score`."""
        return Answer.model_validate_json((await self._post("/v1/score", _json(_named(request)))).content)

    async def score_batch(
        self, requests: Iterable[ScoreRequest], *, rows_at_once: int = 1000
    ) -> AsyncIterator[BatchLine]:
        """See `ScoringClient.score_batch`."""
        rest, n_before = iter(requests), 0
        while part := [_named(request) for request in islice(rest, rows_at_once)]:
            response = await self._post("/v1/score/batch", _lines(part), _LINES)
            for line in _batch_lines(response, n_before, len(part)):
                yield line
            n_before += len(part)

    async def report_outcomes(
        self, project: str, outcomes: Sequence[Outcome], *, report_id: str | None = None
    ) -> OutcomeReport:
        """See `ScoringClient.report_outcomes`."""
        response = await self._post("/v1/outcomes", _report(project, outcomes, report_id))
        return OutcomeReport.model_validate_json(response.content)

    async def models(self) -> list[dict[str, Any]]:
        """See `ScoringClient.models`."""
        found: list[dict[str, Any]] = (await self._send("GET", "/v1/models")).json()
        return found

    async def deployments(self) -> list[dict[str, Any]]:
        """See `ScoringClient.deployments`."""
        found: list[dict[str, Any]] = (await self._send("GET", "/v1/deployments")).json()
        return found

    async def enterprise(
        self,
        id: str,  # noqa: A002
        *,
        as_of: str | None = None,
        project: str | None = None,
        tables: Sequence[str] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Enterprise:
        """See `ScoringClient.enterprise`."""
        query = _query(as_of=as_of, project=project, tables=tables, limit=limit, after=after)
        return Enterprise.model_validate_json((await self._send("GET", _enterprise_path(id), params=query)).content)

    async def enterprise_rows(
        self,
        id: str,  # noqa: A002
        table: str,
        *,
        as_of: str,
        project: str | None = None,
        rows_at_once: int = 1000,
    ) -> AsyncIterator[dict[str, Any]]:
        """See `ScoringClient.enterprise_rows`."""
        after: str | None = None
        while True:
            found = await self.enterprise(
                id, as_of=as_of, project=project, tables=[table], limit=rows_at_once, after=after
            )
            for row in found.tables[table].rows:
                yield row
            if (after := found.tables[table].next) is None:
                return

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def _post(self, path: str, content: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self._send("POST", path, content=content, headers=headers)

    async def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        call = _Call(self._retries)
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(method, path, **sent)
            except httpx.TransportError as error:
                outcome = error
            pause = call.after(outcome)
            if pause is None and isinstance(outcome, httpx.Response):
                return outcome
            await asyncio.sleep(pause or 0.0)


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _enterprise_path(id: str) -> str:  # noqa: A002
    return f"/v1/enterprises/{quote(id, safe='')}"


def _query(*, tables: Sequence[str] | None, **given: str | int | None) -> dict[str, str | int]:
    query = {name: value for name, value in given.items() if value is not None}
    return query if tables is None else {**query, "tables": ",".join(tables)}


def _named(request: ScoreRequest) -> ScoreRequest:
    return request if request.request_id else request.model_copy(update={"request_id": uuid.uuid4().hex})


def _json(sent: BaseModel) -> bytes:
    return sent.model_dump_json(exclude_unset=True).encode()


def _lines(requests: Sequence[ScoreRequest]) -> bytes:
    return b"".join(_json(request) + b"\n" for request in requests)


def _report(project: str, outcomes: Sequence[Outcome], report_id: str | None) -> bytes:
    return _json(_Report(project=project, outcomes=outcomes, report_id=report_id or uuid.uuid4().hex))


def _batch_lines(response: httpx.Response, n_before: int, n_sent: int) -> Iterator[BatchLine]:
    for line in response.content.splitlines():
        content = json.loads(line)
        if content.get("row") is not None:
            content["row"] += n_before
            n_sent -= 1
            yield BatchLine.model_validate(content)
        elif "error" in content:
            raise ScoringError(response.status_code, Problem.model_validate(content["error"]))
    if n_sent:
        raise ScoringError(response.status_code, Problem(code="incomplete", message=f"{n_sent} rows were not answered"))


def _error(response: httpx.Response) -> ScoringError:
    try:
        problem = Problem.model_validate(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        # A proxy in between speaks its own language.
        problem = Problem(code=f"http_{response.status_code}", message=response.reason_phrase)
    return ScoringError(response.status_code, problem)
