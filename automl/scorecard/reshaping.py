"""Other bins of the same characteristic: joined, split or cut elsewhere; what stands apart stays as it is."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from automl.scorecard.bins import BinTable, CharacteristicBins, number_text
from automl.scorecard.directions import Direction, rises_against
from core.errors import InputError
from core.i18n import msg
from features.binning import FeatureBins

__all__ = [
    "merge_bins",
    "move_edge",
    "pool_violators",
    "round_edges",
    "split_levels",
    "split_number",
    "with_edges",
]

_MOST_DIGITS = 17


def pool_violators(table: BinTable, direction: Direction) -> CharacteristicBins:
    """Merge neighbouring bins of a number until the bad rate runs in `direction`; empty bins join a neighbour.

    Pooling adjacent violators gives the bad rates closest to those seen, by squared error weighted with rows (Ayer and
    others, 1955).
    """
    blocks: list[tuple[list[int], float, float]] = []
    for index in range(table.bins.n_plain):
        blocks.append(([index], float(table.bad[index]), float(table.n[index])))
        while len(blocks) > 1 and _must_pool(blocks[-2], blocks[-1], direction):
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    return merge_bins(table.bins, [members for members, _, _ in blocks])


def _must_pool(
    before: tuple[list[int], float, float], after: tuple[list[int], float, float], direction: Direction
) -> bool:
    if not before[2] or not after[2]:
        return True
    return rises_against(direction, before[1] / before[2], after[1] / after[2])


def merge_bins(old: CharacteristicBins, groups: Sequence[Sequence[int]]) -> CharacteristicBins:
    """Return the bins with the members of each group of plain bins made one; of a number these are neighbours."""
    leader = {index: group[0] for group in groups for index in group}
    leaders = [leader.get(index, index) for index in range(old.n_plain)]
    if old.kind == "number":
        starts = [index for index in range(1, old.n_plain) if leaders[index] == index]
        return with_edges(old, [old.bins.edges[index - 1] for index in starts])
    number = {index: position for position, index in enumerate(sorted(set(leaders)))}
    return _with_codes(old, [number[leaders[index]] for index in old.bins.code_bins])


def split_number(old: CharacteristicBins, index: int, where: float | Sequence[str]) -> CharacteristicBins:
    """Return the bins of a number with plain bin `index` cut at `where`; raises `InputError` where that is outside."""
    low, high = old.interval(index)
    if not isinstance(where, float | int) or not low < where < high:
        raise InputError(
            msg("a bin is split at a number inside it, between {low} and {high}", low=number_text(low),
                high=number_text(high)), where=old.alias,
        )  # fmt: skip
    return with_edges(old, sorted([*old.bins.edges, float(where)]))


def split_levels(old: CharacteristicBins, index: int, where: float | Sequence[str]) -> CharacteristicBins:
    """Return the bins of a category, the levels `where` of plain bin `index` apart; `InputError` unless some are."""
    wanted = set() if isinstance(where, float | int | str) else set(where)
    members = set(old.members(index))
    if not wanted or not wanted <= members or (wanted == members and not old.holds_others(index)):
        raise InputError(
            msg("a bin is split by some, not all, of its levels: {levels}", levels=", ".join(sorted(members))),
            where=old.alias,
        )
    codes = [code + (code > index) for code in old.bins.code_bins]
    for position, level in enumerate(old.levels):
        if level in wanted:
            codes[position] = index + 1
    return _with_codes(old, codes)


def move_edge(old: CharacteristicBins, index: int, to: float) -> CharacteristicBins:
    """Return the bins of a number with inner edge `index` elsewhere between its neighbours; nulls count as before.

    Raises
    ------
    InputError
        `to` does not lie between the neighbours.
    """
    low, high = old.interval(index)[0], old.interval(index + 1)[1]
    if not low < to < high:
        raise InputError(
            msg("a boundary stays between its neighbours {low} and {high}", low=number_text(low),
                high=number_text(high)), where=old.alias,
        )  # fmt: skip
    edges = list(old.bins.edges)
    edges[index] = float(to)
    return replace(old, bins=FeatureBins(old.alias, "number", edges=tuple(edges)))


def round_edges(old: CharacteristicBins, values: np.ndarray, most_moved: float) -> CharacteristicBins:
    """Return the bins of a number with each edge at the number of fewest digits that brings few rows into another bin.

    Parameters
    ----------
    old : CharacteristicBins
        Of a number; those of a category come back as they are.
    values : ndarray of float, shape (n_rows,)
        Rows; those in no plain bin, nulls and special codes, do not count.
    most_moved : float
        Share of the rows that count that one edge may pass over.
    """
    if old.kind != "number":
        return old
    held = np.sort(values[np.isfinite(values) & ~old.is_special(values)])
    new = old
    for index, edge in enumerate(old.bins.edges):
        low, high = new.interval(index)[0], new.interval(index + 1)[1]
        for digits in range(1, _MOST_DIGITS):
            to = float(f"{edge:.{digits}g}") + 0.0  # no minus zero
            passed = abs(int(np.searchsorted(held, to)) - int(np.searchsorted(held, edge)))
            if low < to < high and passed <= most_moved * len(held):
                new = move_edge(new, index, to)
                break
    return new


def with_edges(old: CharacteristicBins, edges: Sequence[float]) -> CharacteristicBins:
    """Return the bins of a number with other inner edges."""
    return _followed(old, FeatureBins(old.alias, "number", edges=tuple(edges)))


def _with_codes(old: CharacteristicBins, codes: Sequence[int]) -> CharacteristicBins:
    return _followed(old, FeatureBins(old.alias, "category", code_bins=tuple(codes)))


def _followed(old: CharacteristicBins, bins: FeatureBins) -> CharacteristicBins:
    """Return the new bins; the plain bin that null counts with is found again by its lower end or its first level."""
    like = old.missing_as
    if like is not None:
        low = old.interval(like)[0] if old.kind == "number" else float(old.bins.code_bins.index(like))
        like = int(bins.assign(np.array([low]))[0])
    return replace(old, bins=bins, missing_as=like)
