"""Generated schemas with link tables and self-joins: who guarantees whom, who holds shares in what."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.definitions import PathStep
from tests.features.worlds import START, UP, Recipe, _numbers, _texts, _times
from warehouse.data_model import ColumnSpec, DataModel, LateColumns, Relationship, TableSpec
from warehouse.table_set import TableSet

GIVEN = PathStep("down", "edge", "from_firm", "firm_id")
GUARANTEED = PathStep("up", "firm", "to_firm", "firm_id")
RECEIVED = PathStep("down", "edge", "to_firm", "firm_id")
GUARANTOR = PathStep("up", "firm", "from_firm", "firm_id")
CASES = PathStep("down", "case", "firm_id", "firm_id")
STAKES = PathStep("down", "stake", "firm_id", "firm_id")
HOLDER = PathStep("up", "person", "person_id", "person_id")
HOLDINGS = PathStep("down", "stake", "person_id", "person_id")
HELD = PathStep("up", "firm", "firm_id", "firm_id")
EVENTS = PathStep("down", "event", "case_id", "case_id")

__all__ = ["UP", "NetRecipe", "make_network"]


@dataclass(frozen=True)
class NetRecipe(Recipe):
    """What a generated network is like."""

    n_edges: int = 25
    n_persons: int = 6
    n_stakes: int = 20
    n_cases: int = 40
    n_events: int = 50
    orphan_rate: float = 0.1
    timed_edges: bool = True
    timed_firms: bool = False


def make_network(recipe: NetRecipe) -> TableSet:
    """Return firms that guarantee each other, applications, persons who hold stakes in firms, and cases with events."""
    rng = np.random.default_rng(recipe.seed)
    n = recipe.n_firms
    firms = pd.DataFrame(
        {
            "firm_id": [f"f{i}" for i in range(n)],
            "sector": _texts(recipe, rng, n),
            "capital": _numbers(recipe, rng, n),
            "listed": np.where(rng.random(n) < recipe.null_rate, np.nan, rng.integers(0, 2, n)),
            "founded": START - pd.to_timedelta(rng.integers(-300, 900, n), unit="D"),
            "closed": _times(recipe, rng, n),
        }
    )
    n = recipe.n_persons
    persons = pd.DataFrame(
        {
            "person_id": [f"p{i}" for i in range(n)],
            "born": START - pd.to_timedelta(rng.integers(7_000, 20_000, n), unit="D"),
            "wealth": _numbers(recipe, rng, n),
            "city": _texts(recipe, rng, n),
        }
    )
    persons.loc[rng.random(n) < recipe.null_rate, "born"] = pd.NaT
    frames = {"firm": firms, "person": persons, **_children(recipe, rng)}
    return TableSet.from_frames(frames, network_model(recipe))


def _keys(rng: np.random.Generator, letter: str, n_parents: int, n: int, orphan_rate: float) -> np.ndarray:
    """Keys of parents; some of nobody, some null."""
    keys = np.array([f"{letter}{i}" for i in rng.integers(0, max(n_parents, 1), n)], dtype=object)
    lost = rng.random(n)
    keys[lost < orphan_rate] = f"{letter}9999"
    keys[lost < orphan_rate / 2] = None
    return keys


def _children(recipe: NetRecipe, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    lost = recipe.orphan_rate
    n = recipe.n_applications
    applications = pd.DataFrame(
        {
            "application_id": [f"a{i}" for i in range(n)],
            "firm_id": _keys(rng, "f", recipe.n_firms, n, 0.0),
            "amount": _numbers(recipe, rng, n),
            "asked_on": _times(recipe, rng, n),
        }
    )
    n = recipe.n_edges
    edges = pd.DataFrame(
        {
            "edge_id": [f"e{i:03d}" for i in rng.permutation(n)],
            "from_firm": _keys(rng, "f", recipe.n_firms, n, lost),
            "to_firm": _keys(rng, "f", recipe.n_firms, n, lost),
            "made_at": _times(recipe, rng, n),
            "guaranteed": _numbers(recipe, rng, n),
            "kind": _texts(recipe, rng, n),
        }
    )
    n = recipe.n_stakes if recipe.n_persons else 0
    stakes = pd.DataFrame(
        {
            "stake_id": [f"s{i:03d}" for i in rng.permutation(n)],
            "firm_id": _keys(rng, "f", recipe.n_firms, n, lost),
            "person_id": _keys(rng, "p", recipe.n_persons, n, lost),
            "share": _numbers(recipe, rng, n),
        }
    )
    n = recipe.n_cases
    filed = _times(recipe, rng, n)
    cases = pd.DataFrame(
        {
            "case_id": [f"c{i:03d}" for i in rng.permutation(n)],
            "firm_id": _keys(rng, "f", recipe.n_firms, n, lost),
            "filed": filed,
            "sued": _numbers(recipe, rng, n),
            "court": _texts(recipe, rng, n),
            "paid": _numbers(recipe, rng, n),
            "settled": filed + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
        }
    )
    n = recipe.n_events if recipe.n_cases else 0
    events = pd.DataFrame(
        {
            "event_id": [f"v{i:03d}" for i in rng.permutation(n)],
            "case_id": [f"c{i:03d}" for i in rng.integers(0, max(recipe.n_cases, 1), n)],
            "at": _times(recipe, rng, n),
            "cost": _numbers(recipe, rng, n),
        }
    )
    return {"application": applications, "edge": edges, "stake": stakes, "case": cases, "event": events}


def network_model(recipe: NetRecipe) -> DataModel:
    number, category = ColumnSpec(type="number"), ColumnSpec(type="category")
    key, link = ColumnSpec(type="id", role="key"), ColumnSpec(type="id", role="foreign_key")
    event, known = ColumnSpec(type="datetime", role="event_time"), ColumnSpec(type="datetime", role="known_at")
    late = [LateColumns(columns=["paid"], known_at="settled")] if recipe.late else []
    of_firms = [LateColumns(columns=["capital"], known_at="closed")] if recipe.late and recipe.timed_firms else []
    tables = {
        "firm": TableSpec(
            columns={"firm_id": key, "sector": category, "capital": number, "listed": ColumnSpec(type="boolean"),
                     "founded": ColumnSpec(type="date"), "closed": known},
            primary_key=["firm_id"], event_time="founded" if recipe.timed_firms else None,
            late_columns=of_firms,
        ),
        "person": TableSpec(
            columns={"person_id": key, "born": ColumnSpec(type="date"), "wealth": number, "city": category},
            primary_key=["person_id"],
        ),
        "application": TableSpec(
            columns={"application_id": key, "firm_id": link, "amount": number, "asked_on": ColumnSpec(type="datetime")},
            primary_key=["application_id"],
        ),
        "edge": TableSpec(
            columns={"edge_id": key, "from_firm": link, "to_firm": link, "made_at": event, "guaranteed": number,
                     "kind": category},
            primary_key=["edge_id"], event_time="made_at" if recipe.timed_edges else None,
            known_at_lag_days=recipe.lag_days if recipe.timed_edges else 0.0,
        ),
        "stake": TableSpec(
            columns={"stake_id": key, "firm_id": link, "person_id": link, "share": number}, primary_key=["stake_id"],
        ),
        "case": TableSpec(
            columns={"case_id": key, "firm_id": link, "filed": event, "sued": number, "court": category, "paid": number,
                     "settled": known},
            primary_key=["case_id"], event_time="filed", known_at_lag_days=recipe.lag_days, late_columns=late,
        ),
        "event": TableSpec(
            columns={"event_id": key, "case_id": link, "at": event, "cost": number}, primary_key=["event_id"],
            event_time="at",
        ),
    }  # fmt: skip
    links = [
        Relationship(parent=parent, parent_column=f"{parent}_id", child=child, child_column=column)
        for parent, child, column in (
            ("firm", "application", "firm_id"), ("firm", "edge", "from_firm"), ("firm", "edge", "to_firm"),
            ("firm", "stake", "firm_id"), ("person", "stake", "person_id"), ("firm", "case", "firm_id"),
            ("case", "event", "case_id"),
        )
    ]  # fmt: skip
    return DataModel(tables=tables, relationships=links)
