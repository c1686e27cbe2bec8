"""The matrix of feature values: one row per (entity, cutoff), with the plan that made it."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from core.errors import InputError, IntegrityError, NotFoundError
from core.fingerprints import canonical_json, fingerprint_array, fingerprint_file, fingerprint_json
from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.engine import EngineData, compute
from features.plan import FeatureGroup, FeaturePlan

if TYPE_CHECKING:
    import pandas as pd

    from features.streaming_source import Source
    from warehouse.table_set import TableSet

__all__ = ["FeatureMatrix", "build_matrix"]

_VALUES: Final = "values.npy"
_CUTOFFS: Final = "cutoffs.npy"
_KEYS: Final = "keys.json"
_PLAN: Final = "plan.json"
_MANIFEST: Final = "manifest.json"
_BLOCK_ROWS: Final = 20_000


@dataclass(frozen=True)
class FeatureMatrix:
    """Feature values.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_features), float64
        Numbers; codes for categories; NaN for null.
    keys : ndarray of shape (n_rows,), object
        Key of the root row.
    cutoffs : ndarray of shape (n_rows,), datetime64[ns]
        The moment before which everything used was known.
    plan : FeaturePlan
        What the columns are.
    """

    values: np.ndarray
    keys: np.ndarray
    cutoffs: np.ndarray
    plan: FeaturePlan

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """The values as a DataFrame of shape (n_rows, n_features), indexed by key, columns by alias."""
        import pandas as pd

        return pd.DataFrame(
            self.values, index=pd.Index(self.keys, name=self.plan.key_column), columns=list(self.plan.aliases)
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of plan, keys, cutoffs and values."""
        arrays = [fingerprint_array(array) for array in (self.values, self.keys, self.cutoffs)]
        return fingerprint_json([self.plan.fingerprint, *arrays])

    def column(self, alias: str) -> np.ndarray:
        """Return the values of one feature; raises `NotFoundError` where there is none."""
        self.plan.definition(alias)
        column: np.ndarray = self.values[:, self.plan.positions[alias]]
        return column

    def select(self, aliases: Sequence[str]) -> "FeatureMatrix":
        """Return the matrix of only these features, in this order."""
        plan = self.plan.select(aliases)
        columns = [self.plan.positions[alias] for alias in aliases]
        return replace(self, values=self.values[:, columns], plan=plan)

    def take(self, row_indices: np.ndarray) -> "FeatureMatrix":
        """Return the matrix of only these rows, in this order."""
        return replace(
            self, values=self.values[row_indices], keys=self.keys[row_indices], cutoffs=self.cutoffs[row_indices]
        )

    def save(self, folder: Path) -> None:
        """Write the matrix to `folder`: arrays, keys and plan, with a manifest of their SHA-256."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(self.values, np.memmap) and Path(str(self.values.filename)) == (folder / _VALUES).resolve():
            self.values.flush()
        else:
            np.save(folder / _VALUES, self.values, allow_pickle=False)
        np.save(folder / _CUTOFFS, self.cutoffs, allow_pickle=False)
        (folder / _KEYS).write_bytes(canonical_json([str(key) for key in self.keys]))
        self.plan.save(folder / _PLAN)
        files = {name: fingerprint_file(folder / name) for name in (_VALUES, _CUTOFFS, _KEYS, _PLAN)}
        (folder / _MANIFEST).write_bytes(canonical_json(files))

    @staticmethod
    def new_values(folder: Path, shape: tuple[int, int]) -> np.ndarray:
        """Return values of `shape` mapped to the file that `save` would write to `folder`, to be filled in."""
        folder = Path(folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return np.lib.format.open_memmap(folder / _VALUES, "w+", np.float64, shape)

    @classmethod
    def load(cls, folder: Path, *, mapped: bool = False) -> "FeatureMatrix":
        """Read what `save` wrote; with `mapped` the values stay in their file and are read as they are used.

        Raises
        ------
        NotFoundError
            There is no matrix in `folder`.
        IntegrityError
            A file is missing or its bytes are not the ones that were saved.
        """
        folder = Path(folder)
        _require_whole(folder)
        keys = np.empty(len(names := json.loads((folder / _KEYS).read_bytes())), dtype=object)
        keys[:] = names
        return cls(
            values=np.load(folder / _VALUES, allow_pickle=False, mmap_mode="r" if mapped else None),
            keys=keys,
            cutoffs=np.load(folder / _CUTOFFS, allow_pickle=False),
            plan=FeaturePlan.load(folder / _PLAN),
        )

    @staticmethod
    def load_plan(folder: Path) -> FeaturePlan:
        """Read what the columns are, and nothing of their values; raises as `load` does."""
        folder = Path(folder)
        _require_whole(folder, (_PLAN,))
        return FeaturePlan.load(folder / _PLAN)


def _require_whole(folder: Path, names: tuple[str, ...] = ()) -> None:
    """Refuse files that are not the ones that were saved: those of `names`, or all."""
    if not (folder / _MANIFEST).is_file():
        raise NotFoundError(msg("there is no feature matrix here"), where=str(folder))
    saved: dict[str, str] = json.loads((folder / _MANIFEST).read_bytes())
    for name in names or saved:
        if not (folder / name).is_file() or fingerprint_file(folder / name) != saved.get(name):
            raise IntegrityError(msg("the bytes of the file are not the ones that were saved"), where=name)


def build_matrix(
    table_set: "TableSet | Source",
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    engine: Literal["memory", "stream", "dask"] | None = None,
    memory_mb: float = 1_024,
    folder: Path | None = None,
    temporary: Path | None = None,
    client: Any = None,
    progress: Progress | None = None,
    on_group: Callable[[FeatureGroup, int], None] | None = None,
) -> FeatureMatrix:
    """Compute the features of each (key, cutoff); every engine gives the same bits.

    Parameters
    ----------
    table_set : TableSet, path or mapping of str to path or to list of paths
        The tables; or the folder of a saved table set, or Parquet files per table.
    plan : FeaturePlan
        What to compute.
    keys : array of shape (n_rows,)
        Keys of root rows; one may come with several cutoffs.
    cutoffs : array of shape (n_rows,), datetime64
        Cutoff per row.
    engine : {"memory", "stream", "dask"}, optional
        All tables in memory; blocks of entities one after another (see `features.streaming`); or blocks spread over the
        workers of a Dask cluster (see `features.scale_dask`). By default in memory for a table set, else by blocks.
    memory_mb : float, default=1024
        Memory to work in, block by block; with Dask per worker thread.
    folder : path, optional
        Block by block: where to write the matrix, so that it need not stand in memory.
    temporary : path, optional
        Where blocks are kept meanwhile; with Dask a folder that all workers see.
    client : distributed.Client, optional
        The cluster; a local one by default.
    progress : Progress, optional
        Told after each block of rows.
    on_group : callable of (FeatureGroup, int), optional
        In memory: told of each group of features computed, and of how many rows; what it raises ends the work.

    Raises
    ------
    NotFoundError
        A key is not in the root table.
    InputError
        The engine needs tables on disk and was given a table set in memory.
    """
    if plan.comparisons is not None and engine != "memory" and isinstance(table_set, Path | str | Mapping):
        return _by_comparing(table_set, plan, keys, cutoffs, engine=engine, memory_mb=memory_mb, folder=folder,
                             temporary=temporary, client=client, progress=progress)  # fmt: skip
    if not isinstance(table_set, Path | str | Mapping):
        if engine in ("stream", "dask"):
            raise InputError(
                msg("the engine {engine} reads Parquet files, not tables in memory", engine=str(engine)),
                fix=msg("Save the table set and give its folder."),
            )
        tables = table_set
        return _in_memory(
            tables, lambda: EngineData.from_table_set(plan, tables), plan, keys, cutoffs, progress, on_group
        )
    source = table_set
    if engine == "memory":
        from features.streaming import load_data

        return _in_memory(source, lambda: load_data(plan, source), plan, keys, cutoffs, progress, on_group)
    if engine == "dask":
        from features.scale_dask import dask_matrix

        return dask_matrix(
            source, plan, keys, cutoffs,
            client=client, shared=temporary, memory_mb=memory_mb, folder=folder, progress=progress,
        )  # fmt: skip
    from features.streaming import stream_matrix

    return stream_matrix(
        source, plan, keys, cutoffs, memory_mb=memory_mb, folder=folder, temporary=temporary, progress=progress
    )


def _by_comparing(
    source: "Source",
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    folder: Path | None,
    temporary: Path | None,
    progress: Progress | None,
    **how: Any,
) -> FeatureMatrix:
    """Compute ordinary features by blocks, those of the peers too, and compare."""
    from features.peer_reference import peer_reference
    from features.streaming import new_values

    made, progress = plan.comparisons, progress or SilentProgress()
    if made is None:
        raise ValueError("the plan compares nothing")
    how |= {"temporary": temporary, "engine": how["engine"] or "stream"}
    keys, cutoffs = np.asarray(keys, dtype=object), np.asarray(cutoffs).astype("datetime64[ns]")
    reference = peer_reference(source, plan, cutoffs, progress=progress.part(0.0, 0.4), **how)
    if reference is None:
        raise ValueError("the plan compares nothing")
    values = new_values(folder, (len(keys), len(plan.definitions)))
    with tempfile.TemporaryDirectory(prefix="features-", dir=temporary) as place:
        own = build_matrix(
            source, made.own, keys, cutoffs, folder=Path(place), progress=progress.part(0.4, 1.0), **how
        ).values
        for start in range(0, len(keys), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            values[block] = made.fill(np.asarray(own[block]), cutoffs[block].view(np.int64), reference)
    matrix = FeatureMatrix(values, keys, cutoffs, plan)
    if folder is not None:
        matrix.save(folder)
    return matrix


def _in_memory(
    tables: "TableSet | Source",
    prepare: Callable[[], EngineData],
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    progress: Progress | None,
    on_group: Callable[[FeatureGroup, int], None] | None,
) -> FeatureMatrix:
    progress = progress or SilentProgress()
    progress.report(0.0, msg("sorting the histories"))
    data = prepare()
    reference = None
    if plan.comparisons is not None:
        from features.peer_reference import peer_reference

        reference = peer_reference(tables, plan, cutoffs, data=data, progress=progress.part(0.0, 0.4))
        progress = progress.part(0.4, 1.0)
    keys = np.asarray(keys, dtype=object)
    cutoffs = np.asarray(cutoffs).astype("datetime64[ns]")
    values = np.empty((len(keys), len(plan.definitions)))
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        n_rows = len(keys[block])
        told = None if on_group is None else partial(_tell, on_group, n_rows)
        values[block] = compute(plan, data, keys[block], cutoffs[block], on_group=told, reference=reference)
        done = min(start + _BLOCK_ROWS, len(keys))
        progress.report(done / len(keys), msg("computed {done} of {total} rows", done=done, total=len(keys)))
    return FeatureMatrix(values, keys, cutoffs, plan)


def _tell(on_group: Callable[[FeatureGroup, int], None], n_rows: int, group: FeatureGroup) -> None:
    on_group(group, n_rows)
