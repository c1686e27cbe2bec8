"""Ready features as a Parquet file: a column per feature in, a column per part of the answer out.

The file is unpacked column by column into a matrix on disk before the answer begins, so that neither many rows nor many
columns take memory, and whatever is unsound is found while it can still be refused.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

import numpy as np
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from core.errors import UnavailableError
from core.i18n import msg
from model_registry.feature_columns import KEY_COLUMN, check_columns, feature_values
from monitoring.score_log import ScoreBlock
from serving.column_answers import ColumnAnswers, Sink, require_pyarrow
from serving.deployed import DeployedModel
from serving.lines import body_chunks
from serving.parquet_pages import MAX_FOOTER_BYTES, Footer, check_pages, read_footer, unsound
from serving.problems import PayloadTooLargeError
from serving.service import ScoringService
from serving.spool import Spool, SpooledAnswer

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["MAX_PARQUET_BYTES", "MAX_ROWS", "PARQUET", "answer_parquet"]

PARQUET = "application/vnd.apache.parquet"
MAX_PARQUET_BYTES = 1_000_000_000
MAX_ROWS = 5_000_000
MAX_MATRIX_BYTES = 8_000_000_000
_MAX_IDLE_SECONDS: Final = 10.0
_ROWS_AT_ONCE: Final = 8_192
_ROWS_PER_GROUP: Final = 65_536
_NUMBER_BYTES: Final = 8


async def answer_parquet(
    service: ScoringService, request: Request, *, is_kept: bool, n_reasons: int, language: str
) -> SpooledAnswer:
    """Return the answer to a Parquet file of ready features, as a Parquet file.

    Parameters
    ----------
    service : ScoringService
        Answers and keeps.
    request : Request
        Its body has one column per feature and, where wanted, one of keys, `KEY_COLUMN`; its query names the project.
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
        If the body is no Parquet file, is encrypted, or its columns are not those of the model.
    PayloadTooLargeError
        If it has too many rows or columns, or would unpack to too much.
    NotFoundError
        If nothing is deployed for the project.
    """
    require_pyarrow()
    model = service.models.get(request.query_params.get("project", ""))
    answers = ColumnAnswers(model, is_kept=is_kept, n_reasons=n_reasons, language=language)
    body, matrix = tempfile.NamedTemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed below or at the end
    try:
        async for chunk in body_chunks(request, max_bytes=MAX_PARQUET_BYTES, max_idle_seconds=_MAX_IDLE_SECONDS):
            body.write(chunk)
        body.flush()
        batch = await run_in_threadpool(_ParquetBatch, service, answers, body.name, matrix)
    except BaseException:
        body.close()
        matrix.close()
        raise

    async def produce(spool: Spool) -> None:
        with body, matrix:
            await batch.produce(spool)

    return SpooledAnswer(produce, PARQUET)


class _ParquetBatch:
    """A file that was unpacked whole, so that nothing goes wrong once the answer has begun."""

    def __init__(self, service: ScoringService, answers: ColumnAnswers, path: str, matrix: IO[bytes]) -> None:
        self._service = service
        self._answers = answers
        self._file, self._group_rows = _open_proved(path, answers.model)
        self._has_keys = KEY_COLUMN in self._file.schema_arrow.names
        self._matrix = _Matrix(matrix, len(answers.model.scorer.plan.aliases))
        self._fill(answers.model)

    def _fill(self, model: DeployedModel) -> None:
        import pyarrow as pa

        ready = model.scorer.ready
        try:
            for group, n_rows in enumerate(self._group_rows):
                self._matrix.begin(n_rows)
                for alias in ready.aliases:
                    for column in self._read(group, alias, n_rows):
                        self._matrix.add(feature_values(column, alias, ready))
                if self._has_keys:
                    for _ in self._read(group, KEY_COLUMN, n_rows):
                        pass  # proved now, read again with the rows
        except (pa.ArrowException, EOFError, ValueError, OSError) as error:
            raise unsound() from error

    def _read(self, group: int, name: str, n_rows: int) -> "Iterator[pa.Array]":
        """Yield one column of a row group; each array is proved before anything is read by its offsets or codes."""
        if not n_rows:
            return
        n_read = 0
        for batch in self._file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[name], use_threads=False):
            batch.validate(full=True)
            n_read += batch.num_rows
            yield batch.column(0)
        if n_read != n_rows:
            raise unsound()

    async def produce(self, spool: Spool) -> None:
        """Write the answers, in row groups of their own."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink, waiting, n_before = Sink(), _Waiting(), 0
        with pq.ParquetWriter(pa.PythonFile(sink, "w"), self._answers.schema) as writer:
            for group, n_rows in enumerate(self._group_rows):
                keys = _Pieces(self._read(group, KEY_COLUMN, n_rows)) if self._has_keys else None
                for start in range(0, n_rows, _ROWS_AT_ONCE):
                    answers, block = await run_in_threadpool(self._score, group, start, keys, n_before + start + 1)
                    if block is not None:
                        await self._service.keep_block(block)
                    if (whole := waiting.add(answers)) is not None:
                        await run_in_threadpool(writer.write_table, whole)
                        spool.write(sink.taken())
                n_before += n_rows
            if (rest := waiting.taken()) is not None:
                writer.write_table(rest)
        spool.write(sink.taken())

    def _score(
        self, group: int, start: int, keys: "_Pieces | None", first: int
    ) -> "tuple[pa.RecordBatch, ScoreBlock | None]":
        values = self._matrix.rows(group, start, _ROWS_AT_ONCE)
        return self._answers.answer(values, None if keys is None else keys.take(len(values)), first)


class _Pieces:
    """A column that comes in arrays of any length, taken in runs of rows."""

    def __init__(self, arrays: "Iterator[pa.Array]") -> None:
        self._arrays = arrays
        self._rest: pa.Array | None = None

    def take(self, n: int) -> "list[pa.Array]":
        """Return the next `n` rows."""
        taken = []
        while n:
            array = next(self._arrays) if self._rest is None else self._rest
            taken.append(array[:n])
            self._rest = array[n:] if len(array) > n else None
            n -= len(taken[-1])
        return taken


class _Waiting:
    """Answers until there are enough for a row group."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._n_rows = 0

    def add(self, batch: "pa.RecordBatch") -> "pa.Table | None":
        self._batches.append(batch)
        self._n_rows += batch.num_rows
        return self.taken() if self._n_rows >= _ROWS_PER_GROUP else None

    def taken(self) -> "pa.Table | None":
        import pyarrow as pa

        if not self._batches:
            return None
        table = pa.Table.from_batches(self._batches)
        self._batches, self._n_rows = [], 0
        return table


class _Matrix:
    """Values in a file: row group after row group, in each column after column."""

    def __init__(self, file: IO[bytes], n_columns: int) -> None:
        self._file = file
        self._n_columns = n_columns
        self._groups: list[tuple[int, int]] = []
        self._n_rows = 0

    def begin(self, n_rows: int) -> None:
        """Begin a row group."""
        self._groups.append((self._n_rows * self._n_columns * _NUMBER_BYTES, n_rows))
        self._n_rows += n_rows

    def add(self, values: np.ndarray) -> None:
        """Add the next values of the column that is being written."""
        try:
            self._file.write(np.ascontiguousarray(values, dtype=np.float64).data)
        except OSError as error:
            raise UnavailableError(msg("There is no room for the batch now"), code="no_room") from error

    def rows(self, group: int, start: int, n: int) -> np.ndarray:
        """Return up to `n` rows of a group from `start` on, shape (n_rows, n_columns)."""
        self._file.flush()
        place, n_rows = self._groups[group]
        n = min(n, n_rows - start)
        values = np.empty((n, self._n_columns))
        for column in range(self._n_columns):
            offset = place + (column * n_rows + start) * _NUMBER_BYTES
            values[:, column] = np.frombuffer(os.pread(self._file.fileno(), n * _NUMBER_BYTES, offset))
        return values


def _open_proved(path: str, model: DeployedModel) -> "tuple[pq.ParquetFile, tuple[int, ...]]":
    """Return the opened file and the rows of its row groups, after all that it claims was found to be bearable."""
    import pyarrow as pa

    ready = model.scorer.ready
    if not os.path.getsize(path):  # noqa: PTH202 - a temporary file by its name
        raise unsound()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # noqa: PTH123
        footer = read_footer(content)
        _check_shape(footer, len(ready.aliases))
        check_pages(content, footer.chunks)
    # A text that a thousand rows name is then held once.
    texts = [name for name in footer.columns if name == KEY_COLUMN or ready.is_text(name)]
    try:
        opened = _open(path, texts)
        check_columns(opened.schema_arrow, ready)
    except (pa.ArrowException, OSError, EOFError, ValueError, KeyError) as error:
        raise unsound() from error
    return opened, footer.n_rows


def _open(path: str, texts: list[str]) -> "pq.ParquetFile":
    import pyarrow.parquet as pq

    return pq.ParquetFile(
        path,
        memory_map=True,
        pre_buffer=False,
        read_dictionary=texts,
        arrow_extensions_enabled=False,
        thrift_string_size_limit=MAX_FOOTER_BYTES,
        thrift_container_size_limit=MAX_FOOTER_BYTES,
    )


def _check_shape(footer: Footer, n_features: int) -> None:
    n_rows = sum(footer.n_rows)
    if n_rows > MAX_ROWS or n_rows * n_features * _NUMBER_BYTES > MAX_MATRIX_BYTES:
        allowed = min(MAX_ROWS, MAX_MATRIX_BYTES // (max(n_features, 1) * _NUMBER_BYTES))
        raise PayloadTooLargeError(
            msg("The file has {n} rows, more than the {limit} allowed", n=f"{n_rows:,}", limit=f"{allowed:,}"),
            fix=msg("Send it in several batches, or score it with: workbench score --features FILE."),
        )
    if len(footer.columns) > n_features + 1:
        raise PayloadTooLargeError(
            msg("The file has {n} columns, and the model reads {m}", n=len(footer.columns), m=n_features),
            fix=msg("Send the features of the model and nothing else."),
        )
