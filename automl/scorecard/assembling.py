"""Makes a scorecard from the rows of somebody else's points table, and refuses tables that leave anything open."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from automl.scale import ScoreScale
from automl.scorecard.bins import CharacteristicBins, Special, number_text
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.entries import PointsEntry, whole_units
from automl.scorecard.pair_entries import assemble_pairs, pair_entries
from core.errors import InputError
from core.findings import Finding, Severity
from core.i18n import msg
from features.binning import FeatureBins

__all__ = ["ImportedScorecard", "assemble", "to_entries"]

_MOST_DECIMALS = 6


@dataclass(frozen=True)
class ImportedScorecard:
    """A scorecard from outside, with what had to be decided for it.

    Parameters
    ----------
    card : Scorecard
        The card; `automl.scorecard.model.bind` makes a model of it.
    findings : tuple of Finding
        What the table left open, and what was taken.
    """

    card: Scorecard
    findings: tuple[Finding, ...] = ()


def assemble(
    name: str, base: Decimal, entries: Sequence[PointsEntry], scale: ScoreScale, *, origin: str = "imported"
) -> ImportedScorecard:
    """Make a scorecard of table rows.

    Intervals of a number must cover all numbers without gap or overlap. Nulls and levels that the table does not
    mention get the fewest points of their characteristic, and a finding says so.

    Raises
    ------
    InputError
        A characteristic has a gap, an overlap, a level twice, or rows that do not go together.
    """
    decimals, findings = _decimals(name, [base, *(entry.points for entry in entries)])
    groups: dict[str, list[PointsEntry]] = {}
    for entry in entries:
        if entry.beside is None:
            groups.setdefault(entry.characteristic, []).append(entry)
    characteristics: list[Characteristic] = []
    for alias, rows in groups.items():
        item, found = _characteristic(alias, rows, decimals)
        characteristics.append(item)
        findings += found
    pairs = assemble_pairs(
        [e for e in entries if e.beside], {item.alias: item.bins for item in characteristics}, decimals
    )
    about = {"origin": origin}
    card = Scorecard(name, tuple(characteristics), whole_units(base, decimals), scale, decimals, about, pairs)
    return ImportedScorecard(card, tuple(findings))


def to_entries(card: Scorecard) -> list[PointsEntry]:
    """Return the rows that `assemble` makes the same card of."""
    entries = [_entry(card, item, index) for item in card.characteristics for index in _order(item.bins)]
    cells = [entry for pair in card.pairs for entry in pair_entries(card, pair)]
    return [entry for entry in entries if entry.kind != "levels" or entry.values] + cells


def _order(bins: CharacteristicBins) -> list[int]:
    """Return the bins in the order to read them: special codes first, for their values lie in plain bins too."""
    return [*range(bins.bins.n_bins, bins.n_bins), bins.n_plain, *range(bins.n_plain)]


def _entry(card: Scorecard, item: Characteristic, index: int) -> PointsEntry:
    bins, points = item.bins, Decimal(item.units[index]).scaleb(-card.decimals)
    kind = bins.bin_kind(index)
    names = dict(bins.names)
    if kind == "missing":
        return PointsEntry(item.alias, "missing", points, names=names)
    if kind == "special":
        special = bins.special(index)
        return PointsEntry(
            item.alias, "special", points, values=special.values, code=special.code, labels=dict(special.labels),
            names=names,
        )  # fmt: skip
    if kind == "interval":
        low, high = bins.interval(index)
        return PointsEntry(item.alias, "interval", points, low, high, names=names)
    is_other = bins.holds_others(index)
    return PointsEntry(
        item.alias, "other" if is_other else "levels", points, values=bins.members(index), names=names
    )  # fmt: skip


def _decimals(name: str, points: list[Decimal]) -> tuple[int, list[Finding]]:
    if not all(value.is_finite() for value in points):
        raise InputError(msg("points must be numbers"), where=name)
    wanted = max(max(-int(value.as_tuple().exponent), 0) for value in points)
    if wanted <= _MOST_DECIMALS:
        return wanted, []
    text = msg("the points have {n} decimals; they are rounded to {most}", n=wanted, most=_MOST_DECIMALS)
    return _MOST_DECIMALS, [Finding("points_rounded", Severity.INFO, text, where=name)]


def _characteristic(alias: str, rows: list[PointsEntry], decimals: int) -> tuple[Characteristic, list[Finding]]:
    kinds = {row.kind for row in rows}
    is_number = "interval" in kinds
    if is_number == bool(kinds & {"levels", "other"}):
        raise InputError(msg("a characteristic needs either intervals or levels"), where=alias)
    specials = tuple(_special(row, is_number=is_number) for row in rows if row.kind == "special")
    plain, bins, findings = _number(alias, rows) if is_number else _category(alias, rows, specials)
    fewest = min(row.points for row in rows)
    missing = [row for row in rows if row.kind == "missing"]
    if len(missing) > 1:
        raise InputError(msg("more than one row is for missing values"), where=missing[1].where or alias)
    if not missing:
        text = msg("the table says nothing of missing values; they get the fewest points, {points}", points=fewest)
        findings.append(Finding("missing_not_covered", Severity.WATCH, text, where=alias))
    points = [
        *plain,
        missing[0].points if missing else fewest,
        *(row.points for row in rows if row.kind == "special"),
    ]
    levels = _levels(rows) if not is_number else ()
    known = CharacteristicBins(bins, specials, levels, dict(rows[0].names))
    return Characteristic(known, tuple(whole_units(value, decimals) for value in points)), findings


def _special(row: PointsEntry, *, is_number: bool) -> Special:
    if not row.values:
        raise InputError(msg("a special code needs values"), where=row.where or row.characteristic)
    values: tuple[float | str, ...] = tuple(_number_of(value, row) if is_number else str(value) for value in row.values)
    code = row.code or "|".join(map(str, row.values))
    return Special(code, values, row.labels)


def _number_of(value: str | float, row: PointsEntry) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(
            msg("{value} is no number", value=repr(value)), where=row.where or row.characteristic
        ) from error


def _number(alias: str, rows: list[PointsEntry]) -> tuple[list[Decimal], FeatureBins, list[Finding]]:
    intervals = sorted((row for row in rows if row.kind == "interval"), key=lambda row: row.lower)
    for row in intervals:
        if not row.lower < row.upper:
            raise InputError(
                msg("the interval from {low} to {high} is empty", low=number_text(row.lower),
                    high=number_text(row.upper)), where=row.where or alias,
            )  # fmt: skip
    if intervals[0].lower != -math.inf or intervals[-1].upper != math.inf:
        raise InputError(msg("the intervals must reach from minus to plus infinity"), where=alias)
    for before, after in pairwise(intervals):
        if before.upper != after.lower:
            raise InputError(
                msg("the intervals leave a gap or overlap between {low} and {high}", low=number_text(before.upper),
                    high=number_text(after.lower)), where=after.where or alias,
            )  # fmt: skip
    edges = tuple(float(row.lower) for row in intervals[1:])
    return [row.points for row in intervals], FeatureBins(alias, "number", edges=edges), []


def _category(
    alias: str, rows: list[PointsEntry], specials: tuple[Special, ...]
) -> tuple[list[Decimal], FeatureBins, list[Finding]]:
    groups = [row for row in rows if row.kind in ("levels", "other")]
    empty = [row for row in groups if row.kind == "levels" and not row.values]
    if empty:
        raise InputError(msg("a row of levels names none"), where=empty[0].where or alias)
    named = [level for row in groups for level in row.values]
    named += [level for special in specials for level in special.values]
    if len(set(named)) < len(named):
        raise InputError(msg("a level stands in two rows"), where=alias)
    others = [position for position, row in enumerate(groups) if row.kind == "other"]
    if len(others) > 1:
        raise InputError(msg("more than one row is for all other levels"), where=alias)
    points, findings = [row.points for row in groups], []
    if not others:
        points.append(min(row.points for row in rows))
        text = msg("the table says nothing of other levels; they get the fewest points, {points}", points=points[-1])
        findings.append(Finding("other_not_covered", Severity.WATCH, text, where=alias))
    other = others[0] if others else len(groups)
    bin_of = {level: position for position, row in enumerate(groups) for level in row.values}
    codes = (*(bin_of.get(level, other) for level in _levels(rows)), other)
    return points, FeatureBins(alias, "category", code_bins=codes), findings


def _levels(rows: list[PointsEntry]) -> tuple[str, ...]:
    kinds = ("levels", "other", "special")
    return tuple(str(level) for row in rows if row.kind in kinds for level in row.values)
