"""Ready features as an Arrow stream: a column per feature in, a column per part of the answer out.

pyarrow is no part of a scoring host: where it is not installed, this kind of body is refused and all others are taken.
"""

import asyncio
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import InputError
from core.i18n import msg
from model_registry.feature_columns import KEY_COLUMN, check_columns, feature_values
from monitoring.score_log import ScoreBlock
from serving.arrow_messages import check_plain
from serving.column_answers import ColumnAnswers, Sink, require_pyarrow
from serving.deployed import DeployedModel
from serving.lines import body_chunks
from serving.service import ScoringService
from serving.spool import Spool, SpooledAnswer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARROW", "MAX_ARROW_BYTES", "answer_arrow"]

ARROW = "application/vnd.apache.arrow.stream"
MAX_ARROW_BYTES = 1_000_000_000
_MAX_IDLE_SECONDS = 10.0
_MAX_ROWS_AT_ONCE = 8_192
_MAX_EXPLAINED = 512
# Trees are walked without holding the interpreter: as many threads as there are processors get on side by side.
_N_AT_ONCE = min(len(os.sched_getaffinity(0)), 4)
_Scored: TypeAlias = "tuple[pa.RecordBatch, ScoreBlock | None]"


async def answer_arrow(
    service: ScoringService, request: Request, *, is_kept: bool, n_reasons: int, language: str
) -> SpooledAnswer:
    """Return the answer to a stream of ready features; the body is kept on disk while it is read.

    Parameters
    ----------
    service : ScoringService
        Answers and keeps.
    request : Request
        Its body is an Arrow IPC stream with one column per feature and, where wanted, one of keys, `KEY_COLUMN`; its
        query names the project.
    is_kept : bool
        Whether the answers go to the score log, a record for each row.
    n_reasons : int
        Reasons at most for each row; 0 is faster by far.
    language : {"en", "zh"}
        Of their texts.

    Raises
    ------
    UnsupportedBodyError
        If pyarrow is not installed.
    InputError
        If the body is no Arrow stream, or its columns are not those of the model.
    NotFoundError
        If nothing is deployed for the project.
    """
    require_pyarrow()
    model = service.models.get(request.query_params.get("project", ""))
    answers = ColumnAnswers(model, is_kept=is_kept, n_reasons=n_reasons, language=language)
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by whoever sends the answer, or below
    try:
        async for chunk in body_chunks(request, max_bytes=MAX_ARROW_BYTES, max_idle_seconds=_MAX_IDLE_SECONDS):
            file.write(chunk)
        file.flush()
        batch = await run_in_threadpool(_ArrowBatch, service, answers, file.name)
    except BaseException:
        file.close()
        raise

    async def produce(spool: Spool) -> None:
        with file:
            await batch.produce(spool)

    return SpooledAnswer(produce, ARROW)


class _ArrowBatch:
    """An opened stream, every part of it proved, so that nothing goes wrong once the answer has begun."""

    def __init__(self, service: ScoringService, answers: ColumnAnswers, path: str) -> None:
        self._service = service
        self._scorer = answers.model.scorer
        self._answers = answers
        self._pieces = _pieces(
            _open_proved(path, answers.model), _MAX_EXPLAINED if answers.n_reasons else _MAX_ROWS_AT_ONCE
        )
        self._n_begun = 0

    async def produce(self, spool: Spool) -> None:
        """Write the answers, record batch by record batch."""
        import pyarrow as pa

        sink = Sink()
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), self._answers.schema) as writer:
            async with asyncio.TaskGroup() as group:
                under_way: deque[asyncio.Task[_Scored]] = deque()
                while self._begin_next(group, under_way):
                    pass
                while under_way:
                    answers, block = await under_way.popleft()
                    self._begin_next(group, under_way)
                    # The next rows are scored while these go to the disk; these are given when they are there.
                    if block is not None:
                        await self._service.keep_block(block)
                    writer.write_batch(answers)
                    spool.write(sink.taken())
        spool.write(sink.taken())

    def _begin_next(self, group: asyncio.TaskGroup, under_way: "deque[asyncio.Task[_Scored]]") -> bool:
        """Begin to score the next rows, unless as many are under way as there are processors; return whether."""
        if len(under_way) >= _N_AT_ONCE or (batch := next(self._pieces, None)) is None:
            return False
        first = self._n_begun + 1
        self._n_begun += batch.num_rows
        under_way.append(group.create_task(run_in_threadpool(self._score, batch, first)))
        return True

    def _score(self, batch: "pa.RecordBatch", first: int) -> "_Scored":
        scorer = self._scorer
        values = np.column_stack(
            [feature_values(batch.column(alias), alias, scorer.ready) for alias in scorer.plan.aliases]
        )
        given = [batch.column(KEY_COLUMN)] if KEY_COLUMN in batch.schema.names else None
        return self._answers.answer(values, given, first)


def _open_proved(path: str, model: DeployedModel) -> "pa.ipc.RecordBatchStreamReader":
    """Return a reader at the first record batch, after every batch was read once and found sound."""
    import pyarrow as pa

    try:
        source = pa.memory_map(path)
        check_plain(source)
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        check_columns(reader.schema, model.scorer.ready)
        for batch in reader:
            # Offsets and codes come from outside: nothing is read by them before they are proved.
            batch.validate(full=True)
        source.seek(0)
        return pa.ipc.open_stream(source)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise InputError(msg("The body is not a sound Arrow stream"), code="not_arrow") from error


def _pieces(reader: "pa.ipc.RecordBatchStreamReader", most: int) -> "Iterator[pa.RecordBatch]":
    """Yield the record batches, long ones in pieces."""
    for batch in reader:
        for start in range(0, batch.num_rows, most):
            yield batch.slice(start, most)
