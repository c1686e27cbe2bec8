"""Aggregations: find the visible child rows of every root row, cut them by window, reduce them."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from features.definitions import Condition, parse_window
from features.engine_data import EngineData, TableArrays
from features.histories import History
from features.plan import FeatureGroup, FeaturePart, FeaturePlan, Source, Target
from features.primitives.interface import Aggregation
from features.primitives.vocabulary import AGGREGATIONS
from features.reductions import DAY_NS, Codes, Numbers, Pieces, Rows
from features.rows import plan_codes

__all__ = ["Query", "aggregate", "window_starts"]

_BLOCK_CELLS: Final = 1 << 21
_LEAST_BLOCK: Final = 1 << 16
_SMALL: Final = 1 << 14

_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

Result = tuple[int, np.ndarray]
Targets = tuple[Target, ...]


@dataclass(frozen=True)
class Query:
    """What is asked.

    Parameters
    ----------
    roots : ndarray of shape (n_rows,), int64
        Row numbers in the root table.
    limits : ndarray of shape (n_rows,), int64
        A row counts where it is known strictly before this moment.
    cutoffs : ndarray of shape (n_rows,), int64
        The moment that times are measured from.
    """

    roots: np.ndarray
    limits: np.ndarray
    cutoffs: np.ndarray


@dataclass(frozen=True)
class _Block:
    """The visible child rows of a run of root rows."""

    plan: FeaturePlan
    data: EngineData
    group: FeatureGroup
    pieces: Pieces
    limits: np.ndarray
    cutoffs: np.ndarray

    @property
    def table(self) -> TableArrays:
        """The table that the rows are in."""
        return self.data.tables[self.group.down[-1].table]

    def where(self, condition: Condition | None) -> "_Block":
        """Return the block of only those rows for which `condition` holds."""
        if condition is None:
            return self
        return replace(self, pieces=self.pieces.keep(self.holds(condition)))

    def holds(self, condition: Condition) -> np.ndarray:
        """Return for which of the rows `condition` holds; for none that is null."""
        compare = _COMPARE[condition.op]
        if condition.column not in self.table.codes:
            values, _ = self.numbers(condition.column)
            return np.asarray(compare(values, float(condition.value)) & ~np.isnan(values))
        codes, levels = self.codes(condition.column), self.table.levels[condition.column]
        code = levels.index(condition.value) if condition.value in levels else len(levels)
        return np.asarray(compare(codes, code) & (codes >= 0))

    def rows(self, condition: Condition | None) -> Rows:
        """Return the rows as primitives without a column see them."""
        holds = None if condition is None else self.holds(condition)
        return Rows(self.pieces, self.table.event_time, self.cutoffs, holds)

    def numbers(self, column: str) -> tuple[np.ndarray, bool]:
        """Return the values of a number column, NaN for null, and whether any may be null."""
        number = self.table.number_rows[column]
        values, hidden = self.table.numbers[number][self.pieces.rows], self._hidden(column)
        if hidden is None:
            return values, bool(self.table.has_nulls[number])
        values[hidden] = np.nan
        return values, True

    def codes(self, column: str) -> np.ndarray:
        """Return the codes of a category column, -1 for null."""
        codes, hidden = self.table.codes[column][self.pieces.rows], self._hidden(column)
        return codes if hidden is None else np.where(hidden, -1, codes)

    def values_below(self) -> np.ndarray:
        """Return the features below, one row per visible row, as they are at the root row's cutoff."""
        below = self.group.below
        if below is None:
            raise ValueError("the group is not stacked")
        limits, cutoffs = self.pieces.to_rows(self.limits), self.pieces.to_rows(self.cutoffs)
        values = np.full((self.pieces.rows.size, len(below.members)), np.nan)
        query = Query(self.pieces.rows, limits, cutoffs)
        aggregate(self.plan, self.data, query, below, self.group.down[-1].table, self.pieces.rows, values)
        return values

    def _hidden(self, column: str) -> np.ndarray | None:
        """Return which of the rows had no value of `column` yet, or None where it came with the row."""
        late = self.table.late_from(column)
        return None if late is None else np.asarray(late[self.pieces.rows] >= self.pieces.to_rows(self.limits))


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
    order = np.argsort(anchors, kind="stable")
    order = order[np.searchsorted(anchors[order], 0) :]
    lower, upper = _bounds(history, anchors[order], query.limits[order], query.cutoffs[order], group.windows)
    width = max(len({item.column for _, item in group.members}), 1)  # of what is held of each row at once
    width *= len(group.below.members) if group.below else 1
    for block in _blocks(upper - lower.min(axis=1), max(_BLOCK_CELLS // width, _LEAST_BLOCK)):
        roots = order[block]
        pieces = _cut(history, lower[block], upper[block], query.limits[roots])
        for number, result in _reduce(_Block(plan, data, group, pieces, query.limits[roots], query.cutoffs[roots])):
            values[roots, number] = result


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


def _reduce(block: _Block) -> Iterator[Result]:
    """Yield (feature number, values of the block's root rows)."""
    for part in block.group.parts:
        yield from _part(block.where(part.where), part)


def _part(block: _Block, part: FeaturePart) -> Iterator[Result]:
    of_numbers: dict[str, dict[Source, Targets]] = {}
    for name, sources in part.targets.items():
        primitive = AGGREGATIONS[name]
        for source, targets in sources.items():
            if source.column is None and source.below is None:
                yield from _place(primitive.of_rows(block.rows(source.condition)), targets)
            elif source.column in block.table.codes:
                yield from _of_codes(block, primitive, source, targets)
            else:
                of_numbers.setdefault(name, {})[source] = targets
    for sources_together, names in _source_sets(of_numbers, block.pieces.rows.size):
        numbers = _gather(block, sources_together)
        for name in names:
            result = AGGREGATIONS[name].of_numbers(numbers)
            for index, source in enumerate(sources_together):
                yield from _place(result[index], of_numbers[name].get(source, ()))


def _place(result: np.ndarray, targets: Targets) -> Iterator[Result]:
    """Yield the columns of `result` (n_roots, n_windows) that are wanted."""
    for target in targets:
        values = result[:, target.window]
        if target.against is not None:
            whole = result[:, target.against]
            values = values / np.where(whole == 0, np.nan, whole)
        yield target.number, values


def _source_sets(
    wanted: Mapping[str, Mapping[Source, Targets]], n_visible: int
) -> list[tuple[list[Source], list[str]]]:
    """Return sources that are reduced together, and by what.

    Few rows: all at once, which costs the fewest calls. Many rows: sources with the same primitives together, so that
    nothing is computed in vain. The values are the same.
    """
    names_of: dict[Source, list[str]] = {}
    for name, sources in wanted.items():
        for source in sources:
            names_of.setdefault(source, []).append(name)
    if n_visible <= _SMALL:
        return [(list(names_of), list(wanted))] if names_of else []
    sets: dict[tuple[str, ...], list[Source]] = {}
    for source, names in names_of.items():
        sets.setdefault(tuple(names), []).append(source)
    return [(sources, list(names)) for names, sources in sets.items()]


def _gather(block: _Block, sources: list[Source]) -> Numbers:
    values = np.empty((len(sources), block.pieces.rows.size))
    has_nulls = False
    for index, source in enumerate(sources):
        if source.below is not None:
            values[index] = block.values_below()[:, source.below]
            has_nulls = True
            continue
        values[index], may_be_null = block.numbers(source.column or "")
        has_nulls |= may_be_null
        if source.second is not None:
            divisor, _ = block.numbers(source.second)
            values[index] /= np.where(divisor == 0, np.nan, divisor)
            has_nulls = True
    return Numbers(values, block.pieces, has_nulls, block.rows(None))


def _of_codes(block: _Block, primitive: Aggregation, source: Source, targets: Targets) -> Iterator[Result]:
    column = source.column or ""
    levels = block.table.levels[column]
    weights = None if source.second is None else block.numbers(source.second)[0]
    result = primitive.of_codes(Codes(block.codes(column), len(levels), block.pieces, weights))
    if not primitive.gives_level:
        yield from _place(result, targets)
        return
    for target in targets:
        item = block.plan.definitions[target.number]
        yield target.number, plan_codes(block.plan, item, levels, result[:, target.window])
