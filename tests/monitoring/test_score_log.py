"""An answer that was given is in the log, once, whatever dies in between."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.database import Database
from core.errors import UnavailableError
from monitoring import local_log
from monitoring.score_log import (
    LocalScoreLog,
    ScoreRecord,
    count_scores,
    latest_scores,
    read_local,
    read_scores,
    remove_shipped,
    ship,
    write_scores,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def record(number: int, **changes) -> ScoreRecord:
    values = {
        "request_id": f"r{number}",
        "project": "guarantee",
        "slot": "champion",
        "version": 1,
        "bundle_hash": "b" * 64,
        "asked_at": NOON + timedelta(minutes=number),
        "key": f"企业{number}",
        "cutoff": datetime(2022, 1, 1) + timedelta(days=number),  # noqa: DTZ001 - the data's own clock has no zone
        "probability": 0.01 * number,
        "score": 600.0 - number,
        "grade": "B",
        "reasons": [{"code": "overdue", "text": "逾期", "contribution": 0.25}],
        "warnings": [],
        "features": {"amount": 1.5 * number, "city": float("nan")},
        "payload_hash": "p" * 64,
    }
    return ScoreRecord(**{**values, **changes})


def n_rows(database: Database) -> int:
    return count_scores(database, "guarantee")[0]


def test_a_record_comes_back_from_its_line_with_nan_as_null() -> None:
    back = ScoreRecord.from_line(record(3).to_line())
    assert back.features == {"amount": 4.5, "city": None}
    assert back == record(3, features=back.features)


def test_what_append_returned_for_is_on_the_disk(tmp_path: Path) -> None:
    with LocalScoreLog(tmp_path) as log:
        log.append(record(1))
        assert [kept.request_id for kept in read_local(tmp_path, max_records=10)] == ["r1"]


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    with LocalScoreLog(tmp_path, max_file_bytes=20_000) as log:
        threads = [
            threading.Thread(target=lambda t=t: [log.append(record(100 * t + i)) for i in range(50)]) for t in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(list(tmp_path.glob("scores-*.jsonl"))) > 1
    kept = {one.request_id for one in read_local(tmp_path, max_records=1000)}
    assert kept == {f"r{100 * t + i}" for t in range(8) for i in range(50)}


def test_shipping_twice_keeps_each_record_once(tmp_path: Path, database: Database) -> None:
    with LocalScoreLog(tmp_path / "log") as log:
        for number in range(20):
            log.append(record(number))
        assert ship(tmp_path / "log", database) == 20
        log.append(record(20))
        assert ship(tmp_path / "log", database) == 1
    for marker in (tmp_path / "log").glob("*.shipped"):
        marker.unlink()
    assert ship(tmp_path / "log", database) == 0
    assert n_rows(database) == 21


def test_champion_and_challenger_may_answer_one_request(database: Database) -> None:
    assert write_scores(database, [record(1), record(1, slot="challenger"), record(1)]) == 2


def test_a_half_written_line_is_not_a_record_and_later_files_are_read(tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "log"
    with LocalScoreLog(folder) as log:
        log.append(record(1))
    (path,) = folder.glob("scores-*.jsonl")
    with path.open("ab") as file:
        file.write(record(2).to_line()[:60])
    with LocalScoreLog(folder) as log:
        log.append(record(3))
    assert ship(folder, database) == 2
    assert [one.request_id for one in read_local(folder, max_records=9)] == ["r1", "r3"]


def test_a_spoilt_line_is_set_aside_and_holds_up_no_other(tmp_path: Path, database: Database) -> None:
    (tmp_path / "scores-20260101T000000000000-1-aa.jsonl").write_bytes(
        record(1).to_line() + b'{"request_id": "half"}\n' + b"\x00\xff\n" + record(2).to_line()
    )
    assert ship(tmp_path, database) == 2
    assert ship(tmp_path, database) == 0
    assert (tmp_path / "rejected.jsonl").read_bytes() == b'{"request_id": "half"}\n\x00\xff\n'


def test_a_full_disk_is_told_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with LocalScoreLog(tmp_path) as log:
        log.append(record(1))

        def write_half(descriptor: int, content: bytes) -> int:
            monkeypatch.setattr(local_log.os, "write", fail_now)
            return write(descriptor, content[:50])

        def fail_now(descriptor: int, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(local_log.os, "write", write_half)
        with pytest.raises(UnavailableError):
            log.append(record(2))
        monkeypatch.setattr(local_log.os, "write", write)
        log.append(record(3))
    assert [one.request_id for one in read_local(tmp_path, max_records=9)] == ["r1", "r3"]
    assert all(path.read_bytes().endswith(b"\n") for path in tmp_path.glob("scores-*.jsonl"))


def test_nothing_that_was_confirmed_is_lost_when_the_process_is_killed(tmp_path: Path, database: Database) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.monitoring.test_score_log import record
from monitoring.score_log import LocalScoreLog
log = LocalScoreLog(Path({str(tmp_path / "log")!r}))
for number in range(100_000):
    log.append(record(number))
    print(number, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    confirmed = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    confirmed += [int(line) for line in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    ship(tmp_path / "log", database)
    kept = set(read_scores(database, "guarantee").request_ids)
    assert {f"r{number}" for number in confirmed} <= kept
    assert len(kept) - len(confirmed) in {0, 1}


def test_an_unreachable_database_is_told_and_nothing_is_lost(tmp_path: Path, database: Database) -> None:
    with LocalScoreLog(tmp_path / "log") as log:
        log.append(record(1))
    (tmp_path / "folder.db").mkdir()
    with Database(f"sqlite:///{tmp_path / 'folder.db'}") as broken, pytest.raises(UnavailableError):
        ship(tmp_path / "log", broken)
    assert ship(tmp_path / "log", database) == 1


def test_only_what_is_wholly_shipped_and_old_is_deleted(tmp_path: Path, database: Database) -> None:
    with LocalScoreLog(tmp_path) as log:
        log.append(record(1))
    (path,) = tmp_path.glob("scores-*.jsonl")
    os.utime(path, (0, 0))
    assert remove_shipped(tmp_path, older_than_seconds=60) == 0
    ship(tmp_path, database)
    os.utime(path, (0, 0))
    assert remove_shipped(tmp_path, older_than_seconds=60) == 1
    assert list(tmp_path.glob("scores-*")) == []


def test_scores_are_read_as_arrays_of_a_period(database: Database) -> None:
    write_scores(database, [record(number) for number in range(10)])
    write_scores(database, [record(50, project="credit"), record(51, slot="challenger"), record(4, features={})])
    read = read_scores(database, "guarantee", NOON + timedelta(minutes=2), NOON + timedelta(minutes=6))
    assert list(read.request_ids) == ["r2", "r3", "r4", "r5"]
    assert read.aliases == ("amount", "city")
    np.testing.assert_array_equal(read.values, [[3.0, np.nan], [4.5, np.nan], [6.0, np.nan], [7.5, np.nan]])
    np.testing.assert_allclose(read.probabilities, [0.02, 0.03, 0.04, 0.05])
    np.testing.assert_array_equal(read.scores, [598.0, 597.0, 596.0, 595.0])
    assert read.asked_at[0] == np.datetime64("2026-03-01T12:02")
    assert read.cutoffs[0] == np.datetime64("2022-01-03")
    assert read.values.dtype == np.float64 and read.versions.dtype == np.int64


def test_scores_are_read_by_cutoff_in_wanted_columns(database: Database) -> None:
    write_scores(database, [record(number) for number in range(10)])
    start = datetime(2022, 1, 8)  # noqa: DTZ001
    read = read_scores(database, "guarantee", start, by="cutoff", aliases=["unknown", "amount"])
    assert list(read.request_ids) == ["r7", "r8", "r9"]
    np.testing.assert_array_equal(read.values, [[np.nan, 10.5], [np.nan, 12.0], [np.nan, 13.5]])
    assert list(read_scores(database, "guarantee", limit=2).request_ids) == ["r8", "r9"]


def test_an_empty_log_reads_as_empty_arrays(database: Database) -> None:
    read = read_scores(database, "guarantee", aliases=["amount"])
    assert len(read) == 0
    assert read.values.shape == (0, 1)


def test_the_latest_records_come_back_whole(database: Database) -> None:
    write_scores(database, [record(number) for number in range(5)])
    newest, before = latest_scores(database, "guarantee", limit=2)
    assert (newest.request_id, before.request_id) == ("r4", "r3")
    assert newest == record(4, features={"amount": 6.0, "city": None})
    assert [one.request_id for one in latest_scores(database, "guarantee", key="企业2")] == ["r2"]


def test_a_task_awaits_its_record_and_is_told_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def append_many(log: LocalScoreLog, numbers: range) -> list[object]:
        waiting = [log.append_in_loop([(record(number), ())]) for number in numbers]
        waiting[0].cancel()  # a caller who went away holds up nobody
        return await asyncio.gather(*waiting[1:], return_exceptions=True)

    with LocalScoreLog(tmp_path) as log:
        assert asyncio.run(append_many(log, range(40))) == [None] * 39
        monkeypatch.setattr(local_log.os, "write", _no_space)
        told = asyncio.run(append_many(log, range(40, 80)))
        monkeypatch.undo()
        assert len(told) == 39 and all(isinstance(one, UnavailableError) for one in told)
        asyncio.run(leave(log))
        log.append(record(90))
    kept = [one.request_id for one in read_local(tmp_path, max_records=99)]
    assert kept == [*(f"r{i}" for i in range(40)), "r80", "r90"]


async def leave(log: LocalScoreLog) -> None:
    """End the loop before the record is on the disk."""
    log.append_in_loop([(record(80), ())])


def _no_space(descriptor: int, content: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_one_who_waits_and_goes_away_takes_neither_his_record_nor_the_writer_along(tmp_path: Path) -> None:
    log = LocalScoreLog(tmp_path)
    waiting = [log.append_soon(record(number)) for number in range(1, 200)]
    assert not any(future.cancel() for future in waiting)
    log.append(record(200))
    assert log.is_writing
    log.close()
    assert not log.is_writing
    assert len(read_local(tmp_path, max_records=1_000)) == 200
