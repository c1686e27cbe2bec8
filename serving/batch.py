"""Many requests in one body, a line each, answered a line each: a bad line is told and the rest are scored."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import InputError, UnavailableError, WorkbenchError
from core.i18n import msg
from core.identity import Actor
from monitoring.score_log import ScoreBlock, ScoreRecord
from serving.asked import Asked, content_hash, new_request_id
from serving.deployed import Slot
from serving.lines import Line, LineSplitter, body_chunks
from serving.named_lines import NamedLines
from serving.problems import problem_content
from serving.ready_answers import ReadyAnswers
from serving.repeats import Name
from serving.request_form import LOOKUP_PERMISSION, read_request
from serving.row_scores import RowScores
from serving.service import ScoringService
from serving.spool import Spool
from serving.strict_json import parse, parse_lines

__all__ = ["LINES", "MAX_BATCH_BYTES", "MAX_LINE_BYTES", "LineBatch"]

_LOG = logging.getLogger(__name__)
LINES = "application/x-ndjson"
MAX_BATCH_BYTES = 1_000_000_000
MAX_LINE_BYTES = 1_000_000
_MAX_IDLE_SECONDS = 10.0
_MAX_WAITING_CHUNKS = 16
_MAX_ROWS_AT_ONCE = 512


class _Made(NamedTuple):
    """Lines that one slot answered together, and what is to be kept of them."""

    slot: Slot
    lines: list[Line]
    contents: list[tuple[ScoreRecord | ScoreBlock, bool]]


class _Piece(NamedTuple):
    """Lines that are told together: all, those on their way to the log with the word that they are there, the late."""

    lines: list[Line]
    kept: "list[tuple[list[Line], asyncio.Future[None]]]"
    late: list[Line]


class LineBatch:
    """One batch of lines, each answered as if it came alone and by itself, in the order of the lines.

    Parameters
    ----------
    service : ScoringService
        Answers and keeps.
    request : Request
        Its body is the lines: each a body of ``POST /v1/score``.
    language : {"en", "zh"}
        Language of texts where a line names none.
    caller : Actor
        Who asks: may they ask by id, and who is named in the audit of what is refused.
    is_kept : bool
        Whether the answers go to the score log.
    """

    def __init__(
        self, service: ScoringService, request: Request, language: str, caller: Actor, *, is_kept: bool
    ) -> None:
        self._service = service
        self._request = request
        self._language = language
        self._caller = caller
        self._is_kept = is_kept
        self._scores = RowScores(service)
        self._named = NamedLines(service.repeats)
        self._problem: WorkbenchError | None = None
        self._n_rows = 0
        self._n_scored = 0

    async def produce(self, spool: Spool) -> None:
        """Read the lines, and write an answer or an error for each, and a summary at the end."""
        waiting: asyncio.Queue[list[bytes | None] | None] = asyncio.Queue(_MAX_WAITING_CHUNKS)
        # Lines are parsed while those before are scored, which leaves the interpreter to others.
        parsed: asyncio.Queue[list[Line] | None] = asyncio.Queue(1)
        made: asyncio.Queue[_Piece | None] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(waiting))
            group.create_task(self._parse_all(waiting, parsed))
            group.create_task(self._make_all(parsed, made))
            await self._tell_all(made, spool)
        if self._problem is not None:
            spool.write(_json_line({"row": None, **problem_content(self._problem, self._language)}))
        summary = {"rows": self._n_rows, "scored": self._n_scored, "refused": self._n_rows - self._n_scored}
        spool.write(_json_line({"summary": summary}))

    async def _read(self, waiting: "asyncio.Queue[list[bytes | None] | None]") -> None:
        splitter = LineSplitter(MAX_LINE_BYTES)
        try:
            async for chunk in body_chunks(
                self._request, max_bytes=MAX_BATCH_BYTES, max_idle_seconds=_MAX_IDLE_SECONDS
            ):
                if lines := splitter.feed(chunk):
                    await waiting.put(lines)
            await waiting.put(splitter.end())
        except WorkbenchError as error:
            self._problem = error
        await waiting.put(None)

    async def _parse_all(
        self, waiting: "asyncio.Queue[list[bytes | None] | None]", parsed: "asyncio.Queue[list[Line] | None]"
    ) -> None:
        async for bodies in _gathered(waiting):
            await parsed.put(await run_in_threadpool(self._read_lines, bodies))
        await parsed.put(None)

    async def _make_all(self, parsed: "asyncio.Queue[list[Line] | None]", made: "asyncio.Queue[_Piece | None]") -> None:
        while (lines := await parsed.get()) is not None:
            # Where the caller goes away, what was begun is brought to its end: others may wait for it.
            await made.put(await asyncio.shield(self._piece(lines)))
        await made.put(None)

    async def _piece(self, lines: list[Line]) -> _Piece:
        """Score lines, and hand those that are good to the log."""
        begun = self._named.begin(lines) if self._is_kept else {}
        mine = {line.number: name for name, line in begun.items()}
        kept = []
        try:
            for slot, members, contents in await run_in_threadpool(self._make, lines, begun):
                if self._is_kept:
                    kept.append((members, self._service.keep_together(contents, slot, len(members))))
                    named = {mine.pop(line.number): line for line in members if line.number in mine}
                    kept[-1][1].add_done_callback(partial(self._named.settle, named))
        finally:
            # Those on their way to the log are let go when they are there.
            self._named.end(mine.values())
        late = [line for line in lines if line.outcome is None]
        self._named.hold(late)
        return _Piece(lines, kept, late)

    async def _tell_all(self, made: "asyncio.Queue[_Piece | None]", spool: Spool) -> None:
        """Write the answers to what is made, while it goes to the disk and the next lines are scored."""
        while (piece := await made.get()) is not None:
            spool.write(await self._told(piece))

    async def _told(self, piece: _Piece) -> bytes:
        """Return the lines that answer a piece, once all that is in it is kept."""
        for lines, kept in piece.kept:
            # Not awaited itself: where the caller goes away, what waits is cancelled, and what is written must not be.
            await asyncio.wait([kept])
            try:
                kept.result()
            except UnavailableError as error:
                for line in lines:
                    line.outcome = error
        if piece.late:
            # Neither is this: a request is under way until its record is where every process finds it.
            await asyncio.shield(self._answer_late(piece.late))
            self._named.told(piece.late)
        return b"".join([self._tell(line) for line in piece.lines])

    async def _answer_late(self, late: list[Line]) -> None:
        asked = [line.asked for line in late if line.asked is not None]
        try:
            answers = await self._service.answer_many(asked, self._scores.score, is_kept=self._is_kept)
        except UnavailableError as error:
            # Those that were answered for all that get the same answer when they are sent again.
            answers = [error] * len(late)
        for line, answer in zip(late, answers, strict=True):
            line.outcome = answer

    def _tell(self, line: Line) -> bytes:
        if isinstance(line.outcome, bytes):
            self._n_scored += 1
            return b'{"row":%d,"answer":%b}\n' % (line.number, line.outcome)
        assert line.outcome is not None  # noqa: S101 - every line has one by now
        language, request_id = self._language, None
        if line.asked is not None:
            language, request_id = line.asked.language, line.asked.request.request_id
        problem = problem_content(line.outcome, language, request_id)
        self._service.refusals.note(self._caller.name, self._request.url.path, line.outcome.code)
        return _json_line({"row": line.number, **problem})

    def _make(self, lines: list[Line], begun: Mapping[Name, Line]) -> list[_Made]:
        """Score, in a thread, the lines that need nothing but a model, and that nobody can have answered before."""
        free = self._claimed(begun)
        together: defaultdict[tuple[str, str, int, str], list[tuple[Line, Asked]]] = defaultdict(list)
        for line in lines:
            if line.asked is None or line.asked.request.features is None:
                continue
            if not line.asked.is_named or not self._is_kept or line.number in free:
                asked = self._scores.on_side(line.asked)
                slot = asked.model.slot
                together[slot.project, slot.slot, asked.request.reasons, asked.language].append((line, asked))
        return [made for members in together.values() for made in self._made_of(members)]

    def _claimed(self, begun: Mapping[Name, Line]) -> set[int]:
        """Return the numbers of the lines, of those taken on, that are to be scored now."""
        try:
            return self._named.claim(begun) if begun else set()
        except Exception:  # noqa: BLE001 - whatever the index meets, the long way meets it for each alone
            _LOG.exception("named lines of a batch could not be looked up together")
            return set()

    def _made_of(self, members: list[tuple[Line, Asked]]) -> list[_Made]:
        """Score lines of one model together; one that is refused is left to be told by itself, and takes none along."""
        lines = [line for line, _ in members]
        try:
            answers = ReadyAnswers([asked for _, asked in members], datetime.now(UTC), "batch")
        except WorkbenchError:
            middle = len(members) // 2
            return self._made_of(members[:middle]) + self._made_of(members[middle:]) if middle else []
        except Exception:  # noqa: BLE001 - whatever they meet together, each is answered by itself then
            _LOG.exception("rows of a batch could not be scored together")
            return []
        for line, content in zip(lines, answers.contents, strict=True):
            line.outcome = content
        return [_Made(answers.slot, lines, answers.kept() if self._is_kept else [])]

    def _read_lines(self, given: Sequence[bytes | None]) -> list[Line]:
        """Read lines, in a thread; empty ones are passed over."""
        bodies = [body for body in given if body is None or body.strip()]
        whole = [body for body in bodies if body is not None]
        contents = parse_lines(whole) if len(whole) == len(bodies) else None
        lines: list[Line] = []
        for i, body in enumerate(bodies):
            self._n_rows += 1
            try:
                content = _parse_line(body) if contents is None else contents[i]
                lines.append(Line(self._n_rows, self._read_line(content), None))
            except WorkbenchError as error:
                lines.append(Line(self._n_rows, None, error))
        return lines

    def _read_line(self, content: Any) -> Asked:
        request = read_request(content)
        if request.is_looked_up:
            self._caller.require(LOOKUP_PERMISSION)
        model = self._scores.champion(request.project)
        # Nobody can repeat a request that has no name.
        payload_hash = content_hash(content) if request.request_id is not None else ""
        request_id = request.request_id or new_request_id()
        return Asked(model, request, request_id, payload_hash, request.language or self._language)


async def _gathered(
    waiting: "asyncio.Queue[list[bytes | None] | None]",
) -> AsyncIterator[list[bytes | None]]:
    """Yield what waits together, because many lines cost little more than few; no more at once than is good."""
    is_open = True
    while is_open:
        gathered: list[bytes | None] = []
        while is_open and len(gathered) < _MAX_ROWS_AT_ONCE and not (gathered and waiting.empty()):
            lines = await waiting.get()
            is_open = lines is not None
            gathered += lines or ()
        for start in range(0, len(gathered), _MAX_ROWS_AT_ONCE):
            yield gathered[start : start + _MAX_ROWS_AT_ONCE]


def _parse_line(body: bytes | None) -> Any:
    if body is None:
        raise InputError(msg("The line is longer than {n} bytes", n=f"{MAX_LINE_BYTES:,}"), code="payload_too_large")
    return parse(body)


def _json_line(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
