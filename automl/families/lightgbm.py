"""Gradient-boosted trees by LightGBM, plain, extremely random or with dropout: one text model for the bag of folds."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from automl.families.boosting import LossCurve, boosted_fit, checked_shape, cut_fit, leaf_rows
from automl.families.encoding import CategoryEncoding, fit_encoding, with_columns
from automl.families.interface import FoldFit, HandsOnBags, Model, TrainingData
from automl.families.lightgbm_single import SingleRow
from automl.families.lightgbm_text import merge_texts, plain_text, split_by_levels
from automl.families.tree_contributions import TreeContributions, make_contributions
from core.errors import IntegrityError
from core.i18n import msg

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["LightGBMFamily", "LightGBMModel", "load", "make_family"]

_FILE = "model.txt"
_MANY_ROWS = 100_000
_MANY_EXPLAINED = 200
_MOST_NATIVE_LEVELS = 1_000
_FEW_LEVELS = 60
_LEAST_ROWS_OF_A_LEVEL = 30
"""Rows per level, on average, below which LightGBM cannot tell levels apart and their encoding can."""
_DART_ROUNDS = 150
_USUAL_VARIANCE = 0.2
_DATASET = {"max_bin": 255, "bin_construct_sample_cnt": 50_000, "feature_pre_filter": False, "verbosity": -1}
_FIXED: dict[str, Any] = {
    **_DATASET,
    "objective": "binary",
    "metric": ["binary_logloss", "auc"],
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
}
_MODES: dict[str, dict[str, Any]] = {
    "gbdt": {},
    "extra_trees": {"extra_trees": True},
    "dart": {"boosting": "dart", "drop_rate": 0.1, "skip_drop": 0.5},
}


class LightGBMModel:
    """Trees whose leaf values add up to log-odds.

    Parameters
    ----------
    text : str
        A model in LightGBM's own text form.
    is_served : bool, default=False
        Whether few rows will be asked for at a time, again and again: worth some preparation at the first.
    """

    family = "lightgbm"
    additivity = 1e-9

    def __init__(self, text: str, *, is_served: bool = False) -> None:
        self.text = text
        self._is_served = is_served
        self._booster = lightgbm.Booster(model_str=text)
        self.n_features: int = self._booster.num_feature()

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self._booster.num_trees())

    @cached_property
    def n_leaves(self) -> int:
        """Leaves of all trees."""
        return sum(int(line[len("num_leaves=") :]) for line in self.text.splitlines() if line.startswith("num_leaves="))

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        X = checked_shape(X, self.n_features)
        if self._is_served and len(X) == 1:
            return self._single.margin(X)
        return np.asarray(self._booster.predict(X, raw_score=True, num_threads=1 if len(X) < _MANY_ROWS else 0))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return the SHAP values of the log-odds (tree path dependent), shape (n_rows, n_features + 1)."""
        X = checked_shape(X, self.n_features)
        if self._is_served and len(X) < _MANY_EXPLAINED and self._walk is not None:
            return self._walk.of_rows(X)
        return np.asarray(self._booster.predict(X, pred_contrib=True, num_threads=1 if len(X) < _MANY_EXPLAINED else 0))

    def save(self, folder: Path) -> None:
        """Write ``model.txt``."""
        (folder / _FILE).write_text(self.text, encoding="utf-8")

    def first(self, rounds: int) -> "LightGBMModel":
        """Return the model of the first `rounds` trees."""
        return type(self)(plain_text(self._booster.model_to_string(num_iteration=rounds)))

    @cached_property
    def _single(self) -> SingleRow:
        return SingleRow(self._booster, self.n_features)

    @cached_property
    def _walk(self) -> TreeContributions | None:
        return make_contributions(self.text, self.n_features)


class LightGBMFamily(HandsOnBags):
    """Makes `LightGBMModel`; keeps the binned data."""

    name = "lightgbm"
    simplicity = 2
    is_tuned = True
    limits_interactions = True
    is_sum = False
    most_averaged = 1

    def __init__(self) -> None:
        self._dataset: lightgbm.Dataset | None = None

    def prepare(self, data: TrainingData) -> None:
        """Bin the columns."""
        everything = np.arange(len(data.y))
        self._dataset = _dataset(data, data.values, everything, data.categories, {"num_threads": 0}).construct()

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters: shallow and regular first, then free, extremely random, with dropout."""
        n = len(data.y)
        regular = {
            "mode": "gbdt", "learning_rate": 0.05, "num_leaves": 12, "min_data_in_leaf": leaf_rows(n, 20),
            "feature_fraction": 0.4, "bagging_fraction": 0.8, "lambda_l1": 0.1, "lambda_l2": 10.0, "cat_smooth": 20.0,
            "encode_levels": False,
        }  # fmt: skip
        free = {
            **regular, "num_leaves": 31, "min_data_in_leaf": min(leaf_rows(n, 20), 20), "feature_fraction": 1.0,
            "bagging_fraction": 1.0, "lambda_l1": 0.001, "lambda_l2": 0.1,
        }  # fmt: skip
        return [
            regular,
            free,
            {**free, "mode": "extra_trees", "feature_fraction": 0.6},
            {**regular, "num_leaves": 31, "min_data_in_leaf": leaf_rows(n, 150), "feature_fraction": 0.3,
             "learning_rate": 0.03, "bagging_fraction": 0.6, "encode_levels": True},
            {**regular, "num_leaves": 6, "learning_rate": 0.06, "min_data_in_leaf": leaf_rows(n, 60),
             "feature_fraction": 0.3},
            {**regular, "mode": "dart", "learning_rate": 0.1, "num_leaves": 16, "feature_fraction": 0.5},
        ]  # fmt: skip

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return parameters from the search space."""
        largest = max(leaf_rows(len(data.y), 400), 4)
        return {
            "mode": trial.suggest_categorical("mode", list(_MODES)),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.12, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 3, 256, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, largest, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
            "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 20.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-2, 100.0, log=True),
            "cat_smooth": trial.suggest_float("cat_smooth", 1.0, 200.0, log=True),
            "encode_levels": trial.suggest_categorical("encode_levels", [False, True]),
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
        """Boost until the rows left out are no longer told apart better; keep the best round.

        With dropout later rounds change earlier trees, so that there is no best round to go back to: their number is
        fixed.
        """
        is_dart = params["mode"] == "dart"
        encoding, train_set, test_set = self._sets(params, data, train, test, seed)
        booster = lightgbm.Booster(_booster_params(params, data, train, seed), train_set)
        booster.add_valid(test_set, "left_out")
        curve = LossCurve(params["learning_rate"], control, rounds or (_DART_ROUNDS if is_dart else None))
        while not booster.update() and curve.goes_on(*(figures[2] for figures in booster.eval_valid())):
            pass
        done = booster.current_iteration()
        best = min(curve.best, done) if stop_early and not is_dart else done
        text = plain_text(booster.model_to_string(num_iteration=max(best, 1)))
        model = LightGBMModel(split_by_levels(text, encoding.tables))
        fit = boosted_fit(model, data, test, curve, (max(done, 1), max(best, 1)))
        return replace(fit, losses=()) if is_dart else fit

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
        """Return `fit` with its first `rounds` trees; itself where dropout left no round to go back to."""
        return cut_fit(fit, data, test, rounds)

    def bag(self, models: list[Model]) -> LightGBMModel:
        """Return the mean of the models as one text model."""
        return LightGBMModel(merge_texts([model.text for model in models if isinstance(model, LightGBMModel)]))

    def _sets(
        self, params: dict[str, Any], data: TrainingData, train: np.ndarray, test: np.ndarray, seed: int
    ) -> tuple[CategoryEncoding, lightgbm.Dataset, lightgbm.Dataset]:
        """Return the rows to fit and those left out: parts of the binned data, unless levels are encoded."""
        # LightGBM's number of threads is one global, set anew by every object that is made.
        threads = {"num_threads": data.num_threads}
        least = 2 if params["encode_levels"] else _most_native_levels(len(data.y))
        encoded = [column for column in data.categories if data.n_levels(column) > least]
        if not encoded:
            assert self._dataset is not None  # noqa: S101  # the search prepares before it fits
            parts = [
                self._dataset.subset(rows, params={**_DATASET, **threads})  # type: ignore[arg-type]  # arrays are taken
                for rows in (train, test)
            ]
            return CategoryEncoding(), parts[0], parts[1]
        encoding, columns = fit_encoding(data, train, encoded, seed)
        values = with_columns(data.values[train], columns)
        native = sorted(set(data.categories) - set(encoded))
        fitted = _dataset(data, values, train, native, threads).construct()
        left_out = fitted.create_valid(
            encoding.apply(data.values[test]), data.y[test], weight=data.weights_of(test), params=fitted.params
        )
        return encoding, fitted, left_out


def _most_native_levels(n_rows: int) -> int:
    """Return how many levels a column may have that LightGBM takes as levels."""
    return min(max(n_rows // _LEAST_ROWS_OF_A_LEVEL, _FEW_LEVELS), _MOST_NATIVE_LEVELS)


def make_family() -> LightGBMFamily:
    """Return the family."""
    return LightGBMFamily()


def load(folder: Path) -> LightGBMModel:
    """Read ``model.txt`` from `folder`; raises `IntegrityError` where it is not a model."""
    return LightGBMModel(read_text(folder), is_served=True)


def read_text(folder: Path) -> str:
    """Return the text of ``model.txt`` in `folder`; raises `IntegrityError` where there is none."""
    try:
        return (folder / _FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error


def _dataset(
    data: TrainingData, values: np.ndarray, rows: np.ndarray, categories: list[int], threads: dict[str, Any]
) -> lightgbm.Dataset:
    """Return the `rows` of the data, given as `values`, as LightGBM takes them."""
    return lightgbm.Dataset(
        np.ascontiguousarray(values),
        label=data.y[rows],
        weight=data.weights_of(rows),
        feature_name=list(data.plan.aliases),
        categorical_feature=categories,
        params={**_DATASET, **threads},
        free_raw_data=False,
    )


def _booster_params(params: dict[str, Any], data: TrainingData, train: np.ndarray, seed: int) -> dict[str, Any]:
    """Return what LightGBM is told.

    A row counts for a split by its rate of bads times that of goods, so that the same ridge weighs the more the fewer
    bads there are: the one given is meant at a bad rate of 28 %, where that is .2.
    """
    given = {name: value for name, value in params.items() if name not in {"mode", "encode_levels"}}
    fixed = {**_FIXED, **_MODES[params["mode"]], **_limits(data), "num_threads": data.num_threads, "seed": seed}
    if "lambda_l2" in given:
        rate = float(np.average(data.y[train], weights=data.weights_of(train)))
        given["lambda_l2"] *= rate * (1 - rate) / _USUAL_VARIANCE
    return {**fixed, **given}


def _limits(data: TrainingData) -> dict[str, Any]:
    """Return what the trees must keep: directions and groups of features that may act together."""
    limits: dict[str, Any] = {}
    if any(data.directions):
        limits |= {"monotone_constraints": list(data.directions), "monotone_constraints_method": "intermediate"}
    if data.interactions:
        limits["interaction_constraints"] = [list(group) for group in data.interactions]
    return limits
