"""What is shown of a race under way: the best of each family with its interval, and the time left."""

from pathlib import Path

import pytest

from automl.search import TrialRecord
from workbench.flows.race_watch import RaceWatch, read_progress
from workbench.flows.training import Budget


def test_the_best_of_each_family_stands_first_with_the_interval_of_its_folds(tmp_path: Path) -> None:
    watch = RaceWatch(tmp_path / "race.json")
    assert read_progress(watch.path) is None
    trials = [
        TrialRecord(0, "logistic", {}, "complete", 0.70, (0.68, 0.72), (3, 3), 1.0),
        TrialRecord(0, "lightgbm", {}, "complete", 0.74, (0.73, 0.75), (9, 9), 2.0),
        TrialRecord(1, "lightgbm", {}, "failed", seconds=0.5),
    ]
    watch(trials, 12.5)
    race = read_progress(watch.path)
    assert race is not None
    assert race.seconds_left == 12.5
    best, other = race.rows
    assert (best.family, best.n_trials, best.n_failed, best.best, best.seconds) == ("lightgbm", 2, 1, 0.74, 2.5)
    # The spread of .73 and .75 is .0141; over two folds the mean is sure within 1.96 x .01.
    assert best.low == pytest.approx(0.74 - 0.0196, abs=1e-4)
    assert best.high == pytest.approx(0.74 + 0.0196, abs=1e-4)
    assert other.family == "logistic"


@pytest.mark.parametrize("preset, most_seconds", [("quick", 60), ("standard", 300), ("thorough", 1_800)])
def test_a_preset_is_a_budget_below_its_limit(preset: str, most_seconds: float) -> None:
    budget = Budget.parse(preset)
    assert budget.seconds is not None
    assert 0.9 * most_seconds <= budget.seconds < most_seconds
