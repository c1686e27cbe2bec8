"""A stop under load: what was begun is answered and logged, and nothing that was logged went unanswered."""

import threading

import httpx

from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_workers import serving


class Impatient(threading.Thread):
    """A caller who asks on one connection until that is gone, and repeats nothing."""

    def __init__(self, site: Site, address: str, name: str) -> None:
        super().__init__(daemon=True)
        self.given: dict[str, float] = {}
        self.statuses: set[int] = set()
        self._headers = {"Authorization": f"Bearer {site.key}"}
        self._address, self._name = address, name

    def run(self) -> None:
        with httpx.Client(base_url=self._address, headers=self._headers, timeout=60) as client:
            for i in range(100_000):
                name = f"{self._name}-{i}"
                body = {"project": PROJECT, "tables": payload(example_keys(1)[0]), "request_id": name, "reasons": 0}
                try:
                    answer = client.post("/v1/score", json=body)
                except httpx.TransportError:
                    return
                self.statuses.add(answer.status_code)
                if answer.status_code != 200:
                    return
                self.given[name] = answer.json()["probability"]


def test_a_stop_of_several_workers_under_load_loses_no_answer(site: Site) -> None:
    site.deploy(1)
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    with serving(site, 2) as (address, process):
        callers = [Impatient(site, address, f"c{i}") for i in range(8)]
        for caller in callers:
            caller.start()
        wait_until(lambda: all(len(caller.given) > 10 for caller in callers), 60)
        process.terminate()
        assert process.wait(60) == 0
        for caller in callers:
            caller.join(90)
    given = {name: probability for caller in callers for name, probability in caller.given.items()}
    assert {status for caller in callers for status in caller.statuses} == {200}
    assert set(given.values()) == {scorer.score_rows(payload(example_keys(1)[0])).probability}
    logged = {one.request_id for one in latest_scores(site.database, PROJECT, limit=1_000_000)}
    assert logged == set(given)
