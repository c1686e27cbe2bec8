"""Any of our sums of trees and tables as plain trees with double thresholds: what an exchange form is written from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from automl.exchange_boosting import catboost_trees, xgboost_trees
from automl.families.catboost import CatBoostModel
from automl.families.ensemble import EnsembleModel
from automl.families.interface import Model
from automl.families.lightgbm import LightGBMModel
from automl.families.lightgbm_text import TextTree, text_trees
from automl.families.logistic import LogisticModel
from automl.families.xgboost import XGBoostModel
from automl.plain_trees import Node, Tree, level_chain
from automl.scorecard.bins import CharacteristicBins
from automl.scorecard.card import Scorecard
from automl.scorecard.model import ScorecardModel
from automl.scorecard.pairs import Pair
from core.errors import InputError
from core.i18n import msg
from features.binning import FeatureBins

__all__ = ["sum_of_trees"]

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_SHIFT, _MISSING_NONE, _MISSING_ZERO = 2, 0, 1
_WORD_BITS = 32


def sum_of_trees(model: Model) -> tuple[list[Tree], float]:
    """Return trees and a constant whose sum is the model's log-odds.

    Raises
    ------
    InputError
        A part of the model is of a family that cannot be written so.
    """
    trees: list[Tree] = []
    base = _append(model, 1.0, trees)
    return trees, base


def _append(model: Model, weight: float, trees: list[Tree]) -> float:
    if isinstance(model, EnsembleModel):
        return sum(
            _append(member, weight * float(share), trees)
            for member, share in zip(model.members, model.weights, strict=True)
        )
    if isinstance(model, LightGBMModel):
        trees += [_text_tree(TextTree.parse(block), weight) for block in text_trees(model.text)]
        return 0.0
    if isinstance(model, XGBoostModel | CatBoostModel):
        made, base = xgboost_trees(model, weight) if isinstance(model, XGBoostModel) else catboost_trees(model, weight)
        trees += made
        return base
    if isinstance(model, LogisticModel):
        for column, (bins, table) in enumerate(zip(model.bins, model.tables, strict=True)):
            trees.append(_bins_tree(CharacteristicBins(bins), column, weight * table))
        return weight * model.base
    if isinstance(model, ScorecardModel):
        return _append_cards(model, weight, trees)
    raise InputError(
        msg("a {family} model cannot be written in this form", family=model.family),
        fix=msg("Boosted trees, forests, the logistic baseline, scorecards and ensembles of them can."),
        code="not_exportable",
    )


def _append_cards(model: ScorecardModel, weight: float, trees: list[Tree]) -> float:
    position = {alias: column for column, alias in enumerate(model.aliases)}
    share, base = weight / len(model.cards), 0.0
    for card in model.cards:
        per_unit = share / (card.points_per_log_odds * 10**card.decimals)
        trees += [
            _bins_tree(item.bins, position[item.alias], -np.array(item.units) * per_unit)
            for item in card.characteristics
        ]
        trees += [_pair_tree(card, pair, position, -per_unit) for pair in card.pairs]
        base += share * float(card.log_odds(np.array(card.points(card.base_units))))
    return base


def _text_tree(text: TextTree, weight: float) -> Tree:
    """Return one tree of LightGBM's text; inner nodes keep their numbers, leaves follow, sets of levels hang behind."""
    fields = text.fields
    leaves = [float(value) * weight for value in fields["leaf_value"]]
    inner = len(leaves) - 1
    tree = Tree([Node("LEAF")] * inner + [Node("LEAF", value=value) for value in leaves])
    for number in range(inner):
        left, right = (
            child if child >= 0 else inner + ~child
            for child in (int(fields["left_child"][number]), int(fields["right_child"][number]))
        )
        kind, column = int(fields["decision_type"][number]), int(fields["split_feature"][number])
        if kind & _CATEGORICAL:
            levels = _levels(fields, int(float(fields["threshold"][number])))
            tree.nodes[number] = level_chain(tree, column, levels, left, right)
        else:
            tree.nodes[number] = _number_node(kind, column, float(fields["threshold"][number]), left, right)
    return tree


def _number_node(kind: int, column: int, threshold: float, left: int, right: int) -> Node:
    missing = kind >> _MISSING_SHIFT
    if missing == _MISSING_ZERO:
        raise InputError(msg("a model that takes zero for missing cannot be written in this form"))
    # Where no value was missing in training, LightGBM reads null as 0.
    goes_left = threshold >= 0 if missing == _MISSING_NONE else bool(kind & _DEFAULT_LEFT)
    return Node("BRANCH_LEQ", column, threshold, left, right, goes_left)


def _levels(fields: dict[str, list[str]], number: int) -> list[int]:
    first, last = int(fields["cat_boundaries"][number]), int(fields["cat_boundaries"][number + 1])
    words = [int(word) for word in fields["cat_threshold"][first:last]]
    return [
        position * _WORD_BITS + bit
        for position, word in enumerate(words)
        for bit in range(_WORD_BITS)
        if word >> bit & 1
    ]


def _bins_tree(bins: CharacteristicBins, column: int, table: np.ndarray) -> Tree:
    """Return one tree that looks a value up in its bins."""
    tree = Tree([Node("LEAF")])
    tree.nodes[0] = _look_up(tree, column, bins, _leaves(tree, table))
    return tree


def _leaves(tree: Tree, table: np.ndarray) -> "_Found":
    leaves = [tree.add(Node("LEAF", value=float(value))) for value in table]
    return _Found(leaves.__getitem__, leaves.__getitem__)


@dataclass(frozen=True)
class _Found:
    """What follows where a value is found in a bin, by its number.

    Parameters
    ----------
    own : callable
        A node that nothing else leads to: what follows where a test is false must be one, for onnxruntime.
    shared : callable
        A node that several tests may lead to where they are true.
    """

    own: Callable[[int], int]
    shared: Callable[[int], int]


def _pair_tree(card: Scorecard, pair: Pair, position: Mapping[str, int], per_unit: float) -> Tree:
    """Return one tree that looks the first value up in its bins, and where it is found the second in its own."""
    tree = Tree([Node("LEAF")])
    first, second = (card.characteristic(alias).bins for alias in pair.aliases)
    cells = pair.cells() * per_unit

    def own(index: int) -> int:
        return tree.add(_look_up(tree, position[pair.second], second, _leaves(tree, cells[index])))

    tree.nodes[0] = _look_up(tree, position[pair.first], first, _Found(own, cache(own)))
    return tree


def _look_up(tree: Tree, column: int, bins: CharacteristicBins, found: _Found) -> Node:
    """Return the node at which a look-up begins: null first, then special codes, then the plain bins."""
    plain = bins.bins
    after = _edges(tree, column, plain, found, 0, len(plain.edges)) if bins.kind == "number" else _codes(
        tree, column, plain, found
    )  # fmt: skip
    for number, special in reversed(list(enumerate(bins.specials))):
        for value in special.values:
            code = float(value) if bins.kind == "number" else _code(bins, str(value))
            if code is not None:
                after = tree.add(Node("BRANCH_EQ", column, code, found.shared(plain.n_bins + number), after))
    # Null is the only value that is not at least minus infinity.
    return Node("BRANCH_GTE", column, float("-inf"), after, found.own(plain.missing_bin))


def _code(bins: CharacteristicBins, level: str) -> float | None:
    return float(bins.levels.index(level)) if level in bins.levels else None


def _edges(tree: Tree, column: int, bins: FeatureBins, found: _Found, low: int, high: int) -> int:
    """Return the node that finds one of the bins `low` to `high` by halving."""
    if low == high:
        return found.own(low)
    middle = (low + high) // 2
    below = _edges(tree, column, bins, found, low, middle)
    above = _edges(tree, column, bins, found, middle + 1, high)
    return tree.add(Node("BRANCH_LT", column, bins.edges[middle], below, above))


def _codes(tree: Tree, column: int, bins: FeatureBins, found: _Found) -> int:
    """Return the first of a chain of tests of codes; codes beyond are like the last."""
    codes = bins.code_bins or (0,)
    after = found.own(codes[-1])
    for code in reversed(range(len(codes) - 1)):
        if codes[code] != codes[-1]:
            after = tree.add(Node("BRANCH_EQ", column, float(code), found.shared(codes[code]), after))
    return after
