"""SHAP values by walking the trees level by level: LightGBM's own, and what the definition says."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from math import factorial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from automl.control import FitControl
from automl.families import make_family
from automl.families.interface import TrainingData
from automl.families.lightgbm import LightGBMModel, load
from automl.families.lightgbm_text import TextTree, forest_text, merge_texts, plain_text, text_trees
from automl.families.tree_contributions import TreeContributions, make_contributions

N_LEVELS = 40


def make_values(n: int = 600, n_features: int = 8, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers with gaps, zeros and, in the last column, levels; and outcomes that hang on all of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, n_features))
    values[:, 1] = np.round(values[:, 1])
    values[:, -1] = rng.integers(0, N_LEVELS, n)
    values[rng.random(values.shape) < 0.15] = np.nan
    known = np.nan_to_num(values)
    chance = 1 / (1 + np.exp(-known[:, 0] * known[:, 1] - np.sin(3 * known[:, 2]) + (known[:, -1] % 3 - 1)))
    return values, (rng.random(n) < chance).astype(float)


def grow(params: dict[str, Any], n_trees: int = 25, n_features: int = 8, **dataset: Any) -> lightgbm.Booster:
    values, y = make_values(n_features=n_features)
    given = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 3, "num_threads": 1, "seed": 1, **params}
    return lightgbm.train(given, lightgbm.Dataset(values, y, **dataset), n_trees)


def walk(booster: lightgbm.Booster) -> TreeContributions:
    made = make_contributions(plain_text(booster.model_to_string()), booster.num_feature())
    assert made is not None
    return made


def asked(booster: lightgbm.Booster) -> np.ndarray:
    """Return rows that training saw, and rows of nulls, zeros, unheard-of levels and thresholds themselves."""
    values, _ = make_values(n_features=booster.num_feature())
    odd = values[:40].copy()
    odd[:10] = np.nan
    odd[10:20] = 0.0
    odd[20:30, -1] = [-1, -0.5, 39.7, 1e6, 1e300, -1e300, np.inf, 12.0, 12.9, 40.0]
    odd[30:, :-1] *= 1e6
    bounds = [
        float(text)
        for block in text_trees(booster.model_to_string())
        for text in TextTree.parse(block).fields.get("threshold", ())
    ]
    exact = np.random.default_rng(5).choice(bounds or [0.0], (40, values.shape[1]))
    return np.concatenate([values[:80], odd, exact])


@pytest.mark.parametrize(
    ("params", "dataset"),
    [
        pytest.param({"num_leaves": 31}, {}, id="usual"),
        pytest.param({"num_leaves": 200, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 1e-9}, {}, id="deep"),
        pytest.param({"num_leaves": 2}, {}, id="stumps"),
        pytest.param({"num_leaves": 31, "zero_as_missing": True}, {}, id="zero_as_missing"),
        pytest.param({"num_leaves": 31, "use_missing": False}, {}, id="no_missing"),
        pytest.param({"num_leaves": 31, "cat_smooth": 1, "min_data_per_group": 5, "max_cat_threshold": 64},
                     {"categorical_feature": [7]}, id="levels"),
        pytest.param({"num_leaves": 15, "boosting": "dart", "extra_trees": True}, {}, id="dart"),
    ],
)  # fmt: skip
def test_the_values_are_lightgbms(params: dict[str, Any], dataset: dict[str, Any]) -> None:
    booster = grow(params, **dataset)
    rows = asked(booster)
    ours, theirs = walk(booster).of_rows(rows), np.asarray(booster.predict(rows, pred_contrib=True))
    assert np.abs(ours - theirs).max() < 1e-11
    assert np.abs(ours.sum(axis=1) - booster.predict(rows, raw_score=True)).max() < 1e-11


def test_two_features_on_a_deep_path_again_and_again() -> None:
    booster = grow({"num_leaves": 100, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 1e-9}, n_features=3)
    rows = asked(booster)
    assert np.abs(walk(booster).of_rows(rows) - np.asarray(booster.predict(rows, pred_contrib=True))).max() < 1e-11


def test_the_values_are_those_of_the_definition() -> None:
    booster = grow({"num_leaves": 9}, n_trees=3, n_features=5)
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    row = make_values(n_features=5)[0][17]

    def expected(node: dict[str, Any], known: frozenset[int]) -> float:
        """Return the mean of the leaves where only the `known` features are: the others go both ways."""
        if "leaf_value" in node:
            return float(node["leaf_value"])
        sides = [node["left_child"], node["right_child"]]
        if (feature := node["split_feature"]) in known:
            value = row[feature]
            left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
            return expected(sides[not left], known)
        counts = [side.get("internal_count", side.get("leaf_count")) for side in sides]
        return float(sum(n * expected(side, known) for n, side in zip(counts, sides, strict=True)) / sum(counts))

    def worth(known: tuple[int, ...]) -> float:
        return sum(expected(tree, frozenset(known)) for tree in trees)

    shapley = [
        sum(
            factorial(size) * factorial(4 - size) / factorial(5) * (worth((*rest, feature)) - worth(rest))
            for size in range(5)
            for rest in combinations([other for other in range(5) if other != feature], size)
        )
        for feature in range(5)
    ]
    assert walk(booster).of_rows(row[np.newaxis])[0] == pytest.approx([*shapley, worth(())], abs=1e-12)


def test_trees_without_splits_and_merged_models() -> None:
    few = plain_text(grow({"num_leaves": 5}, n_trees=3).model_to_string())
    alone = TextTree({"num_leaves": ["1"], "num_cat": ["0"], "leaf_value": ["0.25"], "is_linear": ["0"]})
    names = [f"x{i}" for i in range(8)]
    mixed = forest_text(names, [alone, *(TextTree.parse(block) for block in text_trees(few)), alone])
    text = merge_texts([mixed, few])
    booster, rows = lightgbm.Booster(model_str=text), make_values()[0][:20]
    made = make_contributions(text, 8)
    assert made is not None
    assert np.abs(made.of_rows(rows) - np.asarray(booster.predict(rows, pred_contrib=True))).max() < 1e-12
    assert make_contributions(forest_text(names, [alone]), 8) is None


@pytest.mark.parametrize(
    "params", [{"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}, {"linear_tree": True}]
)
def test_what_is_of_another_form_is_left_to_lightgbm(params: dict[str, Any]) -> None:
    assert make_contributions(plain_text(grow({"num_leaves": 5, **params}, 3).model_to_string()), 8) is None


def test_counts_that_do_not_add_up_are_left_to_lightgbm() -> None:
    text = plain_text(grow({"num_leaves": 5}, 3).model_to_string())
    assert make_contributions(text.replace("internal_count=600", "internal_count=601"), 8) is None


def test_threads_share_one_walk() -> None:
    booster = grow({"num_leaves": 31})
    made, rows = walk(booster), asked(booster)
    alone = made.of_rows(rows)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: made.of_rows(rows), range(16)))
    assert all(np.array_equal(part, alone) for part in parts)


@pytest.mark.parametrize("name", ["lightgbm", "forest"])
def test_a_model_that_is_served_says_what_the_trained_one_says(
    name: str, world: Callable[..., Any], tmp_path: Path
) -> None:
    matrix, labels = world(400)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    family = make_family(name)
    family.prepare(data)
    rows = np.arange(300)
    fit = family.fit(family.defaults(data)[0], data, rows, np.arange(300, 400), seed=1, control=FitControl(), rounds=20)
    fit.model.save(tmp_path)
    assert isinstance(fit.model, LightGBMModel)
    served = load(tmp_path)
    assert served._walk is not None
    values = matrix.values[300:]
    values[:9, 0] = [0.0, -0.0, 1e-36, -1e-36, 1.1e-35, 1e-35, -1e-35, np.inf, -np.inf]
    assert np.abs(served.contributions(values) - fit.model.contributions(values)).max() < 1e-11
    for row in values:
        assert np.array_equal(served.margin(row[np.newaxis]), fit.model.margin(row[np.newaxis]))
