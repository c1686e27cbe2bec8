"""The whole loop on a small sample world: one command from nothing to a deployed, explained, monitored model."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.audit import AuditTrail
from core.errors import ConflictError, NotFoundError, PermissionDeniedError
from core.identity import Actor
from core.settings import Settings
from features.matrix import build_matrix
from features.online_places import snapshot_place
from features.reference_publishing import make_snapshot
from model_registry.scorer import Scorer
from workbench.commands.demo_display import show_demo
from workbench.flows import (
    demo,
    deployment,
    features,
    importing,
    monitoring,
    overview,
    projects,
    review,
    scoring,
    snapshots,
    training,
)
from workbench.flows.context import Context, open_context
from workbench.flows.model_building import figure
from workbench.flows.overview import Dot
from workbench.flows.payloads import gather_rows
from workbench.flows.results import from_json, to_json

PROJECT = "sample"


@dataclass(frozen=True)
class Journey:
    """One run of the demo, and whoever may act after it."""

    ctx: Context
    result: demo.DemoResult

    def as_user(self, name: str) -> Context:
        return self.ctx.acting_as(self.ctx.identity.actor(name))


@pytest.fixture(scope="module")
def journey(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    home = shutil.copytree(sample_home, tmp_path_factory.mktemp("demo") / "home")
    ctx = open_context(Settings(home=home))
    yield Journey(ctx, from_json(demo.DemoResult, json.loads((home / "demo.json").read_text())))
    ctx.database.dispose()


def test_the_demo_comes_through_with_every_figure_of_its_table(
    journey: Journey, capsys: pytest.CaptureFixture[str]
) -> None:
    result = journey.result
    assert len(result.data.tables) == 14
    assert result.features.certificate.passed
    assert result.features.certificate.n_cutoffs >= 50
    assert not result.features.traps  # nothing in the sample world gives the outcome away
    assert 0.5 < result.training.auc.low < result.training.auc.value < result.training.auc.high < 1
    assert result.training.auc.sample == result.training.split_kind == "out_of_time"
    assert (result.author, result.approved_by) == ("analyst", "reviewer")
    assert result.scored.version == result.version == 1
    assert 1 <= len(result.scored.reasons) <= 4
    assert {line.verdict for line in (result.before_shock, result.after_shock)} <= {"stable", "watch", "act"}
    assert result.before_shock.n_drifted < result.after_shock.n_drifted
    show_demo(result, "en")
    assert "AUC, out-of-time" in capsys.readouterr().out
    show_demo(result, "zh")
    assert "2022 年冲击后的漂移" in capsys.readouterr().out


def test_every_step_is_read_back_as_it_was_returned(journey: Journey) -> None:
    ctx, result = journey.ctx, journey.result
    assert importing.stored(ctx, PROJECT) == result.data
    assert features.stored(ctx, PROJECT) == result.features
    assert training.stored(ctx, PROJECT) == result.training
    assert from_json(training.TrainResult, to_json(result.training)) == result.training


def test_figures_of_a_version_are_those_of_its_bundle(journey: Journey) -> None:
    bundle = training.bundle(journey.ctx, PROJECT, 1)
    (row,) = training.versions(journey.ctx, PROJECT)
    best = bundle.evaluation.best
    assert row.auc == figure(best.metrics["auc"], best.sample)
    assert row.ks == figure(best.metrics["ks"], best.sample)
    assert row.n_features == len(bundle.plan.aliases) == journey.result.features.n_kept


def test_one_score_is_the_same_over_http_from_its_rows_and_in_a_batch(journey: Journey, tmp_path: Path) -> None:
    ctx, scored = journey.as_user("operator"), journey.result.scored
    answer = scoring.score_stored(ctx, PROJECT, scored.key)
    batch = scoring.batch(ctx, PROJECT, tmp_path / "scores.parquet", rows=[scored.key])
    row = pd.read_parquet(batch.path).iloc[0]
    assert answer.probability == scored.probability == row["probability"]
    assert answer.score == scored.score == row["score"]
    assert (
        [reason.text for reason in answer.reasons] == list(scored.reasons) == [row[f"reason_{i}"] for i in range(1, 5)]
    )


def test_live_rows_give_the_very_features_of_the_matrix(journey: Journey) -> None:
    ctx = journey.as_user("analyst")
    matrix = features.matrix(ctx, PROJECT)
    rows = np.random.default_rng(1).choice(len(matrix.keys), 12, replace=False)
    for row in rows:
        answer = scoring.score_stored(ctx, PROJECT, str(matrix.keys[row]))
        values = np.array([answer.features[alias] for alias in matrix.plan.aliases])
        assert np.array_equal(values, matrix.values[row], equal_nan=True)


def test_a_payload_holds_nothing_from_its_cutoff_on(journey: Journey) -> None:
    ctx = journey.as_user("operator")
    tables = importing.tables(ctx, PROJECT)
    payload = scoring.payload(ctx, PROJECT, journey.result.scored.key)
    cutoff = payload.cutoff.isoformat()
    for name, rows in payload.tables.items():
        known_at = tables.spec(name).known_at
        if known_at is not None:
            assert all(row[known_at] < cutoff for row in rows), name
    assert any(payload.tables[name] for name in payload.tables if name != "application")


def test_a_batch_to_csv_cannot_run_in_a_spreadsheet(journey: Journey, tmp_path: Path) -> None:
    ctx = journey.as_user("operator")
    result = scoring.batch(ctx, PROJECT, tmp_path / "scores.csv", rows="latest")
    frame = pd.read_csv(result.path)
    assert len(frame) == result.n_rows == sum(result.grade_counts.values()) > 0
    assert not frame.select_dtypes("object").map(lambda text: str(text)[:1] in "=+-@\t\r").to_numpy().any()
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_scoring_keys_that_are_not_there_writes_nothing(journey: Journey, tmp_path: Path) -> None:
    ctx = journey.as_user("operator")
    with pytest.raises(NotFoundError, match="A-nowhere"):
        scoring.batch(ctx, PROJECT, tmp_path / "scores.csv", rows=["A-nowhere"])
    with pytest.raises(NotFoundError, match="A-nowhere"):
        scoring.payload(ctx, PROJECT, "A-nowhere")
    assert list(tmp_path.iterdir()) == []


def test_home_tells_the_true_state_of_the_loop(journey: Journey) -> None:
    for language in ("en", "zh"):
        state = overview.loop(replace(journey.ctx, language=language), PROJECT)
        assert [step.step for step in state.steps] == [
            "data", "features", "training", "review", "deployment", "monitoring",
        ]  # fmt: skip
        assert all(step.dot in (Dot.GOOD, Dot.WATCH, Dot.BAD) for step in state.steps)
        assert all(step.at is not None and step.at.tzinfo is not None for step in state.steps)
        assert state.next_step is None
        assert [point.period for point in state.drift] == sorted(point.period for point in state.drift)
    assert state.step("deployment").figure.text("en") == "v1"
    assert state.step("data").figure.text("zh") == "14 张表"


def test_what_a_reviewer_may_do_follows_from_the_state_and_from_who_asks(journey: Journey) -> None:
    seen = review.dossier(journey.as_user("reviewer"), PROJECT)
    assert {check.code for check in seen.checks} >= {"leakage", "separation", "calibration", "stability"}
    assert [event.action for event in seen.events] == ["register", "submit", "approve"]
    assert not any(action.allowed for action in seen.actions)
    assert from_json(type(seen.comparison[0]), to_json(seen.comparison[0])) == seen.comparison[0]


@pytest.fixture(scope="module")
def second(journey: Journey) -> int:
    budget = training.Budget(n_trials=1)
    result = training.run(journey.as_user("analyst"), PROJECT, budget=budget, families=("logistic",))
    assert result.version == 2
    return result.version


class TestChallenger:
    """A second version goes the whole way, and back."""

    def test_no_one_approves_a_model_of_their_own(self, journey: Journey, second: int) -> None:
        review.submit(journey.as_user("analyst"), PROJECT, second, note="a simpler one")
        both = Actor("analyst", frozenset({"analyst", "reviewer"}))
        seen = review.dossier(journey.ctx.acting_as(both), PROJECT, second)
        assert not seen.action("approve").allowed
        assert "built or submitted" in str(seen.action("approve").reason)
        with pytest.raises(PermissionDeniedError):
            review.approve(journey.ctx.acting_as(both), PROJECT, second, note="mine")
        assert [row.number for row in review.pending(journey.ctx, PROJECT)] == [second]

    def test_an_unapproved_version_does_not_serve(self, journey: Journey, second: int) -> None:
        with pytest.raises(ConflictError):
            deployment.deploy(journey.as_user("operator"), PROJECT, second, reason="hurry")
        assert deployment.state(journey.ctx, PROJECT).champion.version.number == 1

    def test_approved_it_serves_and_a_rollback_brings_the_first_back(self, journey: Journey, second: int) -> None:
        seen = review.dossier(journey.as_user("reviewer"), PROJECT, second)
        assert seen.action("approve").allowed
        assert seen.comparison[0].champion is not None
        review.approve(journey.as_user("reviewer"), PROJECT, second, note="fine", reviewed_hash=seen.bundle_hash)
        operator = journey.as_user("operator")
        state = deployment.deploy(operator, PROJECT, second, reason="try it")
        assert (state.champion.version.number, state.rollback_to) == (2, 1)
        state = deployment.rollback(operator, PROJECT, reason="back")
        assert (state.champion.version.number, [row.number for row in state.deployable]) == (1, [2])
        assert [(event.version, event.previous, event.is_rollback) for event in state.history] == [
            (1, 2, True), (2, 1, False), (1, None, False),
        ]  # fmt: skip


def test_drift_is_checked_on_what_was_really_scored_too(journey: Journey) -> None:
    from datetime import UTC, datetime, timedelta

    today = datetime.now(UTC).date()
    report = monitoring.check(
        journey.as_user("operator"), PROJECT, start=today - timedelta(days=1), end=today + timedelta(days=1)
    )
    assert (report.n_rows, report.verdict, report.source) == (1, "not_enough_data", "score_log")


def test_a_thousand_cases_by_id_have_the_features_and_scores_of_the_matrix_and_of_rows(journey: Journey) -> None:
    ctx = journey.as_user("operator")
    assert snapshots.state(ctx, PROJECT).as_of == journey.result.data.as_of  # the demo has published one
    state = snapshots.publish(ctx, PROJECT)
    assert state.due is None
    labels, version = features.labels(ctx, PROJECT), journey.result.version
    scorer = Scorer(ctx.registry.bundle(PROJECT, version))
    chosen = np.random.default_rng(5).permutation(len(labels.keys))[:1_200]
    keys, cutoffs = labels.keys[chosen], labels.cutoffs[chosen]
    assert len(set(keys)) == 1_200
    plan, snapshot = scorer.plan, snapshot_place(ctx.settings, PROJECT).reader().current()
    tables = importing.tables(ctx, PROJECT)
    of_all_months = make_snapshot(tables, plan, n_months=90)  # the bundle holds the latest months only
    assert of_all_months is not None
    scorer = scorer.with_reference(of_all_months)
    offline = build_matrix(tables, plan, keys, cutoffs).values
    by_id, found = snapshot.rows_of_each(plan, list(keys))
    assert found == set(keys)
    together = scorer.score_stored(by_id, list(keys), list(cutoffs), n_reasons=0)
    values = np.array([[answer.features[alias] for alias in plan.aliases] for answer in together])
    np.testing.assert_array_equal(values, offline)
    probability, _, _ = scorer.score_matrix(offline)
    assert np.array_equal([answer.probability for answer in together], probability)
    for key, cutoff, expected in list(zip(keys, cutoffs, probability, strict=True))[:60]:
        alone = scorer.score_stored(snapshot.rows_of(plan, key), [key], [cutoff], n_reasons=0)[0]
        moment = cutoff.astype("datetime64[us]").item()
        rows = scorer.score_rows(gather_rows(tables, plan, key, moment), key, moment, n_reasons=0)
        assert alone.probability == rows.probability == expected


def test_new_data_shows_what_was_built_from_old_data(journey: Journey) -> None:
    analyst = journey.as_user("analyst")
    importing.run_sample(analyst, PROJECT, n_enterprises=600, seed=7)
    state = overview.loop(journey.ctx, PROJECT)
    assert state.step("features").dot is Dot.WATCH
    assert any(item.kind == "data" for item in state.attention)


def test_everything_that_was_done_is_in_a_whole_audit_trail(journey: Journey) -> None:
    trail = AuditTrail(journey.ctx.database)
    assert trail.verify() == []
    actions = {record.action for record in trail.records(limit=500)}
    assert actions >= {
        "project.create",
        "data.finish",
        "features.finish",
        "training.finish",
        "model.register",
        "model.submit",
        "model.approve",
        "model.deploy",
        "model.rollback",
        "monitor.check",
        "score.batch",
    }


def test_no_file_is_left_half_done(journey: Journey) -> None:
    assert list(projects.folder(journey.ctx, PROJECT).rglob(".*")) == []
