"""SHAP values of a row of LightGBM's trees, exact, at a fraction of the cost of LightGBM's own way.

A split sends a row left where it belongs, or, where the split's feature is not known, both ways by the shares of the
training rows (Lundberg et al., Nature Machine Intelligence, 2020). Let each feature be known with chance t. The
expected log-odds are then Owen's multilinear extension of the game, and the Shapley value of a feature is the integral
over t from 0 to 1 of what the expectation gains by knowing it (Owen, Management Science, 1972). A split goes left with
chance ``r = z + t (o - z)``, where z is the share of training rows and o is 1 where the row goes left: on the way down
chances multiply, on the way up values mix, and the split's feature gets ``(o - z)`` times the integral of the chance to
come there times the difference of the two sides. A split below another one on the same feature is asked given that one:
its z and o are those of both together, and r is divided by q, the chance of the other.

Along t all of it is a polynomial, of a degree below the number d of features on the longest path, so that
Gauss-Legendre quadrature with d / 2 points is no approximation. Each split is met once on the way down and once on the
way up, where LightGBM meets every split of the path to every leaf; the trees are walked level by level, all at once.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from automl.families.lightgbm_text import TextTree, text_trees

__all__ = ["TreeContributions", "make_contributions"]

_MOST_CELLS: Final = 1 << 20
"""Of a walk, splits times points: some 40 MB of working memory; the trees of a larger model are left to LightGBM."""
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_ZERO = 1
_ZERO: Final = float(np.float32(1e-35))


@dataclass(frozen=True)
class _Splits:
    """The splits of all trees in one numbering, and their leaves in another; a child below 0 is leaf ``~child``.

    `members` holds for each split on levels which codes go left, for others nothing.
    """

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    left: np.ndarray
    right: np.ndarray
    count: np.ndarray
    leaf_count: np.ndarray
    leaf_value: np.ndarray
    roots: np.ndarray
    members: tuple[np.ndarray | None, ...]

    def counts(self, children: np.ndarray) -> np.ndarray:
        """Return how many training rows came to each child."""
        return _of_children(children, self.count, self.leaf_count)


@dataclass(frozen=True)
class _Level:
    """Splits that are equally deep, at the places from `begin` to `end`.

    `children` are the places of the left and then of the right children, leaves behind all splits; `inner` says which
    of these children are the next level's splits, in its order.
    """

    begin: int
    end: int
    children: np.ndarray
    inner: np.ndarray


def make_contributions(text: str, n_features: int) -> "TreeContributions | None":
    """Return what computes the SHAP values of the model in `text`; None where LightGBM has to.

    That is where the model is larger than is worth it, or of a form that is not known here: leaves with linear models,
    averaged trees, or rows that do not add up from the children to the parent.
    """
    if re.search(r"^(average_output|num_tree_per_iteration=(?!1$).*|is_linear=1)$", text, re.MULTILINE):
        return None
    trees = [TextTree.parse(block) for block in text_trees(text)]
    if sum(int(tree.fields["num_leaves"][0]) for tree in trees) > _MOST_CELLS:
        return None
    splits, constant = _read(trees)
    if len(splits.feature) == 0:
        return None
    adds_up = splits.counts(splits.left) + splits.counts(splits.right) == splits.count
    if not adds_up.all() or min(splits.count.min(), splits.leaf_count.min()) <= 0:
        return None
    made = TreeContributions(splits, constant, n_features)
    return made if made.n_cells <= _MOST_CELLS else None


class TreeContributions:
    """Trees laid out for the walk. Safe for several threads.

    Parameters
    ----------
    splits : _Splits
        Of all trees.
    constant : float
        What trees without splits add to every row.
    n_features : int
        Features of the model.
    """

    def __init__(self, splits: _Splits, constant: float, n_features: int) -> None:
        self._n_features = n_features
        order, self._levels, above, is_right, n_known = _lay_out(splits)
        self._feature, self._threshold = splits.feature[order], splits.threshold[order]
        decision = splits.decision[order]
        missing = decision >> 2 & 3
        self._default_left = (decision & _DEFAULT_LEFT) > 0
        self._nan_goes_by_default = missing != 0
        self._zero_goes_by_default = missing == _MISSING_ZERO if (missing == _MISSING_ZERO).any() else None
        self._zero_goes_left = self._threshold >= 0
        self._by_level = _by_level(order, decision, splits.members)
        share = splits.counts(splits.left)[order] / splits.count[order]
        self._again = [(places, above[places], is_right[places]) for places in _by_repetition(above)]
        self._repeated = np.flatnonzero(above >= 0)
        # The shares of the training rows that a split and those above it on its feature send this way.
        self._share_above, self._share_left = _shares(share, above, is_right)
        points, weights = np.polynomial.legendre.leggauss((n_known + 1) // 2)
        self._points = ((points + 1) / 2)[np.newaxis]
        self._weights = weights / 2
        self._unknown_left = self._share_left[:, np.newaxis] * (1 - self._points)
        self._unknown_above = self._share_above[self._repeated, np.newaxis] * (1 - self._points)
        self._leaf_values = splits.leaf_value
        self._spaces: list[_Space] = []
        self.base = constant + self._mean(share)

    @property
    def n_cells(self) -> int:
        """Splits times points."""
        return int(self._unknown_left.size)

    def of_rows(self, X: np.ndarray) -> np.ndarray:
        """Return the SHAP values of the log-odds, shape (n_rows, n_features + 1), the base last."""
        found = np.empty((len(X), self._n_features + 1))
        found[:, -1] = self.base
        for values, row in zip(X, found, strict=True):
            row[:-1] = self._of_row(values)
        return found

    def _mean(self, share: np.ndarray) -> float:
        """Return the mean over the training rows, by the share of them that goes left at each split."""
        values = np.concatenate([share, self._leaf_values])
        for level in reversed(self._levels):
            left, right = values[level.children].reshape(2, -1)
            here = slice(level.begin, level.end)
            values[here] = share[here] * left + (1 - share[here]) * right
        return float(values[: self._levels[0].end].sum())

    def _of_row(self, values: np.ndarray) -> np.ndarray:
        goes_left, is_here = self._decide(values)
        try:
            space = self._spaces.pop()
        except IndexError:
            space = _Space(self._levels, self._leaf_values, self._unknown_left.shape)
        repeated, left = self._repeated, space.left
        np.dot(goes_left[:, np.newaxis].astype(np.float64), self._points, out=left)
        left += self._unknown_left
        above = np.dot(is_here[repeated, np.newaxis].astype(np.float64), self._points)
        above += self._unknown_above
        left[repeated] /= above
        gained = space.walk()
        above *= above
        gained[repeated] /= above
        moved = (goes_left * self._share_above - self._share_left * is_here) * (gained @ self._weights)
        self._spaces.append(space)
        return np.bincount(self._feature, moved, self._n_features)

    def _decide(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whether the row, by the feature of each split alone, comes to it, and goes left there."""
        # LightGBM passes over what is nearly zero, and so takes it for zero.
        known = np.where(np.abs(values) <= _ZERO, 0.0, values).take(self._feature)
        goes_left = known <= self._threshold
        is_nan = np.isnan(known)
        if is_nan.any():
            by_default = np.where(self._nan_goes_by_default, self._default_left, self._zero_goes_left)
            goes_left = np.where(is_nan, by_default, goes_left)
        if self._zero_goes_by_default is not None:
            goes_left = np.where(self._zero_goes_by_default & (known == 0), self._default_left, goes_left)
        if self._by_level is not None:
            places, members = self._by_level
            codes = np.trunc(known[places])
            is_code = (codes >= 0) & (codes < members.shape[1])
            goes_left[places] = is_code & members[np.arange(len(places)), np.where(is_code, codes, 0).astype(np.int64)]
        is_here = np.ones(len(goes_left), dtype=bool)
        for places, above, is_right in self._again:
            came = np.where(is_right, is_here[above] & ~goes_left[above], goes_left[above])
            is_here[places] = came
            goes_left[places] &= came
        return goes_left, is_here


class _Space:
    """Arrays that one row's walk works in, cut into levels; the values of the leaves stand in them for good."""

    def __init__(self, levels: Sequence[_Level], leaf_values: np.ndarray, shape: tuple[int, int]) -> None:
        n_splits, n_points = shape
        self.left = np.empty(shape)
        self._came = np.empty(shape)
        self._came[: levels[0].end] = 1.0
        self._apart = np.empty(shape)
        self._values = np.empty((n_splits + len(leaf_values), n_points))
        self._values[n_splits:] = leaf_values[:, np.newaxis]
        both = np.empty((2 * max(level.end - level.begin for level in levels), n_points))
        self._levels = [self._views(level, both) for level in levels]

    def _views(self, level: _Level, both: np.ndarray) -> tuple[np.ndarray, ...]:
        n, here = level.end - level.begin, slice(level.begin, level.end)
        after = self._came[level.end : level.end + len(level.inner)]
        return (self.left[here], self._came[here], self._apart[here], self._values[here], both[:n], both[n : 2 * n],
                both[: 2 * n], level.children, level.inner, after)  # fmt: skip

    def walk(self) -> np.ndarray:
        """Return for each split and point the chance to come there times how far apart the two sides are."""
        for left, came, _, _, to_left, to_right, both, _, inner, after in self._levels:
            np.multiply(came, left, out=to_left)
            np.subtract(came, to_left, out=to_right)
            both.take(inner, axis=0, out=after, mode="clip")
        for left, _, apart, value, of_left, of_right, both, children, _, _ in reversed(self._levels):
            self._values.take(children, axis=0, out=both, mode="clip")
            np.subtract(of_left, of_right, out=apart)
            np.multiply(left, apart, out=value)
            np.add(value, of_right, out=value)
        self._apart *= self._came
        return self._apart


def _read(trees: Iterable[TextTree]) -> tuple[_Splits, float]:
    """Return the splits of all trees, and what trees without any add up to."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _FIELDS}
    roots, members, constant, n_splits, n_leaves = [], list[np.ndarray | None](), 0.0, 0, 0
    for tree in trees:
        if int(tree.fields["num_leaves"][0]) < 2:
            constant += float(tree.fields["leaf_value"][0])
            continue
        found = {name: np.array(tree.fields[name], dtype=np.float64) for name in _FIELDS}
        for side in ("left_child", "right_child"):
            found[side] = np.where(found[side] >= 0, found[side] + n_splits, found[side] - n_leaves)
        for name, values in found.items():
            parts[name].append(values)
        members += _members(tree, found)
        roots.append(n_splits)
        n_splits += len(found["left_child"])
        n_leaves += len(found["leaf_value"])
    whole = {name: np.concatenate(values) if values else np.empty(0) for name, values in parts.items()}
    integers = {name: whole[name].astype(np.int64) for name in _INTEGERS}
    return _Splits(
        integers["split_feature"], whole["threshold"], integers["decision_type"], integers["left_child"],
        integers["right_child"], whole["internal_count"], whole["leaf_count"], whole["leaf_value"],
        np.array(roots, dtype=np.int64), tuple(members),
    ), constant  # fmt: skip


_INTEGERS = ("split_feature", "decision_type", "left_child", "right_child")
_FIELDS = (*_INTEGERS, "threshold", "internal_count", "leaf_count", "leaf_value")


def _members(tree: TextTree, found: dict[str, np.ndarray]) -> list[np.ndarray | None]:
    """Return for each split on levels which codes go left."""
    members: list[np.ndarray | None] = [None] * len(found["threshold"])
    by_level = np.flatnonzero(found["decision_type"].astype(np.int64) & _CATEGORICAL)
    if len(by_level):
        bounds = [int(bound) for bound in tree.fields["cat_boundaries"]]
        words = np.array(tree.fields["cat_threshold"], dtype=np.uint64).astype("<u4")
        for place in by_level:
            number = int(found["threshold"][place])
            own = words[bounds[number] : bounds[number + 1]]
            members[place] = np.unpackbits(own.view(np.uint8), bitorder="little").astype(bool)
    return members


def _lay_out(splits: _Splits) -> tuple[np.ndarray, list[_Level], np.ndarray, np.ndarray, int]:
    """Lay the splits out level by level.

    Returns
    -------
    order : ndarray of int
        The split at each place.
    levels : list of _Level
        Of the places.
    above : ndarray of int
        Place of the nearest split above on the same feature, -1 where there is none.
    is_right : ndarray of bool
        Whether the way from there goes right.
    n_known : int
        Features on the longest path, each once.
    """
    n_splits = len(splits.feature)
    here = splits.roots
    path = np.empty((len(here), 0), dtype=np.int64)  # places of the splits above, and which way from them
    sides, n_known = np.empty((len(here), 0), dtype=bool), np.zeros(len(here), dtype=np.int64)
    orders, levels, aboves, rights, begin, most = [], [], [], [], 0, 0
    features = np.empty(0, dtype=np.int64)
    while len(here):
        feature = splits.feature[here]
        features = np.concatenate([features, feature])
        above, is_right = _nearest(features[path] == feature[:, np.newaxis], path, sides)
        n_known = n_known + (above < 0)
        most = max(most, int(n_known.max()))
        end = begin + len(here)
        children = np.concatenate([splits.left[here], splits.right[here]])
        inner = np.flatnonzero(children >= 0)
        places = np.where(children >= 0, 0, n_splits + ~children)
        places[inner] = end + np.arange(len(inner))
        levels.append(_Level(begin, end, places, inner))
        orders.append(here)
        aboves.append(above)
        rights.append(is_right)
        own = inner % len(here)
        path = np.column_stack([path[own], begin + own])
        sides = np.column_stack([sides[own], inner >= len(here)])
        n_known, begin, here = n_known[own], end, children[inner]
    return np.concatenate(orders), levels, np.concatenate(aboves), np.concatenate(rights), most


def _nearest(is_same: np.ndarray, path: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return place and side of the last split of each path that is the same, -1 and False where none is."""
    if not path.shape[1]:
        return np.full(len(path), -1), np.zeros(len(path), dtype=bool)
    rows, last = np.arange(len(path)), path.shape[1] - 1 - is_same[:, ::-1].argmax(axis=1)
    there = is_same.any(axis=1)
    return np.where(there, path[rows, last], -1), there & sides[rows, last]


def _by_repetition(above: np.ndarray) -> list[np.ndarray]:
    """Return the places that have one split above them on their feature, those that have two, and so on."""
    times = np.zeros(len(above), dtype=np.int64)
    for place in np.flatnonzero(above >= 0):
        times[place] = times[above[place]] + 1
    return [np.flatnonzero(times == n) for n in range(1, int(times.max()) + 1)]


def _shares(share: np.ndarray, above: np.ndarray, is_right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of training rows that come to each split by its feature alone, and that go left there."""
    come, left = np.ones(len(share)), share.copy()
    for places in _by_repetition(above):
        over = above[places]
        come[places] = np.where(is_right[places], come[over] - left[over], left[over])
        left[places] = come[places] * share[places]
    return come, left


def _by_level(
    order: np.ndarray, decision: np.ndarray, members: Sequence[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the places of splits on levels and, for each, which codes go left; None where there are no such splits."""
    places = np.flatnonzero(decision & _CATEGORICAL)
    if not len(places):
        return None
    sets = [members[order[place]] for place in places]
    table = np.zeros((len(places), max(len(one) for one in sets if one is not None)), dtype=bool)
    for row, one in zip(table, sets, strict=True):
        if one is not None:
            row[: len(one)] = one
    return places, table


def _of_children(children: np.ndarray, of_splits: np.ndarray, of_leaves: np.ndarray) -> np.ndarray:
    is_leaf = children < 0
    return np.where(is_leaf, of_leaves[np.where(is_leaf, ~children, 0)], of_splits[np.where(is_leaf, 0, children)])
