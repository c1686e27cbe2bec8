"""The matrix on a Dask cluster: tables partitioned by entity as Parquet, and the engine run on every partition."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.i18n import Message, msg
from core.progress import Progress, SilentProgress
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan
from features.streaming import (
    Cut,
    compute_block,
    compute_whole,
    cut_chunk,
    group_rows,
    index_chunk,
    merge_index,
    new_values,
    plan_cuts,
)  # fmt: skip
from features.streaming_source import Source, StoredTables

__all__ = ["dask_matrix", "local_cluster"]

_BLOCKS_PER_THREAD: Final = 3


def dask_matrix(
    source: Source,
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    client: Any = None,
    shared: Path | None = None,
    memory_mb: float = 1_024,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> FeatureMatrix:
    """Compute the features of each (key, cutoff) on a Dask cluster; the bits of `build_matrix`.

    The tables are written again as Parquet, partitioned by entity (``table=NAME/block=00007/...``), by tasks that each
    read a run of row groups; then one task per partition computes its features with the engine of every other path. A
    task that is repeated because its worker died writes the same files again.

    Parameters
    ----------
    source : path or mapping of str to path or to list of paths
        Folder of a saved table set, or Parquet files per table; every worker must see them under the same path.
    plan : FeaturePlan
        What to compute.
    keys, cutoffs : arrays of shape (n_rows,)
        The questions.
    client : distributed.Client, optional
        The cluster, such as ``Client("tcp://scheduler:8786")``; by default a local one of two processes.
    shared : path, optional
        Folder that all workers see, for the partitions; needed unless the cluster is on this machine.
    memory_mb : float, default=1024
        Memory to work in per worker thread.
    folder : path, optional
        Where to write the matrix, as in `features.streaming.stream_matrix`.
    progress : Progress, optional
        Told after each task; may cancel.
    """
    progress = progress or SilentProgress()
    keys, cutoffs = np.asarray(keys, dtype=object), np.asarray(cutoffs).astype("datetime64[ns]")
    stored = StoredTables.open(source, plan.tables).resolved()
    values = new_values(folder, (len(keys), len(plan.definitions)))
    opened: AbstractContextManager[Any] = nullcontext(client) if client is not None else local_cluster()
    with opened as cluster, tempfile.TemporaryDirectory(prefix="features-", dir=shared) as place:
        n_threads = sum(cluster.nthreads().values())
        cuts = plan_cuts(plan, stored, Path(place).resolve(), memory_mb=memory_mb, n_workers=1, form="parquet",
                         min_blocks=n_threads * _BLOCKS_PER_THREAD)  # fmt: skip
        for number, cut in enumerate(cuts):
            part = progress.part(number / len(cuts), (number + 1) / len(cuts))
            _run(cluster, cut, keys, cutoffs, values, part)
    compute_whole(plan, stored, keys, cutoffs, values)
    matrix = FeatureMatrix(values, keys, cutoffs, plan)
    if folder is not None:
        matrix.save(folder)
    return matrix


def local_cluster(n_workers: int = 2) -> Any:
    """Return a client of `n_workers` processes on this machine, without a dashboard; use it as a context."""
    import distributed

    client: Any = distributed.Client  # untyped there
    return client(n_workers=n_workers, threads_per_worker=1, dashboard_address=None, processes=True)


def _run(client: Any, cut: Cut, keys: np.ndarray, cutoffs: np.ndarray, values: np.ndarray, progress: Progress) -> None:
    there = client.scatter(cut, broadcast=True)
    for node, column in cut.routes.indexed:
        runs: list[Any] = [None] * len(chunks := cut.chunks(node.table))
        calls = [(there, node, column, chunk) for chunk in chunks]
        _each(client, index_chunk, calls, runs.__setitem__)
        merge_index(cut, node, column, runs)
    cutting = [(there, chunk) for name in cut.plan.tables for chunk in cut.chunks(name)]
    _each(client, cut_chunk, cutting, _ignore, progress.part(0.0, 0.4), msg("cutting the tables by entity"))
    asked = [(block, rows) for block, rows in enumerate(group_rows(cut.blocks_of(keys), cut.n_blocks)) if rows.size]
    columns = np.array(cut.routes.positions)

    def fill(number: int, found: np.ndarray) -> None:
        values[np.ix_(asked[number][1], columns)] = found

    computing = [(there, block, keys[rows], cutoffs[rows]) for block, rows in asked]
    _each(client, compute_block, computing, fill, progress.part(0.4, 1.0), msg("computing block after block"))


def _each(
    client: Any,
    work: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    take: Callable[[int, Any], None],
    progress: Progress | None = None,
    message: Message | None = None,
) -> None:
    """Run all `calls` on the cluster and hand on each answer with its number as it comes.

    Two tasks per thread are under way at most, so that answers do not pile up; on an error or a cancel these are waited
    for, so that none writes on into a folder that is being removed.
    """
    import distributed

    as_completed: Any = distributed.as_completed  # untyped there
    wait: Any = distributed.wait
    numbers: dict[Any, int] = {}
    waiting = iter(enumerate(calls))

    def submit(n_calls: int) -> list[Any]:
        for number, call in islice(waiting, n_calls):
            numbers[client.submit(work, *call, pure=False)] = number
        return list(numbers)

    running = as_completed(submit(2 * sum(client.nthreads().values())))
    try:
        for done, future in enumerate(running, start=1):
            take(numbers.pop(future), future.result())
            before = set(numbers)
            running.update(set(submit(1)) - before)
            if progress is not None and message is not None:
                progress.report(done / len(calls), message)
    except BaseException:
        wait(list(numbers))
        raise


def _ignore(number: int, answer: Any) -> None:
    """Take nothing of what a task returns."""
    del number, answer
