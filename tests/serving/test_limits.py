"""Too much is refused quickly, with when to come again; what a known key was refused is in the audit trail."""

import os
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.audit import AuditTrail
from core.database import Database
from core.errors import UnavailableError
from core.identity import SYSTEM, Identity
from monitoring import local_log
from serving.limits import Gate, Limits, RateLimit
from serving.problems import TooManyRequestsError
from serving.refusals import Refusals
from tests.model_registry.tiny_world import ready_values
from tests.serving.conftest import PROJECT, Site, wait_until


def ask(client: httpx.Client, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    content = {"project": PROJECT, "features": ready_values(0), "reasons": 0, **changes}
    return client.post("/v1/score", json=content, headers=headers)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    rate = RateLimit(8.0, 5)
    for _ in range(5):
        rate.take("a", 100.0)
    with pytest.raises(TooManyRequestsError) as refused:
        rate.take("a", 100.0)
    assert refused.value.retry_after_seconds == 1
    rate.take("b", 100.0)
    rate.take("a", 100.125)
    with pytest.raises(TooManyRequestsError):
        rate.take("a", 100.125)
    taken = 0
    for step in range(1_000):
        try:
            rate.take("a", 100.125 + step / 128)
            taken += 1
        except TooManyRequestsError:
            continue
    assert taken == 62


def test_a_token_that_is_put_back_can_be_taken_again_once() -> None:
    rate = RateLimit(1.0, 2)
    rate.take("a", 100.0)
    rate.put_back("a")
    rate.put_back("a")
    for _ in range(2):
        rate.take("a", 100.0)
    with pytest.raises(TooManyRequestsError):
        rate.take("a", 100.0)


def test_a_request_that_the_desk_gives_back_counts_once(site: Site) -> None:
    site.deploy(1)
    with site.client(limits=Limits(requests_per_second=0.01, burst=3)) as client:
        wrong = {**ready_values(0), "amount": "12"}
        assert [ask(client, features=wrong).status_code for _ in range(4)] == [422, 422, 422, 429]


def test_a_clock_that_stands_still_or_goes_back_gives_nothing_away() -> None:
    rate = RateLimit(1.0, 1)
    rate.take("a", 100.0)
    for moment in (100.0, 50.0, 100.5):
        with pytest.raises(TooManyRequestsError):
            rate.take("a", moment)


def test_retry_after_says_when_there_is_room() -> None:
    rate = RateLimit(0.2, 1)
    rate.take("a", 0.0)
    with pytest.raises(TooManyRequestsError) as refused:
        rate.take("a", 1.0)
    assert refused.value.retry_after_seconds == 4
    rate.take("a", 5.0)


def test_a_gate_lets_so_many_in_and_recovers() -> None:
    gate = Gate(2)
    with gate.entered(), gate.entered(), pytest.raises(UnavailableError):
        gate.enter()
    with gate.entered():
        pass


def test_a_key_over_its_rate_gets_429_and_another_key_is_served(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy(1)
    _, other = Identity(site.database).create_key("portal", ["model.score"], by=SYSTEM)
    clock = [1_000.0]
    take = RateLimit.take
    monkeypatch.setattr(RateLimit, "take", lambda rate, name: take(rate, name, clock[0]))
    with site.client(limits=Limits(requests_per_second=0.5, burst=3)) as client:
        answers = [ask(client) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["error"]["code"] == "too_many_requests"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 2
        assert ask(client, headers={"Authorization": f"Bearer {other}"}).status_code == 200
        clock[0] += 2.1
        assert ask(client).status_code == 200
    assert refusals(site) == {("core-system", "/v1/score", "too_many_requests"): 2}


def test_more_at_once_than_fit_are_refused_quickly_and_the_service_recovers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.deploy(1)
    fsync, all_refused, refused = os.fsync, threading.Event(), list[httpx.Response]()

    def slow_disk(descriptor: int) -> None:
        assert all_refused.wait(60)
        fsync(descriptor)

    def ask_and_note(_: int) -> httpx.Response:
        answer = ask(client)
        if answer.status_code != 200:
            refused.append(answer)
            if len(refused) == 6:
                all_refused.set()
        return answer

    with site.client(limits=Limits(max_at_once=2)) as client:
        assert ask(client).status_code == 200
        monkeypatch.setattr(local_log.os, "fsync", slow_disk)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask_and_note, range(8)))
        monkeypatch.undo()
        # Refused at once: before the disk gave an answer to any of those that fitted.
        assert sorted(answer.status_code for answer in answers) == [200] * 2 + [503] * 6
        assert {(one.status_code, one.headers["retry-after"]) for one in refused} == {(503, "1")}
        assert {one.json()["error"]["code"] for one in refused} == {"overloaded"}
        assert ask(client).status_code == 200
    assert refusals(site) == {("core-system", "/v1/score", "overloaded"): len(refused)}


def test_more_batches_than_fit_are_refused_and_a_batch_that_ends_makes_room(site: Site) -> None:
    site.deploy(1)
    headers = {"Content-Type": "application/x-ndjson"}
    with site.client(limits=Limits(max_batches=1)) as client:
        head = f"POST /v1/score/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.key}\r\n"
        head += "Content-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(client.base_url.port or 0)), timeout=60) as connection:
            connection.sendall(head.encode())
            assert b" 200 " in connection.recv(1_000)
            refused = client.post("/v1/score/batch", content=b"", headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        wait_until(lambda: client.post("/v1/score/batch", content=b"", headers=headers).status_code == 200)


def test_every_refusal_is_counted_in_the_audit_trail(site: Site) -> None:
    site.deploy(1)
    _, viewer = Identity(site.database).create_key("viewer-system", ["view"], by=SYSTEM)
    with site.client() as client:
        for _ in range(3):
            assert ask(client, project="nobody").status_code == 404
        assert client.post("/v1/score", content=b"x", headers={"Content-Type": "application/json"}).status_code == 422
        assert ask(client, headers={"Authorization": f"Bearer {viewer}"}).status_code == 403
        assert ask(client, headers={"Authorization": "Bearer nobody"}).status_code == 401
        lines = {"Content-Type": "application/x-ndjson"}
        client.post("/v1/score/batch", content=b"x\ny\n", headers=lines)
    assert refusals(site) == {
        ("core-system", "/v1/score", "no_model"): 3,
        ("core-system", "/v1/score", "not_json"): 1,
        ("viewer-system", "/v1/score", "permission_denied"): 1,
        ("core-system", "/v1/score/batch", "not_json"): 2,
        ("-", "/v1/score", "not_authenticated"): 1,
    }
    assert AuditTrail(site.database).verify() == []


def test_counts_wait_for_a_database_that_is_away(tmp_path: Path, site: Site) -> None:
    (tmp_path / "folder.db").mkdir()
    with Database(f"sqlite:///{tmp_path / 'folder.db'}") as broken:
        waiting = Refusals(AuditTrail(broken))
        waiting.note("core-system", "/v1/score", "no_model", 2)
        assert waiting.write() == 0
        waiting.note("core-system", "/v1/score", "no_model")
        waiting._trail = AuditTrail(site.database)  # the database comes back
        assert waiting.write() == 1
        assert waiting.write() == 0
    assert refusals(site) == {("core-system", "/v1/score", "no_model"): 3}


def refusals(site: Site) -> dict[tuple[str, str, str], int]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for record in AuditTrail(site.database).records():
        if record.action == "score.refused":
            for code, n in record.details["counts"].items():
                counts[record.actor, record.subject, code] += n
    return dict(counts)
