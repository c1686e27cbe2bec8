"""The upkeep of the local log: what it holds comes to the database, and what the database cannot do now waits."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.database import Database
from monitoring.score_log import read_scores
from serving import log_upkeep
from serving.host_log import HostLog
from serving.log_upkeep import LogUpkeep
from serving.metrics import ServiceMetrics
from tests.monitoring.test_score_log import record

PROJECT = "guarantee"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[HostLog]:
    log = HostLog(tmp_path / "log")
    yield log
    log.close()


def upkeep(log: HostLog, database: Database, months: int | None = None) -> LogUpkeep:
    return LogUpkeep(lambda: log, database, ServiceMetrics(), months=months, forget=lambda: None)


def test_a_round_ships_and_once_an_hour_drops_the_months_that_are_due(
    log: HostLog, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    for i, moment in enumerate([now - timedelta(days=70), now]):
        log.append(record(i, asked_at=moment)).result()
    upkeep(log, sqlite_database, months=1).run()
    assert set(read_scores(sqlite_database, PROJECT).request_ids) == {"r0", "r1"}
    monkeypatch.setattr(log_upkeep, "_CLEAN_EVERY_SECONDS", 0.0)
    upkeep(log, sqlite_database, months=1).run()
    assert set(read_scores(sqlite_database, PROJECT).request_ids) == {"r1"}


def test_what_the_database_cannot_do_now_waits(
    log: HostLog, tmp_path: Path, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    log.append(record(1)).result()
    with Database(f"sqlite:///{tmp_path / 'nowhere' / 'gone.db'}") as away, caplog.at_level(logging.WARNING):
        upkeep(log, away).run()
    assert "the score log waits for the database" in caplog.text
    upkeep(log, sqlite_database).run()
    assert list(read_scores(sqlite_database, PROJECT).request_ids) == ["r1"]
