"""The sample project's model judged on rows it did not see."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from automl.counterfactual import Counterfactual
from core.errors import InputError, NotFoundError
from core.findings import NotApplicable
from core.settings import Settings
from workbench.cli import main
from workbench.flows import economics, evaluation, explaining, features, importing, projects, training
from workbench.flows.context import Context, open_context
from workbench.flows.evaluation import Attainable
from workbench.flows.stored_columns import stored_columns

PROJECT = "sample"


@pytest.fixture(scope="module")
def ctx(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    home = shutil.copytree(sample_home, tmp_path_factory.mktemp("judged") / "home")
    opened = open_context(Settings(home=home))
    yield opened
    opened.database.dispose()


def test_the_kept_predictions_are_those_that_the_bundle_was_judged_by(ctx: Context) -> None:
    found, best = evaluation.predictions(ctx, PROJECT), training.bundle(ctx, PROJECT).evaluation.best
    judged = found.take(found.judging)
    assert (len(judged), int(judged.y.sum())) == (best.n, best.n_bad)
    assert best.metrics["auc"].value == pytest.approx(roc_auc_score(judged.y, judged.probability), abs=1e-12)
    assert len(found) == len(features.labels(ctx, PROJECT))


def test_no_row_that_judges_was_seen_in_training(ctx: Context) -> None:
    found, split = evaluation.predictions(ctx, PROJECT), features.split(ctx, PROJECT)
    seen = set(found.keys[np.concatenate([split.train, split.calibration])])
    assert not seen & set(found.keys[found.applicants])
    assert found.cutoffs[found.applicants].min() > found.cutoffs[split.train].max()


def test_every_segment_column_of_the_project_splits_the_same_rows(ctx: Context) -> None:
    n = len(evaluation.predictions(ctx, PROJECT).judging)
    names = [column.name for column in evaluation.columns(ctx, PROJECT)]
    assert names == projects.spec(ctx, PROJECT).segments
    for name in [*names, "entity"]:
        assert sum(one.n for one in evaluation.by_segment(ctx, PROJECT, name)) == n


def test_attained_never_passes_attainable_by_more_than_chance(ctx: Context) -> None:
    found = evaluation.attainable(ctx, PROJECT)
    assert isinstance(found, Attainable)
    area = found.comparison.differences[0]
    assert 0.5 < found.attained < 1
    assert area.low < 0  # the truth cannot be beaten, but by chance
    assert found.attainable > 0.6


def test_the_truth_is_in_no_table_and_no_feature(ctx: Context) -> None:
    hidden = {"p12", "p12_subrogation", "quality", "owner"}
    model = stored_columns(ctx, PROJECT).model
    columns = {name for table in model.tables.values() for name in table.columns}
    used = {definition.column for definition in features.plan(ctx, PROJECT).definitions}
    assert not hidden & (columns | used)
    assert not list((projects.folder(ctx, PROJECT) / "data").rglob("*oracle*"))


def test_a_version_is_not_compared_with_itself(ctx: Context) -> None:
    with pytest.raises(InputError, match="itself"):
        evaluation.compare(ctx, PROJECT, 1, 1)


def test_two_versions_are_compared_on_the_rows_that_neither_saw(ctx: Context) -> None:
    training.run(ctx, PROJECT, budget=training.Budget(n_trials=1), families=("logistic",))
    found = evaluation.compare(ctx, PROJECT, 2, 1)
    assert found.n == len(evaluation.predictions(ctx, PROJECT, 1).judging)
    same_way = evaluation.compare(ctx, PROJECT, 1, 2)
    assert same_way.differences[0].value == -found.differences[0].value
    assert same_way.delong.p_value == pytest.approx(found.delong.p_value)


def test_another_candidate_is_made_from_its_recorded_trials_without_a_search(ctx: Context) -> None:
    before = training.run(ctx, PROJECT, budget=training.Budget(n_trials=1), families=("logistic", "lightgbm"))
    other = next(row for row in before.leaderboard if not row.is_chosen)
    assert other.price is not None
    made = training.run(ctx, PROJECT, candidate=other.family)
    assert made.family == other.family
    assert made.version == (before.version or 0) + 1
    assert [trial.family for trial in made.trials] == [other.family]
    assert training.under_way(ctx, PROJECT) is None
    with pytest.raises(InputError, match=f"no candidate 'oracle'; it has {other.family}"):
        training.run(ctx, PROJECT, candidate="oracle")


def test_a_scorecard_of_several_trials_is_made_again_as_it_stood_in_the_race(ctx: Context) -> None:
    before = training.run(ctx, PROJECT, budget=training.Budget(n_trials=4), families=("logistic", "scorecard"), seed=1)
    raced = next(row for row in before.leaderboard if row.family == "scorecard")
    assert len(raced.params) > 1  # the shares of its trials
    made = training.run(ctx, PROJECT, candidate="scorecard")
    again = made.leaderboard[0]
    assert (made.family, again.params) == ("scorecard", raced.params)
    assert again.auc == raced.auc


def test_the_command_answers_with_every_view(
    ctx: Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(ctx.settings.home))

    def asked(*options: str) -> dict[str, object]:
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *options, "--json"])
        out = capsys.readouterr().out
        assert ended.value.code == 0, out
        return dict(json.loads(out))

    assert asked("--version", "1")["attainable"]["auc"] > 0.6
    slices = asked("--by", "quarter", "--version", "1")["slices"]
    assert [one["name"] for one in slices] == sorted(one["name"] for one in slices)
    assert asked("--by", "enterprise.sector")["slices"][0]["n"] > 0


def test_new_data_without_the_old_rows_says_why_nothing_can_be_compared(ctx: Context) -> None:
    importing.run_sample(ctx, PROJECT, n_enterprises=500, seed=3)
    answer = evaluation.attainable(ctx, PROJECT, 1)
    assert not isinstance(answer, Attainable)
    assert "another" in answer.text()


def test_reasons_segments_pairs_and_changes_are_explained_on_the_rows_of_the_version(sample_home: Path) -> None:
    opened = open_context(Settings(home=sample_home))
    course = explaining.over_time(opened, PROJECT)
    assert len(course.periods) >= 10
    assert all(0 < share < 1 for shares in course.shares.values() for share in shares)
    treated = explaining.fairness(opened, PROJECT, "enterprise.sector")
    assert sum(one.n_applicants for one in treated) == len(evaluation.predictions(opened, PROJECT).applicants)
    assert max(one.impact_ratio for one in treated) >= 1.0
    pairs = explaining.interactions(opened, PROJECT)
    assert isinstance(pairs, NotApplicable) or pairs.largest_error < 1e-6
    rows, steps = evaluation.predictions(opened, PROJECT), explaining.grades(opened, PROJECT)
    risky = str(rows.keys[np.argmax(np.where(rows.part == "unseen", rows.probability, 0))])
    answer = explaining.case_change(opened, PROJECT, risky, steps[-2])
    assert answer.grade == steps[-1]
    assert "10k CNY" in answer.units.values()
    if isinstance(answer.found, Counterfactual):
        assert answer.found.after < answer.found.before
        assert {change.alias for change in answer.found.changes} <= set(explaining.changeable(opened, PROJECT))
    with pytest.raises(NotFoundError):
        explaining.case_change(opened, PROJECT, "A-nowhere", steps[0])
    opened.database.dispose()


@pytest.fixture(scope="module")
def weighed(sample_home: Path) -> Iterator[tuple[Context, economics.EconomicsResult]]:
    opened = open_context(Settings(home=sample_home))
    yield opened, economics.run(opened, PROJECT)
    opened.database.dispose()


def test_applicants_are_those_the_version_did_not_see_declined_ones_among_them(
    weighed: tuple[Context, economics.EconomicsResult],
) -> None:
    opened, found = weighed
    assert len(found.applicants) == len(evaluation.predictions(opened, PROJECT).applicants)
    declined = found.applicants.is_approved == 0
    assert declined.sum() > 0
    assert np.isnan(found.applicants.y[declined]).all()
    assert (found.first, found.last) == ("2023-01", "2023-12")


def test_figures_carry_intervals_and_the_loss_is_estimated_from_recoveries(
    weighed: tuple[Context, economics.EconomicsResult],
) -> None:
    found = weighed[1]
    for name, curve in found.trade_off.curves.items():
        assert (curve.low[-1] <= curve.value[-1]) & (curve.value[-1] <= curve.high[-1]), name
    assert {finding.code for finding in found.findings}.isdisjoint({"loss_by_hand"})
    for name in ("exposure_at_default", "loss_given_default"):
        assert found.assumptions.items[name].source == "estimated"
    loss = found.assumptions.items["loss_given_default"]
    assert 0.4 < loss.low < loss.value < loss.high < 1  # 30 % comes back in three years, 55 % with a property pledged
    assert loss.n >= 20
    assert sum(found.assumptions.shares.values()) + found.assumptions.value("guarantor_share") == pytest.approx(
        1, abs=0.05
    )


def test_swap_sets_hold_every_applicant_that_was_decided_on(weighed: tuple[Context, economics.EconomicsResult]) -> None:
    found = weighed[1]
    sets = economics.swaps(found, found.trade_off.best)
    assert sum(one.n for one in sets) == (~np.isnan(found.applicants.is_approved)).sum()


def test_half_the_loss_by_hand_halves_the_loss(weighed: tuple[Context, economics.EconomicsResult]) -> None:
    opened = weighed[0]
    whole, half = (economics.run(opened, PROJECT, by_hand={"loss_given_default": loss}) for loss in (0.7, 0.35))
    assert half.trade_off.curves["loss"].value == pytest.approx(whole.trade_off.curves["loss"].value / 2)
    assert half.trade_off.approval_rate[half.trade_off.best] >= whole.trade_off.approval_rate[whole.trade_off.best]
    assert {finding.code for finding in half.findings} >= {"loss_by_hand"}  # it has no interval, and says so


def test_the_command_weighs_and_refuses_what_is_no_figure(
    sample_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(sample_home))
    with pytest.raises(SystemExit) as ended:
        main(["economics", "--approval-rate", "0.5", "--set", "fee_rate=0.01", "--json"])
    assert ended.value.code == 0
    value = json.loads(capsys.readouterr().out)
    assert value["approval_rate"] == pytest.approx(0.5, abs=0.02)
    assert value["assumptions"]["fee_rate"]["source"] == "by_hand"
    assert value["swaps"][1]["observed"] is None
    with pytest.raises(SystemExit) as ended:
        main(["economics", "--set", "fee_rate"])
    assert ended.value.code == 1


def test_the_command_explains_in_every_view(
    sample_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_context(Settings(home=sample_home))
    monkeypatch.setenv("WORKBENCH_HOME", str(sample_home))

    def asked(*options: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["explain", *options])
        written = capsys.readouterr()
        assert ended.value.code == code, written
        return written.out + written.err

    course = json.loads(asked("--over-time", "--json"))
    assert course["periods"] == list(explaining.over_time(opened, PROJECT).periods)
    segments = json.loads(asked("--by", "enterprise.sector", "--json"))["segments"]
    assert max(one["impact_ratio"] for one in segments) >= 1.0
    pairs = json.loads(asked("--pairs", "--json"))
    assert "pairs" in pairs or "not_applicable" in pairs
    rows, steps = evaluation.predictions(opened, PROJECT), explaining.grades(opened, PROJECT)
    risky = str(rows.keys[np.argmax(np.where(rows.part == "unseen", rows.probability, 0))])
    found = json.loads(asked("--key", risky, "--to", steps[-2], "--json"))
    assert found["grade"] == steps[-1]
    assert ("changes" in found) != ("not_applicable" in found)
    kept = explaining.changeable(opened, PROJECT)
    held = json.loads(asked("--key", risky, "--to", steps[0], *(f"--keep={name}" for name in kept), "--json"))
    assert held["not_applicable"]
    shown = asked("--by", "enterprise.sector", "--language", "zh")
    assert "观测" in shown
    assert "制造业" in shown
    assert "give one of" in asked("--pairs", "--over-time", code=1)
    assert "--to goes with --key" in asked("--to", steps[0], code=1)
