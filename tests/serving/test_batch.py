"""A batch of lines: every good row is scored as if it came alone, every bad one is told in its place."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring.score_log import latest_scores, read_scores
from serving import batch as batch_module
from serving.lines import LineSplitter
from serving.service import ScoringService
from tests.model_registry.tiny_world import example_keys, payload, ready_values
from tests.serving.conftest import PROJECT, Site, wait_until

LINES = {"Content-Type": "application/x-ndjson"}


def line(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def by_rows(key: str, **changes: Any) -> dict[str, Any]:
    return {"project": PROJECT, "tables": payload(key), **changes}


def by_features(row: int, **changes: Any) -> dict[str, Any]:
    return {"project": PROJECT, "features": ready_values(row), **changes}


def send(client: httpx.Client, content: Any, **query: str) -> list[dict[str, Any]]:
    response = client.post("/v1/score/batch", content=content, headers=LINES, params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(text) for text in response.text.splitlines()]


def test_each_line_is_answered_as_if_it_came_alone(client: httpx.Client) -> None:
    rows = [by_rows(key, language="zh") for key in example_keys(5)] + [by_features(i, key=f"C{i}") for i in range(30)]
    *answers, summary = send(client, b"".join(line(row) for row in rows))
    assert [answer["row"] for answer in answers] == list(range(1, len(rows) + 1))
    assert summary == {"summary": {"rows": 35, "scored": 35, "refused": 0}}
    for row, answer in zip(rows, answers, strict=True):
        alone = client.post("/v1/score", json=row).json()
        for name in ("key", "probability", "score", "grade", "version", "bundle_hash", "warnings"):
            assert answer["answer"][name] == alone[name]
        assert [(r["code"], r["text"]) for r in answer["answer"]["reasons"]] == [
            (r["code"], r["text"]) for r in alone["reasons"]
        ]


def test_bad_lines_do_not_stop_the_rest(client: httpx.Client) -> None:
    good = line(by_rows(example_keys(1)[0], reasons=0))
    bad = [
        (b"not json\n", "not_json"),
        (b'{"a": NaN}\n', "not_a_number"),
        (b"\xff\xfe\n", "not_utf8"),
        (b"[" * 90 + b"\n", "too_deep"),
        (line({"project": PROJECT}), "missing_field"),
        (line({**by_rows(example_keys(1)[0]), "project": "nobody"}), "no_model"),
        (line({**by_rows(example_keys(1)[0]), "key": "unknown"}), "no_history"),
        (line({"project": PROJECT, "features": {"amount": 1}}), "missing_feature"),
        (line(by_features(1, key="")), "bad_key"),
        (line(by_features(1, as_of="yesterday")), "wrong_type"),
        (b'"' + b"x" * batch_module.MAX_LINE_BYTES + b'"\n', "payload_too_large"),
    ]
    *answers, summary = send(client, b"".join(text + good for text, _ in bad))
    assert [answer["error"]["code"] for answer in answers[::2]] == [code for _, code in bad]
    assert all("probability" in answer["answer"] for answer in answers[1::2])
    assert [answer["row"] for answer in answers] == list(range(1, 2 * len(bad) + 1))
    assert summary["summary"] == {"rows": 2 * len(bad), "scored": len(bad), "refused": len(bad)}


def odd_lines() -> list[str]:
    """Return lines of ready features of which something is out of the ordinary."""
    values = ready_values(2)
    return [
        json.dumps(by_features(1, features={**values, "amount": float("nan")})),
        json.dumps(by_features(1, features={**values, "amount": float("inf")})),
        json.dumps(by_features(1)).replace('"amount": ', '"amount": 1e999, "more": '),
        json.dumps(by_features(1, features={**values, "amount": "1.5"})),
        json.dumps(by_features(1, features={**values, "amount": True})),
        json.dumps(by_features(1, features={**values, "amount": 12345678901234567890123})),
        json.dumps(by_features(1, features={**values, "amount": 10**400})),
        json.dumps(by_features(1, features={**values, "amount": 0.00012345678901234567})),
        json.dumps(by_features(1)).replace('"amount":', '"amount": 1.5, "amount":'),
        json.dumps(by_features(1))[:-1] + ', "project": "guarantee"}',
        json.dumps(by_features(1, rows=1)),
        json.dumps(by_features(1, features={**values, "nonsense": 1})),
        json.dumps(by_features(1, features=dict(list(values.items())[1:]))),
        json.dumps(by_features(1, id="A1")),
        json.dumps(by_features(1, features=list(values.values()))),
        json.dumps(by_features(1, as_of="yesterday")),
        json.dumps(by_features(1, as_of="2024-05-31T12:00:00", entity=7)),
        json.dumps(by_features(1, key="")),
        json.dumps(by_features(1, key=12)),
        json.dumps(by_features(1, key=12345678901234567890123)),
        json.dumps(by_features(1, reasons=2, language="zh")),
        json.dumps(by_features(1, reasons="2")),
        json.dumps(by_features(1, project="nobody")),
        json.dumps(by_features(1, key='":": {'), ensure_ascii=False),
        json.dumps(by_features(1), indent=1, separators=(" ,", " :\t")).replace("\n", "\r"),
        json.dumps(by_features(1))[:-1],
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-30, 30), min_size=1, max_size=14), st.booleans())
def test_any_mixture_of_lines_is_answered_as_the_slow_route_answers_each(
    client: httpx.Client, kinds: list[int], keep: bool
) -> None:
    odd = odd_lines()
    texts = [odd[-one % len(odd)] if one < 0 else json.dumps(by_features(one, key=f"C{one}")) for one in kinds]
    *answers, _ = send(client, "\n".join(texts).encode(), keep=str(keep).lower())
    twice = [("Content-Type", "application/json"), ("Accept-Language", "en"), ("Accept-Language", "en")]
    for text, answer in zip(texts, answers, strict=True):
        alone = client.post("/v1/score", content=text, headers=twice).json()
        assert comparable(answer.get("answer") or answer, text) == comparable(alone, text), text


def comparable(answer: dict[str, Any], text: str) -> dict[str, Any]:
    """Return an answer without what differs from one asking to the next."""
    chance = {"row", "request_id", *(name for name in ("key", "as_of") if f'"{name}"' not in text)}
    return {name: value for name, value in answer.items() if name not in chance}


def test_lines_that_are_refused_take_no_other_from_the_quick_way(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_way: list[str] = []
    answer_many = ScoringService.answer_many

    def noted(self: ScoringService, rows: Any, *given: Any, **named: Any) -> Any:
        long_way.extend(str(row.request.key) for row in rows)
        return answer_many(self, rows, *given, **named)

    monkeypatch.setattr(ScoringService, "answer_many", noted)
    lines = [by_features(i, key=f"C{i}", reasons=0) for i in range(40)]
    for i in (0, 13, 14, 39):
        lines[i]["features"]["amount"] = "much"
    *answers, summary = send(client, b"".join(map(line, lines)))
    assert long_way == ["C0", "C13", "C14", "C39"]
    assert summary["summary"] == {"rows": 40, "scored": 36, "refused": 4}
    assert [i for i, answer in enumerate(answers) if "error" in answer] == [0, 13, 14, 39]


def test_empty_lines_are_passed_over_and_the_last_needs_no_end(client: httpx.Client) -> None:
    content = b"\n  \n" + line(by_features(0)) + b"\n\r\n" + line(by_features(1)).rstrip()
    first, second, summary = send(client, content)
    assert (first["row"], second["row"], summary["summary"]["rows"]) == (1, 2, 2)
    assert send(client, b"") == [{"summary": {"rows": 0, "scored": 0, "refused": 0}}]


def test_a_repeated_request_in_or_before_the_batch_has_one_answer_and_one_record(
    service: tuple[Site, httpx.Client],
) -> None:
    site, client = service
    alone = client.post("/v1/score", json=by_features(7, request_id="batch-7")).json()
    again, fresh, twice, other, _ = send(
        client,
        line(by_features(7, request_id="batch-7"))
        + 2 * line(by_features(8, request_id="batch-8"))
        + line(by_features(9, request_id="batch-8")),
    )
    assert again["answer"] == alone
    assert fresh["answer"] == twice["answer"]
    assert other["error"]["code"] == "request_id_reused" and other["request_id"] == "batch-8"
    wait_until(lambda: "batch-8" in read_scores(site.database, PROJECT).request_ids)
    ids = list(read_scores(site.database, PROJECT).request_ids)
    assert ids.count("batch-7") == ids.count("batch-8") == 1
    record = next(one for one in latest_scores(site.database, PROJECT, limit=500) if one.request_id == "batch-8")
    assert record.source == "batch"


def test_what_shall_not_be_kept_is_not_in_the_log(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    answer, _ = send(client, line(by_features(3, request_id="not-kept")), keep="false")
    assert answer["answer"]["request_id"] == "not-kept"
    send(client, line(by_features(3, request_id="kept-after")))
    wait_until(lambda: "kept-after" in read_scores(site.database, PROJECT).request_ids)
    assert "not-kept" not in read_scores(site.database, PROJECT).request_ids


def test_a_batch_longer_than_any_buffer_is_answered_to_a_caller_who_sends_all_before_reading(
    client: httpx.Client,
) -> None:
    n_rows = 6_000
    content = line(by_features(1, reasons=0))

    def lines() -> Iterator[bytes]:
        for _ in range(n_rows):
            yield content

    *answers, summary = send(client, lines(), keep="false")
    assert summary["summary"] == {"rows": n_rows, "scored": n_rows, "refused": 0}
    assert {answer["answer"]["probability"] for answer in answers} == {answers[0]["answer"]["probability"]}


def test_answers_come_while_the_batch_is_still_being_sent(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    content = line(by_features(2, reasons=0))
    with socket.create_connection(("127.0.0.1", int(client.base_url.port or 0)), timeout=60) as connection:
        head = f"POST /v1/score/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.key}\r\n"
        head += "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        received = b""
        for n in range(1, 4):
            connection.sendall(b"%x\r\n%b\r\n" % (len(content), content))
            while received.count(b'"row":') < n:
                received += connection.recv(65_536)
        connection.sendall(b"0\r\n\r\n")
        while b'"summary"' not in received:
            received += connection.recv(65_536)
    assert re.search(rb'"rows":3,"scored":3', received)


def test_a_batch_that_stops_coming_ends_with_its_reason(
    service: tuple[Site, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, client = service
    monkeypatch.setattr(batch_module, "_MAX_IDLE_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", int(client.base_url.port or 0)), timeout=60) as connection:
        head = f"POST /v1/score/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.key}\r\n"
        head += "Content-Type: application/x-ndjson\r\nContent-Length: 99999\r\n\r\n"
        # In one piece: what is asked for has come before the wait begins that is too long.
        connection.sendall(head.encode() + line(by_features(2)))
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert b'"scored":1' in received and b'"code":"request_timeout"' in received


def test_a_batch_over_the_limit_is_cut_off_with_its_reason(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "MAX_BATCH_BYTES", 100_000)
    content = line(by_features(1, reasons=0))
    *_, problem, summary = send(client, content * (300_000 // len(content)))
    assert (problem["row"], problem["error"]["code"]) == (None, "payload_too_large")
    assert 0 <= summary["summary"]["scored"] < 300_000 // len(content)


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({"Content-Type": "application/json"}, "", 415, "unsupported_body"),
        ({**LINES, "Content-Encoding": "gzip"}, "", 415, "unsupported_body"),
        (LINES, "?keep=perhaps", 422, "wrong_type"),
        ({**LINES, "Authorization": "Bearer wrong"}, "", 401, "not_authenticated"),
    ],
)
def test_a_batch_that_cannot_begin_is_refused_whole(
    client: httpx.Client, headers: dict[str, str], query: str, status: int, code: str
) -> None:
    refused = client.post(f"/v1/score/batch{query}", content=b"{}\n", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_they_are_cut(size: int) -> None:
    content = "eins\nzwei\n\n長い行です\nlast".encode()
    splitter = LineSplitter(12)
    found = [text for i in range(0, len(content), size) for text in splitter.feed(content[i : i + size])]
    assert found + splitter.end() == [b"eins", b"zwei", b"", None, b"last"]
