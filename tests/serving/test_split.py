"""Traffic split between two versions: whose an enterprise is stays so, and no challenger costs or mixes an answer."""

import json
import threading
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores
from serving import service as service_module
from serving.split import place_of
from tests.model_registry.tiny_world import example_keys, payload, ready_values, tiny_world
from tests.serving.conftest import OPERATOR, PROJECT, Site, wait_until
from tests.serving.test_workers import figure

SLOT = "live-challenger"
AS_OF = "2023-08-25T12:00:00"


def split(site: Site, share: float) -> None:
    site.registry.deploy(PROJECT, 2, SLOT, by=OPERATOR, reason="test", share=share)


def enterprise(key: str) -> str:
    return str(payload(key)["application"][0]["ent_id"])


def expected_version(key: str, share: float) -> int:
    return 2 if place_of(PROJECT, enterprise(key)) < share else 1


def scorers(site: Site) -> dict[int, Scorer]:
    return {
        number: Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, number))) for number in (1, 2)
    }


def forms(key: str) -> list[dict[str, Any]]:
    """Return one case in every form of asking."""
    row = [str(one) for one in tiny_world().labels.keys].index(key)
    bodies: list[dict[str, Any]] = [
        {"tables": payload(key)},
        {"tables": payload(key), "key": key},
        {"id": key},
        {"row": payload(key)["application"][0]},
        {"features": ready_values(row), "key": key, "entity": enterprise(key)},
    ]
    return [{"project": PROJECT, "as_of": AS_OF, "reasons": 0, **body} for body in bodies]


def share_now(client: httpx.Client) -> float:
    found = client.get("/readyz").json()["split"].get(PROJECT)
    return float(found["share"]) if found else 0.0


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_a_place_is_between_0_and_1_and_always_the_same(project: str, entity: str) -> None:
    assert 0.0 <= place_of(project, entity) == place_of(project, entity) < 1.0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_places_are_spread_evenly_and_differ_between_projects(share: float) -> None:
    n = 20_000
    places = np.array([place_of("one", f"E{i:06d}") for i in range(n)])
    others = np.array([place_of("two", f"E{i:06d}") for i in range(n)])
    # Four standard deviations of a fair draw.
    bound = 4 * np.sqrt(share * (1 - share) / n)
    assert abs((places < share).mean() - share) < bound
    assert abs((others[places < share] < share).mean() - share) < 4 * np.sqrt(share * (1 - share) / (n * share))


def test_an_enterprise_is_on_the_same_side_however_it_is_asked_about(site: Site) -> None:
    site.publish()
    site.deploy(1)
    split(site, 0.5)
    models, keys = scorers(site), example_keys(30)
    versions = {key: expected_version(key, 0.5) for key in keys}
    assert set(versions.values()) == {1, 2}
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.5)
        for key in keys:
            right = models[versions[key]].score_rows(payload(key), cutoff=np.datetime64(AS_OF))
            for body in forms(key):
                answer = client.post("/v1/score", json=body).json()
                # Ready features are of another moment, and so of another probability.
                assert "features" in body or answer["probability"] == right.probability
                assert (answer["version"], answer["bundle_hash"]) == (versions[key], right.bundle_hash)
        lines = [{**body, "request_id": f"{key}-{i}"} for key in keys for i, body in enumerate(forms(key))]
        assert batch_versions(client, lines) == [versions[key] for key in keys for _ in forms(key)]
        counted = {one["slot"]: one["share"] for one in client.get("/v1/deployments").json()}
        assert counted == {"champion": 0.5, SLOT: 0.5}
        assert {one["version"] for one in client.get("/v1/models").json()} == {1, 2}
        by_version = [
            figure(str(client.base_url), rf'scorer_answers_total{{project="{PROJECT}",slot="{slot}",version="{n}"}}')
            for n, slot in ((1, "champion"), (2, SLOT))
        ]
        assert by_version == [2 * 5 * list(versions.values()).count(number) for number in (1, 2)]
        assert figure(str(client.base_url), "scorer_split_returned_total") == 0
    for slot, number in (("champion", 1), (SLOT, 2)):
        logged = latest_scores(site.database, PROJECT, slot=slot, limit=10_000)
        assert {record.version for record in logged} == {number}
        assert {record.key for record in logged} == {key for key in keys if versions[key] == number}


def test_both_ways_give_the_same_answer_on_either_side(site: Site, taken: list[bool]) -> None:
    site.deploy(1)
    split(site, 0.5)
    keys = example_keys(12)
    said: dict[str, list[tuple[Any, ...]]] = {"quick": [], "route": [], "line": [], "named line": []}
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.5)
        bodies = [{**forms(key)[4], "reasons": 2} for key in keys]
        for body in bodies:
            said["quick"].append(answer_parts(client.post("/v1/score", json=body).json()))
            # A header that comes twice is nothing that the desk knows how to read.
            twice = [("Accept-Language", "en"), ("Accept-Language", "en")]
            said["route"].append(answer_parts(client.post("/v1/score", json=body, headers=twice).json()))
        assert taken == [True, False] * len(bodies)
        said["line"] = [answer_parts(one) for one in batch_answers(client, bodies)]
        named = [{**body, "request_id": f"r{i}"} for i, body in enumerate(bodies)]
        said["named line"] = [answer_parts(one) for one in batch_answers(client, named)]
    assert said["quick"] == said["line"] == said["named line"] == said["route"]
    assert [one[0] for one in said["quick"]] == [expected_version(key, 0.5) for key in keys]
    for slot, number in (("champion", 1), (SLOT, 2)):
        logged = latest_scores(site.database, PROJECT, slot=slot, limit=1_000)
        assert len(logged) == 4 * [one[0] for one in said["quick"]].count(number) > 0
        assert {record.version for record in logged} == {number}


def answer_parts(answer: dict[str, Any]) -> tuple[Any, ...]:
    assert answer.pop("request_id")
    return answer.pop("version"), json.dumps(answer)


def batch_answers(client: httpx.Client, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = client.post("/v1/score/batch", content=body, headers={"Content-Type": "application/x-ndjson"})
    return [json.loads(line)["answer"] for line in answer.content.splitlines()[:-1]]


def batch_versions(client: httpx.Client, lines: list[dict[str, Any]]) -> list[int]:
    return [answer["version"] for answer in batch_answers(client, lines)]


def test_who_is_not_known_is_the_champions(site: Site) -> None:
    site.deploy(1)
    split(site, 0.99)
    ready = {"project": PROJECT, "features": ready_values(0), "reasons": 0}
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.99)
        unnamed = [client.post("/v1/score", json={**ready, "key": f"A{i}"}).json()["version"] for i in range(20)]
        named = [client.post("/v1/score", json={**ready, "entity": f"E{i}"}).json()["version"] for i in range(20)]
        refused = client.post("/v1/score", json={**ready, "entity": ""})
    assert unnamed == [1] * 20
    assert named == [2 if place_of(PROJECT, f"E{i}") < 0.99 else 1 for i in range(20)]
    assert refused.status_code == 422


def test_a_challenger_that_cannot_answer_costs_no_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish()
    site.deploy(1)
    split(site, 0.99)
    key = next(key for key in example_keys(30) if expected_version(key, 0.99) == 2)
    plain, plain_columns = service_module.score, Scorer.answer_columns
    problems: list[Exception] = []

    def failing(model: Any, *args: Any) -> Any:
        if model.slot.slot == SLOT:
            raise problems[-1]
        return plain(model, *args)

    def failing_columns(scorer: Scorer, *args: Any) -> Any:
        if scorer.version == 2:
            raise problems[-1]
        return plain_columns(scorer, *args)

    monkeypatch.setattr(service_module, "score", failing)
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.99)
        for problem in (InputError("no"), ValueError("a bug")):
            problems.append(problem)
            answers = [client.post("/v1/score", json=body) for body in forms(key)[:2]]
            assert [(answer.status_code, answer.json()["version"]) for answer in answers] == [(200, 1)] * 2
        monkeypatch.setattr(service_module, "score", plain)
        monkeypatch.setattr(Scorer, "answer_columns", failing_columns)
        # However far a quicker way had come with it.
        assert client.post("/v1/score", json=forms(key)[4]).json()["version"] == 1
        problems.append(InputError("no"))
        assert client.post("/v1/score", json=forms(key)[4]).json()["version"] == 1
        assert batch_versions(client, [forms(key)[4], {**forms(key)[4], "request_id": "named"}] * 2) == [1] * 4
        monkeypatch.undo()
        # What the champion refuses too is refused, with the champion's words.
        bad = {**forms(key)[0], "tables": {**payload(key), "nonsense": []}}
        refused = client.post("/v1/score", json=bad)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unknown_table")
        # Once for each request; what is repeated is not scored again.
        assert figure(str(client.base_url), "scorer_split_returned_total") == 2 * 2 + 2 + 3 + 1


def test_shares_that_change_under_load_lose_and_mix_no_answer(site: Site) -> None:
    site.deploy(1)
    models, keys = scorers(site), example_keys(12)
    right = {
        (number, key): (models[number].bundle_hash, models[number].score_rows(payload(key)).probability)
        for number in (1, 2)
        for key in keys
    }
    answers: list[httpx.Response] = []
    stop = threading.Event()
    with site.client() as client:

        def keep_asking() -> None:
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
                while not stop.is_set():
                    for key in keys:
                        body = {"project": PROJECT, "tables": payload(key), "reasons": 0}
                        answers.append(own.post("/v1/score", json=body))

        threads = [threading.Thread(target=keep_asking) for _ in range(2)]
        for thread in threads:
            thread.start()
        for share in (0.2, 0.8, 0.5):
            split(site, share)
            wait_until(lambda share=share: share_now(client) == share)
        site.registry.withdraw(PROJECT, SLOT, by=OPERATOR, reason="enough")
        wait_until(lambda: share_now(client) == 0.0)
        stop.set()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {200}
    bodies = [answer.json() for answer in answers]
    assert {body["version"] for body in bodies} == {1, 2}
    assert all((body["bundle_hash"], body["probability"]) == right[body["version"], body["key"]] for body in bodies)
    # At no share was an enterprise answered by the challenger that the largest share does not hold.
    assert all(expected_version(body["key"], 0.8) == 2 for body in bodies if body["version"] == 2)


def test_a_repeated_request_gets_its_answer_whoever_would_answer_now(site: Site) -> None:
    site.deploy(1)
    split(site, 0.99)
    key = next(key for key in example_keys(30) if expected_version(key, 0.99) == 2)
    body = {"project": PROJECT, "tables": payload(key), "request_id": "once"}
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.99)
        first = client.post("/v1/score", json=body)
    site.registry.withdraw(PROJECT, SLOT, by=OPERATOR, reason="enough")
    for path in (site.settings.home / "scorer" / "log").glob("index.db*"):
        path.unlink()
    with site.client() as client:
        assert share_now(client) == 0.0
        again = client.post("/v1/score", json=body)
    assert first.json()["version"] == 2
    assert again.content == first.content


def test_a_split_survives_a_restart_without_the_database(site: Site) -> None:
    site.deploy(1)
    split(site, 0.5)
    key = next(key for key in example_keys(30) if expected_version(key, 0.5) == 2)
    body = {"project": PROJECT, "tables": payload(key)}
    with site.client() as client:
        wait_until(lambda: share_now(client) == 0.5)
    site.database.dispose()
    (site.settings.home / "workbench.db").rename(site.settings.home / "away.db")
    (site.settings.home / "workbench.db").mkdir()
    with site.client() as client:
        assert client.get("/readyz").json()["registry"] == "stale"
        assert client.post("/v1/score", json=body).json()["version"] == 2


def test_every_slot_is_told_to_who_has_a_key_and_to_nobody_else(site: Site) -> None:
    site.deploy(1)
    split(site, 0.25)
    site.registry.deploy(PROJECT, 2, "challenger", by=OPERATOR, reason="test")
    with site.client() as client:
        told = wait_until(lambda: [one for one in [client.get("/v1/deployments").json()] if len(one) == 3])[0]
        refused = client.get("/v1/deployments", headers={"Authorization": "Bearer gw_nobody_x"})
    assert [(one["slot"], one["version"], one["share"], one["answers"]) for one in told] == [
        ("champion", 1, 0.75, True), (SLOT, 2, 0.25, True), ("challenger", 2, 0.0, False),
    ]  # fmt: skip
    assert {one["bundle_hash"] for one in told} == {site.registry.version(PROJECT, n).bundle_hash for n in (1, 2)}
    assert refused.status_code == 401
