"""A small world of enterprises, applications and payments, and models really trained on it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl.label import Labels, LabelSpec, build_labels
from automl.result import TrainingResult
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from features.binning import make_reference_profile
from features.definitions import FeatureDefinition, PathStep
from features.leakage import LeakageCertificate
from features.matrix import FeatureMatrix, build_matrix
from features.planning import make_plan
from features.selection import Selection
from model_registry.bundle import Bundle, write_bundle
from warehouse.data_model import DataModel
from warehouse.table_set import TableSet

N_ENTERPRISES = 250
N_APPLICATIONS = 900
N_PAYMENTS = 6_000

DATA_MODEL = DataModel.model_validate(
    {
        "tables": {
            "enterprise": {
                "primary_key": ["ent_id"],
                "columns": {
                    "ent_id": {"type": "id", "role": "key"},
                    "city": {"type": "category"},
                    "staff": {"type": "number"},
                    "is_listed": {"type": "boolean"},
                },
            },
            "application": {
                "primary_key": ["app_id"],
                "event_time": "applied_at",
                "columns": {
                    "app_id": {"type": "id", "role": "key"},
                    "ent_id": {"type": "id", "role": "foreign_key"},
                    "applied_at": {"type": "datetime", "role": "event_time"},
                    "amount": {"type": "number"},
                    "product": {"type": "category"},
                    "officer": {"type": "text"},
                    "is_bad": {"type": "integer"},
                },
            },
            "payment": {
                "primary_key": ["pay_id"],
                "event_time": "paid_on",
                "columns": {
                    "pay_id": {"type": "id", "role": "key"},
                    "ent_id": {"type": "id", "role": "foreign_key"},
                    "paid_on": {"type": "date", "role": "event_time"},
                    "amount": {"type": "number"},
                    "overdue_days": {"type": "integer"},
                },
            },
        },
        "relationships": [
            {"parent": "enterprise", "parent_column": "ent_id", "child": "application", "child_column": "ent_id"},
            {"parent": "enterprise", "parent_column": "ent_id", "child": "payment", "child_column": "ent_id"},
        ],
    }
)
LABEL = LabelSpec(
    name="bad",
    root_table="application",
    key_column="app_id",
    entity_column="ent_id",
    cutoff={"column": "applied_at"},
    column="is_bad",
    bad_values=[1],
)


@dataclass(frozen=True)
class TinyWorld:
    """Tables, matrix and labels that the models are trained on."""

    table_set: TableSet
    matrix: FeatureMatrix
    labels: Labels


@cache
def tiny_world() -> TinyWorld:
    table_set = TableSet.from_frames(_frames(), DATA_MODEL)
    labels = build_labels(table_set, LABEL)
    plan = make_plan(
        table_set, "application", "app_id", _definitions(), keys=labels.keys, cutoffs=labels.cutoffs, max_levels=8
    )
    return TinyWorld(table_set, build_matrix(table_set, plan, labels.keys, labels.cutoffs), labels)


@cache
def tiny_training(family: str, long_run_bad_rate: float | None = None) -> TrainingResult:
    world = tiny_world()
    spec = TrainSpec(
        n_trials=1,
        families=[family],
        ensemble=False,  # the model shall be of the family, not of several trials of it
        folds=2,
        bootstrap_draws=50,
        num_threads=1,
        long_run_bad_rate=long_run_bad_rate,
    )
    return train(world.matrix, world.labels, make_split(world.labels, spec), spec)


def make_tiny_bundle(
    folder: Path,
    family: str = "lightgbm",
    *,
    certificate: LeakageCertificate | None = None,
    selection: Selection | None = None,
    training: TrainingResult | None = None,
    **info: Any,
) -> Bundle:
    """Write the bundle of a model of `family`; other `info`, other hash."""
    world, training = tiny_world(), training or tiny_training(family)
    rows = training.split.train
    values = world.matrix.values[rows]
    scores = training.scale.points(training.probability(values))
    return write_bundle(
        folder,
        plan=world.matrix.plan,
        training=training,
        reference=make_reference_profile(values, world.matrix.plan, scores),
        label=LABEL,
        certificate=certificate,
        selection=selection,
        data_fingerprint=world.table_set.fingerprint,
        info=info,
        data_model=DATA_MODEL,
    )


def payload(key: str) -> dict[str, list[dict[str, Any]]]:
    """Return the raw rows about one application as a business system sends them."""
    frames = tiny_world().table_set.tables
    application = frames["application"].frame
    root = application[application["app_id"] == key]
    chosen = {
        "application": root,
        **{
            name: frames[name].frame[frames[name].frame["ent_id"].isin(root["ent_id"])]
            for name in ("enterprise", "payment")
        },
    }
    return {name: [_json_row(row) for row in frame.to_dict("records")] for name, frame in chosen.items()}


def ready_values(row: int) -> dict[str, Any]:
    """Return one row of the matrix as a system sends it that computes features itself."""
    matrix = tiny_world().matrix
    plan, values = matrix.plan, matrix.values[row].tolist()
    return {
        alias: plan.display_value(alias, value) if alias in plan.category_aliases else None if value != value else value
        for alias, value in zip(plan.aliases, values, strict=True)
    }


def example_keys(n: int) -> list[str]:
    keys = tiny_world().labels.keys
    return [str(key) for key in keys[:: max(len(keys) // n, 1)][:n]]


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        column: None if pd.isna(value) else value.isoformat() if isinstance(value, pd.Timestamp) else value
        for column, value in row.items()
        if column != "is_bad"
    }


def _definitions() -> list[FeatureDefinition]:
    up = (PathStep("up", "enterprise", "ent_id", "ent_id"),)
    down = (*up, PathStep("down", "payment", "ent_id", "ent_id"))
    create = FeatureDefinition.create
    return [
        create((), "amount", "identity", names={"en": "amount applied for", "zh": "申请金额"}),
        create((), "product", "identity", kind="category", names={"en": "product", "zh": "产品"}),
        create(up, "city", "identity", kind="category", names={"en": "city", "zh": "城市"}),
        create(up, "staff", "identity", names={"en": "staff", "zh": "员工人数"}),
        create(up, "is_listed", "identity", names={"en": "listed", "zh": "是否上市"}),
        create(down, None, "count", window="12m", names={"en": "payments in 12 months", "zh": "近12个月还款次数"}),
        create(down, "overdue_days", "mean", window="12m", names={"en": "mean days overdue", "zh": "平均逾期天数"}),
        create(down, "overdue_days", "max", window="24m", names={"en": "most days overdue", "zh": "最长逾期天数"}),
        create(down, "amount", "sum", window="6m", names={"en": "paid in 6 months", "zh": "近6个月还款额"}),
        create(down, None, "time_since_last", names={"en": "days since last payment", "zh": "距上次还款天数"}),
    ]


def _frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(7)
    enterprises = [f"E{i:04d}" for i in range(N_ENTERPRISES)]
    risk = rng.normal(size=N_ENTERPRISES)
    enterprise = pd.DataFrame(
        {
            "ent_id": enterprises,
            "city": rng.choice(["杭州", "宁波", "温州", None], N_ENTERPRISES, p=[0.5, 0.3, 0.15, 0.05]),
            "staff": np.where(rng.random(N_ENTERPRISES) < 0.1, np.nan, rng.integers(3, 400, N_ENTERPRISES)),
            "is_listed": rng.integers(0, 2, N_ENTERPRISES).astype(float),
        }
    )
    owner = rng.integers(0, N_ENTERPRISES, N_APPLICATIONS)
    amount = np.round(np.exp(rng.normal(13, 1, N_APPLICATIONS)), 2)
    is_bad = rng.random(N_APPLICATIONS) < 1 / (1 + np.exp(1.8 - 1.2 * risk[owner] - 0.3 * (np.log(amount) - 13)))
    application = pd.DataFrame(
        {
            "app_id": [f"A{i:05d}" for i in range(N_APPLICATIONS)],
            "ent_id": np.array(enterprises)[owner],
            "applied_at": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(np.sort(rng.integers(0, 1_300 * 86_400, N_APPLICATIONS)), unit="s"),
            "amount": amount,
            "product": rng.choice(["流动资金", "固定资产", "保函"], N_APPLICATIONS),
            "officer": rng.choice(["甲", "乙"], N_APPLICATIONS),
            "is_bad": is_bad.astype(int),
        }
    )
    payer = rng.integers(0, N_ENTERPRISES, N_PAYMENTS)
    payment = pd.DataFrame(
        {
            "pay_id": [f"P{i:06d}" for i in range(N_PAYMENTS)],
            "ent_id": np.array(enterprises)[payer],
            "paid_on": pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 1_700, N_PAYMENTS), unit="D"),
            "amount": np.round(np.exp(rng.normal(9, 1, N_PAYMENTS)), 2),
            "overdue_days": np.maximum(0, np.round(rng.normal(3 + 6 * risk[payer], 4))).astype(int),
        }
    )
    return {"enterprise": enterprise, "application": application, "payment": payment}
