"""The whole run: repeatable, stoppable, honest about what it cannot know, and standing when trials fail."""

import errno
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl import families
from automl.calibration import IDENTITY
from automl.candidates import Candidate, PairedDifference, _verdict, rank_candidates
from automl.checkpoint import Checkpoint
from automl.control import FitControl, StopFittingError, Supervisor
from automl.entrants import Entrant, Member
from automl.evaluation import Evaluation, Histogram, Metric, SampleEvaluation
from automl.explanation import Explanation
from automl.families.interface import FoldFit, TrainingData
from automl.families.logistic import LogisticFamily
from automl.judging import evaluation_findings
from automl.race import Race
from automl.result import TrainingResult
from automl.scorecard.model import ScorecardModel
from automl.search import FamilySearch, SearchResult, TrialRecord
from automl.spec import TrainSpec
from automl.split import make_split
from automl.training import train
from core.errors import CancelledError, InputError, WorkbenchError
from core.i18n import Message
from core.progress import CallbackProgress, SilentProgress

TWO = ["logistic", "lightgbm"]
SPEC = TrainSpec(n_trials=3, folds=3, bootstrap_draws=60, num_threads=2, families=TWO)


def _train(world: Callable, spec: TrainSpec = SPEC, progress: Any = None, **how: Any) -> TrainingResult:
    matrix, labels = world(**how)
    return train(matrix, labels, make_split(labels, spec), spec, progress=progress)


@pytest.fixture(scope="module")
def result(world: Callable) -> TrainingResult:
    return _train(world)


@pytest.fixture(scope="module")
def by_time(world: Callable) -> TrainingResult:
    return _train(world, n=4_000, by_time=True, n_entities=1_500)


def test_the_model_is_good_on_rows_it_never_saw(result: TrainingResult) -> None:
    assert result.evaluation.headline == "holdout"
    metric = result.evaluation.metric("auc")
    assert metric.value > 0.74  # the truth itself reaches .80
    assert metric.low < metric.value < metric.high
    assert "out_of_time" in result.evaluation.not_applicable


def test_the_same_seed_and_trials_give_the_same_fingerprint_on_one_thread_and_two(
    world: Callable, result: TrainingResult
) -> None:
    again = _train(world, SPEC.model_copy(update={"num_threads": 1}))
    assert again.fingerprint == result.fingerprint
    assert [trial.params for trial in again.trials] == [trial.params for trial in result.trials]
    other = _train(world, SPEC.model_copy(update={"seed": 5}))
    assert other.fingerprint != result.fingerprint


def test_the_recorded_trials_of_a_run_in_seconds_give_the_same_fingerprint(world: Callable) -> None:
    spec = TrainSpec(budget_seconds=4, folds=3, bootstrap_draws=60, families=TWO)
    first = _train(world, spec, n=800)
    stored = TrainSpec.model_validate_json(first.replay_spec().model_dump_json())
    again = _train(world, stored, n=800)
    assert again.fingerprint == first.fingerprint


def test_every_row_is_answered_and_the_training_rows_by_models_that_did_not_see_them(
    world: Callable, result: TrainingResult
) -> None:
    matrix, _ = world()
    own = result.model.margin(matrix.values)
    unseen = np.setdiff1d(np.arange(len(own)), result.split.train)
    np.testing.assert_array_equal(result.margin[unseen], own[unseen])
    assert np.abs(result.out_of_fold_margin - own[result.split.train]).min() > 0


def test_the_leaderboard_says_by_how_much_and_how_surely(result: TrainingResult) -> None:
    best, second, third = result.candidates
    assert best.auc.value >= second.auc.value >= third.auc.value
    assert best.behind is None
    assert second.behind is not None
    assert second.behind.value == pytest.approx(best.auc.value - second.auc.value, abs=1e-12)
    assert second.behind.low <= second.behind.value <= second.behind.high
    assert "cannot be told apart" in result.verdict.text() or "is better than" in result.verdict.text()
    assert {"logistic", "lightgbm", "ensemble"} == {one.family for one in result.candidates}


def test_the_price_of_every_candidate_is_known_before_one_is_chosen(result: TrainingResult) -> None:
    prices = {one.family: one.price for one in result.candidates}
    logistic, boosted, ensemble = prices["logistic"], prices["lightgbm"], prices["ensemble"]
    assert logistic is not None
    assert boosted is not None
    assert ensemble is not None
    assert logistic.n_leaves < boosted.n_leaves < ensemble.n_leaves
    assert logistic.size_bytes < boosted.size_bytes < ensemble.size_bytes
    assert all(price.row_ms > 0 and price.explain_seconds > 0 for price in (logistic, boosted, ensemble))


def test_an_ensemble_names_its_members_and_their_shares(result: TrainingResult) -> None:
    ensemble = next(one for one in result.candidates if one.family == "ensemble")
    assert sum(ensemble.params.values()) == pytest.approx(1, abs=1e-3)
    assert {name.split(" #")[0] for name in ensemble.params} <= {"logistic", "lightgbm"}


def test_a_scorecard_of_the_race_is_one_card_near_the_mean_of_cards_that_are_good_together(world: Callable) -> None:
    spec = SPEC.model_copy(update={"families": ["scorecard"], "ensemble": False})
    found = _train(world, spec, n=1_000)
    (candidate,) = found.candidates
    tried = [trial for trial in found.trials if trial.state == "complete"]
    shares = {int(name.split(" #")[1]) - 1: share for name, share in candidate.params.items()}
    assert 1 < len(shares) <= 3
    assert list(shares.values()) == pytest.approx([1 / len(shares)] * len(shares), abs=1e-3)
    assert set(shares) <= {trial.number for trial in tried}
    assert isinstance(found.model, ScorecardModel)
    card = found.model.card
    assert card.about["n_cards"] == len(shares) * spec.folds
    assert card.about["points_apart"] < 6
    assert "merged_scorecard" in {finding.code for finding in found.findings}
    assert max(item.bins.n_plain for item in card.characteristics) <= 8
    # What is printed is what is scored: the calibration is in the points.
    matrix, _ = world(1_000)
    margin = found.model.margin(matrix.values)
    assert found.calibration == IDENTITY
    np.testing.assert_array_equal(found.scale.points(found.calibration.apply(margin)), found.model.score(matrix.values))
    assert card.scale == found.scale
    assert len(found.scale.master.grades) >= 2
    again = _train(world, found.replay_spec(), n=1_000)
    assert again.fingerprint == found.fingerprint


def test_what_cannot_be_told_apart_names_the_simpler_and_can_choose_it(world: Callable) -> None:
    spec = SPEC.model_copy(update={"choose": "simplest_as_good", "ensemble": False})
    found = _train(world, spec, n=250, seed=13)
    assert found.candidates[0].family == "lightgbm"
    told = found.candidates[1].behind
    assert told is not None
    assert not told.can_be_told
    assert found.simplest_as_good == "logistic"
    assert found.family == "logistic"
    assert "cannot be told apart" in found.verdict.text()


@pytest.mark.parametrize(
    "best, second, words",
    [
        (("ensemble", 9), ("lightgbm", 2), "LightGBM is the simpler, but more than a standard error behind"),
        (("lightgbm", 2), ("catboost", 4), "LightGBM is the simpler too"),
    ],
)
def test_a_verdict_calls_the_simpler_one_simpler(
    world: Callable, best: tuple[str, int], second: tuple[str, int], words: str
) -> None:
    first, other = _train(world, SPEC, n=250, seed=13).candidates[:2]
    first = replace(first, family=best[0], simplicity=best[1])
    behind = PairedDifference(0.0005, -0.0001, 0.0011)
    other = replace(other, family=second[0], simplicity=second[1], behind=behind)
    assert words in _verdict([first, other], first).text()


@pytest.mark.parametrize("lead, chosen", [(0.004, "ensemble"), (0.5, "lightgbm")])
def test_in_doubt_the_mean_of_several_is_the_more_accurate(lead: float, chosen: str) -> None:
    rng = np.random.default_rng(4)
    y = (np.arange(800) % 4 == 0).astype(float)
    mixed = rng.normal(size=800) + y
    record = TrialRecord(0, "lightgbm", {}, "complete", 0.7, (0.7,), (1,), 1.0)
    data = TrainingData(np.zeros((800, 1)), y, np.arange(800), None)  # type: ignore[arg-type]
    member = Member(SearchResult(LogisticFamily(), record, (), mixed), 1.0)  # type: ignore[arg-type]
    ahead = mixed + 0.3 * rng.normal(size=800) + lead * 3 * y
    entrants = [
        Entrant("lightgbm", 2, ahead, (member,), 1, 1.0, data),
        Entrant("ensemble", 9, mixed, (member,), 1, 1.0, data),
    ]
    spec = TrainSpec(bootstrap_draws=50)
    ranking = rank_candidates(entrants, y, spec)
    assert ranking.chosen == chosen
    if chosen == "lightgbm":
        assert ranking.candidates[0].family == "lightgbm"


def test_a_family_far_behind_and_dear_tries_no_more_defaults_where_time_is_short(world: Callable) -> None:
    matrix, labels = world(300)
    data = TrainingData(matrix.values, labels.y, labels.entities, matrix.plan)
    folds = np.arange(300) % 2
    race = Race([LogisticFamily(), LogisticFamily()], data, folds, TrainSpec(), Supervisor(SilentProgress()))
    for search, value, seconds in zip(race.searches, (0.80, 0.77), (1.0, 1.0), strict=True):
        record = TrialRecord(0, "logistic", {}, "complete", value, (value, value), (1, 1), seconds)
        search.trials.append(record)
        search.results.append(SearchResult(search.family, record, (), np.zeros(300)))
    assert not any(map(race._is_lost, race.searches))  # no budget in seconds: all are tried
    race.supervisor.deadline = time.monotonic() + 20
    assert [race._is_lost(search) for search in race.searches] == [False, True]
    race.supervisor.deadline = time.monotonic() + 200
    assert not any(map(race._is_lost, race.searches))


def test_a_family_without_a_model_is_cut_short_and_not_given_up_when_time_ends() -> None:
    supervisor = Supervisor(SilentProgress(), has_candidate=True)
    supervisor.deadline = time.monotonic() + 0.2

    def fit(control: FitControl) -> str:
        while not control.is_over():
            control.check()
            time.sleep(0.01)
        return "what it has"

    def slow(control: FitControl) -> str:
        control.deadline = float("inf")
        return fit(control)

    assert supervisor.run([slow, slow], needed=True) == ["what it has"] * 2
    with pytest.raises(StopFittingError):
        supervisor.run([slow])


@pytest.mark.parametrize("value, as_good", [(0.001, True), (0.004, False), (-0.002, True)])
def test_as_good_is_what_lies_within_one_standard_error(value: float, as_good: bool) -> None:
    error = 0.002
    difference = PairedDifference(value, value - 1.96 * error, value + 1.96 * error)
    assert difference.is_within_one_error is as_good


def test_out_of_time_is_reported_apart_for_new_and_returning_entities(by_time: TrainingResult) -> None:
    samples = by_time.evaluation.samples
    assert by_time.evaluation.headline == "out_of_time"
    assert set(samples) == {
        "cross_validation", "calibration", "out_of_time", "out_of_time_new", "out_of_time_returning",
    }  # fmt: skip
    assert samples["out_of_time_new"].n + samples["out_of_time_returning"].n == samples["out_of_time"].n
    assert by_time.evaluation.psi is not None
    assert "embargo" in {finding.code for finding in by_time.findings}


def test_calibrated_probabilities_match_the_bad_rate_on_unseen_rows(by_time: TrainingResult) -> None:
    sample = by_time.evaluation.best
    expected = sum(bucket.n * bucket.mean_probability for bucket in sample.calibration)
    assert expected == pytest.approx(sample.n_bad, rel=0.12)


def test_grades_are_at_least_seven_with_rising_bad_rates(by_time: TrainingResult) -> None:
    rates = [grade.bad_rate for grade in by_time.scale.master.grades]
    assert len(rates) >= 7
    assert all(np.diff(rates) > 0)


def test_few_labels_are_judged_by_repeated_cross_validation(world: Callable) -> None:
    spec = SPEC.model_copy(update={"repeats": 3})
    found = _train(world, spec, n=100)
    assert found.split.kind == "cross_validation"
    assert found.evaluation.headline == "repeated_cross_validation"
    assert found.evaluation.psi is None
    metric = found.evaluation.metric("auc")
    assert metric.n == 100
    assert metric.high - metric.low > 0.08
    assert "chosen_on_same_rows" in {finding.code for finding in found.findings}


def test_labels_without_any_signal_are_not_made_to_look_good_by_few_rows(world: Callable) -> None:
    matrix, labels = world(n=100)
    shuffled = np.random.default_rng(1).permutation(labels.y)
    noise = type(labels)(**{**vars(labels), "y": shuffled})
    spec = SPEC.model_copy(update={"repeats": 3})
    metric = train(matrix, noise, make_split(noise, spec), spec).evaluation.metric("auc")
    assert metric.low < 0.5 or metric.value < 0.6


def test_everything_survives_json(result: TrainingResult) -> None:
    stored = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert stored["fingerprint"] == result.fingerprint
    assert [TrialRecord.from_json(item) for item in stored["trials"]] == list(result.trials)
    assert [Candidate.from_json(item) for item in stored["candidates"]] == list(result.candidates)
    assert Message.from_json(stored["verdict"]).text() == result.verdict.text()
    assert (
        Evaluation.from_json(json.loads(json.dumps(result.evaluation.to_json(), allow_nan=False))) == result.evaluation
    )
    assert (
        Explanation.from_json(json.loads(json.dumps(result.explanation.to_json(), allow_nan=False)))
        == result.explanation
    )


def test_the_explanation_leans_on_what_the_truth_leans_on(result: TrainingResult) -> None:
    importances = result.explanation.importances
    assert {item.alias for item in importances[:2]} == {"x0", "x1"}
    assert sum(item.share for item in importances) == pytest.approx(1.0)
    assert result.explanation.largest_additivity_error < 1e-9
    stability = result.explanation.stability
    assert stability is not None
    assert 0 < stability.top_4 <= 1
    rising = next(item for item in result.explanation.dependence if item.alias == "x0")
    known = [(v, c) for v, c in zip(rising.values, rising.contributions, strict=True) if v is not None]
    assert np.corrcoef(*np.array(known).T)[0, 1] > 0.7


def test_matrix_and_labels_in_another_order_are_refused(world: Callable) -> None:
    matrix, labels = world(n=400)
    split = make_split(labels, SPEC)
    with pytest.raises(InputError, match="same keys and cutoffs"):
        train(matrix.take(np.arange(400)[::-1]), labels, split, SPEC)


def test_progress_rises_to_the_end_and_names_the_trial(world: Callable) -> None:
    said: list[tuple[float, str]] = []
    _train(world, n=500, progress=CallbackProgress(lambda fraction, text: said.append((fraction, text.text()))))
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("LightGBM: trial 3" in text for _, text in said)


def test_progress_is_told_from_one_thread_only(world: Callable) -> None:
    threads = set()
    _train(world, n=500, progress=CallbackProgress(lambda *_: threads.add(threading.get_ident())))
    assert threads == {threading.get_ident()}


def test_cancel_stops_a_long_search_within_five_seconds(world: Callable) -> None:
    asked_at = time.monotonic() + 2

    def report(fraction: float, text: Message) -> None:
        if time.monotonic() > asked_at:
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        _train(world, TrainSpec(budget_seconds=300), CallbackProgress(report), n=6_000)
    assert time.monotonic() - asked_at < 5


def test_finish_keeps_the_best_so_far_within_seconds(world: Callable) -> None:
    asked_at = time.monotonic() + 3
    progress = CallbackProgress(lambda *_: None, lambda: time.monotonic() > asked_at)
    spec = TrainSpec(budget_seconds=300, folds=3, bootstrap_draws=60, families=TWO)
    found = _train(world, spec, progress, n=1_500)
    assert time.monotonic() - asked_at < 12  # five to stop, the rest to evaluate and explain on a busy machine
    assert "finished_early" in {finding.code for finding in found.findings}
    assert found.evaluation.metric("auc").value > 0.7


def test_finish_asked_for_before_anything_is_there_still_gives_a_model(world: Callable) -> None:
    spec = TrainSpec(budget_seconds=300, folds=3, bootstrap_draws=60, families=["lightgbm"])
    found = _train(world, spec, CallbackProgress(lambda *_: None, lambda: True), n=1_500)
    assert found.family == "lightgbm"
    assert [trial.state for trial in found.trials] == ["complete"]


def test_a_budget_in_seconds_is_kept(world: Callable) -> None:
    started = time.monotonic()
    found = _train(world, TrainSpec(budget_seconds=4, folds=3, bootstrap_draws=60, families=TWO))
    # A busy machine stretches what comes after the search; the search itself must end in time.
    assert sum(trial.seconds for trial in found.trials) < 4
    assert time.monotonic() - started < 10


def test_a_run_that_was_killed_takes_its_finished_trials_over_and_ends_alike(
    world: Callable, tmp_path: Path, result: TrainingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, labels = world()
    split = make_split(labels, SPEC)
    folder = tmp_path / "unfinished"
    seen: list[int] = []

    def die_after_three(trials: Sequence[TrialRecord], left: float | None) -> None:
        seen.append(len(trials))
        if len(trials) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(matrix, labels, split, SPEC, watch=die_after_three, checkpoint=folder)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(kept) == 4  # three trials and the key
    fits: list[str] = []
    real = FamilySearch._try

    def counted(search: FamilySearch, *args: Any, **more: Any) -> TrialRecord:
        fits.append(search.family.name)
        return real(search, *args, **more)

    monkeypatch.setattr(FamilySearch, "_try", counted)
    found = train(matrix, labels, split, SPEC, checkpoint=folder)
    assert found.fingerprint == result.fingerprint
    assert len(fits) == len(result.trials) - 3
    # Killed once more, before the model was safe, and meanwhile asked to finish: it ends as it did, and fits nothing.
    fits.clear()
    asked = CallbackProgress(lambda _fraction, _message: None, lambda: True)
    again = train(matrix, labels, split, SPEC, checkpoint=folder, progress=asked)
    assert [trial.value for trial in again.trials] == [trial.value for trial in found.trials]
    assert again.family == found.family
    assert not fits


def test_trials_of_other_data_are_not_taken_over(world: Callable, tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "unfinished", "one")
    record = TrialRecord(0, "logistic", {"penalty": 1.0}, "pruned", 0.6, (0.6,), (3,))
    first.keep(record, None)
    family = families.make_family("logistic")
    assert Checkpoint(tmp_path / "unfinished", "one").find(family, 0, {"penalty": 1.0}) == (record, None)
    assert Checkpoint(tmp_path / "unfinished", "one").find(family, 0, {"penalty": 2.0}) is None
    assert Checkpoint(tmp_path / "unfinished", "two").find(family, 0, {"penalty": 1.0}) is None


def test_a_full_disk_ends_the_keeping_of_trials_and_not_the_race(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("automl.checkpoint.np.save", full)
    matrix, labels = world(n=500)
    spec = SPEC.model_copy(update={"families": ["logistic"]})
    found = train(matrix, labels, make_split(labels, spec), spec, checkpoint=tmp_path / "unfinished")
    finding = next(finding for finding in found.findings if finding.code == "checkpoint_failed")
    assert "No space left on device" in finding.text()


class _Faulty(LogisticFamily):
    """Fails as `fault` says: for a penalty of 10 (the first trial), or always."""

    name = "faulty"
    fault = "raises"
    always = False

    def fit(self, params: dict[str, Any], *args: Any, control: FitControl, **more: Any) -> FoldFit:
        fit = super().fit(params, *args, control=control, **more)
        if not self.always and params["penalty"] != 10.0:
            return fit
        if self.fault == "raises":
            raise ZeroDivisionError("the bank is empty")
        return FoldFit(fit.model, np.full_like(fit.margin, np.nan), 1, 1)


def _use(monkeypatch: pytest.MonkeyPatch, fault: str, *, always: bool) -> None:
    def make(name: str) -> Any:
        family = _Faulty() if name == "faulty" else real(name)
        if isinstance(family, _Faulty):
            family.fault, family.always = fault, always
        return family

    real = families.make_family
    monkeypatch.setattr("automl.training.make_family", make)


@pytest.mark.parametrize("fault, cause", [("raises", "ZeroDivisionError: the bank is empty"), ("nan", "NaN")])
def test_a_trial_that_fails_does_not_end_the_search(
    world: Callable, monkeypatch: pytest.MonkeyPatch, fault: str, cause: str
) -> None:
    _use(monkeypatch, fault, always=False)
    found = _train(world, SPEC.model_copy(update={"families": ["faulty"]}), n=500)
    states = [trial.state for trial in found.trials]
    assert states[0] == "failed"
    assert "complete" in states
    finding = next(finding for finding in found.findings if finding.code == "trials_failed")
    assert cause in finding.text()


def test_a_family_that_fails_whole_leaves_the_race_to_the_others(
    world: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, "raises", always=True)
    found = _train(world, SPEC.model_copy(update={"families": ["faulty", "lightgbm"]}), n=500)
    assert found.family in ("lightgbm", "ensemble")  # an ensemble of LightGBM's trials
    assert {candidate.family for candidate in found.candidates} <= {"lightgbm", "ensemble"}
    assert "trials_failed" in {finding.code for finding in found.findings}


def test_where_every_trial_fails_the_first_cause_is_named(world: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, "raises", always=True)
    with pytest.raises(WorkbenchError, match="the bank is empty") as caught:
        _train(world, SPEC.model_copy(update={"families": ["faulty"]}), n=500)
    assert caught.value.code == "all_trials_failed"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_training_rows_without_a_class_are_refused(world: Callable) -> None:
    matrix, labels = world(n=400)
    split = make_split(labels, SPEC)
    one_class = type(labels)(**{**vars(labels), "y": np.zeros(400)})
    with pytest.raises(InputError, match="0 bads"):
        train(matrix, one_class, split, SPEC, progress=SilentProgress())


def _evaluation(before: tuple[float, float], after: tuple[float, float], psi: float) -> Evaluation:
    def sample(name: str, low: float, high: float) -> SampleEvaluation:
        metric = Metric("auc", (low + high) / 2, low, high, 1_000, 100)
        return SampleEvaluation(name, 1_000, 100, {"auc": metric}, (), (), (), Histogram((), (), ()))

    samples = {"cross_validation": sample("cross_validation", *before), "out_of_time": sample("out_of_time", *after)}
    return Evaluation(samples, "out_of_time", Metric("psi", psi, psi, psi, 1_000, 100))


def test_a_clear_fall_on_unseen_rows_and_a_shifted_score_are_found() -> None:
    fallen = evaluation_findings(_evaluation((0.80, 0.84), (0.70, 0.78), 0.3))
    assert [finding.code for finding in fallen] == ["weaker_on_unseen", "score_shift"]
    assert "from .820 [.800, .840] in training to .740 [.700, .780]" in fallen[0].text()
    assert evaluation_findings(_evaluation((0.80, 0.84), (0.70, 0.81), 0.1)) == []
