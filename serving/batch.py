"""Many requests in one body, a line each, answered a line each: a bad line is told and the rest are scored."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import InputError, UnavailableError, WorkbenchError
from core.i18n import msg
from core.identity import Actor
from model_registry.scorer import ScoreAnswer
from monitoring.score_log import ScoreBlock, ScoreRecord
from serving.asked import Asked, content_hash, new_request_id
from serving.deployed import DeployedModel, Slot
from serving.lines import LineSplitter, body_chunks
from serving.lookups import Gathered, Lookups
from serving.problems import problem_content
from serving.ready_answers import ReadyAnswers
from serving.request_form import LOOKUP_PERMISSION, read_request
from serving.scoring import key_of, score
from serving.service import Scored, ScoringService
from serving.split import Split
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
_Kept: TypeAlias = list[tuple[ScoreRecord | ScoreBlock, bool]]


@dataclass(slots=True)
class _Line:
    """A line with what was read in it: a request, or why there is none; and its answer, where that is made already."""

    number: int
    asked: Asked | None
    outcome: bytes | WorkbenchError | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines that are answered together: those whose answers are on their way to the log, by slot, and all of them."""

    lines: list[_Line]
    made: list[tuple[Slot, list[_Line], _Kept]]
    kept: "list[asyncio.Future[None]]" = field(default_factory=list)


class LineBatch:
    """One batch of lines. All rows of a project are answered by what served when its first one came.

    Where the project's traffic was split then, each enterprise is answered by the same version as it would be alone.

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
        self._models: dict[str, DeployedModel] = {}
        self._rivals: dict[str, DeployedModel | None] = {}
        self._problem: WorkbenchError | None = None
        self._n_rows = 0
        self._n_scored = 0

    async def produce(self, spool: Spool) -> None:
        """Read the lines, and write an answer or an error for each, and a summary at the end."""
        waiting: asyncio.Queue[list[bytes | None] | None] = asyncio.Queue(_MAX_WAITING_CHUNKS)
        # Lines are parsed while those before are scored, which leaves the interpreter to others.
        parsed: asyncio.Queue[list[_Line] | None] = asyncio.Queue(1)
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
        self, waiting: "asyncio.Queue[list[bytes | None] | None]", parsed: "asyncio.Queue[list[_Line] | None]"
    ) -> None:
        async for bodies in _gathered(waiting):
            await parsed.put(await run_in_threadpool(self._read_lines, bodies))
        await parsed.put(None)

    async def _make_all(
        self, parsed: "asyncio.Queue[list[_Line] | None]", made: "asyncio.Queue[_Piece | None]"
    ) -> None:
        while (lines := await parsed.get()) is not None:
            piece = await run_in_threadpool(self._make, lines)
            if self._is_kept:
                for slot, members, contents in piece.made:
                    piece.kept.append(self._service.keep_together(contents, slot, len(members)))
            await made.put(piece)
        await made.put(None)

    async def _tell_all(self, made: "asyncio.Queue[_Piece | None]", spool: Spool) -> None:
        """Write the answers to what is made, while it goes to the disk and the next lines are scored."""
        while (piece := await made.get()) is not None:
            spool.write(await self._told(piece))

    async def _told(self, piece: _Piece) -> bytes:
        """Return the lines that answer a piece, once all that is in it is kept."""
        for (_, lines, _), kept in zip(piece.made, piece.kept, strict=False):
            try:
                await kept
            except UnavailableError as error:
                for line in lines:
                    line.outcome = error
        left = [line for line in piece.lines if line.outcome is None and line.asked is not None]
        asked = [line.asked for line in left if line.asked is not None]
        answers = await self._service.answer_many(asked, self._score, is_kept=self._is_kept) if asked else []
        for line, answer in zip(left, answers, strict=True):
            line.outcome = answer
        return b"".join([self._tell(line) for line in piece.lines])

    def _tell(self, line: _Line) -> bytes:
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

    def _make(self, lines: list[_Line]) -> _Piece:
        """Score, in a thread, the lines that need nothing but a model."""
        together: defaultdict[tuple[str, str, int, str], list[tuple[_Line, Asked]]] = defaultdict(list)
        for line in lines:
            # Ready features without a name: nobody can have asked for them before.
            if line.asked is not None and line.asked.request.features is not None and not line.asked.is_named:
                asked = self._on_side(line.asked)
                slot = asked.model.slot
                together[slot.project, slot.slot, asked.request.reasons, asked.language].append((line, asked))
        made = [made for members in together.values() for made in self._made_of(members)]
        return _Piece(lines, made)

    def _made_of(self, members: list[tuple[_Line, Asked]]) -> list[tuple[Slot, list[_Line], _Kept]]:
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
        return [(answers.slot, lines, answers.kept() if self._is_kept else [])]

    def _read_lines(self, given: Sequence[bytes | None]) -> list[_Line]:
        """Read lines, in a thread; empty ones are passed over."""
        bodies = [body for body in given if body is None or body.strip()]
        whole = [body for body in bodies if body is not None]
        contents = parse_lines(whole) if len(whole) == len(bodies) else None
        lines: list[_Line] = []
        for i, body in enumerate(bodies):
            self._n_rows += 1
            try:
                content = _parse_line(body) if contents is None else contents[i]
                lines.append(_Line(self._n_rows, self._read_line(content), None))
            except WorkbenchError as error:
                lines.append(_Line(self._n_rows, None, error))
        return lines

    def _read_line(self, content: Any) -> Asked:
        request = read_request(content)
        if request.is_looked_up:
            self._caller.require(LOOKUP_PERMISSION)
        model = self._models.get(request.project)
        if model is None:
            model = self._models[request.project] = self._service.models.get(request.project)
            self._rivals[request.project] = self._service.split.rival(request.project)
        # Nobody can repeat a request that has no name.
        payload_hash = content_hash(content) if request.request_id is not None else ""
        request_id = request.request_id or new_request_id()
        return Asked(model, request, request_id, payload_hash, request.language or self._language)

    def _score(self, rows: Sequence[Asked]) -> list[Scored | WorkbenchError]:
        """Score rows in a thread, each by the version whose it is; what a live challenger cannot, the champion does."""
        chosen = self._on_sides(rows)
        made = self._score_all(chosen)
        again = [i for i, one in enumerate(made) if chosen[i] is not rows[i] and isinstance(one, WorkbenchError)]
        for i, answer in zip(again, self._score_all([rows[i] for i in again]), strict=True):
            made[i], chosen[i] = answer, rows[i]
            self._service.metrics.split_returned.labels(rows[i].request.project).inc()
        return [
            answer if isinstance(answer, WorkbenchError) else (asked.model, answer)
            for asked, answer in zip(chosen, made, strict=True)
        ]

    def _on_sides(self, rows: Sequence[Asked]) -> list[Asked]:
        """Return the rows, those that are a live challenger's with its model."""
        by_id = [i for i, asked in enumerate(rows) if asked.request.id is not None and self._rival(asked) is not None]
        gathered = dict(zip(by_id, self._gather([rows[i] for i in by_id]), strict=True))
        return [self._on_side(asked, gathered.get(i)) for i, asked in enumerate(rows)]

    def _on_side(self, asked: Asked, gathered: Gathered | WorkbenchError | None = None) -> Asked:
        """Return what was asked, with the model of the live challenger where it is its."""
        rival, known = self._rival(asked), gathered if isinstance(gathered, Gathered) else None
        is_rivals = rival is not None and Split.is_rivals(rival, asked.model, asked.request, known)
        return replace(asked, model=rival) if rival is not None and is_rivals else asked

    def _rival(self, asked: Asked) -> DeployedModel | None:
        return self._rivals.get(asked.request.project)

    def _gather(self, rows: Sequence[Asked]) -> list[Gathered | WorkbenchError]:
        """Return the rows behind ids, of which each project's are gathered together."""
        found: dict[int, Gathered | WorkbenchError] = {}
        together: defaultdict[str, list[int]] = defaultdict(list)
        for i, asked in enumerate(rows):
            together[asked.request.project].append(i)
        for members in together.values():
            requests = [rows[i].request for i in members]
            gathered = self._service.lookups.gather_each(rows[members[0]].model, requests)
            found.update(zip(members, gathered, strict=True))
        return [found[i] for i in range(len(rows))]

    def _score_all(self, rows: Sequence[Asked]) -> list[ScoreAnswer | WorkbenchError]:
        """Score rows: ready features together, and ids, at a fraction of the cost of one by one."""
        found: dict[int, ScoreAnswer | WorkbenchError] = {}
        together: defaultdict[tuple[str, str, str, int, str], list[int]] = defaultdict(list)
        for i, asked in enumerate(rows):
            request, slot = asked.request, asked.model.slot
            form = "features" if request.features is not None else "id" if request.id is not None else ""
            if form:
                together[form, slot.project, slot.slot, request.reasons, asked.language].append(i)
            else:
                found[i] = _score_alone(asked, self._service.lookups)
        for (form, *_), members in together.items():
            chosen = [rows[i] for i in members]
            lookups = self._service.lookups
            made = _score_together(chosen, lookups) if form == "features" else _score_by_id(chosen, lookups)
            found.update(zip(members, made, strict=True))
        return [found[i] for i in range(len(rows))]


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


def _score_alone(asked: Asked, lookups: Lookups) -> ScoreAnswer | WorkbenchError:
    try:
        gathered = lookups.gather(asked.model, asked.request) if asked.request.is_looked_up else None
        return score(asked.model, asked.request, asked.request_id, asked.language, gathered)
    except WorkbenchError as error:
        return error
    except Exception:  # noqa: BLE001 - whatever one row meets, the others are scored
        _LOG.exception("an unexpected error in a row of a batch")
        return WorkbenchError(msg("Something went wrong inside; the operators can see what"), code="internal")


def _score_by_id(rows: Sequence[Asked], lookups: Lookups) -> list[ScoreAnswer | WorkbenchError]:
    """Score ids of one model, one number of reasons and one language, all from one snapshot and in one computation."""
    gathered = lookups.gather_each(rows[0].model, [row.request for row in rows])
    known = [found for found in gathered if isinstance(found, Gathered)]
    if not known:
        return [found for found in gathered if isinstance(found, WorkbenchError)]
    try:
        answers: Iterator[ScoreAnswer | WorkbenchError] = iter(
            rows[0].model.scorer.score_stored(
                known[0].tables,
                [found.key for found in known],
                [found.moment for found in known],
                rows[0].request.reasons,
                rows[0].language,
                [found.warnings for found in known],
                known[0].snapshots,
            )
        )
    except WorkbenchError:
        return [_score_alone(row, lookups) for row in rows]
    return [next(answers) if isinstance(found, Gathered) else found for found in gathered]


def _score_together(rows: Sequence[Asked], lookups: Lookups) -> list[ScoreAnswer | WorkbenchError]:
    """Score rows of one model, one number of reasons and one language; any that fails is told by itself."""
    try:
        scorer, request = rows[0].model.scorer, rows[0].request
        values = np.stack([scorer.ready.row(row.request.features or {}) for row in rows])
        keys = [key_of(row.request, row.request_id) for row in rows]
        cutoffs = [row.request.as_of for row in rows]
        return list(scorer.score_values(values, keys, cutoffs, request.reasons, rows[0].language))
    except WorkbenchError:
        return [_score_alone(row, lookups) for row in rows]


def _json_line(content: object) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
