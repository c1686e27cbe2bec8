"""Gradient-boosted symmetric trees by CatBoost, in its own binary form; levels are encoded, or left to the library."""

import json
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.families.boosting import (
    MOST_ROUNDS,
    LossCurve,
    as_float32,
    boosted_fit,
    checked_shape,
    cut_fit,
    float32_sets,
)
from automl.families.encoding import CategoryEncoding
from automl.families.ensemble import EnsembleModel
from automl.families.interface import FoldFit, HandsOnBags, Model, TrainingData
from automl.families.native import load_native, native_library, save_native

if TYPE_CHECKING:
    import optuna

    from automl.control import FitControl

__all__ = ["CatBoostFamily", "CatBoostModel", "load", "make_family"]

_FILE = "model.cbm"
_FIXED = {
    "loss_function": "Logloss",
    "custom_metric": ["AUC"],
    "boosting_type": "Plain",
    "bootstrap_type": "MVS",
    "nan_mode": "Min",
    "border_count": 128,
    "max_ctr_complexity": 2,
    "use_best_model": False,
    "allow_writing_files": False,
    "logging_level": "Silent",
}
_FEW_FEATURES = 60
_MOST_LEVELS = 100_000
"""Above any code of a level; what is no code is this level, what is missing the next."""
_METADATA = {"model_guid": "", "train_finish_time": "", "params": "{}", "training": "{}", "output_options": "{}"}
"""What is put in place of what CatBoost notes: times, threads and names, none of which belongs to the model."""


class CatBoostModel:
    """Symmetric trees whose leaf values add up to log-odds.

    Parameters
    ----------
    raw : bytes
        A model in CatBoost's own ``cbm`` form.
    encoding : CategoryEncoding
        What stands for the levels of categories; empty where the model knows the levels themselves, which then are the
        last of its features.
    """

    family = "catboost"
    additivity = 1e-9

    def __init__(self, raw: bytes, encoding: CategoryEncoding) -> None:
        self.raw = raw
        self.encoding = encoding
        self._model = native_library("catboost").CatBoost()
        self._model.load_model(blob=raw)
        names = self._model.feature_names_
        self.n_features: int = len(names)
        # Where levels are native, each feature is named by its column, so that the file says what goes where.
        native = self._model.get_cat_feature_indices()
        self._columns = [int(name) for name in names] if native else list(range(self.n_features))
        self._n_native = len(native)

    @property
    def has_native_levels(self) -> bool:
        """Whether the model knows the levels of categories themselves, and pairs of them."""
        return self._n_native > 0

    @cached_property
    def n_leaves(self) -> int:
        """Leaves of all trees."""
        return int(self._model.get_tree_leaf_counts().sum())

    def to_json(self) -> dict[str, Any]:
        """Return the model in CatBoost's own JSON form."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self._model.save_model(str(path), format="json")
            content: dict[str, Any] = json.loads(path.read_bytes())
        return content

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return log-odds of bad, shape (n_rows,)."""
        rows = self._read(X)
        return np.asarray(self._model.predict(rows, prediction_type="RawFormulaVal", thread_count=1), dtype=np.float64)

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return the SHAP values of the log-odds (tree path dependent), shape (n_rows, n_features + 1)."""
        rows = native_library("catboost").Pool(self._read(X))
        found = np.asarray(self._model.get_feature_importance(rows, type="ShapValues", thread_count=1))
        in_order = np.empty_like(found)
        in_order[:, [*self._columns, self.n_features]] = found
        return in_order

    def save(self, folder: Path) -> None:
        """Write ``model.cbm`` and ``encoding.json``."""
        save_native(folder / _FILE, self.raw, self.encoding)

    def first(self, rounds: int) -> "CatBoostModel":
        """Return the model of the first `rounds` trees."""
        shorter = self._model.copy()
        shorter.shrink(ntree_end=rounds)
        return CatBoostModel(_raw(shorter), self.encoding)

    def _read(self, X: np.ndarray) -> Any:
        X = checked_shape(X, self.n_features)
        if not self._n_native:
            return as_float32(self.encoding.apply(X))
        return _native_rows(X, self._columns, self._n_native)


class CatBoostFamily(HandsOnBags):
    """Makes `CatBoostModel`."""

    name = "catboost"
    simplicity = 3
    is_tuned = True
    limits_interactions = False
    is_sum = False
    most_averaged = 1

    def prepare(self, data: TrainingData) -> None:
        """Load the library; bins and encodings belong to a fold."""
        del data
        native_library("catboost")

    def defaults(self, data: TrainingData) -> list[dict[str, Any]]:
        """Return known good parameters: CatBoost's own depth first, then shallower and more random."""
        rate = 0.05 if len(data.y) < 10_000 else 0.08
        share = 1.0 if data.values.shape[1] <= _FEW_FEATURES else 0.5
        regular = {
            "learning_rate": rate, "depth": 6, "l2_leaf_reg": 3.0, "random_strength": 1.0, "rsm": share,
            "subsample": 0.8, "encode_levels": data.is_portable,
        }  # fmt: skip
        return [
            regular,
            {**regular, "depth": 4, "l2_leaf_reg": 6.0, "random_strength": 2.0, "rsm": 0.4},
            {**regular, "depth": 8, "l2_leaf_reg": 10.0, "rsm": 0.3},
            *([{**regular, "encode_levels": True}] if _may_be_native(data) else []),
        ]

    def suggest(self, trial: "optuna.trial.Trial", data: TrainingData) -> dict[str, Any]:
        """Return parameters from the search space."""
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.15, log=True),
            "depth": trial.suggest_int("depth", 3, 8),
            "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 0.5, 50.0, log=True),
            "random_strength": trial.suggest_float("random_strength", 0.1, 10.0, log=True),
            "rsm": trial.suggest_float("rsm", 0.1, 1.0),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "encode_levels": trial.suggest_categorical(
                "encode_levels", [False, True] if _may_be_native(data) else [data.is_portable]
            ),
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
        library = native_library("catboost")
        sets = _encoded_sets if params.get("encode_levels", True) or not data.categories else _native_sets
        encoding, order, fitted, left_out = sets(data, train, test, seed)
        curve = LossCurve(params["learning_rate"], control, rounds)
        directions = [data.directions[column] for column in order] if any(data.directions) else []
        model = library.CatBoost(
            {**_FIXED, **{name: value for name, value in params.items() if name != "encode_levels"},
             **({"monotone_constraints": directions} if directions else {}),
             "iterations": MOST_ROUNDS, "random_seed": seed, "thread_count": data.num_threads}
        )  # fmt: skip
        # How random a round is depends on how many were planned, so the plan is always the same and the watch ends it.
        watch = _Watch(curve)
        model.fit(fitted, eval_set=left_out, callbacks=[watch])
        if watch.error is not None:
            raise watch.error
        done = len(curve.losses)
        best = curve.best if stop_early else done
        model.shrink(ntree_end=best)
        kept = CatBoostModel(_raw(model), encoding)
        return boosted_fit(kept, data, test, curve, (done, best))

    def cut(self, fit: FoldFit, data: TrainingData, test: np.ndarray, rounds: int) -> FoldFit:
        """Return `fit` with its first `rounds` trees."""
        return cut_fit(fit, data, test, rounds)

    def bag(self, models: list[Model]) -> EnsembleModel:
        """Return the mean of the models."""
        return EnsembleModel(models, family=self.name)


class _Watch:
    """Tells CatBoost after each round whether to go on; keeps what the control raised, which CatBoost would swallow."""

    def __init__(self, curve: LossCurve) -> None:
        self.curve = curve
        self.error: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        try:
            figures = info.metrics["validation"]
            return self.curve.goes_on(figures["Logloss"][-1], figures["AUC"][-1])
        except Exception as error:  # noqa: BLE001  # raised again by `fit`
            self.error = error
            return False


def _may_be_native(data: TrainingData) -> bool:
    return bool(data.categories) and not data.is_portable


_Sets = tuple[CategoryEncoding, list[int], Any, Any]
"""The encoding, the column of each feature, the rows to fit and those left out."""


def _encoded_sets(data: TrainingData, train: np.ndarray, test: np.ndarray, seed: int) -> _Sets:
    """Return rows whose levels are numbers."""
    pool = native_library("catboost").Pool
    encoding, rows, left_out = float32_sets(data, train, test, data.categories, seed)
    pools = [
        pool(values, data.y[part], weight=data.weights_of(part)) for values, part in ((rows, train), (left_out, test))
    ]
    return encoding, list(range(data.values.shape[1])), *pools


def _native_sets(data: TrainingData, train: np.ndarray, test: np.ndarray, seed: int) -> _Sets:
    """Return rows whose levels, and pairs of levels, the library turns into numbers, each from rows before it."""
    del seed
    pool = native_library("catboost").Pool
    numbers = sorted(set(range(data.values.shape[1])) - set(data.categories))
    order = [*numbers, *data.categories]
    pools = [
        pool(_native_rows(data.values[part], order, len(data.categories)), data.y[part], weight=data.weights_of(part))
        for part in (train, test)
    ]
    return CategoryEncoding(), order, *pools


def _native_rows(X: np.ndarray, order: list[int], n_native: int) -> Any:
    """Return rows as CatBoost takes them: numbers first, then levels by the text of their code."""
    numbers, categories = order[: len(order) - n_native], order[len(order) - n_native :]
    levels = X[:, categories]
    known = np.where(np.isfinite(levels) & (levels >= 0) & (levels < _MOST_LEVELS), levels, _MOST_LEVELS)
    codes = np.where(np.isnan(levels), _MOST_LEVELS + 1, known).astype(np.int64)
    found, positions = np.unique(codes, return_inverse=True)
    texts = np.array([str(code).encode() for code in found], dtype=object)
    return native_library("catboost").FeaturesData(
        num_feature_data=as_float32(X[:, numbers]) if numbers else None,
        cat_feature_data=texts[positions.reshape(codes.shape)],
        num_feature_names=[str(column) for column in numbers] if numbers else None,
        cat_feature_names=[str(column) for column in categories],
    )


def make_family() -> CatBoostFamily:
    """Return the family."""
    return CatBoostFamily()


def load(folder: Path) -> CatBoostModel:
    """Read what `CatBoostModel.save` wrote; raises `IntegrityError` where it is not a model."""
    return load_native(folder / _FILE, CatBoostModel)


def _raw(model: Any) -> bytes:
    """Return the model's bytes without the time and the random name that CatBoost writes into them."""
    metadata = model.get_metadata()
    for name, value in _METADATA.items():
        if name in metadata:
            metadata[name] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _FILE
        model.save_model(str(path), format="cbm")
        return path.read_bytes()
