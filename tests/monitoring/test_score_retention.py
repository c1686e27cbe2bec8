"""Months go when the policy says so, whole, said in the audit trail, and never because a clock is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.audit import AuditTrail
from core.database import Database
from core.errors import ConflictError, UnavailableError
from monitoring import score_retention
from monitoring.score_log import read_scores, write_scores
from monitoring.score_retention import due_months, retain
from tests.monitoring.test_score_log import record
from tests.monitoring.test_score_months import block, months

NOW = datetime(2026, 6, 15, tzinfo=UTC)


def fill(database: Database) -> None:
    moments = [datetime(2026, month, 20, tzinfo=UTC) for month in range(1, 7)]
    write_scores(database, [record(i, asked_at=moment) for i, moment in enumerate(moments)], [block(50, asked_at=NOW)])


def test_whole_months_older_than_the_policy_are_dropped_and_audited(database: Database) -> None:
    fill(database)
    assert due_months(database, 3, now=NOW) == ["2026_01", "2026_02"]
    assert retain(database, 3, by="zhao", now=NOW) == ["2026_01", "2026_02"]
    assert months(database) == ["2026_06", "2026_05", "2026_04", "2026_03"]
    assert set(read_scores(database, "guarantee").request_ids) == {
        "r2",
        "r3",
        "r4",
        "r5",
        *(f"r{i}" for i in range(50, 55)),
    }
    assert retain(database, 3, by="zhao", now=NOW) == []
    trail = AuditTrail(database)
    told = [(one.actor, one.details) for one in trail.records(action="score_log.retain")]
    assert told == [("zhao", {"month": month, "keep_months": 3}) for month in ("2026-02", "2026-01")]
    assert trail.verify() == []


@pytest.mark.parametrize(
    ("now", "keep", "first"),
    [
        (datetime(2026, 6, 1, tzinfo=UTC), 5, None),
        (datetime(2026, 6, 30, 23, 59, tzinfo=UTC), 5, None),
        (datetime(2026, 7, 1, tzinfo=UTC), 5, "2026_01"),
        (datetime(2027, 1, 1, tzinfo=UTC), 12, None),
        (datetime(2027, 2, 1, tzinfo=UTC), 12, "2026_01"),
    ],
)
def test_the_month_that_has_begun_is_kept_beside_the_policys(
    sqlite_database: Database, now: datetime, keep: int, first: str | None
) -> None:
    fill(sqlite_database)
    assert due_months(sqlite_database, keep, now=now)[:1] == ([] if first is None else [first])


def test_a_clock_that_jumps_ahead_drops_nothing_unasked(database: Database) -> None:
    fill(database)
    if database.engine.dialect.name == "postgresql":
        # The server's own clock is another one.
        ahead = datetime.now(UTC) + timedelta(days=3650)
        assert due_months(database, 12 * 20, now=ahead) == []
    with pytest.raises(ConflictError) as refused:
        retain(database, 3, by="system", is_asked=False, now=NOW + timedelta(days=3650))
    assert refused.value.code == "many_months_due"
    assert len(months(database)) == 6
    assert AuditTrail(database).records(action="score_log.retain") == []


def test_unasked_it_drops_what_a_month_brings(sqlite_database: Database) -> None:
    fill(sqlite_database)
    assert retain(sqlite_database, 4, by="system", is_asked=False, now=NOW) == ["2026_01"]
    assert retain(sqlite_database, 4, by="system", is_asked=False, now=NOW) == []


def test_a_drop_that_fails_keeps_the_month_and_says_nothing_in_the_audit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr(score_retention.AuditTrail, "append", fail)
    with pytest.raises(RuntimeError, match="half-way"):
        retain(database, 4, by="zhao", now=NOW)
    monkeypatch.undo()
    assert len(months(database)) == 6 and AuditTrail(database).records() == []


def test_a_long_reading_is_not_waited_for(postgresql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(postgresql_database)
    monkeypatch.setattr(score_retention, "_LOCK_TIMEOUT", "set local lock_timeout = '100ms'")
    with postgresql_database.connect() as connection:
        connection.execute(sa.text("select count(*) from score_record"))
        with pytest.raises(UnavailableError):
            retain(postgresql_database, 4, by="zhao", now=NOW)
    assert retain(postgresql_database, 4, by="zhao", now=NOW) == ["2026_01"]
