"""Outcomes come late, in parts and corrected; what counts is joined with the answers, what was said stays."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from core.database import Database
from core.errors import InputError
from monitoring.outcomes import Outcome, outcome_history, read_scored_outcomes, report_outcomes
from monitoring.performance import measure_performance
from monitoring.score_log import write_scores
from tests.monitoring.test_score_log import record

LATER = datetime(2023, 6, 1)  # noqa: DTZ001 - the data's own clock has no zone
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def of_key(number: int, outcome: int | None, observed_at: datetime = LATER) -> Outcome:
    return Outcome("key", f"企业{number}", outcome, observed_at)


def of_request(number: int, outcome: int | None, observed_at: datetime = LATER) -> Outcome:
    return Outcome("request_id", f"r{number}", outcome, observed_at)


def report(database: Database, *outcomes: Outcome, **changes: Any) -> list[str]:
    return list(report_outcomes(database, "guarantee", outcomes, by="core-system", **changes))


def joined(database: Database, **which: Any) -> list[float]:
    return read_scored_outcomes(database, "guarantee", **which).outcomes.tolist()


def test_the_same_report_again_changes_nothing(database: Database) -> None:
    assert report(database, of_key(1, 1), of_key(2, 0)) == ["new", "new"]
    assert report(database, of_key(1, 1), of_key(2, 0), of_key(3, 0)) == ["unchanged", "unchanged", "new"]
    assert len(outcome_history(database, "guarantee", "企业1")) == 1


def test_a_correction_counts_and_what_was_said_before_stays(database: Database) -> None:
    write_scores(database, [record(1)])
    report(database, of_key(1, 0), now=NOON)
    assert report(database, of_key(1, 1), now=NOON + timedelta(days=1)) == ["corrected"]
    assert joined(database) == [1.0]
    assert joined(database, known_by=NOON) == [0.0]
    history = outcome_history(database, "guarantee", "企业1")
    assert [(one.outcome.outcome, one.reported_by) for one in history] == [(0, "core-system"), (1, "core-system")]


def test_an_outcome_may_be_opened_again(database: Database) -> None:
    write_scores(database, [record(1)])
    report(database, of_key(1, 1))
    report(database, of_key(1, None))
    assert np.isnan(joined(database)).all()


def test_a_named_report_that_is_sent_again_does_not_undo_a_later_correction(database: Database) -> None:
    write_scores(database, [record(1)])
    assert report(database, of_key(1, 0), report_id="monday") == ["new"]
    assert report(database, of_key(1, 1), report_id="tuesday") == ["corrected"]
    assert report(database, of_key(1, 0), report_id="monday") == ["unchanged"]
    assert joined(database) == [1.0]


def test_within_one_report_the_last_word_counts(database: Database) -> None:
    write_scores(database, [record(1)])
    assert report(database, of_key(1, 0), of_key(1, 1), of_key(1, 1)) == ["new", "corrected", "unchanged"]
    assert joined(database) == [1.0]


def test_a_request_is_one_answer_and_a_key_all_that_were_given_before(database: Database) -> None:
    before, after = datetime(2022, 5, 1), datetime(2024, 5, 1)  # noqa: DTZ001
    write_scores(
        database,
        [
            record(1, key="E", cutoff=before),
            record(2, key="E", cutoff=before),
            record(3, key="E", cutoff=after),
            record(4, key="F", cutoff=before),
        ],
    )
    report(database, Outcome("key", "E", 1, LATER), of_request(2, 0), of_request(4, None))
    read = read_scored_outcomes(database, "guarantee")
    np.testing.assert_array_equal(read.outcomes, [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(read.observed_at, np.array([LATER, LATER, "NaT", "NaT"], dtype="datetime64[us]"))


def test_outcomes_that_come_before_the_log_is_shipped_are_joined_when_it_is(database: Database) -> None:
    report(database, of_request(5, 1))
    assert joined(database) == []
    write_scores(database, [record(5)])
    assert joined(database) == [1.0]


def test_projects_and_slots_are_apart(database: Database) -> None:
    write_scores(database, [record(1), record(1, slot="challenger"), record(1, project="credit")])
    report(database, of_request(1, 1))
    assert joined(database) == joined(database, slot="challenger") == [1.0]
    assert np.isnan(read_scored_outcomes(database, "credit").outcomes).all()


def test_performance_is_measured_on_what_matured(database: Database) -> None:
    write_scores(database, [record(number) for number in range(1, 61)])
    report(database, *(of_key(number, int(number > 20)) for number in range(1, 51)))
    read = read_scored_outcomes(database, "guarantee")
    told = measure_performance(read.scores.probabilities, read.outcomes)
    assert (told.n_rows, told.n_matured, told.n_bad) == (60, 50, 30)
    assert told.metrics["auc"].value == 1.0


def test_two_who_report_the_same_at_once_add_it_once(database: Database) -> None:
    effects: list[str] = []
    threads = [
        threading.Thread(target=lambda: effects.extend(report(database, *(of_key(i, 1) for i in range(500)))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (effects.count("new"), effects.count("unchanged")) == (500, 1500)


@pytest.mark.parametrize(("outcome", "observed_at"), [(2, LATER), (-1, LATER), (1, NOON)])
def test_what_is_no_outcome_is_refused(outcome: int, observed_at: datetime) -> None:
    with pytest.raises(InputError):
        of_key(1, outcome, observed_at)
