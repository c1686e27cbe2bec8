"""What is asked is counted by moment, version and status, in little time, and reaches the database whole."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from monitoring.latency import bucket_of, percentile
from monitoring.traffic import ANSWERS, TrafficCount, forget_traffic, read_traffic, write_traffic
from serving import traffic as traffic_module
from serving.traffic import Traffic
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_split import SLOT, expected_version, share_now, split
from tests.serving.test_switching import move_away, move_back


@given(st.lists(st.floats(1e-4, 100.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_numpys_to_five_percent(seconds: list[float], ratio: float) -> None:
    found = percentile(Counter(map(bucket_of, seconds)), ratio)
    assert found == pytest.approx(float(np.quantile(seconds, ratio, method="inverted_cdf")), rel=0.05)


def test_buckets_grow_and_end() -> None:
    buckets = [bucket_of(seconds) for seconds in (0.0, 1e-4, 1.05e-4, 0.001, 0.002, 1.0, 1e3, 1e9)]
    assert buckets == sorted(buckets)
    assert buckets[-1] == buckets[-2]


def test_requests_are_counted_by_version_and_status(site: Site) -> None:
    site.deploy(1)
    split(site, 0.5)
    keys = example_keys(20)
    began = datetime.now(UTC) - timedelta(seconds=10)
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.5)
        for key in keys:
            body = {"project": PROJECT, "tables": payload(key), "reasons": 0, "request_id": key}
            assert client.post("/v1/score", json=body).status_code == 200
        assert client.post("/v1/score", json=body).status_code == 200  # from memory
        assert client.post("/v1/score", json={**body, "tables": {"nobody": []}}).status_code == 409
        assert client.post("/v1/score", json={"project": PROJECT, "tables": {"nobody": []}}).status_code == 422
        assert client.post("/v1/score", json={"project": "nobody"}).status_code == 422
        assert client.post("/v1/score", json={}, headers={"Authorization": "Bearer gw_x_y"}).status_code == 401
    parts = read_traffic(site.database, PROJECT, began, step_seconds=3_600)
    counted = {(part.project, part.slot, part.version, part.status): part.n for part in parts}
    n_rivals = [expected_version(key, 0.5) for key in keys].count(2)
    assert counted == {
        (PROJECT, "champion", 1, 200): 20 - n_rivals,
        (PROJECT, "champion", 1, ANSWERS): 20 - n_rivals,
        (PROJECT, SLOT, 2, 200): n_rivals,
        (PROJECT, SLOT, 2, ANSWERS): n_rivals,
        (PROJECT, "", 0, 200): 1,
        (PROJECT, "", 0, 409): 1,
        (PROJECT, "", 0, 422): 1,
        ("", "", 0, 422): 1,
        ("", "", 0, 401): 1,
    }
    assert all(sum(part.seconds.values()) == (part.n if part.status == 200 else 0) for part in parts)


def test_counts_wait_for_a_database_that_is_away_and_are_written_once(site: Site, tmp_path: Path) -> None:
    database = Database(site.settings.database_url_resolved)
    counted = Traffic(database)
    counted.note(PROJECT, None, 503, 0.1)
    database.dispose()
    site.database.dispose()
    away = move_away(site.settings.home / "workbench.db", tmp_path)
    counted.write(is_last=True)
    move_back(away, site.settings.home / "workbench.db")
    counted.write(is_last=True)
    counted.write(is_last=True)
    (part,) = read_traffic(database, PROJECT, datetime.now(UTC) - timedelta(minutes=1), step_seconds=3_600)
    assert (part.status, part.n) == (503, 1)
    database.dispose()


def test_counts_that_wait_are_bounded_and_old_ones_are_forgotten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Traffic(site.database)
    monkeypatch.setattr(traffic_module, "_MAX_WAITING", 3)
    for status in range(400, 410):
        counted.note(PROJECT, None, status, 0.1)
    counted.write(is_last=True)
    now = datetime.now(UTC)
    assert [part.n for part in read_traffic(site.database, PROJECT, now - timedelta(minutes=1))] == [1, 1, 1]
    old = TrafficCount(now - timedelta(days=4), "one", PROJECT, "", 0, 200, 7)
    write_traffic(site.database, [old])
    write_traffic(site.database, [old])
    assert forget_traffic(site.database) == 1
    assert len(read_traffic(site.database, PROJECT, now - timedelta(days=9))) == 3


def test_counting_costs_microseconds(site: Site) -> None:
    counted = Traffic(site.database)
    started = time.thread_time()  # of this thread: what others do meanwhile does not count
    for i in range(20_000):
        counted.note(PROJECT, None, 200, 0.001 * (i % 50))
    each = (time.thread_time() - started) / 20_000
    assert each < 50e-6, f"{each * 1e6:.1f} us"
