"""Ready features at short notice: requests that came in one turn of the loop are scored, kept and answered together."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from core.errors import WorkbenchError
from serving.asked import Asked, content_hash, new_request_id
from serving.problems import language_in
from serving.ready_answers import ReadyAnswers
from serving.request_form import read_request
from serving.service import ScoringService
from serving.strict_json import parse

__all__ = ["QuickDesk"]

_LOG = logging.getLogger(__name__)
_MAX_BODY_BYTES: Final = 200_000
_MAX_ROWS: Final = 64
_MAX_EXPLAINED: Final = 8
_ONCE: Final = frozenset({b"authorization", b"content-type", b"accept-language"})
Headers = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True)
class _Row:
    """A request that is good to be answered, and who waits for it since when."""

    asked: Asked
    key_id: str
    started: float
    give: Callable[[bytes], None]
    give_back: Callable[[], None]


class QuickDesk:
    """Answers `POST /v1/score` for ready features where nothing about the request is out of the ordinary.

    All else is left to the route, which knows every refusal and every detour: a request that is refused, repeated or
    not well understood is not answered here, and neither is one whose record could not be kept. So there is one place
    that says no, and this one only says yes sooner. Used from the event loop only.

    Parameters
    ----------
    service : ScoringService
        Whose models, callers, limits and log are used.
    """

    def __init__(self, service: ScoringService) -> None:
        self._service = service
        self._waiting: list[_Row] = []

    def take(self, headers: Headers, body: bytes, give: Callable[[bytes], None], give_back: Callable[[], None]) -> bool:
        """Take a request; return False where the route has to answer it.

        Parameters
        ----------
        headers : iterable of (bytes, bytes)
            Names in lower case, as ASGI has them.
        body : bytes
            The whole body.
        give : callable
            Is called with the answer, JSON, once it is kept. Never from within this call.
        give_back : callable
            Is called instead where the route has to answer after all.
        """
        if len(body) > _MAX_BODY_BYTES or b'"features"' not in body or self._service.gate.is_full:
            return False
        started = time.perf_counter()
        try:
            row = self._read(headers, body, started, give, give_back)
        except WorkbenchError:
            return False
        if row is None:
            return False
        self._service.gate.enter()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        self._waiting.append(row)
        return True

    def _read(
        self,
        headers: Headers,
        body: bytes,
        started: float,
        give: Callable[[bytes], None],
        give_back: Callable[[], None],
    ) -> _Row | None:
        """Return what a request says where all is as it should be; None, or an error, where the route has to see it."""
        service = self._service
        head = _plain_head(headers)
        if head is None or head.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
            return None
        authorization = head.get(b"authorization", b"").decode("latin-1")
        caller, key_id = service.callers.recognise(authorization)
        caller.require("model.score")
        content = parse(body)
        request = read_request(content)
        champion = service.models.get(request.project)
        if request.features is None:
            return None
        # Where the live challenger cannot answer, the route lets the champion do it, and counts that.
        model = service.split.side(champion, request)
        is_named = request.request_id is not None
        language = request.language or language_in(
            head.get(b"accept-language", b"").decode("latin-1"), service.settings.language
        )
        payload_hash = content_hash(content) if is_named else ""
        asked = Asked(model, request, request.request_id or new_request_id(), payload_hash, language)
        if is_named and not self._begin(asked):
            return None
        try:
            # Last, because it counts: what is not taken here is counted by the route.
            service.rate.take(key_id)
        except WorkbenchError:
            self._end(asked)
            raise
        return _Row(asked, key_id, started, give, give_back)

    def _answer_waiting(self) -> None:
        """Answer what waits, so much at a time that answers which are ready are not held up by it."""
        first = self._waiting[0].asked
        alike, others = list[_Row](), list[_Row]()
        most = _MAX_EXPLAINED if first.request.reasons else _MAX_ROWS
        for row in self._waiting:
            fits = len(alike) < most and _goes_with(row.asked, first)
            (alike if fits else others).append(row)
        self._waiting = others
        if others:
            asyncio.get_running_loop().call_soon(self._answer_waiting)
        try:
            fresh = self._without_repeated(alike)
        except Exception:  # noqa: BLE001 - whatever the index meets, the route meets it for each alone
            _LOG.exception("named requests could not be looked up together")
            self._return(alike)
            return
        if fresh:
            self._answer(fresh)

    def _without_repeated(self, rows: list[_Row]) -> list[_Row]:
        """Return the rows that no process of the host has answered; the others are given back."""
        named = [row.asked.name for row in rows if row.asked.is_named]
        answered = self._service.repeats.recall(named) if named else frozenset()
        if not answered:
            return rows
        self._return(row for row in rows if row.asked.name in answered)
        return [row for row in rows if row.asked.name not in answered]

    def _answer(self, rows: Sequence[_Row]) -> None:
        """Score rows of one model, hand the records to the log, and give the answers when they are kept."""
        try:
            answers = ReadyAnswers([row.asked for row in rows], datetime.now(UTC), "api")
            kept = self._service.keep_together(answers.kept(), rows[0].asked.model.slot, len(rows))
        except Exception as error:  # noqa: BLE001 - whatever they meet together, each is answered alone
            if not isinstance(error, WorkbenchError):
                _LOG.exception("requests could not be answered together")
            self._answer_each(rows)
            return
        kept.add_done_callback(lambda done: self._give(rows, answers, done))

    def _answer_each(self, rows: Sequence[_Row]) -> None:
        """Answer rows one by one, so that one that is refused takes no other along; the route tells which and why."""
        if len(rows) == 1:
            self._return(rows)
            return
        for row in rows:
            self._answer([row])

    def _give(self, rows: Sequence[_Row], answers: ReadyAnswers, kept: "asyncio.Future[None]") -> None:
        """Give the answers whose records were kept, and the rows back where they could not be."""
        if kept.exception() is not None:
            self._return(rows)
            return
        service, slot, now = self._service, rows[0].asked.model.slot, time.perf_counter()
        for row, content in zip(rows, answers.contents, strict=True):
            if row.asked.is_named:
                service.repeats.keep(row.asked.name, row.asked.payload_hash, content)
            self._leave(row.asked)
        for row, content in zip(rows, answers.contents, strict=True):
            row.give(content)
        service.note_answered(slot.project, slot, [now - row.started for row in rows])
        if service.shadow.follows(slot.project):
            for i, row in enumerate(rows):
                service.shadow.offer(row.asked.request, answers.record(i))

    def _return(self, rows: Iterable[_Row]) -> None:
        for row in rows:
            self._leave(row.asked)
            self._service.rate.put_back(row.key_id)
            row.give_back()

    def _begin(self, asked: Asked) -> bool:
        """Begin a named request; return whether neither this process knows it nor another one is at it."""
        repeats = self._service.repeats
        return not repeats.knows(asked.name) and repeats.begin(asked.name)

    def _end(self, asked: Asked) -> None:
        if asked.is_named:
            self._service.repeats.end(asked.name)

    def _leave(self, asked: Asked) -> None:
        self._end(asked)
        self._service.gate.leave()


def _plain_head(headers: Headers) -> dict[bytes, bytes] | None:
    """Return the headers that count, None where one comes twice or the body is not sent as it is."""
    head: dict[bytes, bytes] = {}
    for name, value in headers:
        if name == b"content-encoding" or (name in _ONCE and name in head):
            return None
        head[name] = value
    return head


def _goes_with(asked: Asked, other: Asked) -> bool:
    """Whether two requests are scored in one computation."""
    return (
        asked.model is other.model
        and asked.request.reasons == other.request.reasons
        and asked.language == other.language
    )
