"""A challenger sees what the champion answered and changes nothing of it, whatever it does itself."""

import threading
from typing import Any

import httpx
import pytest

from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores, read_scores
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import OPERATOR, PROJECT, Site, wait_until


def ask(client: httpx.Client, key: str, **changes: Any) -> httpx.Response:
    return client.post("/v1/score", json={"project": PROJECT, "tables": payload(key), **changes})


def deploy_both(site: Site) -> None:
    site.deploy(1)
    site.registry.deploy(PROJECT, 2, "challenger", by=OPERATOR, reason="test")


def test_the_challenger_is_logged_under_its_slot_with_its_own_score(site: Site) -> None:
    deploy_both(site)
    challenger = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 2)))
    with site.client() as client:
        answers = {key: ask(client, key, request_id=f"r-{key}").json() for key in example_keys(5)}
        wait_until(lambda: len(read_scores(site.database, PROJECT, slot="challenger")) == 5)
        figures = client.get("/metrics").text
    assert f'scorer_shadow_total{{project="{PROJECT}",result="scored"}} 5.0' in figures
    assert {answer["version"] for answer in answers.values()} == {1}
    for record in latest_scores(site.database, PROJECT, slot="challenger"):
        assert (record.version, record.bundle_hash) == (2, challenger.bundle_hash)
        assert record.probability == challenger.score_rows(payload(record.key)).probability
        assert record.probability != answers[record.key]["probability"]
        assert record.cutoff.isoformat() == answers[record.key]["as_of"]
    assert len(read_scores(site.database, PROJECT)) == 5


def test_after_a_restart_a_repeated_request_gets_the_champions_answer(site: Site) -> None:
    deploy_both(site)
    key = example_keys(1)[0]
    with site.client() as client:
        first = ask(client, key, request_id="again")
        wait_until(lambda: len(read_scores(site.database, PROJECT, slot="challenger")) == 1)
    with site.client() as client:
        assert ask(client, key, request_id="again").content == first.content


@pytest.mark.parametrize("fault", ["fails", "hangs"])
def test_a_challenger_that_fails_or_hangs_touches_no_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    deploy_both(site)
    score_rows, all_answered = Scorer.score_rows, threading.Event()

    def faulty(self: Scorer, *args: Any) -> Any:
        if self.version == 2:
            if fault == "fails":
                raise RuntimeError("a challenger's own fault")
            all_answered.wait(60)
        return score_rows(self, *args)

    monkeypatch.setattr(Scorer, "score_rows", faulty)
    with site.client() as client:
        answers = [ask(client, example_keys(1)[0], reasons=0) for _ in range(10)]
        assert not all_answered.is_set()  # they came while the challenger hung
        all_answered.set()
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["version"] for answer in answers} == {1}
        if fault == "fails":
            wait_until(lambda: 'result="failed"} 10.0' in client.get("/metrics").text)


def test_without_a_challenger_nothing_is_scored_twice(site: Site) -> None:
    site.deploy(1)
    with site.client() as client:
        ask(client, example_keys(1)[0])
        assert "scorer_shadow_total{" not in client.get("/metrics").text
    assert len(read_scores(site.database, PROJECT, slot="challenger")) == 0
