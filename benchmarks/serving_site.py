"""An installation for the serving benchmark: models of 200 trees x 31 leaves, deployed, with an online snapshot."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from automl.families.lightgbm import LightGBMModel
from automl.families.lightgbm_text import plain_text
from automl.label import LabelSpec, build_labels
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from benchmarks.features import EVENTS, definitions, make_world
from core.database import Database
from core.identity import SYSTEM, Actor, Identity
from core.settings import Settings
from features.binning import make_reference_profile
from features.definitions import FeatureDefinition
from features.matrix import build_matrix
from features.online_places import snapshot_place
from features.online_publishing import publish_snapshot
from features.planning import make_plan
from features.preparation import entity_rows
from model_registry.bundle import write_bundle
from model_registry.registry import Registry
from warehouse.data_model import ColumnSpec, DataModel, TableSpec
from warehouse.table_set import Table, TableSet

__all__ = ["READY", "RELATIONAL", "Site", "make_site", "train_trees"]

READY, RELATIONAL = "ready", "relational"
_AUTHOR, _REVIEWER = Actor("author", frozenset({"analyst"})), Actor("reviewer", frozenset({"reviewer"}))
OPERATOR = Actor("operator", frozenset({"operator"}))
_N_TREES, _N_LEAVES = 200, 31


@dataclass
class Site:
    """What the benchmark asks, and of whom."""

    settings: Settings
    registry: Registry
    keys: list[str]
    ready: list[dict[str, Any]]
    relational: list[dict[str, Any]]
    by_id: list[dict[str, Any]]
    values: np.ndarray
    booster: lightgbm.Booster

    def bodies(self, requests: list[dict[str, Any]], **changes: Any) -> list[str]:
        """Return requests as JSON texts."""
        return [json.dumps({**request, **changes}) for request in requests]


def make_site(home: Path, *, n_events: int, n_requests: int) -> Site:
    """Train, register, approve and deploy; version 2 of `READY` waits to be switched to."""
    settings = Settings(home=home)
    database = Database(settings.database_url_resolved)
    database.migrate()
    registry = Registry(database, settings.artifacts, mlflow=False)
    keys = [
        Identity(database).create_key(f"load-{number}", ["model.score", "snapshot.read"], by=SYSTEM)[1]
        for number in range(4)
    ]
    values, booster, ready = _ready_project(home, registry, n_requests)
    relational, by_id = _relational_project(home, settings, registry, n_events, n_requests)
    return Site(settings, registry, keys, ready, relational, by_id, values, booster)


def train_trees(values: np.ndarray, y: np.ndarray, seed: int) -> lightgbm.Booster:
    """Return a model of exactly 200 trees x 31 leaves."""
    params = {
        "objective": "binary",
        "num_leaves": _N_LEAVES,
        "min_data_in_leaf": 3,
        "min_sum_hessian_in_leaf": 1e-9,
        "learning_rate": 0.03,
        "feature_fraction": 0.5,
        "verbosity": -1,
        "seed": seed,
        "num_threads": 2,
    }
    booster = lightgbm.train(params, lightgbm.Dataset(values, y), _N_TREES)
    n_leaves = [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]]
    if n_leaves != [_N_LEAVES] * _N_TREES:
        raise RuntimeError("the model is not of the size that is measured")
    return booster


def _ready_project(
    home: Path, registry: Registry, n_requests: int
) -> tuple[np.ndarray, lightgbm.Booster, list[dict[str, Any]]]:
    rng = np.random.default_rng(3)
    names = [f"x{number:02d}" for number in range(50)]
    values = rng.normal(0, 1, (6_000, len(names)))
    chance = 1 / (1 + np.exp(2 - values[:, 0] - values[:, 1] * values[:, 2] + rng.normal(0, 1, len(values))))
    frame = pd.DataFrame(values, columns=names).assign(
        case_id=[f"c{number:05d}" for number in range(len(values))],
        asked_at=pd.Timestamp("2022-01-01") + pd.to_timedelta(np.arange(len(values)), "h"),
        is_bad=(rng.random(len(values)) < chance).astype(int),
    )
    columns = {name: ColumnSpec(type="number") for name in names} | {
        "case_id": ColumnSpec(type="id"),
        "asked_at": ColumnSpec(type="datetime"),
        "is_bad": ColumnSpec(type="integer"),
    }
    model = DataModel(tables={"case": TableSpec(columns=columns, primary_key=["case_id"], event_time="asked_at")})
    world = TableSet.from_frames({"case": frame}, model)
    items = [FeatureDefinition.create((), name, "identity") for name in names]
    matrix_values, booster = _register(home, registry, world, READY, "case", items, seeds=(1, 2))
    requests = [
        {"project": READY, "key": f"c{number}", "features": dict(zip(names, row.tolist(), strict=True)), "reasons": 0}
        for number, row in enumerate(values[:n_requests])
    ]
    return matrix_values, booster, requests


def _relational_project(
    home: Path, settings: Settings, registry: Registry, n_events: int, n_requests: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    world, keys, cutoffs = make_world(n_events, n_events // 200, seed=2)
    rng = np.random.default_rng(4)
    entity = world.frame("entity").assign(asked_at=cutoffs, is_bad=(rng.random(len(keys)) < 0.2).astype(int))
    columns: Mapping[str, ColumnSpec] = {
        **world.spec("entity").columns,
        "asked_at": ColumnSpec(type="datetime"),
        "is_bad": ColumnSpec(type="integer"),
    }
    spec = world.spec("entity").model_copy(update={"columns": columns, "event_time": "asked_at"})
    model = world.data_model.model_copy(update={"tables": {**world.data_model.tables, "entity": spec}})
    world = TableSet({"entity": Table(spec, entity), "event": world.tables["event"]}, model)
    _register(home, registry, world, RELATIONAL, "entity", definitions(), seeds=(1,))
    plan = registry.bundle(RELATIONAL, 1).plan
    publish_snapshot(world, snapshot_place(settings, RELATIONAL), [plan])
    typical = _of_about(200, world, keys)[:n_requests]
    rows = [
        {"project": RELATIONAL, "key": str(keys[number]), "as_of": str(cutoffs[number].astype("datetime64[s]")),
         "tables": _json(entity_rows(world, plan, str(keys[number])))}
        for number in typical
    ]  # fmt: skip
    by_id = [{"project": RELATIONAL, "id": row["key"], "as_of": row["as_of"]} for row in rows]
    return rows, by_id


def _of_about(n_rows: int, world: TableSet, keys: np.ndarray) -> list[int]:
    """Return the entities whose number of events is nearest to `n_rows`."""
    counts = world.frame("event")[EVENTS.child_column].value_counts().reindex(keys, fill_value=0).to_numpy()
    return [int(number) for number in np.argsort(np.abs(counts - n_rows), kind="stable")]


def _json(tables: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if hasattr(value, "isoformat"):
            return value.isoformat()[:19]
        return None if value != value else value

    return {name: [{column: plain(value) for column, value in row.items()} for row in rows]
            for name, rows in tables.items()}  # fmt: skip


def _register(
    home: Path, registry: Registry, world: TableSet, project: str, root: str, items: list[FeatureDefinition],
    *, seeds: tuple[int, ...],
) -> tuple[np.ndarray, lightgbm.Booster]:  # fmt: skip
    """Register, approve and deploy; calibration and scale are those of a small real training on the same rows."""
    key = world.spec(root).primary_key[0]
    label = LabelSpec(
        name="bad", root_table=root, key_column=key, entity_column=key, cutoff={"column": "asked_at"},
        column="is_bad", bad_values=[1],
    )  # fmt: skip
    labels = build_labels(world, label)
    plan = make_plan(world, root, key, items, keys=labels.keys, cutoffs=labels.cutoffs)
    matrix = build_matrix(world, plan, labels.keys, labels.cutoffs)
    spec = TrainSpec(n_trials=1, families=["logistic"], folds=2, bootstrap_draws=50, num_threads=1)
    training = train(matrix, labels, make_split(labels, spec), spec)
    reference = make_reference_profile(matrix.values, plan, training.scale.points(training.probability(matrix.values)))
    boosters = []
    for number, seed in enumerate(seeds, start=1):
        boosters.append(train_trees(matrix.values, np.asarray(labels.y), seed))
        folder = home / f"{project}-{number}"
        trees = LightGBMModel(plain_text(boosters[-1].model_to_string()))
        write_bundle(
            folder, plan=plan, training=replace(training, model=trees), reference=reference, label=label,
            certificate=None, selection=None, data_fingerprint=world.fingerprint, info={"seed": seed},
            data_model=world.data_model,
        )  # fmt: skip
        registry.register(project, folder, author=_AUTHOR, run={})
        registry.submit(project, number, by=_AUTHOR, note="")
        registry.approve(project, number, by=_REVIEWER)
    registry.deploy(project, 1, by=OPERATOR, reason="benchmark")
    return matrix.values, boosters[0]
