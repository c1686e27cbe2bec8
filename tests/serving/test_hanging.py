"""A worker that is there and no longer answers is found, killed and replaced; a slow database holds up nothing."""

import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from core.identity import SYSTEM, Identity
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores
from serving.host_log import HostLog
from serving.workers import HUNG_SECONDS
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_workers import Caller, children, serving, workers_that_serve

# Runs in every process of the test's service: a signal lets the thread of the event loop sleep for good.
HANG = """
import signal, time
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))
"""


def test_hung_and_stopped_workers_are_found_and_replaced_and_no_answer_is_lost(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hang").mkdir()
    (tmp_path / "hang" / "sitecustomize.py").write_text(HANG)
    monkeypatch.setenv("WORKBENCH_TEST_PATH", str(tmp_path / "hang"))
    site.deploy(1)
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    right = {key: scorer.score_rows(payload(key)).probability for key in example_keys(20)}
    with serving(site, 2) as (address, process):
        callers = [Caller(site, address, f"c{i}") for i in range(3)]
        for caller in callers:
            caller.start()
        wait_until(lambda: all(len(caller.given) > 10 for caller in callers), 90)
        hung, stopped = sorted(children(process))
        os.kill(hung, signal.SIGUSR2)
        os.kill(stopped, signal.SIGSTOP)
        began = time.monotonic()
        wait_until(lambda: not {hung, stopped} & children(process), HUNG_SECONDS + 10)
        found_within = time.monotonic() - began
        wait_until(lambda: workers_that_serve(address) == 2, 60)
        answered = [len(caller.given) for caller in callers]
        wait_until(lambda: all(len(one.given) > n for one, n in zip(callers, answered, strict=True)), 60)
        for caller in callers:
            caller.stop.set()
        for caller in callers:
            caller.join(30)
        log = (site.settings.home / "serve.log").read_text()
    assert HUNG_SECONDS - 1 < found_within < HUNG_SECONDS + 10
    # Where it hung is told: the stacks of its threads, the sleeping one among them.
    assert f"worker {hung} gives no sign of life" in log
    assert "sitecustomize.py" in log
    assert {status for caller in callers for status in caller.statuses} == {200}
    given = {
        name: httpx.Response(200, content=content).json() for one in callers for name, content in one.given.items()
    }
    assert all(answer["probability"] == right[answer["key"]] for answer in given.values())
    logged = {one.request_id: one.probability for one in latest_scores(site.database, PROJECT, limit=1_000_000)}
    assert {name: answer["probability"] for name, answer in given.items()}.items() <= logged.items()


def test_a_slow_way_to_the_database_for_the_log_delays_no_revocation(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    identity = Identity(site.database)
    key, secret = identity.create_key("soon-gone", ["model.score"], by=SYSTEM)
    has_begun, goes_on = threading.Event(), threading.Event()

    def slowly(*_: object) -> int:
        has_begun.set()
        assert goes_on.wait(90)
        return 0

    monkeypatch.setattr(HostLog, "ship", slowly)
    with site.client(secret) as client:
        assert client.get("/v1/models").status_code == 200
        assert has_begun.wait(60)
        started = time.monotonic()
        identity.revoke_key(key.id, by=SYSTEM)
        # Refused while the log is still on its way.
        wait_until(lambda: client.get("/v1/models").status_code == 401)
        assert time.monotonic() - started < 4
        goes_on.set()
