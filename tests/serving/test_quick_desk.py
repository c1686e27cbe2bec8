"""The quick desk: what it answers, alone or with others, is what the route would have answered."""

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import httpx
import numpy as np
import pytest

from model_registry.scorer import Scorer
from monitoring import local_log
from monitoring.score_log import read_local, read_scores
from serving import quick_desk, quick_protocol
from serving.ready_answers import ReadyAnswers
from tests.model_registry.tiny_world import ready_values, tiny_world
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_log_faults import full

N = 24


@dataclass
class Groups:
    """How many were answered together; the first is held until the others have been sent and meet behind it."""

    sizes: list[int] = field(default_factory=list)
    is_held: threading.Event = field(default_factory=threading.Event)
    all_sent: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    groups = Groups()

    def slowly(rows: Any, *given: Any) -> ReadyAnswers:
        if not groups.sizes:
            groups.is_held.set()
            assert groups.all_sent.wait(60)
        groups.sizes.append(len(rows))
        return ReadyAnswers(rows, *given)

    monkeypatch.setattr(quick_desk, "ReadyAnswers", slowly)
    return groups


def content(row: int, **changes: Any) -> dict[str, Any]:
    return {"project": PROJECT, "features": ready_values(row), "key": f"C-{row}", "as_of": "2023-01-02", **changes}


def at_once(client: httpx.Client, contents: list[dict[str, Any]], groups: Groups) -> list[httpx.Response]:
    """Send each on its own connection, all but the first while the first is held; return the answers in this order."""
    headers = {**client.headers, "Content-Type": "application/json", "Accept-Encoding": "identity"}
    wires = [HTTPConnection(client.base_url.host, client.base_url.port, timeout=60) for _ in contents]
    for wire in wires:
        # A connection that is accepted only after the first is held is read in a turn of its own.
        wire.request("GET", "/healthz")
        assert wire.getresponse().read()
    for i, (wire, one) in enumerate(zip(wires, contents, strict=True)):
        wire.request("POST", "/v1/score", json.dumps(one).replace("Infinity", "1e999"), headers)
        assert i > 0 or groups.is_held.wait(60)
    groups.all_sent.set()
    answers = list[httpx.Response]()
    for wire in wires:
        given = wire.getresponse()
        answers.append(httpx.Response(given.status, headers=given.getheaders(), content=given.read()))
        wire.close()
    return answers


@pytest.mark.parametrize(
    "changes",
    [{}, {"reasons": 0}, {"language": "zh"}, {"key": None}, {"as_of": "2023-01-02T03:04:05"}, {"entity": "E1"},
     {"request_id": "named"}],
)  # fmt: skip
def test_both_ways_give_the_same_answer(client: httpx.Client, taken: list[bool], changes: dict[str, Any]) -> None:
    asked = content(3, **changes)
    if "request_id" in changes:
        asked["request_id"] += "-quick"
    quick = client.post("/v1/score", json=asked)
    if "request_id" in changes:
        asked["request_id"] = changes["request_id"] + "-slow"
    # A header that comes twice is nothing that the desk knows how to read.
    slow = client.post("/v1/score", json=asked, headers=[("Accept-Language", "en"), ("Accept-Language", "en")])
    assert (quick.status_code, slow.status_code, taken) == (200, 200, [True, False])
    said = [one.text.replace(one.json()["request_id"], "ID") for one in (quick, slow)]
    assert said[0] == said[1]
    varied = {"date", "content-length"}
    heads = [[pair for pair in one.headers.multi_items() if pair[0] not in varied] for one in (quick, slow)]
    assert sorted(heads[0]) == sorted(heads[1])


def test_what_came_together_is_answered_each_for_itself_and_kept(
    service: tuple[Site, httpx.Client], groups: Groups
) -> None:
    site, client = service
    contents = [content(i, request_id=f"crowd-{i}", reasons=0) for i in range(N)]
    contents[7]["features"] = {**contents[7]["features"], "amount": float("inf")}
    contents[9]["language"], contents[11]["reasons"] = "zh", 2
    answers = at_once(client, contents, groups)
    assert max(groups.sizes) >= 4
    refused = answers.pop(7)
    assert (refused.status_code, refused.json()["error"]["where"]) == (422, "features.amount")
    assert refused.json()["request_id"] == "crowd-7"
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    rows = [i for i in range(N) if i != 7]
    expected = scorer.score_matrix(tiny_world().matrix.values[rows])[0]
    assert [answer.json()["probability"] for answer in answers] == expected.tolist()
    assert [answer.json()["key"] for answer in answers] == [f"C-{i}" for i in rows]
    assert [len(answer.json()["reasons"]) for answer in answers] == [2 if i == 11 else 0 for i in rows]
    again = at_once(client, [contents[i] for i in rows], groups)
    assert [one.content for one in again] == [one.content for one in answers]
    wait_until(lambda: {f"crowd-{i}" for i in rows} <= set(read_scores(site.database, PROJECT).request_ids))
    read = read_scores(site.database, PROJECT, aliases=tiny_world().matrix.plan.aliases)
    places = [list(read.request_ids).index(f"crowd-{i}") for i in rows]
    np.testing.assert_array_equal(read.values[places], tiny_world().matrix.values[rows])
    np.testing.assert_array_equal(read.probabilities[places], expected)
    assert list(read.request_ids).count("crowd-0") == 1 and "crowd-7" not in read.request_ids


def test_the_same_request_twice_at_once_has_one_answer_and_another_one_under_its_name_none(
    service: tuple[Site, httpx.Client], groups: Groups
) -> None:
    _, client = service
    first, *same, other = at_once(client, [content(0, request_id="held"), *[content(1, request_id="twin")] * 6,
                                           content(2, request_id="held")], groups)  # fmt: skip
    assert groups.sizes and {first.status_code, other.status_code} == {200, 409}
    assert [one.status_code for one in same] == [200] * 6 and len({one.content for one in same}) == 1


def test_nothing_is_given_that_is_not_kept(site: Site, groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy(1)
    with site.client() as client:
        monkeypatch.setattr(local_log.os, "write", full)
        answers = at_once(client, [content(i, request_id=f"lost-{i}") for i in range(N)], groups)
        assert {(one.status_code, one.json()["error"]["code"]) for one in answers} == {(503, "score_log")}
        monkeypatch.undo()
        assert read_local(site.settings.home / "scorer" / "log", max_records=9) == []
        answers = at_once(client, [content(i, request_id=f"lost-{i}") for i in range(N)], groups)
        assert {one.status_code for one in answers} == {200}


def test_an_error_inside_is_left_to_the_route(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(quick_desk, "ReadyAnswers", fail)
    assert client.post("/v1/score", json=content(0)).status_code == 200


def test_a_body_in_pieces_and_requests_in_one_piece_are_answered_in_order(
    service: tuple[Site, httpx.Client], taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_protocol, "_HELD_SECONDS", 60.0)
    site, client = service
    requests = [_raw(site.key, content(i, request_id=f"wire-{taken_as}-{i}")) for taken_as in "ab" for i in range(3)]
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=60) as wire:
        for request in requests[:3]:
            wire.sendall(request[:-40])
            time.sleep(0.05)
            wire.sendall(request[-40:])
        wire.sendall(b"".join(requests[3:-1]) + requests[-1].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        received = b"".join(iter(lambda: wire.recv(65_536), b""))
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    told = [json.loads(body)["request_id"] for body in bodies]
    assert told == [f"wire-{taken_as}-{i}" for taken_as in "ab" for i in range(3)]
    assert len(taken) >= 3 and all(taken) and received.count(b"connection: close") == 1


def test_a_body_that_is_long_in_coming_is_left_to_the_route(
    service: tuple[Site, httpx.Client], taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone_on = threading.Event()
    go_on = quick_protocol.QuickProtocol._go_on

    def noted(protocol: quick_protocol.QuickProtocol) -> None:
        go_on(protocol)
        gone_on.set()

    monkeypatch.setattr(quick_protocol.QuickProtocol, "_go_on", noted)
    site, client = service
    request = _raw(site.key, content(0)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    for pieces in ((request[:-40], request[-40:]), (request[:-40],)):
        with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=60) as wire:
            for piece in pieces:
                wire.sendall(piece)
                assert gone_on.wait(60)
            gone_on.clear()
            if len(pieces) == 2:
                assert b"".join(iter(lambda: wire.recv(65_536), b"")).startswith(b"HTTP/1.1 200 OK")
    assert not any(taken) and client.post("/v1/score", json=content(0)).status_code == 200


def _raw(key: str, asked: dict[str, Any]) -> bytes:
    body = json.dumps(asked).encode()
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: scorer\r\nContent-Type: application/json\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
