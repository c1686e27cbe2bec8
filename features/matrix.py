"""The matrix of feature values: one row per (entity, cutoff), with the plan that made it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from core.errors import IntegrityError, NotFoundError
from core.fingerprints import canonical_json, fingerprint_array, fingerprint_file, fingerprint_json
from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.engine import EngineData, compute
from features.plan import FeaturePlan

if TYPE_CHECKING:
    import pandas as pd

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
        np.save(folder / _VALUES, self.values, allow_pickle=False)
        np.save(folder / _CUTOFFS, self.cutoffs, allow_pickle=False)
        (folder / _KEYS).write_bytes(canonical_json([str(key) for key in self.keys]))
        self.plan.save(folder / _PLAN)
        files = {name: fingerprint_file(folder / name) for name in (_VALUES, _CUTOFFS, _KEYS, _PLAN)}
        (folder / _MANIFEST).write_bytes(canonical_json(files))

    @classmethod
    def load(cls, folder: Path) -> "FeatureMatrix":
        """Read what `save` wrote.

        Raises
        ------
        NotFoundError
            There is no matrix in `folder`.
        IntegrityError
            A file is missing or its bytes are not the ones that were saved.
        """
        import json

        folder = Path(folder)
        if not (folder / _MANIFEST).is_file():
            raise NotFoundError(msg("there is no feature matrix here"), where=str(folder))
        for name, expected in json.loads((folder / _MANIFEST).read_bytes()).items():
            if not (folder / name).is_file() or fingerprint_file(folder / name) != expected:
                raise IntegrityError(msg("the bytes of the file are not the ones that were saved"), where=name)
        keys = np.empty(len(names := json.loads((folder / _KEYS).read_bytes())), dtype=object)
        keys[:] = names
        return cls(
            values=np.load(folder / _VALUES, allow_pickle=False),
            keys=keys,
            cutoffs=np.load(folder / _CUTOFFS, allow_pickle=False),
            plan=FeaturePlan.load(folder / _PLAN),
        )


def build_matrix(
    table_set: "TableSet",
    plan: FeaturePlan,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    progress: Progress | None = None,
) -> FeatureMatrix:
    """Compute the features of each (key, cutoff).

    Parameters
    ----------
    table_set : TableSet
        The tables.
    plan : FeaturePlan
        What to compute.
    keys : array of shape (n_rows,)
        Keys of root rows; one may come with several cutoffs.
    cutoffs : array of shape (n_rows,), datetime64
        Cutoff per row.
    progress : Progress, optional
        Told after each block of rows.

    Raises
    ------
    NotFoundError
        A key is not in the root table.
    """
    progress = progress or SilentProgress()
    progress.report(0.0, msg("sorting the histories"))
    data = EngineData.from_table_set(plan, table_set)
    keys = np.asarray(keys, dtype=object)
    cutoffs = np.asarray(cutoffs).astype("datetime64[ns]")
    values = np.empty((len(keys), len(plan.definitions)))
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        values[block] = compute(plan, data, keys[block], cutoffs[block])
        done = min(start + _BLOCK_ROWS, len(keys))
        progress.report(done / len(keys), msg("computed {done} of {total} rows", done=done, total=len(keys)))
    return FeatureMatrix(values, keys, cutoffs, plan)
