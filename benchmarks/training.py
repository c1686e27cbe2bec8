"""What training costs: memory on wide data, and reasons of many rows against shap's explainer.

``python -m benchmarks.training [--small]`` prints what it measures, then one JSON object as its last line:

- ``peak_mb``: most memory of the process tree while a model is trained on 300,000 rows x 300 features in 300 seconds,
  interpreter and data included; ``train_seconds``: wall time, ``family``: what was chosen;
- ``shap_seconds``: reasons of 10,000 rows x 300 features by a model of ``n_leaves`` (at most 6,200), all in one call;
  ``shap_seconds_peer``: `shap.TreeExplainer` for the same; ``shap_max_diff``: largest difference of the two.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from automl.families import make_family
from automl.families.interface import Model, TrainingData
from automl.label import Labels, LabelSpec
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from benchmarks.process_tree import watch
from features.definitions import FeatureDefinition
from features.matrix import FeatureMatrix
from features.plan import FeaturePlan, TableSchema

_MOST_LEAVES = 6_200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.training")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--train", type=int, nargs=3, metavar=("ROWS", "FEATURES", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        print(json.dumps(train_once(*arguments.train)))
        return
    rows, features, seconds = (30_000, 100, 40) if arguments.small else (300_000, 300, 300)
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "benchmarks.training", "--train", str(rows), str(features), str(seconds)]
        watched = watch(command, Path(folder))
    result: dict[str, Any] = {"rows": rows, "features": features, "peak_mb": round(watched.peak_mb), **watched.answer}
    print(f"trained on {rows:,} rows x {features} features in {result['train_seconds']} s, {result['peak_mb']} MB")
    result |= reasons(2_000 if arguments.small else 10_000, 300)
    print(json.dumps(result))


def make_data(n_rows: int, n_features: int, seed: int = 1) -> tuple[FeatureMatrix, Labels]:
    """Return numbers of which a tenth tell something, with gaps, and outcomes of which 12 % are bad."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_rows, n_features))
    told = values[:, : n_features // 10]
    log_odds = -2.4 + told @ rng.normal(0, 0.25, told.shape[1]) + 0.5 * (told[:, 0] * told[:, 1] > 0.5)
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(float)
    for column in range(0, n_features, 3):
        values[rng.random(n_rows) < 0.1, column] = np.nan
    definitions = tuple(FeatureDefinition.create((), f"x{i}", "identity") for i in range(n_features))
    columns = {"id": "key", **{item.alias: "number" for item in definitions}}
    plan = FeaturePlan("loan", "id", definitions, {"loan": TableSchema(columns)})  # type: ignore[arg-type]
    keys = np.array([f"L{i:07d}" for i in range(n_rows)], dtype=object)
    cutoffs = np.full(n_rows, np.datetime64("2024-01-01", "ns"))
    ends = np.full(n_rows, np.datetime64("NaT", "ns"))
    spec = LabelSpec(name="bad", root_table="loan", key_column="id", column="bad")
    labels = Labels(keys, keys, cutoffs, y, cutoffs, ends, np.ones(n_rows, dtype=bool), spec)
    return FeatureMatrix(values, keys, cutoffs, plan), labels


def train_once(n_rows: int, n_features: int, seconds: int) -> dict[str, Any]:
    """Train on made data and return what came of it."""
    matrix, labels = make_data(n_rows, n_features)
    spec = TrainSpec(budget_seconds=seconds, use_dictionary=False)
    started = time.perf_counter()
    found = train(matrix, labels, make_split(labels, spec), spec)
    return {
        "train_seconds": round(time.perf_counter() - started, 1),
        "budget_seconds": seconds,
        "family": found.family,
        "n_trials": len(found.trials),
        "test_auc": round(found.evaluation.metric("auc").value, 4),
    }


def reasons(n_rows: int, n_features: int) -> dict[str, Any]:
    """Return the time for the reasons of many rows by a boosted model, ours and shap's."""
    matrix, labels = make_data(20_000, n_features)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan, 2)
    model = _boosted(data)
    rows = np.resize(matrix.values, (n_rows, n_features))
    started = time.perf_counter()
    ours = model.contributions(rows)
    seconds = time.perf_counter() - started
    result: dict[str, Any] = {"n_leaves": model.n_leaves, "explained_rows": n_rows, "shap_seconds": round(seconds, 2)}
    try:
        import shap
    except ImportError:
        print("shap is not installed: no peer", file=sys.stderr)
        return result
    started = time.perf_counter()
    theirs = shap.TreeExplainer(model._booster).shap_values(rows)  # noqa: SLF001  # the peer takes the library's object
    result["shap_seconds_peer"] = round(time.perf_counter() - started, 2)
    result["shap_max_diff"] = float(np.abs(np.asarray(theirs) - ours[:, :-1]).max())
    print(f"reasons of {n_rows:,} rows: {result['shap_seconds']} s, shap {result['shap_seconds_peer']} s")
    return result


def _boosted(data: TrainingData) -> Any:
    from automl.control import FitControl

    family = make_family("lightgbm")
    family.prepare(data)
    params = {**family.defaults(data)[0], "num_leaves": 12}
    train_rows, test = np.arange(16_000), np.arange(16_000, 20_000)
    rounds = _MOST_LEAVES // params["num_leaves"]
    fit = family.fit(params, data, train_rows, test, seed=1, control=FitControl(), rounds=rounds, stop_early=False)
    model: Model = fit.model
    return model


if __name__ == "__main__":
    main()
