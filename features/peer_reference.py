"""What was known of the peers, month by month, computed from whole tables by the engine of every other feature."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from core.i18n import msg
from core.progress import Progress, SilentProgress
from features.comparisons import PeerReference, PeerSet, months_of
from features.engine import compute
from features.engine_data import EngineData
from features.histories import NO_TIME
from features.peer_tables import PeerTable
from features.plan import FeaturePlan, ReferenceSettings

if TYPE_CHECKING:
    from features.streaming_source import Source
    from warehouse.table_set import TableSet

__all__ = ["peer_reference"]

_PAIRS_AT_ONCE: Final = 20_000

Values = Callable[[np.ndarray, int], np.ndarray]  # of the rows with these numbers, at the first moment of a month


def peer_reference(
    tables: "TableSet | Source",
    plan: FeaturePlan,
    cutoffs: np.ndarray,
    *,
    data: EngineData | None = None,
    inclusive: bool = False,
    engine: Literal["stream", "dask"] | None = None,
    memory_mb: float = 1_024,
    temporary: Path | None = None,
    client: Any = None,
    progress: Progress | None = None,
) -> PeerReference | None:
    """Reduce the values of all peers at the first moment of every month that `cutoffs` lie in.

    A row of the compared table is a peer in a month where it was known strictly before the month's first moment; its
    values and its groups are those of `features.engine.compute` with that moment as cutoff. So nothing in it depends on
    what became known later.

    Parameters
    ----------
    tables : TableSet, path or mapping of str to path or to list of paths
        The whole tables.
    plan : FeaturePlan
        With features that compare with peers.
    cutoffs : array of shape (n_rows,), datetime64
        Which months are needed; null ones are left out.
    data : EngineData, optional
        The tables of `plan`, where they are prepared already.
    inclusive : bool, default=False
        As in `features.engine.compute`.
    engine : {"stream", "dask"}, optional
        Compute the values by blocks of entities, for tables as Parquet files; otherwise in memory. The bits are the
        same.
    memory_mb, temporary, client
        As in `features.matrix.build_matrix`.
    progress : Progress, optional
        Told after each month.

    Returns
    -------
    PeerReference or None
        None where the plan compares with nobody.
    """
    made = plan.comparisons
    if made is None:
        return None
    progress = progress or SilentProgress()
    stamps = np.asarray(cutoffs).astype("datetime64[ns]").view(np.int64)
    months = np.unique(months_of(stamps[stamps != NO_TIME])).tolist()
    found: dict[int, list[PeerTable]] = {month: [] for month in months}
    for number, peers in enumerate(made.sets):
        part = progress.part(number / len(made.sets), (number + 1) / len(made.sets))
        keys, seen = _rows(tables, plan, peers.population)
        order = _order(keys, made.settings)
        chosen = {month: _known(order, seen, month, made.settings, inclusive=inclusive) for month in months}
        if engine is None:
            rows = data if data is not None else _load(tables, plan)
            values = _in_memory(rows, peers.population, inclusive=inclusive)
            tables_of_months = _each_month(peers, chosen, values, made.settings)
        else:
            tables_of_months = _by_blocks(tables, peers, keys, chosen, made.settings, engine=engine,
                                          memory_mb=memory_mb, temporary=temporary, client=client)  # fmt: skip
        for done, (month, table) in enumerate(tables_of_months, start=1):
            found[month].append(table)
            part.report(done / len(months), msg("peers of {done} of {total} months", done=done, total=len(months)))
    return PeerReference({month: tuple(tables) for month, tables in found.items()})


def _load(tables: "TableSet | Source", plan: FeaturePlan) -> EngineData:
    if not isinstance(tables, Path | str | Mapping):
        return EngineData.from_table_set(plan, tables)
    from features.streaming import load_data

    return load_data(plan, tables)


def _rows(
    tables: "TableSet | Source", plan: FeaturePlan, population: FeaturePlan
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the key of each row of the compared table, and from when on it is known (None for always)."""
    root, key_column = population.root_table, population.key_column
    schema = plan.tables[root].pruned([key_column])
    data = _load(tables, FeaturePlan(root, key_column, (), {root: schema}))
    keys = np.full(data.tables[root].n_rows, None, dtype=object)
    keys[list(data.root_keys.values())] = list(data.root_keys)
    return keys, data.tables[root].seen_from


def _order(keys: np.ndarray, settings: ReferenceSettings) -> np.ndarray:
    """Return the rows that have a key, in the order in which they are taken: of too many, by a hash of the key.

    The hash makes the sample: it depends neither on the order of the rows nor on rows that came later.
    """
    rows = np.flatnonzero([key is not None for key in keys])
    if rows.size <= settings.max_entities:
        return rows
    digests = b"".join(hashlib.blake2b(str(key).encode(), digest_size=8).digest() for key in keys[rows])
    return np.asarray(rows[np.argsort(np.frombuffer(digests, dtype=">u8"), kind="stable")])


def _known(
    order: np.ndarray, seen: np.ndarray | None, month: int, settings: ReferenceSettings, *, inclusive: bool
) -> np.ndarray:
    """Return the rows known before the first moment of `month`, in their order, at most so many."""
    moment = _first_moment(month)
    if seen is not None:
        order = order[seen[order] <= moment] if inclusive else order[seen[order] < moment]
    return np.sort(order[: settings.max_entities])


def _first_moment(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[ns]").astype(np.int64))


def _each_month(
    peers: PeerSet, chosen: Mapping[int, np.ndarray], values: Values, settings: ReferenceSettings
) -> Iterator[tuple[int, PeerTable]]:
    n_values = len(peers.values)
    for month, rows in chosen.items():
        found = values(rows, month)
        yield month, PeerTable.build(found[:, :n_values], found[:, n_values:], peers.sizes, settings.min_size)


def _in_memory(data: EngineData, population: FeaturePlan, *, inclusive: bool) -> Values:
    n_rows = data.tables[population.root_table].n_rows
    of_rows = replace(data, root_keys={row: row for row in range(n_rows)}, root_table=population.root_table)

    def values(rows: np.ndarray, month: int) -> np.ndarray:
        found = np.empty((rows.size, len(population.definitions)))
        for begin in range(0, rows.size, _PAIRS_AT_ONCE):
            some = slice(begin, begin + _PAIRS_AT_ONCE)
            moments = np.full(rows[some].size, _first_moment(month)).view("datetime64[ns]")
            found[some] = compute(population, of_rows, rows[some], moments, inclusive=inclusive)
        return found

    return values


def _by_blocks(
    tables: "TableSet | Source",
    peers: PeerSet,
    keys: np.ndarray,
    chosen: Mapping[int, np.ndarray],
    settings: ReferenceSettings,
    *,
    temporary: Path | None,
    **how: Any,
) -> Iterator[tuple[int, PeerTable]]:
    """Compute the values of all months in one pass over the tables, kept in a mapped file meanwhile."""
    from features.matrix import build_matrix

    rows = np.concatenate([*chosen.values(), np.empty(0, dtype=np.int64)]).astype(np.int64)
    moments = np.repeat([_first_moment(month) for month in chosen], [part.size for part in chosen.values()])
    with tempfile.TemporaryDirectory(prefix="peers-", dir=temporary) as place:
        matrix = build_matrix(
            tables, peers.population, keys[rows], moments.astype(np.int64).view("datetime64[ns]"),
            folder=Path(place), temporary=temporary, **how,
        )  # fmt: skip
        ends = np.cumsum([part.size for part in chosen.values()])
        begins = dict(zip(chosen, ends - [part.size for part in chosen.values()], strict=True))

        def values(rows: np.ndarray, month: int) -> np.ndarray:
            found: np.ndarray = matrix.values[begins[month] : begins[month] + rows.size]
            return found

        yield from _each_month(peers, chosen, values, settings)
