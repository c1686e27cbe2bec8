"""Who is erased is nowhere left: not in rows, not in blocks, not in local files, not in the databases' own pages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from core.audit import AuditTrail
from core.database import Database
from monitoring.local_erasure import LocalErasure
from monitoring.log_files import LOG_FILES, read_entry, whole_entries
from monitoring.outcomes import Outcome, outcome_history, report_outcomes
from monitoring.score_block import ScoreBlock
from monitoring.score_erasure import count_of, erase, erasures
from monitoring.score_index import ScoreIndex, name_of
from monitoring.score_log import LocalScoreLog, latest_scores, read_scores, ship, write_scores
from tests.monitoring.test_score_log import NOON, record
from tests.monitoring.test_score_months import block

P = "guarantee"
WHO = "企业11"
LATER = datetime(2026, 9, 1)  # noqa: DTZ001 - the data's own clock has no zone


def fill(database: Database) -> None:
    rows = [record(1), record(2, key=WHO), record(3, key=WHO, slot="challenger"), record(4, key=WHO, project="credit")]
    blocks = [block(10), block(30, asked_at=NOON + timedelta(days=40)), block(60, n=4, key=WHO)]
    write_scores(database, rows, blocks)
    report_outcomes(
        database,
        P,
        [Outcome("key", WHO, 1, LATER), Outcome("request_id", "r11", 0, LATER), Outcome("key", "企业1", 0, LATER)],
        by="bank",
    )


def test_answers_and_outcomes_of_a_key_go_from_rows_and_blocks_and_nothing_else(database: Database) -> None:
    fill(database)
    before = AuditTrail(database).head()
    assert count_of(database, P, [WHO]) == (7, 1)
    done = erase(database, P, [WHO, "nobody"], by="zhao", reason="asked for it")
    assert (done.n_records, done.n_outcomes) == (7, 2)
    assert count_of(database, P, [WHO]) == (0, 0)
    left = read_scores(database, P)
    assert set(left.request_ids) == {"r1", "r10", "r12", "r13", "r14", *(f"r{i}" for i in range(30, 35))}
    np.testing.assert_array_equal(left.values[:, 0], [1.5 * int(name[1:]) for name in left.request_ids])
    assert len(latest_scores(database, "credit")) == 1
    assert outcome_history(database, P, WHO) == [] and len(outcome_history(database, P, "企业1")) == 1
    trail = AuditTrail(database)
    (told,) = trail.records(action="score_log.erase")
    assert (told.actor, told.subject, told.previous_hash) == ("zhao", f"project:{P}", before)
    assert told.details["n_records"] == 7 and told.details["reason"] == "asked for it"
    assert WHO not in str(told.details)
    assert trail.verify() == []


def test_an_erasure_proves_what_it_covers_without_naming_it(database: Database) -> None:
    fill(database)
    erase(database, P, [WHO], by="zhao", reason="r")
    erase(database, P, ["other"], by="zhao", reason="r")
    first, second = erasures(database)
    assert first.covers(P, WHO) and not first.covers(P, "企业1") and not first.covers("credit", WHO)
    assert not second.covers(P, WHO) and first.salt != second.salt


def test_sqlites_own_file_holds_nothing_of_it(sqlite_database: Database, tmp_path: Path) -> None:
    fill(sqlite_database)
    erase(sqlite_database, P, [WHO], by="zhao", reason="r")
    content = b"".join(path.read_bytes() for path in tmp_path.glob("workbench.db*"))
    in_credit = latest_scores(sqlite_database, "credit", limit=1)[0].key
    assert in_credit == WHO
    # What is left of the key is what another project's record holds: in its row, and in the index of keys.
    assert content.count(WHO.encode()) == 2
    assert np.float64(16.5).tobytes() not in content


def test_what_is_asked_after_an_erasure_is_kept(database: Database) -> None:
    fill(database)
    erase(database, P, [WHO], by="zhao", reason="r")
    write_scores(database, [record(90, key=WHO, asked_at=datetime.now(UTC) + timedelta(seconds=1))])
    assert [one.request_id for one in latest_scores(database, P, key=WHO)] == ["r90"]


def local_log(folder: Path, n: int = 3) -> None:
    named = ScoreBlock(**{**vars(block(100, n=6)), "is_named": True, "payload_hashes": ["h"] * 6})
    with LocalScoreLog(folder, index=ScoreIndex(folder)) as log:
        for number in range(n):
            log.append_soon(record(number, key=WHO if number == 1 else f"k{number}"), name_of(P, f"r{number}"))
        log.append_block_soon(block(9)).result()
        log.append_block_soon(named, [name_of(P, one) for one in named.request_ids]).result()


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(LOG_FILES)))


def test_a_host_erases_in_its_files_where_they_are_and_reports_it(tmp_path: Path, database: Database) -> None:
    local_log(tmp_path)
    host = LocalErasure(tmp_path, settle_seconds=0)
    host.check_in(database)
    ship(tmp_path, database)
    (tmp_path / "rejected.jsonl").write_bytes(record(7, key=WHO).to_line() + b"no record\n" + record(8).to_line())
    size = len(content_of(tmp_path))
    done = erase(database, P, [WHO, "企业103"], by="zhao", reason="r")
    assert (done.n_records, len(done.pending)) == (3, 1)
    assert host.newest_done(database) == 0
    assert host.run(database) == 4
    assert host.run(database) == 0
    content = content_of(tmp_path) + (tmp_path / "rejected.jsonl").read_bytes()
    assert WHO.encode() not in content and "企业103".encode() not in content and b"no record\n" in content
    assert len(content_of(tmp_path)) == size
    (told,) = erasures(database)
    assert told.pending == () and len(told.done) == 1 and host.newest_done(database) == told.erasure_id
    index = ScoreIndex(tmp_path)
    assert set(index.find([(P, name) for name in ("r0", "r1", "r103", "r104")])) == {(P, "r0"), (P, "r104")}
    assert ship(tmp_path, database) == 0
    for marker in tmp_path.glob("*.shipped"):
        marker.unlink()
    rejected = (tmp_path / "rejected.jsonl").read_bytes()
    assert ship(tmp_path, database) == 0
    assert (tmp_path / "rejected.jsonl").read_bytes() == rejected
    assert len(read_scores(database, P)) == 3 + 5 + 6 - 3


def test_what_was_not_shipped_yet_is_erased_too_when_it_is(tmp_path: Path, database: Database) -> None:
    """The host was cut off from the database while the erasure was asked for."""
    host = LocalErasure(tmp_path, settle_seconds=0)
    host.check_in(database)
    local_log(tmp_path)
    assert erase(database, P, [WHO], by="zhao", reason="r").n_records == 0
    ship(tmp_path, database)
    report_outcomes(database, P, [Outcome("request_id", "r11", 0, LATER)], by="bank")
    assert count_of(database, P, [WHO])[0] == 2
    assert host.run(database) == 2
    assert count_of(database, P, [WHO]) == (0, 0)
    assert outcome_history(database, P, "r11", named_by="request_id") == []


def test_a_file_that_is_written_to_meanwhile_loses_nothing_else(tmp_path: Path, database: Database) -> None:
    host = LocalErasure(tmp_path, settle_seconds=0)
    host.check_in(database)
    with LocalScoreLog(tmp_path) as log:
        for number in range(300):
            log.append_soon(record(number, key=WHO if number % 3 == 0 else f"k{number}"))
        log.append(record(300))
        erase(database, P, [WHO], by="zhao", reason="r")
        for number in range(301, 600):
            log.append_soon(record(number))
        assert host.run(database) == 100
        log.append(record(600))
    (path,) = tmp_path.glob(LOG_FILES)
    entries = [read_entry(entry) for _, entry in whole_entries(path, 0)]
    assert path.stat().st_size == sum(len(entry) for _, entry in whole_entries(path, 0))
    kept = [entry.request_id for entry in entries if entry is not None]
    assert kept == [f"r{i}" for i in range(601) if i > 299 or i % 3]


def test_two_hosts_are_waited_for_and_one_alone_does_not_end_it(tmp_path: Path, database: Database) -> None:
    hosts = [
        LocalErasure(folder, settle_seconds=0) for folder in (tmp_path / "a", tmp_path / "b") if not folder.mkdir()
    ]
    for host in hosts:
        host.check_in(database)
    erase(database, P, [WHO], by="zhao", reason="r")
    hosts[0].run(database)
    (told,) = erasures(database)
    assert (len(told.done), len(told.pending)) == (1, 1)
    LocalErasure(tmp_path / "b", settle_seconds=0).run(database)
    assert erasures(database)[0].pending == ()


def test_an_erasure_of_this_moment_waits_until_answers_under_way_are_logged(tmp_path: Path, database: Database) -> None:
    host = LocalErasure(tmp_path, settle_seconds=60)
    host.check_in(database)
    erase(database, P, [WHO], by="zhao", reason="r")
    assert host.run(database) == 0 and len(erasures(database)[0].pending) == 1
