"""Many requests in one body, a line each, answered a line each: a bad line is told and the rest are scored."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import InputError, WorkbenchError
from core.i18n import msg
from core.identity import Actor
from model_registry.scorer import ScoreAnswer
from serving.deployed import DeployedModel
from serving.lines import LineSplitter, body_chunks
from serving.lookups import Gathered, Lookups
from serving.problems import problem_content
from serving.request_form import LOOKUP_PERMISSION, read_request
from serving.scoring import key_of, score
from serving.service import Asked, Scored, ScoringService, content_hash, new_request_id
from serving.split import Split
from serving.spool import Spool
from serving.strict_json import parse

__all__ = ["LINES", "MAX_BATCH_BYTES", "MAX_LINE_BYTES", "LineBatch"]

_LOG = logging.getLogger(__name__)
LINES = "application/x-ndjson"
MAX_BATCH_BYTES = 1_000_000_000
MAX_LINE_BYTES = 1_000_000
_MAX_IDLE_SECONDS = 10.0
_MAX_WAITING_CHUNKS = 4
_MAX_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with what was read in it: a request, or why there is none."""

    number: int
    asked: Asked | None
    error: WorkbenchError | None


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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(waiting))
            await self._answer_all(waiting, spool)
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

    async def _answer_all(self, waiting: "asyncio.Queue[list[bytes | None] | None]", spool: Spool) -> None:
        while (lines := await waiting.get()) is not None:
            for start in range(0, len(lines), _MAX_ROWS_AT_ONCE):
                spool.write(await self._answer(lines[start : start + _MAX_ROWS_AT_ONCE]))

    async def _answer(self, bodies: Sequence[bytes | None]) -> bytes:
        """Return the lines that answer `bodies`; empty ones are passed over."""
        first = self._n_rows + 1
        self._n_rows += sum(body is None or bool(body.strip()) for body in bodies)
        lines = await run_in_threadpool(self._read_lines, bodies, first)
        asked = [line.asked for line in lines if line.asked is not None]
        answers = iter(await self._service.answer_many(asked, self._score, is_kept=self._is_kept))
        content = []
        for line in lines:
            outcome: bytes | WorkbenchError | None = line.error if line.asked is None else next(answers)
            if isinstance(outcome, bytes):
                self._n_scored += 1
                content.append(b'{"row":%d,"answer":%b}\n' % (line.number, outcome))
            elif outcome is not None:
                language, request_id = self._language, None
                if line.asked is not None:
                    language, request_id = line.asked.language, line.asked.request.request_id
                problem = problem_content(outcome, language, request_id)
                self._service.refusals.note(self._caller.name, self._request.url.path, outcome.code)
                content.append(_json_line({"row": line.number, **problem}))
        return b"".join(content)

    def _read_lines(self, bodies: Iterable[bytes | None], first: int) -> list[_Line]:
        lines: list[_Line] = []
        for body in bodies:
            if body is not None and not body.strip():
                continue
            number = first + len(lines)
            try:
                lines.append(_Line(number, self._read_line(body), None))
            except WorkbenchError as error:
                lines.append(_Line(number, None, error))
        return lines

    def _read_line(self, body: bytes | None) -> Asked:
        if body is None:
            raise InputError(
                msg("The line is longer than {n} bytes", n=f"{MAX_LINE_BYTES:,}"), code="payload_too_large"
            )
        content = parse(body)
        request = read_request(content)
        if request.is_looked_up:
            self._caller.require(LOOKUP_PERMISSION)
        model = self._models.get(request.project)
        if model is None:
            model = self._models[request.project] = self._service.models.get(request.project)
            self._rivals[request.project] = self._service.split.rival(request.project)
        request_id = request.request_id or new_request_id()
        return Asked(model, request, request_id, content_hash(content), request.language or self._language)

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
        sides = []
        for i, asked in enumerate(rows):
            rival, theirs = self._rival(asked), gathered.get(i)
            known = theirs if isinstance(theirs, Gathered) else None
            is_rivals = rival is not None and Split.is_rivals(rival, asked.model, asked.request, known)
            sides.append(replace(asked, model=rival) if rival is not None and is_rivals else asked)
        return sides

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
