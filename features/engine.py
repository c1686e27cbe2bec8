"""The point-in-time engine: feature values of (root row, cutoff) pairs, the same in training, in batch and live."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.errors import ConfigurationError, InputError
from core.i18n import msg
from features.aggregation import fill
from features.comparisons import PeerReference
from features.engine_data import EngineData
from features.histories import NO_TIME
from features.plan import FeatureGroup, FeaturePlan
from features.queries import Query

__all__ = ["EngineData", "compute"]


def compute(
    plan: FeaturePlan,
    data: EngineData,
    keys: np.ndarray,
    cutoffs: np.ndarray,
    *,
    inclusive: bool = False,
    on_group: Callable[[FeatureGroup], None] | None = None,
    reference: PeerReference | None = None,
) -> np.ndarray:
    """Compute the features of `plan`.

    A row of a table counts where its event and its known-at time both lie strictly before the cutoff; a row without
    known-at time never does, a row of a table without times always. Windows reach back from the cutoff in event time,
    lower end included. The root row itself is the question, so it counts from the very moment of its known-at time;
    its columns filled in later count like any other. Where a parent on the path is unknown at the cutoff there is no
    history: every feature through it is NaN, counts too. A parent without rows counts 0 and sums to 0.

    Rows of a link table are aggregated by what they lead to: values of a parent that is unknown at the cutoff are null,
    and rows that lead back to a row that the path came down from are left out, as nobody is his own counterparty.

    Parameters
    ----------
    plan : FeaturePlan
        What to compute.
    data : EngineData
        Prepared tables.
    keys : array of shape (n_rows,)
        Keys of root rows.
    cutoffs : array of shape (n_rows,), datetime64
        Cutoff of each.
    inclusive : bool, default=False
        Let rows count that are known exactly at the cutoff. Wrong for every use but one: it is the negative control of
        the leakage proof.
    on_group : callable of FeatureGroup, optional
        Told of each group of features as its values are there; what it raises ends the work.
    reference : PeerReference, optional
        What is known of the peers of the cutoffs' months; needed where the plan compares with peers.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
        Numbers; level codes for categories, ``len(levels)`` for a level that the plan does not know; NaN for null.

    Raises
    ------
    NotFoundError
        A key is not in the root table ("no history").
    InputError
        A cutoff is null, or the reference lacks its month.
    ConfigurationError
        The plan compares with peers and there is no reference.
    """
    keys = np.asarray(keys, dtype=object)
    moments = np.asarray(cutoffs).astype("datetime64[ns]").view(np.int64)
    if moments.size and moments.min() == NO_TIME:
        row = int(np.argmin(moments))
        raise InputError(msg("the cutoff of {key} is missing", key=repr(keys[row])), where=plan.root_table)
    if plan.comparisons is not None:
        if reference is None:
            raise ConfigurationError(
                msg("the plan compares with peers, of whom nothing was given"),
                fix=msg("Give a reference, or build the matrix with features.matrix.build_matrix."),
            )
        own = compute(plan.comparisons.own, data, keys, cutoffs, inclusive=inclusive)
        values = plan.comparisons.fill(own, moments, reference)
        if on_group is not None:
            for group in plan.groups:
                on_group(group)
        return values
    roots = data.root_rows(keys)
    query = Query(roots, moments + 1 if inclusive else moments, moments)
    values = np.full((len(keys), len(plan.definitions)), np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # 0/0 and inf - inf are meant to be NaN
        for group in plan.groups:
            is_own = not group.up and not group.down
            fill(plan, data, _seen(data, query) if is_own else query, group, plan.root_table, values)
            if on_group is not None:
                on_group(group)
    return values


def _seen(data: EngineData, query: Query) -> Query:
    """Return the query as it reads the root row itself: nothing of one that was not known at its cutoff."""
    seen = data.tables[data.root_table].seen_from
    if seen is None:
        return query
    return replace(query, roots=np.where(seen[query.roots] <= query.cutoffs, query.roots, -1))
