"""Points of crossed characteristics: what a card leaves unexplained, in few cells, and never against a direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.control import FitControl
from automl.scorecard.bins import CharacteristicBins
from automl.scorecard.card import Scorecard
from automl.scorecard.directions import Direction, least_steps
from automl.scorecard.pair_grouping import Sums, grouped
from automl.scorecard.pair_search import Residuals, interaction_score
from automl.scorecard.pairs import Pair

__all__ = ["Crossing", "cross", "in_direction", "plain_order"]

_LEAST_ROWS, _LEAST_INFORMATION = 20, 2.0
"""Rows, and information on their log-odds (cases times both probabilities), below which a cell is neutral."""
_PENALTY = 10.0
_NEWTON_STEPS, _SWEEPS = 4, 20
_LEAST_SCORE = 8.0
"""Score statistic of a pair, which chance reaches at one given cut of each in one of two hundred."""
_SCALES = (1.0, 0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Crossing:
    """What pairs are made of.

    Parameters
    ----------
    card : Scorecard
        The card; the points of its characteristics stay as they are.
    assigned : mapping of str to ndarray of int, each of shape (n_rows,)
        Bin of each row by characteristic; null in the plain bin that it is counted with.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    directions : mapping of str to {"rising", "falling"} or None
        How risk must run along a characteristic, whatever the bin of the other.
    groups : tuple of frozenset of str
        Only characteristics of one group are crossed; empty: any two.
    """

    card: Scorecard
    assigned: Mapping[str, np.ndarray]
    y: np.ndarray
    directions: Mapping[str, Direction | None]
    groups: tuple[frozenset[str], ...] = ()

    def bins(self, alias: str) -> CharacteristicBins:
        """Return the bins of a characteristic."""
        return self.card.characteristic(alias).bins

    def candidates(self) -> list[tuple[str, str]]:
        """Return the pairs that may be crossed, in the order of the card."""
        able = [item.alias for item in self.card.characteristics if item.bins.n_plain > 1]
        pairs = [(first, second) for i, first in enumerate(able) for second in able[i + 1 :]]
        return [pair for pair in pairs if not self.groups or any(set(pair) <= group for group in self.groups)]


def cross(
    asked: Crossing, most: int, control: FitControl, wanted: Sequence[tuple[str, str]] | None = None
) -> Scorecard:
    """Return the card with at most `most` pairs, the clearest first, each on what the card with those before leaves.

    Parameters
    ----------
    asked : Crossing
        Card and rows.
    most : int
        Pairs at most; those that are not clear at any cuts do not enter.
    control : FitControl
        Asked before each pair; once it is over, those found so far stay.
    wanted : sequence of (str, str), optional
        These pairs, however clear; those of characteristics that are not on the card, or of one bin, are passed over.
    """
    card, left_over = asked.card, asked.candidates()
    if wanted is not None:
        named = [frozenset(pair) for pair in wanted]
        left_over = sorted((p for p in left_over if frozenset(p) in named), key=lambda p: named.index(frozenset(p)))
        most = len(left_over)
    least = _LEAST_SCORE if wanted is None else 0.0
    margin = _margin(asked, card)
    while left_over and len(card.pairs) < most and not control.is_over():
        control.check()
        left = Residuals.of(margin, asked.y)
        scores = [_score(asked, pair, left) for pair in left_over] if wanted is None else [1.0]
        at = int(np.argmax(scores))
        if scores[at] <= least:
            break
        made = _fitted(asked, card, left_over.pop(at), margin)
        if made is not None:
            card = replace(card, pairs=(*card.pairs, made))
            margin = _margin(asked, card)
    return _balanced(card, margin, asked.y) if card.pairs else card


def _margin(asked: Crossing, card: Scorecard) -> np.ndarray:
    """Return the log-odds of good that the points of each row stand for."""
    total = np.full(len(asked.y), card.base_units, dtype=np.int64)
    for item in card.characteristics:
        total += np.array(item.units, dtype=np.int64)[asked.assigned[item.alias]]
    for pair in card.pairs:
        total += pair.cells()[asked.assigned[pair.first], asked.assigned[pair.second]]
    return -card.log_odds(total / 10**card.decimals)


def _score(asked: Crossing, pair: tuple[str, str], left: Residuals) -> float:
    places, shape = [], []
    for alias in pair:
        order = plain_order(asked.card, alias)
        place = np.full(asked.bins(alias).n_bins, len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        places.append(place[asked.assigned[alias]])
        shape.append(len(order) + 1)
    return interaction_score(places[0], places[1], (shape[0], shape[1]), left)


def plain_order(card: Scorecard, alias: str) -> list[int]:
    """Return the plain bins of a characteristic in their order; those of a category by their points."""
    item = card.characteristic(alias)
    bins = range(item.bins.n_plain)
    return list(bins) if item.bins.kind == "number" else sorted(bins, key=lambda index: (item.units[index], index))


def _fitted(asked: Crossing, card: Scorecard, names: tuple[str, str], margin: np.ndarray) -> Pair | None:
    """Return the pair with its points, or None where nothing is left of them."""
    first, second = (asked.bins(alias) for alias in names)
    assigned = [asked.assigned[alias] for alias in names]
    shape = (first.n_bins, second.n_bins)
    sums = Sums(*Residuals.of(margin, asked.y).tables(assigned[0] * shape[1] + assigned[1], shape))
    orders = (plain_order(asked.card, names[0]), plain_order(asked.card, names[1]))
    rows, columns = grouped(sums, orders, _PENALTY)
    rows, columns = _with_null(rows, first), _with_null(columns, second)
    cell = np.array(rows)[assigned[0]] * (max(columns) + 1) + np.array(columns)[assigned[1]]
    found, n_rows = _weights(cell, (max(rows) + 1, max(columns) + 1), margin, asked.y)
    units = found * card.points_per_log_odds * 10**card.decimals
    blank = Pair(*names, rows, columns, tuple(map(tuple, np.zeros(units.shape, dtype=int).tolist())))
    made = in_direction(asked, card, blank, units, n_rows)
    if made is None:
        return None
    after = margin + made.cells()[assigned[0], assigned[1]] / (card.points_per_log_odds * 10**card.decimals)
    if _loss(after, asked.y) >= _loss(margin, asked.y):
        return None
    return made.tidied(first, second)


def _with_null(groups: tuple[int, ...], bins: CharacteristicBins) -> tuple[int, ...]:
    """Return the groups, null in that of the bin it is counted with; numbered without a gap."""
    found = list(groups)
    if bins.missing_as is not None:
        found[bins.n_plain] = found[bins.missing_as]
    number = {group: place for place, group in enumerate(dict.fromkeys(found))}
    return tuple(number[group] for group in found)


def _weights(
    cell: np.ndarray, shape: tuple[int, int], margin: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each cell adds to the log-odds of good beside row and column, shrunk, and its rows of data."""
    weights = np.zeros(shape)
    _, information, n_rows = Residuals.of(margin, y).tables(cell, shape)
    has_own = (n_rows >= _LEAST_ROWS) & (information >= _LEAST_INFORMATION)
    for _ in range(_NEWTON_STEPS):
        gradient, information, _ = Residuals.of(margin + weights.ravel()[cell], y).tables(cell, shape)
        step = (gradient - _PENALTY * weights) / (information + _PENALTY)
        weights = np.where(has_own, weights + step, 0.0)
    counts = np.where(has_own, n_rows, 0.0)
    for _ in range(_SWEEPS):  # what row or column say by themselves is not the pair's to say
        for axis in (0, 1):
            held = np.maximum(counts.sum(axis=axis, keepdims=True), 1.0)
            weights = np.where(has_own, weights - (weights * counts).sum(axis=axis, keepdims=True) / held, 0.0)
    return weights, n_rows


def in_direction(asked: Crossing, card: Scorecard, blank: Pair, units: np.ndarray, n_rows: np.ndarray) -> Pair | None:
    """Return the pair in whole units, such that neither characteristic runs against its direction for any bin.

    Parameters
    ----------
    asked : Crossing
        Directions, and the bins of the characteristics.
    card : Scorecard
        The card that the pair is added to.
    blank : Pair
        Its groups of bins.
    units : ndarray of float, shape (n_rows, n_columns)
        Points it should have, in units of the last decimal.
    n_rows : ndarray, shape (n_rows, n_columns)
        Rows of data per cell.

    Returns
    -------
    Pair or None
        None where nothing is left.
    """
    signs = [_sign(asked, alias) for alias in blank.aliases]
    slacks = [_slack(card, alias, sign) for alias, sign in zip(blank.aliases, signs, strict=True)]
    held = units
    for _ in range(_SWEEPS if all(signs) else 1):
        held = _monotone(held, n_rows, blank.rows, slacks[0], signs[0])
        held = _monotone(held.T, n_rows.T, blank.columns, slacks[1], signs[1]).T
    for scale in _SCALES:
        whole = np.floor(scale * held + 0.5).astype(np.int64)  # halves go one way, so that equal steps stay equal
        made = replace(blank, units=tuple(map(tuple, whole.tolist())))
        pairs = zip(made.aliases, signs, strict=True)
        if whole.any() and all(_keeps(card, made, alias, sign) for alias, sign in pairs):
            return made
    return None


def _sign(asked: Crossing, alias: str) -> int:
    """Return 1 where points must rise with the value, -1 where they must fall, 0 where they may run as they like."""
    if asked.bins(alias).kind == "category":
        return 0
    return {"rising": -1, "falling": 1, None: 0}[asked.directions.get(alias)]


def _slack(card: Scorecard, alias: str, sign: int) -> np.ndarray:
    """Return how far each step to the next bin may be turned back before it turns over."""
    low, high = least_steps(card, alias)
    return np.asarray(np.maximum(low if sign > 0 else -high, 0))


def _monotone(
    units: np.ndarray, n_rows: np.ndarray, groups: tuple[int, ...], slack: np.ndarray, sign: int
) -> np.ndarray:
    if not sign:
        return units
    from sklearn.isotonic import isotonic_regression

    plain = list(dict.fromkeys(groups[: len(slack) + 1]))
    at = [index for index in range(len(slack)) if groups[index] != groups[index + 1]]
    free = np.concatenate([[0], np.cumsum(slack[at])])
    held = units.copy()
    for column in range(units.shape[1]):
        weight = np.maximum(n_rows[plain, column], 1e-6)
        pooled = isotonic_regression(sign * units[plain, column] + free, sample_weight=weight)
        held[plain, column] = sign * (pooled - free)
    return held


def _keeps(card: Scorecard, made: Pair, alias: str, sign: int) -> bool:
    if not sign:
        return True
    low, high = least_steps(replace(card, pairs=(*card.pairs, made)), alias)
    before = least_steps(card, alias)
    return bool((low >= np.minimum(before[0], 0)).all() if sign > 0 else (high <= np.maximum(before[1], 0)).all())


def _loss(margin: np.ndarray, y: np.ndarray) -> float:
    return float((np.logaddexp(0, -margin) + y * margin).sum())


def _balanced(card: Scorecard, margin: np.ndarray, y: np.ndarray) -> Scorecard:
    """Return the card with base points such that it expects as many bads as there are."""
    shift = 0.0
    for _ in range(_NEWTON_STEPS):
        left = Residuals.of(margin + shift, y)
        shift += float(left.gradient.sum() / left.information.sum())
    return replace(card, base_units=card.base_units + round(shift * card.points_per_log_odds * 10**card.decimals))
