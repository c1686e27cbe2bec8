"""Gradient-boosted trees by LightGBM: one text model that holds the bag of all folds."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from automl.families.interface import FoldFit, Model, TrainingData
from core.errors import InputError, IntegrityError
from core.i18n import msg

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["LightGBMFamily", "LightGBMModel", "load", "make_family", "merge_texts"]

_FILE = "model.txt"
_MANY_ROWS = 100_000
_MANY_EXPLAINED = 200
_MOST_ROUNDS = 1_000
_LEAST_ROUNDS = 30
_PATIENCE = 2.5
"""Rounds without gain before a fit stops, times the learning rate: 50 rounds at 0.05."""
_DATASET = {"max_bin": 255, "feature_pre_filter": False, "verbosity": -1}
_FIXED = {
    **_DATASET,
    "objective": "binary",
    "metric": "binary_logloss",
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
}


class LightGBMModel:
    """Trees whose leaf values add up to log-odds.

    Parameters
    ----------
    text : str
        A model in LightGBM's own text form.
    """

    family = "lightgbm"

    def __init__(self, text: str) -> None:
        self.text = text
        self._booster = lightgbm.Booster(model_str=text)
        self.n_features: int = self._booster.num_feature()

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return int(self._booster.num_trees())

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        X = self._checked(X)
        return np.asarray(self._booster.predict(X, raw_score=True, num_threads=1 if len(X) < _MANY_ROWS else 0))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return the SHAP values of the log-odds (tree path dependent), shape (n_rows, n_features + 1)."""
        X = self._checked(X)
        return np.asarray(self._booster.predict(X, pred_contrib=True, num_threads=1 if len(X) < _MANY_EXPLAINED else 0))

    def save(self, folder: Path) -> None:
        """Write ``model.txt``."""
        (folder / _FILE).write_text(self.text, encoding="utf-8")

    def _checked(self, X: np.ndarray) -> np.ndarray:
        X = np.ascontiguousarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise InputError(
                msg("the model reads {n} features, but got shape {shape}", n=self.n_features, shape=X.shape)
            )
        return X


class LightGBMFamily:
    """Makes `LightGBMModel`; keeps the binned data."""

    name = "lightgbm"
    simplicity = 2
    is_tuned = True

    def __init__(self) -> None:
        self._dataset: lightgbm.Dataset | None = None

    def prepare(self, data: TrainingData) -> None:
        """Bin the columns."""
        dataset = lightgbm.Dataset(
            np.ascontiguousarray(data.values),
            label=data.y,
            weight=data.weights,
            feature_name=list(data.plan.aliases),
            categorical_feature=data.categories,
            params={**_DATASET, "num_threads": 0},
            free_raw_data=False,
        )
        self._dataset = dataset.construct()

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters: shallow and regular first, then deeper, then extremely random."""
        least = _leaf_rows(data, 60)
        regular = {
            "learning_rate": 0.05, "num_leaves": 12, "min_data_in_leaf": least, "feature_fraction": 0.4,
            "bagging_fraction": 0.8, "lambda_l1": 0.1, "lambda_l2": 10.0, "cat_smooth": 20.0, "extra_trees": False,
        }  # fmt: skip
        return [
            regular,
            {**regular, "num_leaves": 6, "learning_rate": 0.06, "feature_fraction": 0.3},
            {**regular, "num_leaves": 31, "min_data_in_leaf": _leaf_rows(data, 150), "feature_fraction": 0.3,
             "learning_rate": 0.03, "bagging_fraction": 0.6},
            {**regular, "num_leaves": 24, "extra_trees": True, "feature_fraction": 0.6, "lambda_l2": 1.0},
        ]  # fmt: skip

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return parameters from the search space."""
        largest = max(_leaf_rows(data, 400), 4)
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.12, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 3, 64, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 3, largest, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
            "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 20.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-2, 100.0, log=True),
            "cat_smooth": trial.suggest_float("cat_smooth", 1.0, 200.0, log=True),
            "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
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
        """Boost until the log-loss of the rows left out no longer falls; keep the best round."""
        # LightGBM's number of threads is one global, set anew by every object that is made.
        threads = {"num_threads": data.num_threads}
        settings = {**_FIXED, **params, **_limits(data), **threads, "seed": seed}
        booster = lightgbm.Booster(settings, self._rows(train, threads))
        booster.add_valid(self._rows(test, threads), "left_out")
        best, done, is_cut_short = _boost(booster, params["learning_rate"], control, rounds)
        best = best if stop_early else done
        model = LightGBMModel(_plain(booster.model_to_string(num_iteration=best)))
        return FoldFit(model, model.margin(data.values[test]), done, best, is_cut_short)

    def _rows(self, rows: np.ndarray, threads: dict[str, Any]) -> lightgbm.Dataset:
        assert self._dataset is not None  # noqa: S101  # the search prepares before it fits
        return self._dataset.subset(rows, params={**_DATASET, **threads})  # type: ignore[arg-type]  # arrays are taken

    def bag(self, models: list[Model]) -> LightGBMModel:
        """Return the mean of the models as one text model."""
        return LightGBMModel(merge_texts([model.text for model in models if isinstance(model, LightGBMModel)]))


def make_family() -> LightGBMFamily:
    """Return the family."""
    return LightGBMFamily()


def load(folder: Path) -> LightGBMModel:
    """Read ``model.txt`` from `folder`; raises `IntegrityError` where it is not a model."""
    try:
        return LightGBMModel((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise IntegrityError(msg("the model file cannot be read"), where=str(folder / _FILE)) from error


def merge_texts(texts: list[str]) -> str:
    """Return one text model whose log-odds are the mean of those of `texts`.

    The trees of all models follow one another; leaf and inner values are divided by the number of models, so
    predictions and SHAP values become means.
    """
    head = texts[0][: texts[0].index("tree_sizes=")]
    tail = texts[0][texts[0].index("end of trees") :]
    trees = [tree for text in texts for tree in _trees(text)]
    blocks = [f"Tree={i}\n{_scaled(tree, len(texts))}" for i, tree in enumerate(trees)]
    sizes = " ".join(str(len(block.encode())) for block in blocks)
    return f"{head}tree_sizes={sizes}\n\n{''.join(blocks)}{tail}"


def _plain(text: str) -> str:
    """Return the model without the parameters it was trained with, which name threads and say nothing of the trees."""
    return re.sub(r"\nparameters:\n.*?\nend of parameters\n", "\n", text, flags=re.DOTALL)


def _trees(text: str) -> list[str]:
    body = text[text.index("\nTree=0\n") + 1 : text.index("end of trees")]
    return [part.split("\n", 1)[1] for part in body.split("Tree=")[1:]]


def _scaled(tree: str, n_models: int) -> str:
    def mean(match: re.Match[str]) -> str:
        return f"{match[1]}={' '.join(repr(float(value) / n_models) for value in match[2].split())}"

    return re.sub(r"^(leaf_value|internal_value)=(.+)$", mean, tree, flags=re.MULTILINE)


def _boost(
    booster: lightgbm.Booster, learning_rate: float, control: "FitControl", rounds: int | None
) -> tuple[int, int, bool]:
    """Return best round, rounds made, and whether time ended them."""
    patience = round(_PATIENCE / learning_rate)
    best, least_loss = 1, float("inf")
    for done in range(1, (rounds or _MOST_ROUNDS) + 1):
        control.check()
        has_stopped = booster.update()
        loss = booster.eval_valid()[0][2]
        if loss < least_loss:
            best, least_loss = done, loss
        if has_stopped or (rounds is None and done - best >= patience):
            return best, done, False
        if rounds is None and done >= _LEAST_ROUNDS and control.is_over():
            return best, done, True
    return best, done, False


def _limits(data: TrainingData) -> dict[str, Any]:
    """Return what the trees must keep: directions and groups of features that may act together."""
    limits: dict[str, Any] = {}
    if any(data.directions):
        limits |= {"monotone_constraints": list(data.directions), "monotone_constraints_method": "intermediate"}
    if data.interactions:
        limits["interaction_constraints"] = [list(group) for group in data.interactions]
    return limits


def _leaf_rows(data: TrainingData, wanted: int) -> int:
    """Return `wanted` rows in a leaf, less where rows are few, so that a split stays possible."""
    return max(3, min(wanted, len(data.y) // 25))
