"""Proposing words: one feature for each word that is frequent in a text, or in a category of many levels."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from features.definitions import FeatureDefinition, PathStep
from features.spec import FeatureSpec
from features.words import frequent_words, is_text

if TYPE_CHECKING:
    from warehouse.data_model import DataModel
    from warehouse.table_set import TableSet

__all__ = ["text_features"]

_TYPES: Final = ("category", "text")
_SAMPLE_ROWS: Final = 20_000

Path = tuple[PathStep, ...]


def text_features(
    table_set: "TableSet",
    root_table: str,
    key_column: str,
    paths: Sequence[Path],
    spec: FeatureSpec,
    *,
    keys: np.ndarray,
    cutoffs: np.ndarray,
) -> Iterator[FeatureDefinition]:
    """Yield a feature for each frequent word of the texts that the rows asked for see, without readable names.

    No outcome is looked at. Columns that tell of a person are left out, and columns filled in later.

    Parameters
    ----------
    table_set : TableSet
        The data.
    root_table, key_column : str
        Table of the feature rows, and its key.
    paths : sequence of tuple of PathStep
        The ways up to look along; the root itself is the empty one.
    spec : FeatureSpec
        What the analyst chose.
    keys, cutoffs : arrays of shape (n_rows,)
        Training rows; at most 20,000, spread evenly, are looked at.
    """
    from features.planning import make_plan
    from features.raw_columns import raw_columns

    if "contains" not in spec.chosen or not spec.words:
        return
    columns = [
        (path, column) for path in paths for column in _texts(table_set, path[-1].table if path else root_table, spec)
    ]
    if not columns:
        return
    rows = np.linspace(0, len(keys) - 1, min(len(keys), _SAMPLE_ROWS)).astype(np.int64)
    probes = [FeatureDefinition.create(path, column, "contains", word="x") for path, column in columns]
    plan = make_plan(table_set, root_table, key_column, probes)
    found = {
        (item.table, item.column): frequent_words(*_seen(item.levels, item.values), spec.words)
        for item in raw_columns(table_set, plan, keys[rows], cutoffs[rows])
        if is_text(_seen(item.levels, item.values)[0])
    }
    for path, column in columns:
        for word in found.get((path[-1].table if path else root_table, column), ()):
            yield FeatureDefinition.create(path, column, "contains", word=word)


def _texts(table_set: "TableSet", table: str, spec: FeatureSpec) -> list[str]:
    """Return the columns of a table that may hold texts: nobody's own, and none that links tables."""
    from warehouse.quality.personal import personal_columns

    model: DataModel = table_set.data_model
    linking = {link.child_column for link in model.parents_of(table)}
    linking |= {link.parent_column for link in model.children_of(table)}
    left_out = linking | set(spec.ignore.get(table, ()))
    asked = [
        name
        for name, column in model.table(table).columns.items()
        if column.type in _TYPES and column.role == "feature" and name not in left_out
    ]
    if not asked:
        return []
    personal = personal_columns(model.table(table), table_set.frame(table), {})
    return [name for name in asked if name not in personal]


def _seen(levels: tuple[str, ...], codes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the levels that the rows see, and by how many rows each is seen."""
    counts = np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=len(levels))
    seen = np.flatnonzero(counts)
    return [levels[number] for number in seen], counts[seen]
