"""Runs one AutoML system on one data set, in an interpreter of its own.

``python peer_runner.py SYSTEM FOLDER SECONDS SEED`` reads ``train.parquet`` (with the outcome as ``y``) and
``test.parquet`` from the folder and writes ``answer.npz`` with the probability of bad of each test row. With the word
``versions`` alone it prints which systems this interpreter has. It knows nothing of this project.
"""

import importlib.metadata
import json
import os
import sys
import warnings
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

DISTRIBUTIONS = {
    "autogluon": "autogluon.tabular",
    "flaml": "flaml",
    "mljar": "mljar-supervised",
    "lightautoml": "lightautoml",
    "untuned_lightgbm": "lightgbm",
}
N_CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def autogluon(train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """AutoGluon with its best-quality preset; it takes no seed."""
    from autogluon.tabular import TabularPredictor

    del seed
    predictor = TabularPredictor("y", eval_metric="roc_auc", path=mkdtemp(), verbosity=1)
    predictor.fit(train, presets="best_quality", time_limit=seconds, num_cpus=N_CPUS, num_gpus=0)
    return predictor.predict_proba(test)[1]


def flaml(train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """FLAML with its defaults."""
    from flaml import AutoML

    model = AutoML()
    model.fit(
        as_categories(train.drop(columns="y")), train["y"], task="classification", metric="roc_auc",
        time_budget=seconds, n_jobs=N_CPUS, seed=seed, verbose=0,
    )  # fmt: skip
    return model.predict_proba(as_categories(test))[:, 1]


def mljar(train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """mljar-supervised in its mode for accuracy."""
    from supervised.automl import AutoML

    model = AutoML(
        mode="Compete", total_time_limit=int(seconds), eval_metric="auc", n_jobs=N_CPUS, random_state=seed,
        results_path=mkdtemp(), explain_level=0, verbose=0,
    )  # fmt: skip
    model.fit(train.drop(columns="y"), train["y"])
    return model.predict_proba(test)[:, 1]


def lightautoml(train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """LightAutoML's tabular preset."""
    from lightautoml.automl.presets.tabular_presets import TabularAutoML
    from lightautoml.tasks import Task

    model = TabularAutoML(
        task=Task("binary"), timeout=int(seconds), cpu_limit=N_CPUS, reader_params={"random_state": seed}
    )
    model.fit_predict(train, roles={"target": "y"}, verbose=0)
    return model.predict(test).data[:, 0]


def untuned_lightgbm(train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """LightGBM's defaults: the floor."""
    from lightgbm import LGBMClassifier

    del seconds
    model = LGBMClassifier(random_state=seed, n_jobs=N_CPUS, verbose=-1)
    both = as_categories(pd.concat([train.drop(columns="y"), test], ignore_index=True))
    model.fit(both.iloc[: len(train)], train["y"])
    return model.predict_proba(both.iloc[len(train) :])[:, 1]


def as_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with text columns as categories."""
    return frame.astype({name: "category" for name in frame.columns if frame[name].dtype == object})


def versions() -> dict[str, str]:
    """Return the systems that are installed here."""
    found = {}
    for system, name in DISTRIBUTIONS.items():
        try:
            found[system] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Run the system that the command line names."""
    if sys.argv[1] == "versions":
        sys.stdout.write(json.dumps(versions()) + "\n")
        return
    warnings.simplefilter("ignore")
    system, folder, seconds, seed = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    run = {"autogluon": autogluon, "flaml": flaml, "mljar": mljar, "lightautoml": lightautoml,
           "untuned_lightgbm": untuned_lightgbm}[system]  # fmt: skip
    # Libraries are loaded before the clock starts, as ours are.
    train, test = (pd.read_parquet(folder / f"{part}.parquet") for part in ("train", "test"))
    probability = np.asarray(run(train, test, seconds, seed), dtype=np.float64)
    np.savez(folder / "answer.npz", probability=probability)


if __name__ == "__main__":
    main()
