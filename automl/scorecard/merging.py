"""Several scorecards as one: the mean of sums of points is a sum of points, here with no more bins than one card has.

The cards of a cross-validation differ in where they cut, and their mean orders borrowers better than any of them. On
the union of their cuts it is one scorecard without any loss, but one of hundreds of bins. So bins that weigh alike are
joined, by Ward's rule, and of characteristics and crossed ones those that move the score most are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl.scorecard.bins import BinTable, CharacteristicBins
from automl.scorecard.card import Characteristic, Scorecard
from automl.scorecard.classing import ClassingData
from automl.scorecard.directions import Direction
from automl.scorecard.joint import groups_alike
from automl.scorecard.pair_fitting import Crossing, in_direction, plain_order
from automl.scorecard.pair_grouping import Sums, grouped
from automl.scorecard.pairs import MOST_PAIRS, Pair
from automl.scorecard.reshaping import merge_bins, round_edges
from automl.scorecard.weights import evidence
from core.errors import InputError
from core.i18n import msg
from features.binning import FeatureBins

__all__ = ["MergeLimits", "merge_cards"]


@dataclass(frozen=True)
class MergeLimits:
    """How much of a mean of cards somebody has to read.

    Parameters
    ----------
    characteristics : int
        At most.
    bins : int
        Plain bins of each, at most.
    pairs : int
        Crossed characteristics, at most.
    groups : int
        Rows, and columns, of the matrix of each, at most, those for nulls and special codes apart.
    least_share : float
        Of the rows, in each plain bin.
    moved_share : float
        Of the rows, that a boundary of a number may pass over to stand at a number of fewer digits.
    """

    characteristics: int = 25
    bins: int = 8
    pairs: int = MOST_PAIRS
    groups: int = 4
    least_share: float = 0.01
    moved_share: float = 0.001


_LIMITS = MergeLimits()
_CERTAIN = 1e6
_TRACE = 1e-9
_MOST_ROWS = 50_000


def merge_cards(
    cards: Sequence[Scorecard], data: ClassingData, directions: Mapping[str, Direction | None],
    limits: MergeLimits = _LIMITS, *, slope: float = 1.0, intercept: float = 0.0,
) -> Scorecard:  # fmt: skip
    """Return one card whose points are, as nearly as its limits allow, the mean of the points of `cards`.

    Parameters
    ----------
    cards : sequence of Scorecard
        Cards on the columns of `data`, fitted there or on parts of it, all of one scale.
    data : ClassingData
        Training rows: how many a bin holds decides what is joined, by some 50,000 of them; their outcomes are counted,
        all of them, and no more.
    directions : mapping of str to {"rising", "falling"} or None
        How risk must run along a characteristic, as in `cards`.
    limits : MergeLimits
        What the card may hold.
    slope, intercept : float
        A straight calibration that goes into the points: of the mean log-odds of bad, before they are rounded.

    Returns
    -------
    Scorecard
        ``about`` holds the number of cards, and how far its points are from their mean: the root of the mean square
        over the rows.

    Raises
    ------
    InputError
        The cards differ in their scale, or in the special codes or levels of a characteristic.
    """
    if len({(card.decimals, card.scale) for card in cards}) != 1:
        raise InputError(msg("scorecards of different scales have no mean in points"))
    some = _thinned(data)
    aliases = dict.fromkeys(alias for card in cards for alias in card.aliases)
    effects = [_Effect.of(alias, cards, some, slope) for alias in aliases]
    crossed = _crossed_points(cards, some, slope)
    moved = {effect.alias: effect.variance for effect in effects}
    for names, points in crossed.items():
        for alias in names:
            moved[alias] += float(points.var()) / 2
    least_step = 10.0 ** cards[0].decimals
    strongest = sorted(effects, key=lambda effect: -moved[effect.alias])[: limits.characteristics]
    made = [effect.characteristic(limits, least_step, some.column(effect.alias)) for effect in strongest]
    telling = [item for item in made if len(set(item.units)) > 1]
    card = replace(cards[0], characteristics=tuple(telling or made[:1]), base_units=0, pairs=())
    held = [names for names in crossed if set(names) <= set(card.aliases)]
    held = sorted(held, key=lambda names: -float(crossed[names].var()))[: limits.pairs]
    card = _with_pairs(card, some, directions, {names: crossed[names] for names in held}, limits.groups)
    return _levelled(_counted(card, data), cards, some, slope, intercept)


def _thinned(data: ClassingData) -> ClassingData:
    """Return some of the rows, evenly, and one of each outcome: enough to tell how many a bin holds beside others."""
    rows = np.arange(0, len(data.y), max(len(data.y) // _MOST_ROWS, 1))
    rows = np.union1d(rows, [data.y.argmin(), data.y.argmax()])
    return ClassingData(data.values, data.y[rows], data.aliases, rows if data.rows is None else data.rows[rows])


@dataclass(frozen=True)
class _Effect:
    """What a characteristic adds to the mean of the points of all cards, over the union of their bins.

    Parameters
    ----------
    table : BinTable
        The union of bins, with the rows in each.
    points : ndarray of float, shape (n_bins,)
        In units of the last decimal.
    """

    table: BinTable
    points: np.ndarray

    @property
    def alias(self) -> str:
        return self.table.bins.alias

    @property
    def variance(self) -> float:
        mean = np.average(self.points, weights=self.table.n)
        return float(np.average((self.points - mean) ** 2, weights=self.table.n))

    @classmethod
    def of(cls, alias: str, cards: Sequence[Scorecard], data: ClassingData, slope: float) -> "_Effect":
        items = [item for card in cards for item in card.characteristics if item.alias == alias]
        table = data.table(_union([item.bins for item in items]))
        values = _representatives(table.bins)
        points = np.zeros(table.bins.n_bins)
        for item in items:
            points += np.array(item.units)[item.bins.assign(values)] * (slope / len(cards))
        return cls(table, points)

    def characteristic(self, limits: MergeLimits, least_step: float, values: np.ndarray) -> Characteristic:
        """Return it with few plain bins, none small, at round numbers, and whole points; rows are not counted yet."""
        large = self.joined(self._none_small(limits.least_share))
        few = large.joined(groups_alike(large.points, large.table, limits.bins, least_step))
        bins = round_edges(few.table.bins, values, limits.moved_share)
        return Characteristic(bins, tuple(np.floor(few.points + 0.5).astype(np.int64).tolist()))

    def _none_small(self, least_share: float) -> list[list[int]]:
        """Return the plain bins in groups, each of few rows beside the neighbour that weighs most alike.

        Neighbours of a category are those of its levels in the order of their points.
        """
        n, n_plain = self.table.n, self.table.bins.n_plain
        is_number = self.table.bins.kind == "number"
        order = range(n_plain) if is_number else np.argsort(self.points[:n_plain], kind="stable").tolist()
        groups = [[index] for index in order]
        while len(groups) > 1:
            rows = [int(n[group].sum()) for group in groups]
            at = int(np.argmin(rows))
            if rows[at] >= least_share * n.sum():
                break
            weights = [float(np.average(self.points[group], weights=n[group] + _TRACE)) for group in groups]
            beside = [index for index in (at - 1, at + 1) if 0 <= index < len(groups)]
            first, last = sorted((at, min(beside, key=lambda index: abs(weights[index] - weights[at]))))
            groups[first : last + 1] = [sorted(groups[first] + groups[last])]
        return groups

    def joined(self, groups: list[list[int]]) -> "_Effect":
        """Return the same with the bins of each group made one, whose points are the mean over their rows."""
        old = self.table
        bins = merge_bins(old.bins, groups)
        place, held = bins.assign(_representatives(old.bins)), old.n + _TRACE

        def added(values: Any) -> np.ndarray:
            return np.bincount(place, weights=np.asarray(values, dtype=np.float64), minlength=bins.n_bins)

        good, bad = (tuple(added(counts).astype(int).tolist()) for counts in (old.good, old.bad))
        return _Effect(BinTable(bins, good, bad), added(held * self.points) / added(held))


def _union(bins: Sequence[CharacteristicBins]) -> CharacteristicBins:
    """Return bins that are nowhere wider than any of `bins`, null by itself."""
    first = bins[0]
    if any(item.specials != first.specials or item.levels != first.levels for item in bins):
        raise InputError(msg("scorecards of different special codes or levels have no mean"), where=first.alias)
    if first.kind == "number":
        edges = tuple(sorted({edge for item in bins for edge in item.bins.edges}))
        return replace(first, bins=FeatureBins(first.alias, "number", edges=edges), missing_as=None)
    codes = np.arange(len(first.levels) + 1, dtype=np.float64)
    together = list(zip(*(item.bins.assign(codes).tolist() for item in bins), strict=True))
    number = {found: position for position, found in enumerate(dict.fromkeys(together))}
    code_bins = tuple(number[found] for found in together)
    return replace(first, bins=FeatureBins(first.alias, "category", code_bins=code_bins), missing_as=None)


def _representatives(bins: CharacteristicBins) -> np.ndarray:
    """Return one value of each bin, as it stands in a matrix."""
    if bins.kind == "number":
        plain = [-np.inf, *np.nextafter(bins.bins.edges, np.inf).tolist()]
    else:
        plain = [float(bins.bins.code_bins.index(number)) for number in range(bins.n_plain)]
    return np.array([*plain, np.nan, *(bins.code(special.values[0]) for special in bins.specials)])


def _crossed_points(
    cards: Sequence[Scorecard], data: ClassingData, slope: float
) -> dict[tuple[str, str], np.ndarray]:  # fmt: skip
    """Return what each two crossed characteristics add to the mean of the points of each row."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for card in cards:
        for pair in card.pairs:
            first, second = (card.characteristic(alias).bins.assign(data.column(alias)) for alias in pair.aliases)
            names = next((names for names in found if set(names) == set(pair.aliases)), pair.aliases)
            points = pair.cells()[first, second] * (slope / len(cards))
            found[names] = found[names] + points if names in found else points
    return found


def _with_pairs(
    card: Scorecard, data: ClassingData, directions: Mapping[str, Direction | None],
    crossed: Mapping[tuple[str, str], np.ndarray], most_groups: int,
) -> Scorecard:  # fmt: skip
    """Return the card with a matrix for each of `crossed`: in each cell the mean over its rows."""
    assigned = {item.alias: item.bins.assign(data.column(item.alias)) for item in card.characteristics}
    asked = Crossing(card, assigned, data.y, directions)
    for names, points in crossed.items():
        bins = tuple(card.characteristic(alias).bins for alias in names)
        shape = bins[0].n_bins, bins[1].n_bins
        cell = assigned[names[0]] * shape[1] + assigned[names[1]]
        total, n = (np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape) for weights in (points, None))
        # Points are no estimates here: only the number of groups ends the joining.
        sums = Sums(total * _CERTAIN, n * _CERTAIN, n)
        rows, columns = grouped(sums, (plain_order(card, names[0]), plain_order(card, names[1])), 1.0, most_groups)
        place = np.ix_(rows, columns)
        joined = [np.zeros((max(rows) + 1, max(columns) + 1)) for _ in range(2)]
        for table, added in zip(joined, (total, n), strict=True):
            np.add.at(table, place, added)
        blank = Pair(*names, rows, columns, tuple((0,) * (max(columns) + 1) for _ in range(max(rows) + 1)))
        made = in_direction(asked, card, blank, joined[0] / np.maximum(joined[1], 1.0), joined[1])
        if made is not None:
            card = replace(card, pairs=(*card.pairs, made.tidied(*bins)))
    return card


def _counted(card: Scorecard, data: ClassingData) -> Scorecard:
    """Return the card with goods and bads of all rows in its bins and cells."""
    tables = [data.table(item.bins) for item in card.characteristics]
    items = tuple(
        replace(item, woe=tuple(evidence(table).tolist()), good=table.good, bad=table.bad)
        for item, table in zip(card.characteristics, tables, strict=True)
    )
    crossed = {alias for pair in card.pairs for alias in pair.aliases}
    assigned = {alias: card.characteristic(alias).bins.assign(data.column(alias)) for alias in crossed}
    pairs = tuple(pair.counted(assigned[pair.first], assigned[pair.second], data.y) for pair in card.pairs)
    return replace(card, characteristics=items, pairs=pairs)


def _levelled(
    card: Scorecard, cards: Sequence[Scorecard], data: ClassingData, slope: float, intercept: float
) -> Scorecard:
    """Return the card with base points such that its mean over the rows is that of `cards`."""
    wanted = np.mean([_log_odds(one, data) for one in cards], axis=0) * slope + intercept
    apart = (_log_odds(card, data) - wanted) * card.points_per_log_odds
    about = {
        "origin": "merged", "n_cards": len(cards), "points_apart": round(float(apart.std()), 3),
        "slope": slope, "intercept": intercept,
    }  # fmt: skip
    return replace(card, base_units=round(float(apart.mean()) * 10**card.decimals), about=about)


def _log_odds(card: Scorecard, data: ClassingData) -> np.ndarray:
    return card.log_odds(card.score(np.column_stack([data.column(alias) for alias in card.aliases])))
