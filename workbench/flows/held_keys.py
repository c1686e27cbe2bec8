"""Where a person's cases still stand beside the score log: the tables, what was made of them, and what was published.

An erasure takes away what the workbench wrote by itself, answers and outcomes. The tables are the institution's own
records, and what a model was trained and approved on is kept as its evidence; who wants these gone must know where.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from core.errors import ConflictError
from core.i18n import Message, msg
from features.online import NoSnapshotError, SnapshotPlace
from features.online_places import enterprise_place, snapshot_place
from workbench.flows import evaluation, features, projects
from workbench.flows.context import Context
from workbench.flows.results import MessageField
from workbench.flows.stored_columns import stored_columns

__all__ = ["HeldPlace", "still_held"]


@dataclass(frozen=True)
class HeldPlace:
    """A place that holds some of the keys: how many of its rows, and what takes them away."""

    place: str
    title: MessageField
    n_rows: int
    remedy: MessageField


def still_held(ctx: Context, project: str, keys: Iterable[str]) -> tuple[HeldPlace, ...]:
    """Return the places that hold rows of some keys; needs ``view``.

    Parameters
    ----------
    keys : iterable of str
        Keys of cases, or of enterprises.

    Raises
    ------
    UnavailableError, IntegrityError
        A published snapshot is there and cannot be read, so that nothing can be said of it.
    """
    ctx.require("view")
    wanted = sorted(set(keys))
    again = msg("import the tables without these rows; features and snapshots are then made of what is left")
    kept = msg("kept as evidence of what was approved; it goes with the project's folder of predictions")
    places: tuple[tuple[str, Message, Callable[[Context, str, list[str]], int], Message], ...] = (
        ("tables", msg("stored tables"), _in_tables, again),
        ("features", msg("feature matrix"), _in_matrix, again),
        ("predictions", msg("kept predictions of versions"), _in_predictions, kept),
        ("snapshot", msg("online snapshot"), _in_snapshot, again),
        ("enterprises", msg("published view of enterprises"), _in_enterprises, again),
    )
    found = ((name, title, count(ctx, project, wanted), remedy) for name, title, count, remedy in places)
    return tuple(HeldPlace(name, title, n, remedy) for name, title, n, remedy in found if n)


def _in_tables(ctx: Context, project: str, keys: list[str]) -> int:
    labels = projects.spec(ctx, project).labels
    if not labels:
        return 0
    named = list(dict.fromkeys([labels[0].key_column, labels[0].entity_column or labels[0].key_column]))
    try:
        rows = stored_columns(ctx, project).read(labels[0].root_table, named)
    except ConflictError:  # nothing was imported
        return 0
    return int(rows.astype(str).isin(keys).any(axis=1).sum())


def _in_matrix(ctx: Context, project: str, keys: list[str]) -> int:
    try:
        matrix = features.matrix(ctx, project)
    except ConflictError:  # no features were built
        return 0
    return _count(matrix.keys, keys)


def _in_predictions(ctx: Context, project: str, keys: list[str]) -> int:
    total = 0
    for version in ctx.registry.versions(project):
        try:
            rows = evaluation.predictions(ctx, project, version.number)
        except ConflictError:  # a version that was not trained here kept none
            continue
        total += int((np.isin(rows.keys.astype(str), keys) | np.isin(rows.entities.astype(str), keys)).sum())
    return total


def _in_snapshot(ctx: Context, project: str, keys: list[str]) -> int:
    return _published(snapshot_place(ctx.settings, project), keys)


def _in_enterprises(ctx: Context, project: str, keys: list[str]) -> int:
    return _published(enterprise_place(ctx.settings, project), keys)


def _published(place: SnapshotPlace, keys: list[str]) -> int:
    reader = place.reader()
    try:
        snapshot = reader.current()
    except NoSnapshotError:
        return 0
    else:
        return sum(
            len(snapshot.fetch(table, column, keys))
            for table, columns in snapshot.about.keys.items()
            for column in columns
        )
    finally:
        reader.close()


def _count(held: np.ndarray, keys: list[str]) -> int:
    return int(np.isin(np.asarray(held).astype(str), keys).sum())
