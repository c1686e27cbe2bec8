"""Gradient-boosted trees by XGBoost, in its own binary JSON; levels are encoded."""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.boosting import (
    LossCurve,
    as_float32,
    boosted_fit,
    checked_shape,
    cut_fit,
    float32_sets,
    leaf_rows,
)
from automl.families.encoding import CategoryEncoding
from automl.families.ensemble import EnsembleModel
from automl.families.interface import FoldFit, HandsOnBags, Model, TrainingData
from automl.families.native import load_native, native_library, save_native

if TYPE_CHECKING:
    import optuna
    import xgboost

    from automl.control import FitControl

__all__ = ["XGBoostFamily", "XGBoostModel", "constant_of", "load", "make_family", "trees_of"]

_FILE = "model.ubj"
_MAX_LEAVES_AT_ONCE = 4_000_000
_FIXED = {
    "objective": "binary:logistic",
    "eval_metric": ["logloss", "auc"],
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_depth": 0,
    "max_bin": 256,
    "verbosity": 0,
}


class XGBoostModel:
    """Trees that read values in 32 bits, and whose leaf values add up to log-odds in 64.

    XGBoost itself adds in 32 bits, an error of some 1e-6 of log-odds that grows with the trees and that no other form
    of the model would repeat: we ask it for the leaves and add them ourselves.

    Parameters
    ----------
    raw : bytes
        A model in XGBoost's own UBJSON form.
    encoding : CategoryEncoding
        What stands for the levels of categories.
    """

    family = "xgboost"
    additivity = 1e-4

    def __init__(self, raw: bytes, encoding: CategoryEncoding) -> None:
        library = native_library("xgboost")
        self.raw = raw
        self.encoding = encoding
        self._booster: xgboost.Booster = library.Booster(params={"nthread": 1}, model_file=bytearray(raw))
        self.n_features: int = self._booster.num_features()

    @cached_property
    def n_leaves(self) -> int:
        """Leaves of all trees."""
        return sum((int(tree["tree_param"]["num_nodes"]) + 1) // 2 for tree in trees_of(self.to_json()))

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray, float]:
        """The nodes' values of all trees in a row, where each tree begins there, and the constant."""
        about = self.to_json()
        trees = [np.asarray(tree["split_conditions"], dtype=np.float32) for tree in trees_of(about)]
        starts = np.cumsum([0, *(len(tree) for tree in trees)])[:-1]
        return np.concatenate([*trees, np.empty(0, np.float32)]).astype(np.float64), starts, constant_of(about)

    def to_json(self) -> dict[str, Any]:
        """Return the model in XGBoost's own JSON form."""
        content: dict[str, Any] = json.loads(bytes(self._booster.save_raw("json")))
        return content

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        rows = self._read(X)
        values, starts, constant = self._values
        margins = np.full(len(rows), constant)
        step = max(_MAX_LEAVES_AT_ONCE // max(len(starts), 1), 1)
        for first in range(0, len(rows), step):
            some = native_library("xgboost").DMatrix(rows[first : first + step], nthread=1)
            leaves = self._booster.predict(some, pred_leaf=True).reshape(some.num_row(), len(starts))
            margins[first : first + step] += values[leaves.astype(np.intp) + starts].sum(axis=1)
        return margins

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return the SHAP values of the log-odds (tree path dependent), shape (n_rows, n_features + 1)."""
        rows = native_library("xgboost").DMatrix(self._read(X), nthread=1)
        return np.asarray(self._booster.predict(rows, pred_contribs=True), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write ``model.ubj`` and, where there are categories, ``encoding.json``."""
        save_native(folder / _FILE, self.raw, self.encoding)

    def first(self, rounds: int) -> "XGBoostModel":
        """Return the model of the first `rounds` trees."""
        return XGBoostModel(_raw(self._booster[:rounds]), self.encoding)

    def _read(self, X: np.ndarray) -> np.ndarray:
        return as_float32(self.encoding.apply(checked_shape(X, self.n_features)))


class XGBoostFamily(HandsOnBags):
    """Makes `XGBoostModel`."""

    name = "xgboost"
    simplicity = 3
    is_tuned = True
    limits_interactions = True
    is_sum = False
    most_averaged = 1

    def prepare(self, data: TrainingData) -> None:
        """Load the library; bins and encodings belong to a fold."""
        del data
        native_library("xgboost")

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters, regular first."""
        regular = {
            "learning_rate": 0.05, "max_leaves": 16, "min_child_weight": max(1.0, leaf_rows(len(data.y), 60) / 10),
            "colsample_bynode": 0.4, "subsample": 0.8, "reg_alpha": 0.1, "reg_lambda": 5.0,
        }  # fmt: skip
        return [
            regular,
            {**regular, "max_leaves": 32, "min_child_weight": 1.0, "colsample_bynode": 1.0, "subsample": 1.0,
             "reg_alpha": 0.001, "reg_lambda": 1.0},
        ]  # fmt: skip

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:  # noqa: ARG002
        """Return parameters from the search space."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.12, log=True),
            "max_leaves": trial.suggest_int("max_leaves", 4, 256, log=True),
            "min_child_weight": trial.suggest_float("min_child_weight", 0.3, 50.0, log=True),
            "colsample_bynode": trial.suggest_float("colsample_bynode", 0.1, 1.0),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "reg_alpha": trial.suggest_float("reg_alpha", 1e-3, 20.0, log=True),
            "reg_lambda": trial.suggest_float("reg_lambda", 1e-2, 100.0, log=True),
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
        stop_early: bool = True,
    ) -> FoldFit:
        """Boost until the rows left out are no longer told apart better; keep the best round."""
        control.check()
        library = native_library("xgboost")
        encoding, rows, left_out_rows = float32_sets(data, train, test, data.categories, seed)
        threads = {"nthread": data.num_threads}
        fitted = library.QuantileDMatrix(
            rows, data.y[train], weight=data.weights_of(train), max_bin=_FIXED["max_bin"], **threads
        )
        del rows
        left_out = library.DMatrix(left_out_rows, data.y[test], weight=data.weights_of(test), **threads)
        booster = library.Booster(
            {**_FIXED, **params, **threads, **_limits(data), "seed": seed}, cache=[fitted, left_out]
        )
        curve = LossCurve(params["learning_rate"], control, rounds)
        goes_on = True
        while goes_on:
            booster.update(fitted, len(curve.losses))
            figures = [float(part.rpartition(":")[2]) for part in booster.eval(left_out).split("\t")[1:]]
            goes_on = curve.goes_on(*figures)
        done = len(curve.losses)
        best = curve.best if stop_early else done
        model = XGBoostModel(_raw(booster[:best]), encoding)
        return boosted_fit(model, data, test, curve, (done, best))

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
        """Return `fit` with its first `rounds` trees."""
        return cut_fit(fit, data, test, rounds)

    def bag(self, models: list[Model]) -> EnsembleModel:
        """Return the mean of the models."""
        return EnsembleModel(models, family=self.name)


def make_family() -> XGBoostFamily:
    """Return the family."""
    return XGBoostFamily()


def load(folder: Path) -> XGBoostModel:
    """Read what `XGBoostModel.save` wrote; raises `IntegrityError` where it is not a model."""
    return load_native(folder / _FILE, XGBoostModel)


def trees_of(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trees of a model in XGBoost's JSON form."""
    found: list[dict[str, Any]] = about["learner"]["gradient_booster"]["model"]["trees"]
    return found


def constant_of(about: dict[str, Any]) -> float:
    """Return the log-odds that the trees of a model in XGBoost's JSON form are added to."""
    share = np.float32(str(about["learner"]["learner_model_param"]["base_score"]).strip("[]"))
    return float(-np.log(np.float32(1) / share - np.float32(1)))


def _limits(data: TrainingData) -> dict[str, Any]:
    """Return what the trees must keep: directions and groups of features that may act together."""
    limits: dict[str, Any] = {}
    if any(data.directions):
        limits["monotone_constraints"] = tuple(data.directions)
    if data.interactions:
        limits["interaction_constraints"] = json.dumps(data.interactions)
    return limits


def _raw(booster: "xgboost.Booster") -> bytes:
    return bytes(booster.save_raw("ubj"))
