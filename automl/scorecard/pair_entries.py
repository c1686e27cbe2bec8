"""Crossed characteristics as rows of a points table: one row per cell, each side told as in the table of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from automl.scorecard.bins import CharacteristicBins
from automl.scorecard.card import Scorecard
from automl.scorecard.entries import EntryKind, PointsEntry, decimal_of, whole_units
from automl.scorecard.pairs import Pair, group_runs
from core.errors import InputError
from core.i18n import msg

__all__ = ["assemble_pairs", "pair_entries"]

_NONE = Decimal(0)


@dataclass(frozen=True)
class _Side:
    """What one side of a cell holds."""

    kind: EntryKind
    lower: float
    upper: float
    values: tuple[str | float, ...]

    @classmethod
    def of(cls, entry: PointsEntry, bins: Mapping[str, CharacteristicBins]) -> "_Side":
        is_number = entry.characteristic in bins and bins[entry.characteristic].kind == "number"
        where = entry.where or entry.characteristic
        values = [float(decimal_of(str(value), where)) if is_number else str(value) for value in entry.values]
        return cls(entry.kind, entry.lower, entry.upper, tuple(sorted(values, key=str)))


def pair_entries(card: Scorecard, pair: Pair) -> list[PointsEntry]:
    """Return the cells of a pair in the order to read them: the first that holds both values gives the points."""
    first, second = (card.characteristic(alias).bins for alias in pair.aliases)
    return [
        replace(row, points=Decimal(pair.units[i][j]).scaleb(-card.decimals), beside=column)
        for i, row in _steps(first, pair.rows)
        for j, column in _steps(second, pair.columns)
    ]


def assemble_pairs(
    entries: Sequence[PointsEntry], bins: Mapping[str, CharacteristicBins], decimals: int
) -> tuple[Pair, ...]:
    """Make pairs of the rows that have a second side.

    Parameters
    ----------
    entries : sequence of PointsEntry
        Cells; the order of the rows does not matter.
    bins : mapping of str to CharacteristicBins
        Of the characteristics of the card.
    decimals : int
        Of the card.

    Raises
    ------
    InputError
        A matrix is of a characteristic that has no points of its own, lacks a cell, has one twice, or cuts through a
        bin of its characteristics.
    """
    groups: dict[tuple[str, str], dict[tuple[_Side, _Side], Decimal]] = {}
    for entry in entries:
        assert entry.beside is not None  # noqa: S101  # only such are given
        cells = groups.setdefault((entry.characteristic, entry.beside.characteristic), {})
        sides = _Side.of(entry, bins), _Side.of(entry.beside, bins)
        if sides in cells:
            raise InputError(msg("a cell stands in two rows"), where=entry.where or entry.characteristic)
        cells[sides] = entry.points
    return tuple(_pair(names, cells, bins, decimals) for names, cells in groups.items())


def _pair(
    names: tuple[str, str], cells: Mapping[tuple[_Side, _Side], Decimal],
    bins: Mapping[str, CharacteristicBins], decimals: int,
) -> Pair:  # fmt: skip
    title = " × ".join(names)
    unknown = [name for name in names if name not in bins]
    if unknown:
        raise InputError(
            msg("crossed characteristics must have points of their own, too: {names}", names=", ".join(unknown)),
            where=title, fix=msg("Add their bins, with no points where they have none."),
        )  # fmt: skip
    sides = [list(dict.fromkeys(key[side] for key in cells)) for side in (0, 1)]
    lacking = sum((row, column) not in cells for row in sides[0] for column in sides[1])
    if lacking:
        raise InputError(msg("the matrix lacks {n} cells", n=lacking), where=title)
    steps = [_steps_of_bins(bins[name], side) for name, side in zip(names, sides, strict=True)]
    # A row that no bin reaches, such as one of levels that have a code of their own, is passed over.
    used = [list(dict.fromkeys(found)) for found in steps]
    units = tuple(
        tuple(whole_units(cells[sides[0][i], sides[1][j]], decimals) for j in used[1]) for i in used[0]
    )  # fmt: skip
    rows, columns = (tuple(u.index(step) for step in found) for u, found in zip(used, steps, strict=True))
    return Pair(*names, rows, columns, units).tidied(bins[names[0]], bins[names[1]])


def _steps(bins: CharacteristicBins, groups: Sequence[int]) -> list[tuple[int, PointsEntry]]:
    """Return the groups of bins as rows to read in turn: codes and nulls first, "other" last."""
    steps = []
    for index in range(bins.bins.n_bins, bins.n_bins):
        special = bins.special(index)
        row = PointsEntry(bins.alias, "special", _NONE, values=special.values, code=special.code)
        steps.append((groups[index], row))
    steps.append((groups[bins.n_plain], PointsEntry(bins.alias, "missing", _NONE)))
    last: list[tuple[int, PointsEntry]] = []
    for group, members in group_runs(bins, groups):
        if bins.kind == "number":
            low, high = bins.interval(members[0])[0], bins.interval(members[-1])[1]
            steps.append((group, PointsEntry(bins.alias, "interval", _NONE, low, high)))
            continue
        levels = tuple(level for index in members for level in bins.members(index))
        is_other = any(bins.holds_others(index) for index in members)
        row = PointsEntry(bins.alias, "other" if is_other else "levels", _NONE, values=levels)
        if is_other or levels:
            (last if is_other else steps).append((group, row))
    return steps + last


def _steps_of_bins(bins: CharacteristicBins, side: Sequence[_Side]) -> list[int]:
    """Return for each bin the number of the row, or column, that holds it."""
    found = [_step_of(bins, index, side) for index in range(bins.n_bins)]
    for number in set(found[: bins.n_plain]):
        members = [index for index in range(bins.n_plain) if found[index] == number]
        if not _is_whole(bins, members, side[number]):
            raise _cut(bins, members[0])
    return found


def _is_whole(bins: CharacteristicBins, members: Sequence[int], step: _Side) -> bool:
    """Whether a row holds its bins and nothing else."""
    if step.kind == "interval":
        return (bins.interval(members[0])[0], bins.interval(members[-1])[1]) == (step.lower, step.upper)
    return step.kind == "other" or {level for index in members for level in bins.members(index)} == set(step.values)


def _step_of(bins: CharacteristicBins, index: int, side: Sequence[_Side]) -> int:
    kind = bins.bin_kind(index)
    for number, step in enumerate(side):
        if kind == "missing" and step.kind == "missing":
            return number
        if kind == "special" and step.kind in ("special", "levels"):
            wanted = bins.special(index).values
            if set(step.values) == set(wanted):
                return number
        if kind == "interval" and step.kind == "interval":
            low, high = bins.interval(index)
            if step.lower <= low and high <= step.upper:
                return number
        if kind == "levels" and _holds(step, set(bins.members(index)), side, is_other=bins.holds_others(index)):
            return number
    raise _cut(bins, index)


def _cut(bins: CharacteristicBins, index: int) -> InputError:
    return InputError(
        msg("no row or column of the matrix holds the bin {bin}", bin=bins.label(index)), where=bins.alias,
        fix=msg("The rows and columns of a matrix are unions of bins of its characteristics."),
    )  # fmt: skip


def _holds(step: _Side, members: set[str], side: Sequence[_Side], *, is_other: bool) -> bool:
    if step.kind == "levels":
        return not is_other and bool(members) and members <= set(step.values)
    named = {value for other in side if other.kind == "levels" for value in other.values}
    return step.kind == "other" and not members & named
