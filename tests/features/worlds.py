"""Small generated schemas, as a table set for the engine and as an entity set for Featuretools."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.definitions import PathStep
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

START = pd.Timestamp("2021-01-01")
UP = PathStep("up", "firm", "firm_id", "firm_id")
LOANS = PathStep("down", "loan", "firm_id", "firm_id")
APPLICATIONS = PathStep("down", "application", "firm_id", "firm_id")
PAYMENTS = PathStep("down", "payment", "loan_id", "loan_id")


@dataclass(frozen=True)
class Recipe:
    """What a generated world is like."""

    seed: int = 0
    n_firms: int = 3
    n_applications: int = 5
    n_loans: int = 20
    n_payments: int = 40
    null_rate: float = 0.2
    step_hours: int = 24
    level: float = 0.0
    scale: float = 100.0
    n_levels: int = 3
    late: bool = False
    timed_loans: bool = True
    lag_days: float = 0.0
    days: int = 700


def make_world(recipe: Recipe) -> TableSet:
    """Return firms with applications and loans, and payments below the loans."""
    rng = np.random.default_rng(recipe.seed)
    frames = {
        "firm": _firms(recipe, rng),
        "application": _applications(recipe, rng),
        "loan": _loans(recipe, rng),
        "payment": _payments(recipe, rng),
    }
    return TableSet.from_frames(frames, data_model(recipe))


def data_model(recipe: Recipe) -> DataModel:
    late = (
        [LateColumns(columns=["status", "recovered"], known_at="closed_at")]
        if recipe.late and recipe.timed_loans
        else []
    )
    number, category = ColumnSpec(type="number"), ColumnSpec(type="category")
    key, link = ColumnSpec(type="id", role="key"), ColumnSpec(type="id", role="foreign_key")
    event = ColumnSpec(type="datetime", role="event_time")
    known = ColumnSpec(type="datetime", role="known_at")
    tables = {
        "firm": TableSpec(
            columns={"firm_id": key, "sector": category, "capital": number, "founded": ColumnSpec(type="date")},
            primary_key=["firm_id"],
        ),
        "application": TableSpec(
            columns={"application_id": key, "firm_id": link, "amount": number, "asked_on": ColumnSpec(type="datetime")},
            primary_key=["application_id"],
        ),
        "loan": TableSpec(
            columns={
                "loan_id": key, "firm_id": link, "made_at": event, "amount": number, "rate": number,
                "product": category, "status": category, "recovered": number, "closed_at": known,
            },
            primary_key=["loan_id"],
            event_time="made_at" if recipe.timed_loans else None,
            known_at_lag_days=recipe.lag_days,
            late_columns=late,
        ),
        "payment": TableSpec(
            columns={
                "payment_id": key, "loan_id": link, "paid_at": event, "paid": number, "channel": category,
                "due": number, "failed": ColumnSpec(type="boolean"),
            },
            primary_key=["payment_id"],
            event_time="paid_at",
            known_at_lag_days=recipe.lag_days,
        ),
    }  # fmt: skip
    links = [
        Relationship(parent="firm", parent_column="firm_id", child="application", child_column="firm_id"),
        Relationship(parent="firm", parent_column="firm_id", child="loan", child_column="firm_id"),
        Relationship(parent="loan", parent_column="loan_id", child="payment", child_column="loan_id"),
    ]
    return DataModel(tables=tables, relationships=links)


def _firms(recipe: Recipe, rng: np.random.Generator) -> pd.DataFrame:
    n = recipe.n_firms
    return pd.DataFrame(
        {
            "firm_id": [f"f{index}" for index in range(n)],
            "sector": _texts(recipe, rng, n),
            "capital": _numbers(recipe, rng, n),
            "founded": START - pd.to_timedelta(rng.integers(0, 9_000, n), unit="D"),
        }
    )


def _applications(recipe: Recipe, rng: np.random.Generator) -> pd.DataFrame:
    n = recipe.n_applications
    return pd.DataFrame(
        {
            "application_id": [f"a{index}" for index in range(n)],
            "firm_id": [f"f{index}" for index in rng.integers(0, recipe.n_firms, n)],
            "amount": _numbers(recipe, rng, n),
            "asked_on": _times(recipe, rng, n),
        }
    )


def _loans(recipe: Recipe, rng: np.random.Generator) -> pd.DataFrame:
    n = recipe.n_loans
    made_at = _times(recipe, rng, n)
    return pd.DataFrame(
        {
            "loan_id": [f"l{index:03d}" for index in rng.permutation(n)],
            "firm_id": [f"f{index}" for index in rng.integers(0, recipe.n_firms, n)],
            "made_at": made_at,
            "amount": _numbers(recipe, rng, n),
            "rate": _numbers(recipe, rng, n),
            "product": _texts(recipe, rng, n),
            "status": _texts(recipe, rng, n),
            "recovered": _numbers(recipe, rng, n),
            "closed_at": made_at + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
        }
    )


def _payments(recipe: Recipe, rng: np.random.Generator) -> pd.DataFrame:
    n = recipe.n_payments if recipe.n_loans else 0
    return pd.DataFrame(
        {
            "payment_id": [f"p{index:04d}" for index in rng.permutation(n)],
            "loan_id": [f"l{index:03d}" for index in rng.integers(0, max(recipe.n_loans, 1), n)],
            "paid_at": _times(recipe, rng, n),
            "paid": _numbers(recipe, rng, n),
            "channel": _texts(recipe, rng, n),
            "due": _numbers(recipe, rng, n),
            "failed": np.where(rng.random(n) < recipe.null_rate, np.nan, rng.integers(0, 2, n)),
        }
    )


def _times(recipe: Recipe, rng: np.random.Generator, n: int) -> pd.DatetimeIndex:
    steps = max(recipe.days * 24 // recipe.step_hours, 1)
    return pd.DatetimeIndex(START + pd.to_timedelta(rng.integers(0, steps, n) * recipe.step_hours, unit="h"))


def _numbers(recipe: Recipe, rng: np.random.Generator, n: int) -> np.ndarray:
    values = recipe.level + np.round(rng.normal(size=n) * recipe.scale, 2)
    return np.where(rng.random(n) < recipe.null_rate, np.nan, values)


def _texts(recipe: Recipe, rng: np.random.Generator, n: int) -> np.ndarray:
    texts = np.array([f"v{code}" for code in rng.integers(0, recipe.n_levels, n)], dtype=object)
    texts[rng.random(n) < recipe.null_rate] = None
    return texts
