from datetime import UTC, datetime, timedelta

import pytest

from core.database import Database
from core.errors import NotFoundError
from core.findings import Finding, Severity
from core.i18n import msg
from monitoring.report import Comparison, DriftReport
from monitoring.store import read_report, read_reports, save_report


def make_report(period: str) -> DriftReport:
    score = Comparison("score", {"en": "score"}, 0.3, "act", 0.01, 0.02, (msg("missing"),), (5,), (7,), msg("missing"))
    finding = Finding("score_drift", Severity.BAD, msg("PSI {psi}; {moved}", psi=".300", moved=msg("missing")), "score")
    return DriftReport(period, 700, 9000, "act", score, (), (finding,), "tables")


def keep(database: Database, month: int, version: int = 1, slot: str = "champion") -> int:
    start = datetime(2026, month, 1, tzinfo=UTC)
    return save_report(
        database,
        make_report(f"2026-{month:02d}"),
        project="sample",
        slot=slot,
        version=version,
        period_start=start,
        period_end=start + timedelta(days=30),
    )


def test_a_report_comes_back_as_it_was_kept(database: Database) -> None:
    stored = read_report(database, keep(database, 3))
    assert stored.report == make_report("2026-03")
    assert (stored.project, stored.slot, stored.version) == ("sample", "champion", 1)
    assert stored.period_start == datetime(2026, 3, 1, tzinfo=UTC)
    assert stored.created_at.tzinfo is not None


def test_reports_come_in_the_order_of_their_periods_and_the_latest_are_kept_in_a_limit(database: Database) -> None:
    for month in (5, 3, 4):
        keep(database, month)
    keep(database, 3, version=2)
    keep(database, 3, slot="challenger")
    found = read_reports(database, "sample", slot="champion")
    assert [(item.report.period, item.version) for item in found] == [
        ("2026-03", 1),
        ("2026-03", 2),
        ("2026-04", 1),
        ("2026-05", 1),
    ]
    assert [item.version for item in read_reports(database, "sample", version=2)] == [2]
    assert [item.report.period for item in read_reports(database, "sample", period="2026-04")] == ["2026-04"]
    assert len(read_reports(database, "sample", limit=2)) == 2
    assert read_reports(database, "other") == []


def test_an_unknown_report_is_not_found(database: Database) -> None:
    with pytest.raises(NotFoundError):
        read_report(database, 99)
