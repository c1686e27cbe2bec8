"""Rejected applicants from the tables to a training that says it knew of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.label import LabelSpec
from automl.spec import RejectSpec
from core.errors import InputError
from workbench.flows import features, importing, projects, rejects, training
from workbench.flows.context import Context, open_context
from workbench.flows.spec import ProjectSpec
from workbench.flows.training import Budget

NAME = "asked"


def _write(path: Path, n: int = 900) -> None:
    rng = np.random.default_rng(8)
    debt = rng.normal(size=n).round(3)
    is_refused = (debt > 0.6) & (rng.random(n) < 0.6)
    bad = (rng.random(n) < 1 / (1 + np.exp(1.2 - debt))).astype(float)
    days = pd.to_timedelta(rng.integers(0, 1_400, n), "D")
    pd.DataFrame({
        "app_id": [f"A{i:05d}" for i in range(n)],
        "asked_on": pd.Timestamp("2020-01-01") + days,
        "decision": np.where(is_refused, "rejected", "approved"),
        "debt": debt,
        "income": rng.normal(size=n).round(3),
        "bad": np.where(is_refused, np.nan, bad),
    }).to_csv(path, index=False)  # fmt: skip


def test_rejects_are_found_studied_chosen_and_trained_with(ctx: Context, tmp_path: Path) -> None:
    owner = open_context(ctx.settings)
    _write(tmp_path / "applications.csv")
    label = LabelSpec(name="bad", root_table="applications", key_column="app_id", cutoff={"column": "asked_on"},
                      column="bad", bad_values=[1])  # fmt: skip
    spec = ProjectSpec(
        name=NAME, labels=[label], features={"ignore": {"applications": ["decision"]}},
        training={"folds": 2, "bootstrap_draws": 50, "families": ["logistic"], "ensemble": False},
    )  # fmt: skip
    projects.create(owner, spec)
    importing.run(owner, NAME, tmp_path / "applications.csv")
    features.run(owner, NAME)
    assert rejects.guess(owner, NAME) == ("decision", ("rejected",))
    refused = rejects.mask(owner, NAME, RejectSpec())
    labels = features.labels(owner, NAME)
    assert np.isnan(labels.y[refused]).all()
    assert not np.isnan(labels.y[~refused]).any()
    with pytest.raises(InputError, match="no columns verdict"):
        rejects.mask(owner, NAME, RejectSpec(column="verdict"))

    view = rejects.study(owner, NAME, column="decision", values=("rejected",))
    assert rejects.stored(owner, NAME) == view
    assert view.n_rejected >= 20
    assert view.rows[0].method == "none"
    assert view.rows[0].reject_bad_rate > view.rows[0].accepted_bad_rate
    assert [grade.name for grade in view.grades] == list("ABCDEFG")
    assert all(grade.low <= grade.n_bad / max(grade.n_accepted, 1) <= grade.high for grade in view.grades)

    plain = training.run(owner, NAME, budget=Budget(n_trials=1), register=False)
    rejects.choose(owner, NAME, RejectSpec(method="fuzzy", odds_factor=2.0))
    told = training.run(owner, NAME, budget=Budget(n_trials=1), register=False)
    assert "rejects_inferred" not in {finding.code for finding in plain.findings}
    assert "rejects_inferred" in {finding.code for finding in told.findings}
    assert told.auc.n == plain.auc.n  # judged on the same accepted rows
    assert not list((projects.folder(owner, NAME) / "training").glob("*unfinished*"))
    rejects.choose(owner, NAME, None)
    assert projects.spec(owner, NAME).training.reject_inference is None
    owner.database.dispose()
