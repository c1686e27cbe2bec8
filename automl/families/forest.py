"""Extremely randomised trees and random forests by scikit-learn, kept as LightGBM text: no pickle, exact reasons."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.boosting import rows_as_float32
from automl.families.encoding import fit_encoding, with_columns
from automl.families.interface import FoldFit, HandsOnBags, Model, TrainingData
from automl.families.lightgbm import LightGBMModel, read_text
from automl.families.lightgbm_text import TextTree, forest_text, merge_texts, split_by_levels
from automl.ridge import fit_ridge

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["ForestFamily", "ForestModel", "load", "make_family"]

_N_TREES = 100
_TREES_AT_ONCE = 5
_LEAST_TREES = 10
_MOST_LEAVES = 1_000
_SMOOTHING_ROWS = 2.0
_SLIGHT_PENALTY = 1e-3
_LARGEST = 1e30
"""Of a value that is trained on: scikit-learn adds all of them up, in 32 bits, to see whether one is missing."""
_NAN_LEFT, _NAN_RIGHT = "10", "8"


class ForestModel(LightGBMModel):
    """Trees whose leaf values, smoothed log-odds brought to scale, add up to log-odds."""

    family = "forest"


class ForestFamily(HandsOnBags):
    """Makes `ForestModel`."""

    name = "forest"
    simplicity = 4
    is_tuned = False
    limits_interactions = False
    is_sum = False
    most_averaged = 1

    def prepare(self, data: TrainingData) -> None:
        """Do nothing; encodings belong to a fold."""

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters: leaves as small as a bounded number of them allows."""
        least = max(3, -(-len(data.y) // _MOST_LEAVES))
        return [
            {"kind": "extra_trees", "min_samples_leaf": least, "max_features": 0.5},
            {"kind": "random_forest", "min_samples_leaf": 2 * least, "max_features": 0.25},
        ]

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return parameters from the search space."""
        least = self.defaults(data)[0]["min_samples_leaf"]
        return {
            "kind": trial.suggest_categorical("kind", ["extra_trees", "random_forest"]),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", least, 8 * least, log=True),
            "max_features": trial.suggest_float("max_features", 0.1, 1.0),
        }

    def fit(
        self,
        params: dict[str, Any],
        data: TrainingData,
        train: np.ndarray,
        test: np.ndarray,
        *,
        seed: int,
        control: "FitControl",
        rounds: int | None = None,
        stop_early: bool = True,  # noqa: ARG002  # the rows left out are never looked at
    ) -> FoldFit:
        """Grow the trees on bootstrap samples, a few at a time, and bring them to scale on the rows each left out."""
        encoding, columns = fit_encoding(data, train, data.categories, seed)
        values = with_columns(rows_as_float32(data.values, train, _LARGEST), columns)
        rows = _Rows(values, data.y[train], data.weights_of(train), any(data.directions))
        forest, n_trees, is_cut_short = _grow(params, rows, data, seed=seed, control=control, rounds=rounds)
        smoothing = _Smoothing(float(rows.y.mean()), params["min_samples_leaf"] if rows.is_bound else None)
        scale, shift = _to_scale(forest, rows, smoothing, control)
        trees = [_as_text(tree.tree_, smoothing, scale, shift, n_trees) for tree in forest.estimators_]
        text = split_by_levels(forest_text(data.plan.aliases, trees), encoding.tables)
        model = ForestModel(text)
        return FoldFit(model, model.margin(data.values[test]), n_trees, n_trees, is_cut_short)

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:  # noqa: ARG002
        """Return `fit`: more trees never harm."""
        return fit

    def bag(self, models: list[Model]) -> ForestModel:
        """Return the mean of the models as one text model."""
        return ForestModel(merge_texts([model.text for model in models if isinstance(model, ForestModel)]))


def make_family() -> ForestFamily:
    """Return the family."""
    # Fits run in threads, of whose settings scikit-learn finds none to hand on; it needs none.
    warnings.filterwarnings("ignore", message=".*sklearn.utils.parallel.delayed.*", category=UserWarning)
    return ForestFamily()


def load(folder: Path) -> ForestModel:
    """Read ``model.txt`` from `folder`; raises `IntegrityError` where it is not a model."""
    return ForestModel(read_text(folder), is_served=True)


@dataclass
class _Rows:
    """What a forest is grown on. Where directions bind, missing is the lowest number: scikit-learn takes no other."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None
    is_bound: bool

    def __post_init__(self) -> None:
        if self.is_bound:
            self.X[np.isnan(self.X)] = -_LARGEST


@dataclass(frozen=True)
class _Smoothing:
    """Draws the log-odds of nodes towards those of all rows; by a fixed weight where their order must stay."""

    rate: float
    rows: int | None

    def log_odds(self, tree: Any) -> np.ndarray:
        rows = tree.weighted_n_node_samples if self.rows is None else float(self.rows)
        share = (tree.value[:, 0, 1] * rows + _SMOOTHING_ROWS * self.rate) / (rows + _SMOOTHING_ROWS)
        return np.asarray(np.log(share / (1 - share)))


def _grow(
    params: dict[str, Any],
    rows: _Rows,
    data: TrainingData,
    *,
    seed: int,
    control: "FitControl",
    rounds: int | None,
) -> tuple[Any, int, bool]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    make = ExtraTreesClassifier if params["kind"] == "extra_trees" else RandomForestClassifier
    forest = make(
        n_estimators=0, min_samples_leaf=params["min_samples_leaf"], max_features=params["max_features"],
        bootstrap=True, warm_start=True, random_state=seed, n_jobs=data.num_threads,
        monotonic_cst=list(data.directions) if rows.is_bound else None,
    )  # fmt: skip
    wanted = rounds or _N_TREES
    n_trees = 0
    while n_trees < wanted:
        control.check()
        if rounds is None and n_trees >= _LEAST_TREES and control.is_over():
            return forest, n_trees, True
        n_trees = min(n_trees + _TREES_AT_ONCE, wanted)
        forest.set_params(n_estimators=n_trees).fit(rows.X, rows.y, sample_weight=rows.weights)
    return forest, n_trees, False


def _to_scale(forest: Any, rows: _Rows, smoothing: _Smoothing, control: "FitControl") -> tuple[float, float]:
    """Return scale and shift (Platt, 1999) of the trees' mean, by the rows that each tree did not see."""
    y = rows.y
    total, n = np.zeros(len(y)), np.zeros(len(y))
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        control.check()
        left_out = np.ones(len(y), dtype=bool)
        left_out[drawn] = False
        total[left_out] += smoothing.log_odds(tree.tree_)[tree.tree_.apply(rows.X[left_out])]
        n[left_out] += 1
    seen = n > 0
    mean = (total[seen] / n[seen])[:, None]
    coefficients, intercept, _ = fit_ridge(mean, y[seen], _SLIGHT_PENALTY, control)
    scale = float(coefficients[0])
    # Trees that find nothing may be turned upside down by chance; then they are kept as they are.
    return (scale, float(intercept)) if scale > 0 else (1.0, 0.0)


def _as_text(tree: Any, smoothing: _Smoothing, scale: float, shift: float, n_trees: int) -> TextTree:
    """Return a tree of scikit-learn in LightGBM's order: inner nodes and leaves are numbered apart."""
    values = (smoothing.log_odds(tree) * scale + shift) / n_trees
    is_leaf = tree.children_left < 0
    counts = np.round(tree.weighted_n_node_samples).astype(np.int64)
    number = np.where(is_leaf, -np.cumsum(is_leaf), np.cumsum(~is_leaf) - 1)
    inner, leaves = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
    fields = {
        "num_leaves": [len(leaves)], "num_cat": [0],
        "leaf_value": [repr(float(value)) for value in values[leaves]],
        "leaf_weight": counts[leaves], "leaf_count": counts[leaves],
        "is_linear": [0], "shrinkage": [1],
    }  # fmt: skip
    if len(inner):
        goes_left = (tree.missing_go_to_left[inner] > 0) | (smoothing.rows is not None)
        fields |= {
            "split_feature": tree.feature[inner], "split_gain": np.zeros(len(inner), dtype=int),
            "threshold": [repr(float(value)) for value in tree.threshold[inner]],
            "decision_type": np.where(goes_left, _NAN_LEFT, _NAN_RIGHT),
            "left_child": number[tree.children_left[inner]], "right_child": number[tree.children_right[inner]],
            "internal_value": [repr(float(value)) for value in values[inner]],
            "internal_weight": counts[inner], "internal_count": counts[inner],
        }  # fmt: skip
    return TextTree({name: [str(value) for value in given] for name, given in fields.items()})
