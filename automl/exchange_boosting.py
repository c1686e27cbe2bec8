"""XGBoost's and CatBoost's trees with double thresholds on the values as they come.

Both libraries read values in 32 bits, and our models give them encoded categories. A test of a rounded number is a test
of the number itself against the place where rounding changes sides; a test of an encoding is a test of the levels.
"""

from typing import Any

import numpy as np

from automl.families.catboost import CatBoostModel
from automl.families.encoding import CategoryEncoding
from automl.families.xgboost import XGBoostModel, constant_of, trees_of
from automl.plain_trees import Mode, Node, Tree, level_chain
from core.errors import InputError
from core.i18n import msg

__all__ = ["catboost_trees", "rounded_below", "xgboost_trees"]


def xgboost_trees(model: XGBoostModel, weight: float) -> tuple[list[Tree], float]:
    """Return trees and a constant whose sum is `weight` times the model's log-odds."""
    about = model.to_json()
    return [_xgboost_tree(tree, model.encoding, weight) for tree in trees_of(about)], weight * constant_of(about)


def catboost_trees(model: CatBoostModel, weight: float) -> tuple[list[Tree], float]:
    """Return trees and a constant whose sum is `weight` times the model's log-odds.

    Raises
    ------
    InputError
        The model knows pairs of levels, which such trees cannot ask for.
    """
    if model.has_native_levels:
        raise InputError(
            msg("a CatBoost model that knows pairs of levels cannot be written in this form"),
            fix=msg("Train with portable: true; CatBoost then reads levels as numbers."),
            code="not_exportable",
        )
    about = model.to_json()
    scale, (bias, *_) = about["scale_and_bias"]
    floats = about["features_info"]["float_features"]
    trees = [_catboost_tree(tree, floats, model.encoding, weight * scale) for tree in about["oblivious_trees"]]
    return trees, weight * float(bias)


def rounded_below(threshold: float) -> tuple[Mode, float]:
    """Return the test of a double that tells whether it is below `threshold` once it is rounded to 32 bits.

    Examples
    --------
    >>> rounded_below(1.0) == ("BRANCH_LT", 1 - 2**-25)
    True
    """
    limit = np.float32(threshold)
    with np.errstate(over="ignore"):  # below the least number of 32 bits there is minus infinity
        below = np.nextafter(limit, np.float32(-np.inf))
    middle = (float(below) + float(limit)) / 2
    # What lies just between the two goes to the even one.
    return ("BRANCH_LEQ" if np.float32(middle) < limit else "BRANCH_LT"), middle


def _xgboost_tree(found: dict[str, Any], encoding: CategoryEncoding, weight: float) -> Tree:
    n_nodes = len(found["left_children"])
    tree = Tree([Node("LEAF")] * n_nodes)
    for number, left in enumerate(found["left_children"]):
        value = np.float32(found["split_conditions"][number])
        if left < 0:
            tree.nodes[number] = Node("LEAF", value=float(value) * weight)
            continue
        tree.nodes[number] = _test(
            tree, encoding, int(found["split_indices"][number]), float(value), left, found["right_children"][number],
            is_missing_below=bool(found["default_left"][number]),
        )  # fmt: skip
    return tree


def _catboost_tree(
    found: dict[str, Any], floats: list[dict[str, Any]], encoding: CategoryEncoding, weight: float
) -> Tree:
    """Return a symmetric tree: the last split is the root, and each split is one bit of the leaf's number."""
    splits, leaves = found["splits"], [float(value) * weight for value in found["leaf_values"]]
    tree = Tree([Node("LEAF", value=leaves[0])] if not splits else [Node("LEAF")])

    def grow(depth: int, leaf: int, place: int | None) -> int:
        if depth < 0:
            return tree.add(Node("LEAF", value=leaves[leaf]))
        own = 0 if place is not None else tree.add(Node("LEAF"))
        split = splits[depth]
        feature = floats[split["float_feature_index"]]
        below, above = grow(depth - 1, leaf, None), grow(depth - 1, leaf | 1 << depth, None)
        # What lies above the border is not below the next number that 32 bits can hold.
        limit = np.nextafter(np.float32(split["border"]), np.float32(np.inf))
        tree.nodes[own] = _test(
            tree, encoding, int(feature["flat_feature_index"]), float(limit), below, above,
            is_missing_below=feature["nan_value_treatment"] != "AsTrue",
        )  # fmt: skip
        return own

    if splits:
        grow(len(splits) - 1, 0, 0)
    return tree


def _test(
    tree: Tree,
    encoding: CategoryEncoding,
    column: int,
    limit: float,
    below: int,
    above: int,
    *,
    is_missing_below: bool,
) -> Node:
    """Return the test whether a value, encoded and in 32 bits, is below `limit`."""
    table = encoding.tables.get(column)
    if table is None:
        mode, value = rounded_below(limit)
        return Node(mode, column, value, below, above, is_missing_below)
    is_below = table.astype(np.float32) < np.float32(limit)
    *levels, unseen, missing = (below if is_one else above for is_one in is_below)
    odd = [code for code, place in enumerate(levels) if place != unseen]
    chain = level_chain(tree, column, odd, above if unseen == below else below, unseen)
    if missing == unseen:
        return chain
    # Null is the only value that is not at least minus infinity.
    return Node("BRANCH_GTE", column, float("-inf"), tree.add(chain), missing)
