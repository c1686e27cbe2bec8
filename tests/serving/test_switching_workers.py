"""Several workers change over: no error, no mixed answer, and after the stated bound none of the old version."""

import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_switching import expected, move_away, spoil_after_deployment
from tests.serving.test_workers import children, serving, workers_that_serve

BOUND_SECONDS = 5.0
"""What docs/scoring.md states: how long after a deployment a worker may still answer by the old version."""


@dataclass
class Load:
    """Callers with a connection for each request, so that all workers are asked, and what they were answered."""

    site: Site
    address: str
    answers: list[tuple[float, float, dict[str, Any]]] = field(default_factory=list)
    """When each was asked and when its answer was there, and what it said; a response would hold a megabyte."""
    statuses: set[int] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    n_broken: int = 0

    def __enter__(self) -> "Load":
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(3)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self.site.key}"}
        body = {"project": PROJECT, "tables": payload(example_keys(1)[0]), "reasons": 0}
        while not self.stop.is_set():
            asked_at = time.monotonic()
            try:
                answer = httpx.post(f"{self.address}/v1/score", json=body, headers=headers, timeout=30)
            except httpx.TransportError:
                self.n_broken += 1
                continue
            self.statuses.add(answer.status_code)
            self.answers.append((asked_at, time.monotonic(), answer.json()))
            time.sleep(0.01)

    def check(self, site: Site) -> set[int]:
        """Assert that every answer is a score, wholly of the version it names; return the versions seen."""
        assert self.statuses == {200}
        known = {number: expected(site, number) for number in (1, 2)}
        assert known[1][1] != known[2][1]
        bodies = [answer for _, _, answer in self.answers]
        mixed = [one for one in bodies if (one["bundle_hash"], one["probability"]) != known[one["version"]]]
        assert mixed == []
        return {one["version"] for one in bodies}


@pytest.mark.parametrize(("n_switches", "within"), [(4, BOUND_SECONDS), pytest.param(100, 2.0, marks=pytest.mark.long)])
def test_switches_of_several_workers_under_load_lose_and_mix_no_answer(
    site: Site, n_switches: int, within: float
) -> None:
    site.deploy(1)
    turns: list[tuple[float, float, int]] = []
    with serving(site, 3) as (address, _), Load(site, address) as load:
        wait_until(lambda: len(load.answers) > 20, 90)
        for turn in range(n_switches):
            site.deploy(2 - turn % 2)
            returned = time.monotonic()
            # Asked all through the time within which they must have changed over, and some time after it.
            time.sleep(within + 1.5)
            turns.append((returned, time.monotonic(), 2 - turn % 2))
    assert load.n_broken == 0
    assert load.check(site) == {1, 2}
    for returned, end, number in turns:
        # What was there only after the next deployment may be of that.
        meanwhile = [(asked_at, answer) for asked_at, at, answer in load.answers if returned < asked_at and at < end]
        old = [asked_at - returned for asked_at, answer in meanwhile if answer["version"] != number]
        assert max(old, default=0.0) < within
        assert max(asked_at for asked_at, _ in meanwhile) > returned + within


def test_several_workers_keep_the_last_good_model_through_a_bad_one_and_a_registry_that_is_down(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site.deploy(1)
    site.deploy(2)
    with serving(site, 2) as (address, process), Load(site, address) as load:
        wait_until(lambda: len(load.answers) > 20, 90)
        # Nobody has a whole copy of version 1 any more, and then it is deployed.
        shutil.rmtree(site.settings.home / "scorer" / "bundles" / site.registry.version(PROJECT, 1).bundle_hash, True)
        spoil_after_deployment(site, 1)
        wait_until(lambda: problems_of(address) == {PROJECT: "bundle_refused"}, 90)
        time.sleep(3)
        # The registry and all artifacts go, and one worker dies: the one that replaces it has the local cache alone.
        site.database.dispose()
        move_away(site.settings.home / "workbench.db", tmp_path_factory.mktemp("gone"))
        shutil.rmtree(site.settings.artifacts)
        killed = min(children(process))
        before = len(load.answers)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in children(process) and len(children(process)) == 2, 90)
        wait_until(lambda: workers_that_serve(address) == 2, 60)
        wait_until(lambda: len(load.answers) > before + 50, 60)
        ready = httpx.get(f"{address}/readyz", timeout=20).json()
    assert (ready["status"], ready["models"]) == ("ready", {PROJECT: 2})
    assert {answer["version"] for _, _, answer in load.answers} == {2}


def problems_of(address: str) -> dict[str, str]:
    found: dict[str, str] = httpx.get(f"{address}/readyz", timeout=20).json()["problems"]
    return found
