"""The matrix from Parquet files larger than memory: tables cut into blocks of entities, and the engine run on each."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from core.errors import InputError
from core.i18n import Message, msg
from core.progress import Progress, SilentProgress
from features.engine import EngineData, compute
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan, TableSchema
from features.streaming_blocks import arrow_engine_data, empty_table, read_block, write_arrow, write_parquet
from features.streaming_routes import (
    KeyIndex,
    Node,
    Routes,
    block_of,
    can_be_cut,
    distinct_pairs,
    hash_texts,
    mark_further,
    merge_runs,
    place_rows,
    plan_routes,
    repeated,
    unite,
)  # fmt: skip
from features.streaming_source import Chunk, Source, StoredTables, read_chunk

__all__ = [
    "Cut", "compute_block", "compute_whole", "cut_chunk", "group_rows", "index_chunk", "load_data", "merge_index",
    "new_values", "plan_cuts", "stream_matrix",
]  # fmt: skip

_MB: Final = 1_000_000
_BLOCK_COST: Final = 6.0  # bytes in work per byte of a block, measured: arrays, their sorted order, gathered pieces
_BATCH_COST: Final = 5.0
_MAX_BLOCKS: Final = 4_096
_MIN_BATCH_ROWS, _MAX_BATCH_ROWS = 20_000, 1_000_000
_QUESTIONS_AT_ONCE: Final = 20_000
_MERGE_ROWS: Final = 4_000_000
_TEXT_BYTES: Final = 20
_BEYOND: Final = np.iinfo(np.uint64).max


@dataclass(frozen=True)
class Cut:
    """How one set of features is computed block by block.

    Parameters
    ----------
    routes : Routes
        The features, and where the rows of their tables go.
    source : StoredTables
        The files.
    folder : path
        Where blocks are written; all workers must see it.
    n_blocks : int
        How many blocks of entities.
    batch_rows : int
        Rows read at once.
    form : {"arrow", "parquet"}
        Files of the blocks.
    """

    routes: Routes
    source: StoredTables
    folder: Path
    n_blocks: int
    batch_rows: int
    form: Literal["arrow", "parquet"] = "arrow"

    @property
    def plan(self) -> FeaturePlan:
        """The features."""
        return self.routes.plan

    def chunks(self, table: str) -> list[Chunk]:
        """Return the runs of rows of `table`, each the work of one call."""
        return self.source.chunks(table, self.batch_rows)

    def index_of(self, node: Node) -> KeyIndex | None:
        """Return the index that tells where rows of `node` go; None where a hash alone does."""
        column = self.routes.needs_index(node)
        return None if column is None or node.follows is None else self.index(self.routes.nodes[node.follows], column)

    def index(self, node: Node, column: str) -> KeyIndex:
        """Return the index of `node` by `column`."""
        hashes, blocks = (np.load(path, mmap_mode="r") for path in self._index_files(node, column))
        return KeyIndex(hashes, blocks)

    def _index_files(self, node: Node, column: str) -> tuple[Path, Path]:
        name = f"index-{self.routes.indexed.index((node, column))}"
        return self.folder / f"{name}-hashes.npy", self.folder / f"{name}-blocks.npy"

    def blocks_of(self, keys: np.ndarray) -> np.ndarray:
        """Return the block in which each root key is asked about; an unknown one goes anywhere, to be refused there."""
        texts = pa.array([key if isinstance(key, str) else None for key in keys], pa.string())
        hashes = hash_texts(texts)
        if self.routes.root.hashed == self.plan.key_column:
            return block_of(hashes, self.n_blocks)
        blocks = np.zeros(hashes.size, dtype=np.int32)
        rows, found = self.index(self.routes.root, self.plan.key_column).find(hashes)
        blocks[rows] = found
        return blocks


def plan_cuts(
    plan: FeaturePlan,
    source: StoredTables,
    folder: Path,
    *,
    memory_mb: float,
    n_workers: int,
    form: Literal["arrow", "parquet"] = "arrow",
    min_blocks: int = 1,
) -> list[Cut]:
    """Return the cuts that together compute all features of `plan` that can be cut; each has its own folder."""
    positions = [number for number, item in enumerate(plan.definitions) if can_be_cut(item)]
    per_worker = max(memory_mb, 64) * _MB / n_workers
    cuts = []
    for number, routes in enumerate(plan_routes(plan, positions)):
        widths = {name: _row_bytes(schema) for name, schema in routes.plan.tables.items()}
        total = sum(source.n_rows(name) * width for name, width in widths.items())
        n_blocks = min(max(-(-int(total * _BLOCK_COST) // int(per_worker)), min_blocks), _MAX_BLOCKS)
        rows = int(per_worker / (_BATCH_COST * max(widths.values())))
        batch_rows = min(max(rows, _MIN_BATCH_ROWS), _MAX_BATCH_ROWS)
        place = folder / f"cut-{number}"
        place.mkdir(parents=True)
        cuts.append(Cut(routes, source, place, n_blocks, batch_rows, form))
    return cuts


def _row_bytes(schema: TableSchema) -> int:
    return sum(_TEXT_BYTES if kind in ("key", "category") else 8 for kind in schema.columns.values())


def index_chunk(cut: Cut, node: Node, column: str, chunk: Chunk) -> tuple[Path, Path]:
    """Write the hashes of `column`, ascending, and the blocks of their rows; returns the two files."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    index = cut.index_of(node)
    wanted = list(dict.fromkeys([node.column, column]))
    for batch in read_chunk(chunk, cut.plan.tables[node.table], wanted, cut.batch_rows):
        rows, blocks = place_rows(node, hash_texts(batch.column(node.column)), index, cut.n_blocks)
        hashes = hash_texts(batch.column(column))[rows]
        parts.append((hashes[hashes != 0], mark_further(rows, blocks)[hashes != 0]))
    hashes = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.uint64)
    blocks = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, dtype=np.int32)
    if not cut.routes.is_key(node, column):
        hashes, blocks = distinct_pairs(hashes, blocks)
    order = np.argsort(hashes, kind="stable")
    name = f"run-{cut.routes.indexed.index((node, column))}-{chunk.number:06d}"
    files = cut.folder / f"{name}-hashes.npy", cut.folder / f"{name}-blocks.npy"
    np.save(files[0], hashes[order])
    np.save(files[1], blocks[order])
    return files


def merge_index(cut: Cut, node: Node, column: str, runs: Sequence[tuple[Path, Path]]) -> None:
    """Merge the files of `index_chunk` into the index that `Cut.index` maps, and remove them."""
    mapped = [(np.load(hashes, mmap_mode="r"), np.load(blocks, mmap_mode="r")) for hashes, blocks in runs]
    total = sum(hashes.size for hashes, _ in mapped)
    hashes_file, blocks_file = cut._index_files(node, column)  # noqa: SLF001 - one module
    hashes, blocks = np.empty(total, dtype=np.uint64), np.empty(total, dtype=np.int32)
    if total:  # an empty file cannot be mapped
        hashes = np.lib.format.open_memmap(hashes_file, "w+", np.uint64, (total,))
        blocks = np.lib.format.open_memmap(blocks_file, "w+", np.int32, (total,))
        begin, is_key = 0, cut.routes.is_key(node, column)
        for piece in merge_runs(mapped, _MERGE_ROWS):
            if is_key:
                _refuse_repeated(cut, node, column, repeated(*piece))
            some_hashes, some_blocks = piece if is_key else distinct_pairs(*piece)
            end = begin + some_hashes.size
            hashes[begin:end], blocks[begin:end] = some_hashes, some_blocks
            begin = end
        hashes[begin:], blocks[begin:] = _BEYOND, 0  # pairs that several runs had
    else:
        np.save(hashes_file, hashes)
        np.save(blocks_file, blocks)
    del mapped
    for file in (file for run in runs for file in run):
        file.unlink()


def _refuse_repeated(cut: Cut, node: Node, column: str, suspects: np.ndarray) -> None:
    """Raise `InputError` where a key comes twice and not just its hash."""
    if not suspects.size:
        return
    schema = cut.plan.tables[node.table]
    seen: set[str] = set()
    for chunk in cut.chunks(node.table):
        for batch in read_chunk(chunk, schema, [column], cut.batch_rows):
            texts = batch.column(column)
            for key in texts.filter(pa.array(np.isin(hash_texts(texts), suspects))).to_pylist():
                if key in seen:
                    raise InputError(
                        msg("the key {key} comes more than once", key=repr(key)), where=f"{node.table}, column {column}"
                    )
                seen.add(key)


def cut_chunk(cut: Cut, chunk: Chunk) -> None:
    """Write the rows of `chunk`, each to every block that needs it, in their order."""
    schema = cut.plan.tables[chunk.table]
    write = write_arrow if cut.form == "arrow" else write_parquet
    write(cut.folder, chunk.table, chunk.number, _placed(cut, chunk, schema))


def _placed(cut: Cut, chunk: Chunk, schema: TableSchema) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield rows ordered by block, with where each block ends."""
    nodes = cut.routes.of_table(chunk.table)
    indexes = [cut.index_of(node) for node in nodes]
    for batch in read_chunk(chunk, schema, list(schema.columns), cut.batch_rows):
        hashes = {column: hash_texts(batch.column(column)) for column in {node.column for node in nodes}}
        pairs = [
            place_rows(node, hashes[node.column], index, cut.n_blocks)
            for node, index in zip(nodes, indexes, strict=True)
        ]
        rows, blocks = unite(pairs)
        yield batch.take(pa.array(rows)), np.searchsorted(blocks, np.arange(cut.n_blocks), side="right")


def compute_block(cut: Cut, block: int, keys: np.ndarray, cutoffs: np.ndarray) -> np.ndarray:
    """Return the features of the questions that fall into `block`."""
    plan = cut.plan
    data = arrow_engine_data(
        plan, {name: read_block(cut.folder, name, schema, block, cut.n_blocks) for name, schema in plan.tables.items()}
    )
    values = np.empty((len(keys), len(plan.definitions)))
    for begin in range(0, len(keys), _QUESTIONS_AT_ONCE):
        some = slice(begin, begin + _QUESTIONS_AT_ONCE)
        values[some] = compute(plan, data, keys[some], cutoffs[some])
    return values


def stream_matrix(
    source: Source,
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    memory_mb: float = 1_024,
    folder: Path | None = None,
    temporary: Path | None = None,
    n_workers: int | None = None,
    progress: Progress | None = None,
) -> FeatureMatrix:
    """Compute the features of each (key, cutoff) from Parquet files, in bounded memory; the bits of `build_matrix`.

    The tables are cut by a hash of the entity's key into blocks on disk, each small enough for its share of the memory;
    the rows of one entity are never divided, so the greatest entity must fit too, and the rows of counterparties go
    along with each entity whose features reach them. Features that cannot be cut by entity, such as those of peer
    groups, are computed on whole tables in memory.

    Parameters
    ----------
    source : path or mapping of str to path or to list of paths
        Folder of a saved table set, or Parquet files per table.
    plan : FeaturePlan
        What to compute.
    keys, cutoffs : arrays of shape (n_rows,)
        The questions.
    memory_mb : float, default=1024
        Memory to work in, beside that of the libraries and of the result.
    folder : path, optional
        Write the matrix there as `FeatureMatrix.save` does, its values through a mapped file: then the result takes no
        memory either.
    temporary : path, optional
        Where the blocks are kept meanwhile, about as large as the tables uncompressed; by default the system's place.
    n_workers : int, optional
        Threads; by default as many as there are processors, at most 8.
    progress : Progress, optional
        Told after each chunk and block; may cancel.

    Raises
    ------
    NotFoundError
        A table has no file, or a key is not in the root table.
    """
    progress = progress or SilentProgress()
    keys, cutoffs = np.asarray(keys, dtype=object), np.asarray(cutoffs).astype("datetime64[ns]")
    stored = StoredTables.open(source, plan.tables)
    workers = n_workers or min(os.cpu_count() or 1, 8)
    values = new_values(folder, (len(keys), len(plan.definitions)))
    with tempfile.TemporaryDirectory(prefix="features-", dir=temporary) as place:
        cuts = plan_cuts(plan, stored, Path(place), memory_mb=memory_mb, n_workers=workers)
        for number, cut in enumerate(cuts):
            _run(cut, keys, cutoffs, values, workers, progress.part(number / len(cuts), (number + 1) / len(cuts)))
    compute_whole(plan, stored, keys, cutoffs, values)
    matrix = FeatureMatrix(values, keys, cutoffs, plan)
    if folder is not None:
        matrix.save(folder)
    return matrix


def new_values(folder: Path | None, shape: tuple[int, int]) -> np.ndarray:
    """Return an array for the matrix: in memory, or mapped to its file in `folder`."""
    if folder is None or not shape[0] * shape[1]:
        return np.empty(shape)
    return FeatureMatrix.new_values(folder, shape)


def _run(
    cut: Cut, keys: np.ndarray, cutoffs: np.ndarray, values: np.ndarray, n_workers: int, progress: Progress
) -> None:
    with ThreadPoolExecutor(n_workers) as pool:
        for node, column in cut.routes.indexed:
            runs: list[Any] = _all(pool, [_call(index_chunk, cut, node, column, c) for c in cut.chunks(node.table)])
            merge_index(cut, node, column, runs)
        chunks = [chunk for name in cut.plan.tables for chunk in cut.chunks(name)]
        _all(
            pool,
            [_call(cut_chunk, cut, c) for c in chunks],
            progress.part(0.0, 0.4),
            msg("cutting the tables by entity"),
        )
        rows_of = group_rows(cut.blocks_of(keys), cut.n_blocks)

        def fill(block: int, rows: np.ndarray) -> None:
            place = np.ix_(rows, np.array(cut.routes.positions))
            values[place] = compute_block(cut, block, keys[rows], cutoffs[rows])
            _let_go(values)

        calls = [_call(fill, block, rows) for block, rows in enumerate(rows_of) if rows.size]
        _all(pool, calls, progress.part(0.4, 1.0), msg("computing block after block"))


def group_rows(blocks: np.ndarray, n_blocks: int) -> list[np.ndarray]:
    """Return the rows of each block."""
    order = np.argsort(blocks, kind="stable")
    return np.split(order, np.searchsorted(blocks[order], np.arange(1, n_blocks)))


def _call(work: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    def call() -> Any:
        try:
            return work(*arguments)
        finally:
            pa.default_memory_pool().release_unused()  # a thread gives back only what it took itself

    return call


def _all(
    pool: ThreadPoolExecutor,
    calls: Iterable[Callable[[], Any]],
    progress: Progress | None = None,
    message: Message | None = None,
) -> list[Any]:
    """Run all `calls`, telling the progress; where one fails or a person cancels, those not begun are dropped."""
    futures = [pool.submit(call) for call in calls]
    try:
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            pa.default_memory_pool().release_unused()
            if progress is not None and message is not None:
                progress.report(done / len(futures), message)
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    return [future.result() for future in futures]


def _let_go(values: np.ndarray) -> None:
    """Take the pages of a mapped file out of our memory; what was written stays with the file."""
    import mmap

    mapped = getattr(values, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def compute_whole(
    plan: FeaturePlan, source: StoredTables, keys: np.ndarray, cutoffs: np.ndarray, values: np.ndarray
) -> None:
    """Fill in the features that cannot be cut, from whole tables."""
    positions = [number for number, item in enumerate(plan.definitions) if not can_be_cut(item)]
    if not positions:
        return
    part = plan.select([plan.definitions[number].alias for number in positions])
    data = _whole_data(part, source)
    for begin in range(0, len(keys), _QUESTIONS_AT_ONCE):
        some = slice(begin, begin + _QUESTIONS_AT_ONCE)
        values[some, positions] = compute(part, data, keys[some], cutoffs[some])


def load_data(plan: FeaturePlan, source: Source) -> EngineData:
    """Read the tables of `plan` from Parquet files into memory, as `EngineData.from_table_set` would give them."""
    return _whole_data(plan, StoredTables.open(source, plan.tables))


def _whole_data(plan: FeaturePlan, source: StoredTables) -> EngineData:
    return arrow_engine_data(plan, {name: _whole_table(source, name, schema) for name, schema in plan.tables.items()})


def _whole_table(source: StoredTables, table: str, schema: TableSchema) -> Any:
    columns = list(schema.columns)
    chunks = source.chunks(table, _MAX_BATCH_ROWS)
    return pa.concat_tables(
        [batch for chunk in chunks for batch in read_chunk(chunk, schema, columns, _MAX_BATCH_ROWS)]
        or [empty_table(schema)]
    )
