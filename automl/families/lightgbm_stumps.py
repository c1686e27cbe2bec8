"""Boosting with stumps by LightGBM: one question of one column at a time, so that what it finds adds up by column."""

from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np

from automl.control import FitControl

__all__ = ["LEAST_ROUNDS", "boost_stumps"]

LEAST_ROUNDS = 20
"""Rounds that a fit makes even where time is over already: fewer say nothing."""
_ROUNDS_AT_ONCE = 10
_LEAST_LEAF_SHARE, _LEAST_LEAF, _MOST_LEAF = 0.01, 5, 20
_PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "max_depth": 1,
    "num_leaves": 2,
    "learning_rate": 0.1,
    "lambda_l2": 1.0,
    "cat_l2": 3.0,
    "cat_smooth": 10.0,
    "max_cat_to_onehot": 10_000,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "max_bin": 255,
    "min_data_in_bin": 1,
    "feature_pre_filter": False,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def boost_stumps(
    X: np.ndarray, y: np.ndarray, rounds: int, control: FitControl, *, categories: Sequence[int],
    signs: Sequence[int], seed: int,
) -> tuple[lightgbm.Booster, int]:  # fmt: skip
    """Fit stumps one after the other, and return them with the rounds made.

    Parameters
    ----------
    X : ndarray of float, shape (n_rows, n_columns)
        Whole numbers; NaN where a column does not apply.
    y : ndarray of float, shape (n_rows,)
        0 good, 1 bad.
    rounds : int
        Stumps.
    control : FitControl
        Asked every ten rounds; once it is over, what was reached is returned.
    categories : sequence of int
        Columns whose values are asked for one by one.
    signs : sequence of int, of length n_columns
        1 where the log-odds of bad must rise along a column, -1 fall, 0 as they like.
    seed : int
        Of the rows and columns that each stump looks at.
    """
    parameters = {
        **_PARAMETERS,
        "seed": seed,
        "min_data_in_leaf": int(np.clip(_LEAST_LEAF_SHARE * len(y), _LEAST_LEAF, _MOST_LEAF)),
        **({"monotone_constraints": list(signs)} if any(signs) else {}),
    }
    data = lightgbm.Dataset(X, y, categorical_feature=list(categories), params=parameters)
    booster = lightgbm.Booster(parameters, data)
    made = 0
    while made < rounds:
        control.check()
        if made >= LEAST_ROUNDS and control.is_over():
            break
        for _ in range(min(_ROUNDS_AT_ONCE, rounds - made)):
            made += 1
            if booster.update():  # nothing is left to split
                return booster, rounds
    return booster, made
