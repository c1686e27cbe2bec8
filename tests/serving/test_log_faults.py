"""The score log of batches: what was answered is in it, whole and once, whatever is away, full or killed meanwhile."""

import errno
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from core.database import Database
from model_registry.feature_columns import KEY_COLUMN
from monitoring import local_log
from monitoring.score_log import read_local, read_scores, ship
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_arrow_batch import PLAN, VALUES, answers, post, stream, table
from tests.serving.test_batch import by_features, line, send
from tests.serving.test_switching import move_away, move_back

N = len(VALUES)


def keys(prefix: str, n: int = N) -> pa.Array:
    return pa.array([f"{prefix}-{number}" for number in range(n)])


def lines_of(n: int, prefix: str) -> bytes:
    return b"".join(line(by_features(i, key=f"{prefix}{i}", request_id=f"{prefix}{i}", reasons=0)) for i in range(n))


def full(descriptor: int, content: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_log_holds_what_a_batch_was_answered_with_the_values_it_was_asked_with(
    service: tuple[Site, httpx.Client],
) -> None:
    site, client = service
    given = answers(post(client, stream(table(**{KEY_COLUMN: keys("whole")})), keep="true"))
    told = [one["answer"] for one in send(client, lines_of(40, "line-"))[:-1]]
    wait_until(lambda: {"whole-0", "line-39"} <= set(read_scores(site.database, PROJECT).keys))
    read = read_scores(site.database, PROJECT, aliases=PLAN.aliases)
    place = {key: number for number, key in enumerate(read.keys)}
    rows = [place[key] for key in given[KEY_COLUMN].to_pylist()]
    np.testing.assert_array_equal(read.probabilities[rows], given["probability"].to_numpy())
    np.testing.assert_array_equal(read.scores[rows], given["score"].to_numpy())
    assert list(read.grades[rows]) == given["grade"].to_pylist()
    np.testing.assert_array_equal(read.values[rows], VALUES)
    rows = [place[one["key"]] for one in told]
    np.testing.assert_array_equal(read.probabilities[rows], [one["probability"] for one in told])
    np.testing.assert_array_equal(read.values[rows], VALUES[:40])
    assert [read.request_ids[row] for row in rows] == [one["request_id"] for one in told]


def test_on_a_full_disk_no_row_of_a_batch_is_given_that_is_not_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    with site.client() as client:
        monkeypatch.setattr(local_log.os, "write", full)
        *refused, summary = send(client, lines_of(20, "full-"))
        assert {one["error"]["code"] for one in refused} == {"score_log"} and summary["summary"]["scored"] == 0
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            post(client, stream(table()), keep="true")
        monkeypatch.undo()
        assert read_local(site.settings.home / "scorer" / "log", max_records=9) == []
        *_, summary = send(client, lines_of(20, "full-"))
        assert summary["summary"]["scored"] == 20 and answers(post(client, stream(table()), keep="true")).num_rows == N
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 20 + N)


def test_batches_are_answered_while_the_database_is_away_and_are_in_it_once_when_it_is_back(
    site: Site, tmp_path: Path
) -> None:
    site.deploy(1)
    database = site.settings.home / "workbench.db"
    with site.client() as client:
        wait_until(lambda: send(client, lines_of(1, "before-"))[0]["answer"])
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 1)
        site.database.dispose()
        away = move_away(database, tmp_path)
        first = send(client, lines_of(30, "away-"))
        assert send(client, lines_of(30, "away-")) == first
        assert answers(post(client, stream(table()), keep="true")).num_rows == N
        move_back(away, database)
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 1 + 30 + N)
    for marker in (site.settings.home / "scorer" / "log").glob("*.shipped"):
        marker.unlink()
    assert ship(site.settings.home / "scorer" / "log", site.database) == 0


_WRITER = """
import sys
from itertools import count
from pathlib import Path
from monitoring.score_block import blocks_of
from monitoring.score_log import LocalScoreLog
from tests.monitoring.test_score_log import NOON, record
ids = (f"b{number}" for number in count())
log = LocalScoreLog(Path(sys.argv[1]))
for number in range(0, 100_000, 50):
    (block,), _ = blocks_of([record(number + i, asked_at=NOON) for i in range(49)], [False] * 49, ids)
    waiting = [log.append_block_soon(block), log.append_soon(record(number + 49))]
    for future in waiting:
        future.result()
    print(number, flush=True)
"""


def test_a_killed_writer_loses_no_block_and_no_line_that_it_confirmed(
    tmp_path: Path, sqlite_database: Database
) -> None:
    child = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    confirmed = [int(child.stdout.readline()) for _ in range(40)]
    child.send_signal(signal.SIGKILL)
    confirmed += [int(text) for text in child.stdout.read().split()]
    child.wait()
    child.stdout.close()
    ship(tmp_path / "log", sqlite_database)
    kept = list(read_scores(sqlite_database, "guarantee").request_ids)
    assert len(kept) == len(set(kept))
    assert {f"r{number + i}" for number in confirmed for i in range(50)} <= set(kept)
    assert len(kept) - 50 * len(confirmed) in {0, 1, 49, 50}


def test_reading_for_monitoring_and_new_months_do_not_wait_for_each_other(site: Site) -> None:
    """A reader that takes its time holds up neither answers nor shipping."""
    site.deploy(1)
    reading, done = threading.Event(), threading.Event()
    found: list[Any] = []

    def read_slowly() -> None:
        with site.database.connect() as connection:
            found.append(connection.exec_driver_sql("select count(*) from score_record").scalar_one())
            reading.set()
            done.wait(90)

    with site.client() as client:
        thread = threading.Thread(target=read_slowly)
        thread.start()
        assert reading.wait(60)
        send(client, lines_of(10, "during-"))
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 10)
        done.set()
        thread.join()
    assert found == [0]
