"""Aggregations: find the visible child rows of every root row, cut them by window, reduce them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from features.blocks import Block
from features.definitions import parse_window
from features.engine_data import EngineData
from features.histories import History
from features.plan import FeatureGroup, FeaturePart, FeaturePlan, Source, Target
from features.primitives.interface import Aggregation
from features.primitives.vocabulary import AGGREGATIONS
from features.queries import Query, anchor_rows
from features.reductions import DAY_NS, Codes, Numbers, Pieces
from features.rows import plan_codes, read_row

__all__ = ["aggregate", "fill", "window_starts"]

_BLOCK_CELLS: Final = 1 << 21
_LEAST_BLOCK: Final = 1 << 16
_SMALL: Final = 1 << 14

Result = tuple[np.ndarray, np.ndarray]
"""Numbers of features, and their values, a row per root row."""
Targets = tuple[Target, ...]


def fill(
    plan: FeaturePlan, data: EngineData, query: Query, group: FeatureGroup, table: str, values: np.ndarray
) -> None:
    """Fill the columns of `group` in `values`, a row per question about a row of `table`."""
    base, rows = anchor_rows(data, table, query.roots, query.limits, group)
    if group.down:
        aggregate(plan, data, query, group, base, rows, values)
        return
    for number, item in group.members:
        values[:, number] = read_row(plan, data.tables[base], item, rows, query.limits, query.cutoffs)


def aggregate(
    plan: FeaturePlan, data: EngineData, query: Query, group: FeatureGroup, base: str, anchors: np.ndarray,
    values: np.ndarray,
) -> None:  # fmt: skip
    """Fill the columns of `group` in `values`, block by block of root rows.

    Parameters
    ----------
    plan, data, query, group
        What is computed, of what, for whom.
    base : str
        Table at the top of the steps down.
    anchors : ndarray of shape (n_rows,), int64
        Row of each root in `base`; those with -1 have no history and are left as they are.
    values : ndarray of shape (n_rows, n_features)
        The result.
    """
    history = data.history(base, group.down)
    visited = (*query.visited, (base, anchors))
    order = np.argsort(anchors, kind="stable")
    order = order[np.searchsorted(anchors[order], 0) :]
    lower, upper = _bounds(history, anchors[order], query.limits[order], query.cutoffs[order], group.windows)
    width = max(group.n_columns, 1)  # of what is held of each row at once
    width *= len(group.below.members) if group.below else 1
    for block in _blocks(upper - lower.min(axis=1), max(_BLOCK_CELLS // width, _LEAST_BLOCK)):
        roots = order[block]
        pieces = _cut(history, lower[block], upper[block], query.limits[roots])
        came_by = tuple((table, rows[roots]) for table, rows in visited)
        asked = Query(anchors[roots], query.limits[roots], query.cutoffs[roots], came_by)
        for numbers, result in _reduce(Block(plan, data, group, pieces, asked).onward()):
            values[roots[:, None], numbers] = result


def window_starts(cutoffs: np.ndarray, window: str) -> np.ndarray:
    """Return the beginning of `window` before each cutoff (int64 nanoseconds).

    Examples
    --------
    >>> cutoff = np.array(["2024-08-31T12:00"], dtype="datetime64[ns]")
    >>> window_starts(cutoff.view(np.int64), "6m").view("datetime64[ns]").astype("datetime64[h]")
    array(['2024-02-29T12'], dtype='datetime64[h]')
    """
    spec = parse_window(window)
    if not spec.months:
        return cutoffs - spec.days * DAY_NS
    stamps = cutoffs.view("datetime64[ns]")
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    target = months - np.timedelta64(spec.months, "M")
    last_day = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    day = np.minimum(target.astype("datetime64[D]") + (days - months.astype("datetime64[D]")), last_day)
    starts: np.ndarray = (day.astype("datetime64[ns]") + (stamps - days)).view(np.int64)
    return starts


def _bounds(
    history: History, anchors: np.ndarray, limits: np.ndarray, cutoffs: np.ndarray, windows: tuple[str | None, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the rows of each window begin (n_roots, n_windows), and where those before the cutoff end."""
    upper = history.positions(anchors, limits)
    lower = np.empty((anchors.size, len(windows)), dtype=np.int64)
    for index, window in enumerate(windows):
        if window is None:
            lower[:, index] = history.first_positions(anchors)
        else:
            lower[:, index] = np.minimum(history.positions(anchors, window_starts(cutoffs, window)), upper)
    return lower, upper


def _blocks(sizes: np.ndarray, limit: int) -> Iterator[slice]:
    """Cut the root rows into runs with at most `limit` child rows each, but one root row at least."""
    total = np.cumsum(sizes)
    begin = 0
    while begin < sizes.size:
        done = total[begin - 1] if begin else 0
        end = max(int(np.searchsorted(total, done + limit, side="right")), begin + 1)
        yield slice(begin, end)
        begin = end


def _cut(history: History, lower: np.ndarray, upper: np.ndarray, limits: np.ndarray) -> Pieces:
    """Gather the visible rows between the bounds and cut them at the beginnings of the windows."""
    rank = None
    if (lower[:, 1:] < lower[:, :-1]).any():  # calendar months and days do not always nest in one order
        rank = np.argsort(np.argsort(lower, axis=1, kind="stable"), axis=1)
        lower = np.sort(lower, axis=1)
    sizes = upper - lower[:, 0]
    ends = np.cumsum(sizes)
    begins = ends - sizes
    places = np.repeat(lower[:, 0] - begins, sizes) + np.arange(ends[-1])
    starts = begins[:, None] + (lower - lower[:, :1])
    rows = history.rows[places]
    if history.seen_from is not None:
        visible = history.seen_from[places] < np.repeat(limits, sizes)
        if not visible.all():
            kept = np.concatenate([[0], np.cumsum(visible)])
            rows, starts, ends = rows[visible], kept[starts], kept[ends]
    lengths = np.diff(starts, axis=1, append=ends[:, None])
    return Pieces(rows, starts, lengths, rank)


def _reduce(block: Block) -> Iterator[Result]:
    """Yield (feature number, values of the block's root rows)."""
    for part in block.group.parts:
        yield from _part(block.where(part.where), part)


@dataclass(frozen=True)
class _Places:
    """Which values of a primitive's results (n_sources, n_roots, n_windows) are wanted, and what they are divided by.

    Many are placed at once: one by one would take longer for a single root row than to compute them.
    """

    numbers: np.ndarray
    sources: np.ndarray
    windows: np.ndarray
    shares: np.ndarray
    wholes: np.ndarray

    @classmethod
    def of(cls, targets: Sequence[Targets]) -> "_Places":
        """Return where the values of each source go."""
        flat = [(source, target) for source, wanted in enumerate(targets) for target in wanted]
        shares = [place for place, (_, target) in enumerate(flat) if target.against is not None]
        return cls(
            np.array([target.number for _, target in flat], dtype=np.int64),
            np.array([source for source, _ in flat], dtype=np.int64),
            np.array([target.window for _, target in flat], dtype=np.int64),
            np.array(shares, dtype=np.int64),
            np.array([flat[place][1].against for place in shares], dtype=np.int64),
        )

    def place(self, results: np.ndarray) -> Result:
        """Return the values that are wanted of `results`."""
        values = results[self.sources, :, self.windows]
        if self.shares.size:
            whole = results[self.sources[self.shares], :, self.wholes]
            values[self.shares] /= np.where(whole == 0, np.nan, whole)
        return self.numbers, values.T


@dataclass(frozen=True)
class _Sweep:
    """Number columns that are reduced together, and by what."""

    sources: list[Source]
    places: list[tuple[Aggregation, _Places]]


def _part(block: Block, part: FeaturePart) -> Iterator[Result]:
    is_small = block.pieces.rows.size <= _SMALL
    if is_small not in part.layouts:
        part.layouts[is_small] = _lay_out(part, block.source.codes, is_small=is_small)
    alone, sweeps = part.layouts[is_small]
    for primitive, source, targets in alone:
        if source.column is None:
            result = (
                primitive.of_codes(block.parents())
                if primitive.of_parents
                else primitive.of_rows(block.rows(source.condition))
            )
            yield _Places.of([targets]).place(result[np.newaxis])
        else:
            yield from _of_codes(block, primitive, source, targets)
    for sweep in sweeps:
        numbers = _gather(block, sweep.sources)
        for primitive, places in sweep.places:
            yield places.place(primitive.of_numbers(numbers))


def _lay_out(
    part: FeaturePart, categories: Collection[str], *, is_small: bool
) -> tuple[list[tuple[Aggregation, Source, Targets]], list[_Sweep]]:
    """Return what is computed by itself, and what is swept over together."""
    alone: list[tuple[Aggregation, Source, Targets]] = []
    of_numbers: dict[str, dict[Source, Targets]] = {}
    for name, sources in part.targets.items():
        for source, targets in sources.items():
            if source.below is None and (source.column is None or source.column in categories):
                alone.append((AGGREGATIONS[name], source, targets))
            else:
                of_numbers.setdefault(name, {})[source] = targets
    return alone, [
        _Sweep(
            together,
            [
                (AGGREGATIONS[name], _Places.of([of_numbers[name].get(source, ()) for source in together]))
                for name in names
            ],
        )
        for together, names in _source_sets(of_numbers, is_small=is_small)
    ]


def _source_sets(
    wanted: Mapping[str, Mapping[Source, Targets]], *, is_small: bool
) -> list[tuple[list[Source], list[str]]]:
    """Return sources that are reduced together, and by what.

    Few rows: all at once, which costs the fewest calls. Many rows: sources with the same primitives together, so that
    nothing is computed in vain. The values are the same.
    """
    names_of: dict[Source, list[str]] = {}
    for name, sources in wanted.items():
        for source in sources:
            names_of.setdefault(source, []).append(name)
    if is_small:
        return [(list(names_of), list(wanted))] if names_of else []
    sets: dict[tuple[str, ...], list[Source]] = {}
    for source, names in names_of.items():
        sets.setdefault(tuple(names), []).append(source)
    return [(sources, list(names)) for names, sources in sets.items()]


def _gather(block: Block, sources: list[Source]) -> Numbers:
    values = np.empty((len(sources), block.pieces.rows.size))
    has_nulls, below = False, None
    for index, source in enumerate(sources):
        if source.below is not None:
            below = _values_below(block) if below is None else below
            values[index] = below[:, source.below]
            has_nulls = True
            continue
        values[index], may_be_null = block.numbers(source.column or "")
        has_nulls |= may_be_null
        if source.second is not None:
            divisor, _ = block.numbers(source.second)
            values[index] /= np.where(divisor == 0, np.nan, divisor)
            has_nulls = True
    return Numbers(values, block.pieces, has_nulls, block.rows(None))


def _values_below(block: Block) -> np.ndarray:
    """Return the features below, one row per visible row, as they are at the root row's cutoff."""
    below = block.group.below
    if below is None:
        raise ValueError("the group is not stacked")
    values = np.full((block.pieces.rows.size, len(below.members)), np.nan)
    fill(block.plan, block.data, block.questions, below, block.group.down[-1].table, values)
    return values


def _of_codes(block: Block, primitive: Aggregation, source: Source, targets: Targets) -> Iterator[Result]:
    column = source.column or ""
    levels = block.source.levels[column]
    weights = None if source.second is None else block.numbers(source.second)[0]
    result = primitive.of_codes(Codes(block.codes(column), len(levels), block.pieces, weights))
    if not primitive.gives_level:
        yield _Places.of([targets]).place(result[np.newaxis])
        return
    for target in targets:
        item = block.plan.definitions[target.number]
        codes = plan_codes(block.plan, item, levels, result[:, target.window])
        yield np.array([target.number]), codes[:, np.newaxis]
