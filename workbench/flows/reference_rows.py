"""The rows a version was built on, as feature values: what a picture of drift holds the present against."""

from typing import TYPE_CHECKING

import numpy as np

from features.matrix import build_matrix
from workbench.flows import importing
from workbench.flows.context import Context
from workbench.flows.scoring import chosen_rows

if TYPE_CHECKING:
    from model_registry.bundle import Bundle

__all__ = ["reference_values"]

_MAX_ROWS = 5_000


def reference_values(ctx: Context, project: str, bundle: "Bundle") -> np.ndarray:
    """Return the values of a bounded sample of the stored rows in the version's development window."""
    table_set = importing.tables(ctx, project)
    keys, cutoffs = chosen_rows(table_set, bundle.label, "all", None)
    start, end = (np.datetime64(day) for day in bundle.info["development_window"])
    rows = np.flatnonzero((cutoffs >= start) & (cutoffs <= end))
    if len(rows) > _MAX_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MAX_ROWS, replace=False))
    return build_matrix(table_set, bundle.plan, keys[rows], cutoffs[rows]).values
