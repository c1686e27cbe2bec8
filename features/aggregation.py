"""Aggregations: find the visible child rows of every root row, cut them by window, reduce them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from features.definitions import FeatureDefinition, parse_window
from features.engine_data import EngineData, TableArrays
from features.histories import NO_TIME, History
from features.plan import FeatureGroup, FeaturePlan
from features.reductions import NUMBER_REDUCTIONS, Numbers, Pieces, count, last_rows, mode_codes, num_unique

__all__ = ["Query", "aggregate", "plan_codes", "window_starts"]

_DAY_NS: Final = 86_400_000_000_000
_BLOCK_CELLS: Final = 1 << 21
_LEAST_BLOCK: Final = 1 << 16
_SMALL: Final = 1 << 14

Result = tuple[int, np.ndarray]


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
    table: TableArrays
    group: FeatureGroup
    pieces: Pieces
    limits: np.ndarray
    cutoffs: np.ndarray

    def hidden(self, column: str) -> np.ndarray | None:
        """Return which of the gathered rows had no value of `column` yet, or None where it came with the row."""
        late = self.table.late_from(column)
        if late is None:
            return None
        hidden: np.ndarray = late[self.pieces.rows] >= np.repeat(self.limits, self.pieces.lengths.sum(axis=1))
        return hidden


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
    width = max(len({item.column for _, item in group.members}), 1)
    for block in _blocks(upper - lower.min(axis=1), max(_BLOCK_CELLS // width, _LEAST_BLOCK)):
        roots = order[block]
        pieces = _cut(history, lower[block], upper[block], query.limits[roots])
        table = data.tables[group.down[-1].table]
        for number, result in _reduce(_Block(plan, table, group, pieces, query.limits[roots], query.cutoffs[roots])):
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
        return cutoffs - spec.days * _DAY_NS
    stamps = cutoffs.view("datetime64[ns]")
    days = stamps.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    target = months - np.timedelta64(spec.months, "M")
    last_day = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    day = np.minimum(target.astype("datetime64[D]") + (days - months.astype("datetime64[D]")), last_day)
    starts: np.ndarray = (day.astype("datetime64[ns]") + (stamps - days)).view(np.int64)
    return starts


def plan_codes(plan: FeaturePlan, item: FeatureDefinition, levels: tuple[str, ...], codes: np.ndarray) -> np.ndarray:
    """Turn codes of the data's `levels` (-1 for null) into codes of the plan's frozen levels."""
    known = {level: float(code) for code, level in enumerate(plan.levels.get(item.alias, ()))}
    other = float(len(known))
    translation = np.array([*(known.get(level, other) for level in levels), np.nan])
    translated: np.ndarray = translation[codes]
    return translated


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
    yield from _counts(block)
    yield from _recency(block)
    yield from _numbers(block)
    yield from _distinct(block)
    yield from _modes(block)
    yield from _last_values(block)


def _counts(block: _Block) -> Iterator[Result]:
    for targets in block.group.targets.get("count", {}).values():
        counts = count(block.pieces)
        for number, window in targets:
            yield number, counts[:, window]


def _recency(block: _Block) -> Iterator[Result]:
    events = block.table.event_time
    for targets in block.group.targets.get("time_since_last", {}).values():
        rows = last_rows(block.pieces)
        for number, window in targets:
            found = rows[:, window]
            times = np.full(found.shape, NO_TIME) if events is None or not events.size else events[found]
            known = (found >= 0) & (times != NO_TIME)
            yield number, np.where(known, (block.cutoffs - np.where(known, times, 0)) / _DAY_NS, np.nan)


def _numbers(block: _Block) -> Iterator[Result]:
    targets = {name: block.group.targets[name] for name in NUMBER_REDUCTIONS if name in block.group.targets}
    for columns, names in _column_sets(targets, block.pieces.rows.size):
        numbers = _gather(block, columns)
        for name in names:
            result = NUMBER_REDUCTIONS[name](numbers)
            for index, column in enumerate(columns):
                for number, window in targets[name].get(column, ()):
                    yield number, result[index, :, window]


def _column_sets(
    targets: Mapping[str, Mapping[str, tuple[tuple[int, int], ...]]], n_visible: int
) -> list[tuple[list[str], list[str]]]:
    """Return columns that are reduced together, and by what.

    Few rows: all at once, which costs the fewest calls. Many rows: columns with the same primitives together, so that
    nothing is computed in vain. The values are the same.
    """
    wanted: dict[str, list[str]] = {}
    for name, columns in targets.items():
        for column in columns:
            wanted.setdefault(column, []).append(name)
    if n_visible <= _SMALL:
        return [(list(wanted), list(targets))] if wanted else []
    sets: dict[tuple[str, ...], list[str]] = {}
    for column, names in wanted.items():
        sets.setdefault(tuple(names), []).append(column)
    return [(columns, list(names)) for names, columns in sets.items()]


def _gather(block: _Block, columns: list[str]) -> Numbers:
    table, rows = block.table, block.pieces.rows
    values = np.empty((len(columns), rows.size))
    has_nulls = False
    for index, column in enumerate(columns):
        number = table.number_rows[column]
        values[index] = table.numbers[number][rows]
        has_nulls |= bool(table.has_nulls[number])
        hidden = block.hidden(column)
        if hidden is not None:
            values[index, hidden] = np.nan
            has_nulls = True
    return Numbers(values, block.pieces, has_nulls)


def _visible_codes(block: _Block, column: str) -> np.ndarray:
    codes = block.table.codes[column][block.pieces.rows]
    hidden = block.hidden(column)
    return codes if hidden is None else np.where(hidden, -1, codes)


def _distinct(block: _Block) -> Iterator[Result]:
    for column, targets in block.group.targets.get("num_unique", {}).items():
        n_levels = len(block.table.levels[column])
        distinct = num_unique(_visible_codes(block, column), n_levels, block.pieces)
        for number, window in targets:
            yield number, distinct[:, window]


def _modes(block: _Block) -> Iterator[Result]:
    for column, targets in block.group.targets.get("mode", {}).items():
        levels = block.table.levels[column]
        codes = mode_codes(_visible_codes(block, column), len(levels), block.pieces)
        for number, window in targets:
            yield number, plan_codes(block.plan, block.plan.definitions[number], levels, codes[:, window])


def _last_values(block: _Block) -> Iterator[Result]:
    table = block.table
    for column, targets in block.group.targets.get("last", {}).items():
        rows = last_rows(block.pieces)
        late = table.late_from(column)
        if late is not None and late.size:
            rows = np.where(late[rows] < block.limits[:, None], rows, -1)
        for number, window in targets:
            item = block.plan.definitions[number]
            found = rows[:, window]
            if item.kind == "category":
                codes = table.codes[column]
                seen = np.where(found >= 0, codes[found], -1) if codes.size else np.full(found.shape, -1)
                yield number, plan_codes(block.plan, item, table.levels[column], seen)
            else:
                numbers = table.numbers[table.number_rows[column]]
                yield (
                    number,
                    np.where(found >= 0, numbers[found], np.nan) if numbers.size else np.full(found.shape, np.nan),
                )
