"""Ready features as an Arrow stream: a column per feature in, a column per part of the answer out.

pyarrow is no part of a scoring host: where it is not installed, this kind of body is refused and all others are taken.
"""

import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import InputError
from core.i18n import msg
from model_registry.payload import MAX_KEY, printable
from model_registry.scorer import Scorer, present
from monitoring.score_log import ScoreBlock
from serving.arrow_messages import check_plain
from serving.deployed import DeployedModel
from serving.lines import body_chunks
from serving.problems import UnsupportedBodyError
from serving.service import ScoringService, new_request_id
from serving.spool import Spool, SpooledAnswer

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARROW", "KEY_COLUMN", "MAX_ARROW_BYTES", "answer_arrow"]

ARROW = "application/vnd.apache.arrow.stream"
KEY_COLUMN = "_key"
MAX_ARROW_BYTES = 1_000_000_000
_MAX_IDLE_SECONDS = 10.0
_MAX_ROWS_AT_ONCE = 8_192


async def answer_arrow(service: ScoringService, request: Request, *, is_kept: bool) -> SpooledAnswer:
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

    Raises
    ------
    UnsupportedBodyError
        If pyarrow is not installed.
    InputError
        If the body is no Arrow stream, or its columns are not those of the model.
    NotFoundError
        If nothing is deployed for the project.
    """
    _require_pyarrow()
    model = service.models.get(request.query_params.get("project", ""))
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed by whoever sends the answer, or below
    try:
        async for chunk in body_chunks(request, max_bytes=MAX_ARROW_BYTES, max_idle_seconds=_MAX_IDLE_SECONDS):
            file.write(chunk)
        file.flush()
        batch = await run_in_threadpool(_ArrowBatch, service, model, file.name, is_kept=is_kept)
    except BaseException:
        file.close()
        raise

    async def produce(spool: Spool) -> None:
        with file:
            await batch.produce(spool)

    return SpooledAnswer(produce, ARROW)


class _ArrowBatch:
    """An opened stream, every part of it proved, so that nothing goes wrong once the answer has begun."""

    def __init__(self, service: ScoringService, model: DeployedModel, path: str, *, is_kept: bool) -> None:
        self._service = service
        self._model = model
        self._is_kept = is_kept
        self._request_id = new_request_id()
        self._n_rows = 0
        self._reader = _open_proved(path, model)

    async def produce(self, spool: Spool) -> None:
        """Write the answers, record batch by record batch."""
        import pyarrow as pa

        sink = _Sink()
        with pa.ipc.new_stream(pa.PythonFile(sink, "w"), self._schema()) as writer:
            while (batch := await run_in_threadpool(_next, self._reader)) is not None:
                for start in range(0, batch.num_rows, _MAX_ROWS_AT_ONCE):
                    answers, block = await run_in_threadpool(self._score, batch.slice(start, _MAX_ROWS_AT_ONCE))
                    if block is not None:
                        await self._service.keep_block(block)
                    writer.write_batch(answers)
                    spool.write(sink.taken())
        spool.write(sink.taken())

    def _score(self, batch: "pa.RecordBatch") -> "tuple[pa.RecordBatch, ScoreBlock | None]":
        scorer = self._model.scorer
        values = np.column_stack([_column(batch, alias, scorer) for alias in scorer.plan.aliases])
        names = [f"{self._request_id}:{self._n_rows + i + 1}" for i in range(len(values))]
        self._n_rows += len(values)
        keys = _keys(batch, names)
        errors = _errors(values, scorer.plan.aliases, keys)
        good = np.array([i for i, error in enumerate(errors) if error is None], dtype=np.int64)
        scored = scorer.score_matrix(values[good])
        block = self._block(scored, values[good], good, names, keys) if self._is_kept and len(good) else None
        return _answers(self._schema(), scored, keys, errors, good), block

    def _block(
        self,
        scored: tuple[np.ndarray, np.ndarray, np.ndarray],
        values: np.ndarray,
        good: np.ndarray,
        names: list[str],
        keys: list[str],
    ) -> ScoreBlock:
        """Return what is kept of the answers: what was said, and the values it was said of."""
        slot = self._model.slot
        request_ids = names if len(good) == len(names) else [names[i] for i in good]
        is_keyed = keys is not names
        probability, points, grade = scored
        return ScoreBlock(
            block_id=new_request_id(),
            project=slot.project,
            slot=slot.slot,
            version=slot.number,
            bundle_hash=slot.bundle_hash,
            asked_at=datetime.now(UTC),
            aliases=self._model.scorer.plan.aliases,
            request_ids=request_ids,
            probabilities=probability,
            scores=points,
            grades=grade.tolist(),
            cutoffs=np.full(len(good), present(), dtype="datetime64[us]"),
            values=values,
            keys=[keys[i] for i in good] if is_keyed else None,
        )

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        slot = self._model.slot
        return pa.schema(
            {
                KEY_COLUMN: pa.string(),
                "probability": pa.float64(),
                "score": pa.float64(),
                "grade": pa.string(),
                "error": pa.string(),
            },
            metadata={
                "project": slot.project,
                "version": str(slot.number),
                "bundle_hash": slot.bundle_hash,
                "batch_id": self._request_id,
                "kept": str(self._is_kept).lower(),
            },
        )


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401, ICN001 - asked for only to know whether it is there
    except ImportError:
        raise UnsupportedBodyError(
            msg("Arrow is not read here, because pyarrow is not installed"), fix=msg("Send lines of JSON instead.")
        ) from None


def _open_proved(path: str, model: DeployedModel) -> "pa.ipc.RecordBatchStreamReader":
    """Return a reader at the first record batch, after every batch was read once and found sound."""
    import pyarrow as pa

    try:
        source = pa.memory_map(path)
        check_plain(source)
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        _check_columns(reader.schema, model)
        for batch in reader:
            # Offsets and codes come from outside: nothing is read by them before they are proved.
            batch.validate(full=True)
        source.seek(0)
        return pa.ipc.open_stream(source)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise InputError(msg("The body is not a sound Arrow stream"), code="not_arrow") from error


def _check_columns(schema: "pa.Schema", model: DeployedModel) -> None:
    import pyarrow.types as kinds

    forms = model.scorer.ready.to_json()
    names = [name for name in schema.names if name != KEY_COLUMN]
    unknown, missing = sorted(set(names) - set(forms)), sorted(set(forms) - set(names))
    if len(set(schema.names)) != len(schema.names):
        raise InputError(msg("A column comes twice"), code="duplicate_key")
    if unknown:
        raise InputError(msg("The model reads no such feature"), where=printable(unknown[0]), code="unknown_feature")
    if missing:
        raise InputError(msg("This feature is needed"), where=missing[0], code="missing_feature")
    for field in schema:
        kind = field.type.value_type if kinds.is_dictionary(field.type) else field.type
        is_text = kinds.is_string(kind) or kinds.is_large_string(kind)
        is_number = (kinds.is_integer(kind) or kinds.is_floating(kind)) and kind is field.type
        if not (is_text if forms.get(field.name, "text") == "text" else is_number) and not kinds.is_null(kind):
            raise InputError(msg("This column has a wrong type"), where=field.name, code="wrong_type")


def _next(reader: "pa.ipc.RecordBatchStreamReader") -> "pa.RecordBatch | None":
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _column(batch: "pa.RecordBatch", alias: str, scorer: Scorer) -> np.ndarray:
    """Return a column as numbers: NaN for null, codes for categories."""
    import pyarrow as pa

    column = batch.column(alias)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if alias not in scorer.plan.category_aliases:
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    levels = np.array([scorer.ready.code(alias, level) for level in column.dictionary.to_pylist()] + [np.nan])
    codes = column.indices.cast(pa.int64()).fill_null(len(levels) - 1)
    return np.asarray(levels[codes.to_numpy(zero_copy_only=False)])


def _keys(batch: "pa.RecordBatch", names: list[str]) -> list[str]:
    if KEY_COLUMN not in batch.schema.names:
        return names
    given = batch.column(KEY_COLUMN).to_pylist()
    return [name if key is None else key for key, name in zip(given, names, strict=True)]


def _errors(values: np.ndarray, aliases: tuple[str, ...], keys: list[str]) -> list[str | None]:
    """Return why a row is not scored, as a code and a place; None for those that are."""
    errors: list[str | None] = [None] * len(values)
    for i, j in np.argwhere(np.isinf(values)):
        errors[i] = f"wrong_type: {aliases[j]}"
    for i, key in enumerate(keys):
        if not key or len(key) > MAX_KEY or not key.isprintable():
            errors[i] = "bad_key"
    return errors


def _answers(
    schema: "pa.Schema",
    scored: tuple[np.ndarray, np.ndarray, np.ndarray],
    keys: list[str],
    errors: list[str | None],
    good: np.ndarray,
) -> "pa.RecordBatch":
    import pyarrow as pa

    probability, points = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
    grade = np.full(len(keys), None, dtype=object)
    probability[good], points[good], grade[good] = scored
    return pa.record_batch(
        [
            pa.array(keys, pa.string()),
            pa.array(probability, from_pandas=True),
            pa.array(points, from_pandas=True),
            pa.array(grade, pa.string()),
            pa.array(errors, pa.string()),
        ],
        schema=schema,
    )


class _Sink:
    """What pyarrow writes into; taken out again after each batch."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._n_bytes = 0

    def write(self, content: bytes) -> int:
        self._parts.append(bytes(content))
        self._n_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        return self._n_bytes

    def flush(self) -> None:
        """Do nothing: all is in memory."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content
