"""What a business system gets: the same score as in batch, logged, or a clear refusal that repeats nothing of it."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import httpx
import numpy as np
import pytest

from core.identity import SYSTEM, Identity
from core.identity import keys as keys_module
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores, read_scores
from serving import callers as callers_module
from serving import service as service_module
from serving.callers import Callers
from tests.model_registry.tiny_world import example_keys, payload, tiny_world
from tests.serving.conftest import PROJECT, Site, wait_until

SECRET = "Zq7SecretMarker"


def body(key: str, /, **changes: Any) -> dict[str, Any]:
    return {"project": PROJECT, "tables": payload(key) if key else {}, **changes}


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    return response.json()["error"]


# Answers


def test_the_answer_is_the_batch_score_of_the_same_row(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    world = tiny_world()
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    probabilities, points, grades = scorer.score_matrix(world.matrix.values)
    position = {str(key): i for i, key in enumerate(world.labels.keys)}
    for key in example_keys(25):
        answer = client.post("/v1/score", json=body(key)).json()
        row = position[key]
        assert answer["probability"] == probabilities[row]
        assert (answer["score"], answer["grade"]) == (points[row], grades[row])
        assert answer["version"] == 1 and answer["bundle_hash"] == scorer.bundle_hash
        assert answer["key"] == key
        assert len(answer["reasons"]) <= 4 and answer["warnings"] == []


def test_the_answer_says_what_moved_the_score_in_the_language_asked(client: httpx.Client) -> None:
    key = example_keys(3)[1]
    chinese = client.post("/v1/score", json=body(key, language="zh")).json()["reasons"]
    english = client.post("/v1/score", json=body(key), headers={"Accept-Language": "en-GB"}).json()["reasons"]
    by_header = client.post("/v1/score", json=body(key), headers={"Accept-Language": "zh-CN,en;q=0.5"}).json()
    assert [reason["code"] for reason in chinese] == [reason["code"] for reason in english]
    assert chinese == by_header["reasons"]
    names = {definition.alias: definition for definition in tiny_world().matrix.plan.definitions}
    for in_chinese, in_english in zip(chinese, english, strict=True):
        assert in_chinese["name"] == names[in_chinese["feature"]].name("zh")
        assert in_english["name"] == names[in_english["feature"]].name("en")
    magnitudes = [abs(reason["contribution"]) for reason in english]
    assert magnitudes == sorted(magnitudes, reverse=True)
    assert all((reason["contribution"] > 0) == (reason["direction"] == "raises") for reason in english)


def test_rows_that_were_not_yet_known_do_not_change_the_score(client: httpx.Client) -> None:
    key = example_keys(4)[2]
    before = client.post("/v1/score", json=body(key)).json()
    tables = payload(key)
    later = {**tables["payment"][0], "pay_id": "P-later", "paid_on": "2199-01-01", "overdue_days": 9_999}
    tables["payment"].append(later)
    after = client.post("/v1/score", json=body(key, tables=tables)).json()
    assert after["probability"] == before["probability"]


def test_the_order_of_rows_columns_and_tables_does_not_matter(client: httpx.Client) -> None:
    key = example_keys(4)[3]
    tables = payload(key)
    turned = {name: [dict(reversed(row.items())) for row in reversed(rows)] for name, rows in reversed(tables.items())}
    one, other = (client.post("/v1/score", json=body(key, tables=given)).json() for given in (tables, turned))
    assert one["probability"] == other["probability"]


def test_as_of_decides_what_was_known(client: httpx.Client) -> None:
    key = example_keys(4)[2]
    early = client.post("/v1/score", json=body(key, as_of="2019-01-01")).json()
    assert early["as_of"] == "2019-01-01T00:00:00"
    assert early["probability"] != client.post("/v1/score", json=body(key)).json()["probability"]


def test_columns_that_the_model_does_not_read_are_accepted_where_the_data_model_knows_them(
    client: httpx.Client,
) -> None:
    tables = payload(example_keys(1)[0])
    assert "officer" in tables["application"][0]
    assert client.post("/v1/score", json=body("", tables=tables)).status_code == 200


def test_missing_tables_and_columns_are_null_and_said_so(client: httpx.Client) -> None:
    tables = payload(example_keys(1)[0])
    del tables["payment"]
    del tables["enterprise"][0]["staff"]
    answer = client.post("/v1/score", json=body("", tables=tables)).json()
    assert {"missing_table", "missing_column"} == {warned["code"] for warned in answer["warnings"]}
    assert 0 < answer["probability"] < 1


def test_a_level_unknown_in_training_is_scored_and_said_so(client: httpx.Client) -> None:
    tables = payload(example_keys(1)[0])
    tables["enterprise"][0]["city"] = "拉萨"
    answer = client.post("/v1/score", json=body("", tables=tables)).json()
    assert [warned["code"] for warned in answer["warnings"]] == ["unseen_category"]


@pytest.mark.parametrize("extreme", [1e308, -1e308, 5e-324, 0, 10**15])
def test_extreme_but_legal_numbers_give_a_probability(client: httpx.Client, extreme: float) -> None:
    tables = payload(example_keys(1)[0])
    tables["application"][0]["amount"] = extreme
    answer = client.post("/v1/score", json=body("", tables=tables)).json()
    assert 0 < answer["probability"] < 1
    assert all(np.isfinite(reason["contribution"]) for reason in answer["reasons"])


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "amount applied for (amount) is above the greatest value in training, "),
        ("zh", "申请金额（amount）高于训练数据中的最大值 "),
    ],
)
def test_a_value_outside_what_training_saw_is_scored_and_said_so(
    client: httpx.Client, language: str, text: str
) -> None:
    tables = payload(example_keys(1)[0])
    assert client.post("/v1/score", json=body("", tables=tables)).json()["warnings"] == []
    tables["application"][0]["amount"] = 1e12
    answer = client.post("/v1/score", json=body("", tables=tables, language=language)).json()
    (warned,) = answer["warnings"]
    assert warned["code"] == "out_of_range"
    assert warned["text"].startswith(text)


# The log, and repeated requests


def test_every_answer_reaches_the_database_with_its_feature_values(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    key = example_keys(10)[7]
    answer = client.post("/v1/score", json=body(key, request_id="log-1", language="zh")).json()

    def logged() -> Any:
        return [one for one in latest_scores(site.database, PROJECT, limit=100) if one.request_id == "log-1"]

    (record,) = wait_until(logged)
    assert (record.key, record.version, record.slot, record.source) == (key, 1, "champion", "api")
    assert (record.probability, record.score, record.grade) == (answer["probability"], answer["score"], answer["grade"])
    assert record.reasons == answer["reasons"]
    world = tiny_world()
    row = list(world.labels.keys).index(key)
    read = read_scores(site.database, PROJECT, aliases=world.matrix.plan.aliases)
    (logged_row,) = read.values[read.request_ids == "log-1"]
    np.testing.assert_array_equal(logged_row, world.matrix.values[row])


def test_a_repeated_request_gets_the_same_bytes_and_one_record(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    asked = body(example_keys(2)[0], request_id="twice")
    first, second = (client.post("/v1/score", json=asked) for _ in range(2))
    turned = dict(reversed(asked.items()))
    assert first.content == second.content == client.post("/v1/score", json=turned).content
    wait_until(lambda: "twice" in read_scores(site.database, PROJECT).request_ids)
    assert list(read_scores(site.database, PROJECT).request_ids).count("twice") == 1


def test_the_same_request_many_times_at_once_is_answered_once(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    asked = body(example_keys(2)[1], request_id="at-once")
    with ThreadPoolExecutor(8) as pool:
        answers = {response.content for response in pool.map(lambda _: client.post("/v1/score", json=asked), range(24))}
    assert len(answers) == 1
    lines = [
        line
        for path in (site.settings.home / "scorer" / "log").glob("scores-*.jsonl")
        for line in path.read_text().splitlines()
        if json.loads(line)["request_id"] == "at-once"
    ]
    assert len(lines) == 1


def test_an_id_used_for_another_request_is_a_conflict(client: httpx.Client) -> None:
    one, other = example_keys(2)
    client.post("/v1/score", json=body(one, request_id="reused"))
    error = error_of(client.post("/v1/score", json=body(other, request_id="reused")), 409)
    assert error["code"] == "request_id_reused"


# Who may ask


def test_without_a_usable_key_nothing_is_read(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    identity = Identity(site.database)
    revoked, revoked_secret = identity.create_key("old-system", ["model.score"], by=SYSTEM)
    identity.revoke_key(revoked.id, by=SYSTEM)
    for given in (
        "",
        "Bearer",
        "Bearer nonsense",
        f"Bearer {site.key}x",
        f"Basic {site.key}",
        f"Bearer {revoked_secret}",
        "Bearer gw_" + "0" * 12 + "_x",
    ):
        response = client.post("/v1/score", content=b"not even JSON", headers={"Authorization": given})
        assert error_of(response, 401)["code"] == "not_authenticated"
        assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_without_the_scope_may_not_score(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    _, secret = Identity(site.database).create_key("viewer-system", ["view"], by=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}

    def refused() -> bool:
        response = client.post("/v1/score", json=body(example_keys(1)[0]), headers=headers)
        return response.status_code == 403 and error_of(response, 403)["code"] == "permission_denied"

    wait_until(refused)


def test_a_withdrawn_key_is_refused_from_the_next_look_on(
    service: tuple[Site, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, client = service
    identity = Identity(site.database)
    key, secret = identity.create_key("soon-gone", ["model.score"], by=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}
    wait_until(lambda: client.get("/v1/models", headers=headers).status_code == 200)
    is_withdrawn, refused = threading.Event(), list[bool]()
    refresh = Callers.refresh

    def noted(callers: Callers) -> bool:
        is_after = is_withdrawn.is_set()
        has_answered = refresh(callers)
        if is_after and has_answered:
            refused.append(key.id not in usable_keys(callers))
        return has_answered

    monkeypatch.setattr(Callers, "refresh", noted)
    identity.revoke_key(key.id, by=SYSTEM)
    is_withdrawn.set()
    wait_until(lambda: client.get("/v1/models", headers=headers).status_code == 401)
    wait_until(lambda: refused)
    # A look every second: what is refused from the next one on is refused within seconds.
    assert refused[0] and service_module._POLL_SECONDS <= 1


def usable_keys(callers: Callers) -> set[str]:
    assert callers._ring is not None
    return {one for one, (key, _) in callers._ring.keys.items() if key.is_usable(datetime.now(UTC))}


def test_a_key_that_expired_is_refused(service: tuple[Site, httpx.Client], monkeypatch: pytest.MonkeyPatch) -> None:
    site, client = service
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    _, secret = Identity(site.database).create_key("short", ["model.score"], expires_at, by=SYSTEM)
    headers = {"Authorization": f"Bearer {secret}"}
    wait_until(lambda: client.get("/v1/models", headers=headers).status_code == 200)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return (expires_at + timedelta(seconds=1)).astimezone(tz)

    for module in (callers_module, keys_module):
        monkeypatch.setattr(module, "datetime", Later)
    assert client.get("/v1/models", headers=headers).status_code == 401
    score = {**headers, "Content-Type": "application/json"}
    assert client.post("/v1/score", json=body(example_keys(1)[0]), headers=score).status_code == 401


# What is refused

_ROW = '{"app_id": "A1", "ent_id": "E1", "amount": AMOUNT}'
_BODY = '{"project": "guarantee", "tables": {"application": [' + _ROW + '], "enterprise": [], "payment": []}}'


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("-Infinity", "not_a_number"),
        ("1e999", "wrong_type"),
        ('"1.5"', "wrong_type"),
        ("true", "wrong_type"),
        ("[1]", "wrong_type"),
        ('{"a": 1}', "wrong_type"),
        ("1" * 400, "wrong_type"),
        ("1" * 5_000, "number_too_long"),
        ('1, "amount": 2', "duplicate_key"),
        ("[" * 40 + "]" * 40, "too_deep"),
        ("[" * 100_000 + "]" * 100_000, "too_deep"),
        ("1,", "not_json"),
        ("01", "not_json"),
        ("", "not_json"),
        (f'"{SECRET}"', "wrong_type"),
        (f'1, "{SECRET}": "{SECRET}"', "unknown_column"),
        (f'1, "product": "\\ud800{SECRET}"', "not_text"),
        ('1, "applied_at": "2024-02-30"', "wrong_type"),
        ('1, "applied_at": "2024-02-03T00:00:00Z"', "wrong_type"),
        ('1, "applied_at": "2024-02-03T25:00:00"', "wrong_type"),
        ('1, "applied_at": "9999-01-01"', "wrong_type"),
        ('1, "applied_at": 20240203', "wrong_type"),
        ('1, "product": 1.5', "wrong_type"),
        ('1, "product": "' + "x" * 10_001 + '"', "wrong_type"),
    ],
)
def test_a_bad_value_is_refused_with_its_place_and_without_itself(client: httpx.Client, amount: str, code: str) -> None:
    started = time.process_time()  # of this process, which is the service's: what others do does not count
    response = client.post(
        "/v1/score", content=_BODY.replace("AMOUNT", amount).encode(), headers={"Content-Type": "application/json"}
    )
    if code == "unknown_column":
        assert response.json()["error"]["code"] == code
        assert response.text.count(SECRET) == 2  # the column's name, as message place and point; never its value
        return
    error = error_of(response, 422)
    assert error["code"] == code
    assert time.process_time() - started < 2
    if code == "wrong_type":
        assert error["where"].startswith("application, row 1, column ")


def test_every_bad_place_is_named(client: httpx.Client) -> None:
    tables = payload(example_keys(1)[0])
    tables["payment"][2]["amount"] = "12"
    tables["payment"][1]["overdue_days"] = True
    tables["loan"] = []
    error = error_of(client.post("/v1/score", json=body("", tables=tables)), 422)
    assert {(point["code"], point["where"]) for point in error["points"]} == {
        ("wrong_type", "payment, row 3, column amount"),
        ("wrong_type", "payment, row 2, column overdue_days"),
        ("unknown_table", "loan"),
    }


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_json"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"{}", "missing_field"),
        (b'{"project": "guarantee"}', "missing_field"),
        (b'{"project": 1, "tables": {}}', "wrong_type"),
        (b'{"project": "guarantee", "tables": []}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {"application": {}}}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {"application": [1]}}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {}, "extra": 1}', "unknown_field"),
        (b'{"project": "guarantee", "tables": {}, "request_id": "a b"}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {}, "request_id": ""}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {}, "language": "fr"}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {}, "as_of": "yesterday"}', "key_needed"),
        (b'{"project": "guarantee", "tables": {}, "reasons": 5}', "wrong_type"),
        (b'{"project": "guarantee", "tables": {}}', "key_needed"),
        (b'{"project": "guarantee", "tables": {"application": [{"app_id": "A\\u0000"}]}}', "wrong_type"),
        (b'\xff\xfe{"project"', "not_utf8"),
        (b'{"project": "guarantee", "tables": {}}garbage', "not_json"),
    ],
)
def test_a_bad_envelope_is_refused(client: httpx.Client, content: bytes, code: str) -> None:
    response = client.post("/v1/score", content=content, headers={"Content-Type": "application/json"})
    assert error_of(response, 422)["code"] == code


def test_a_refusal_speaks_the_language_asked(client: httpx.Client) -> None:
    english = error_of(client.post("/v1/score", json=body("", tables={})), 422)["message"]
    chinese = error_of(client.post("/v1/score", json=body("", tables={}, language="zh")), 422)["message"]
    assert english != chinese and any("一" <= character <= "鿿" for character in chinese)


def test_an_unknown_key_is_no_history_and_never_a_row_of_zeros(client: httpx.Client) -> None:
    error = error_of(client.post("/v1/score", json=body(example_keys(1)[0], key="A-unknown")), 404)
    assert error["code"] == "no_history"


def test_an_unknown_project_is_not_found(client: httpx.Client) -> None:
    error = error_of(client.post("/v1/score", json=body(example_keys(1)[0], project="nobody")), 404)
    assert error["code"] == "no_model"


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_refused_by_the_bytes_that_come(client: httpx.Client, is_chunked: bool) -> None:
    content = b'{"project": "' + b"x" * 11_000_000 + b'"}'
    given: Any = (content[i : i + 65_536] for i in range(0, len(content), 65_536)) if is_chunked else content
    headers = {"Content-Type": "application/json"}
    assert error_of(client.post("/v1/score", content=given, headers=headers), 413)["code"] == "payload_too_large"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {},
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    assert error_of(client.post("/v1/score", content=b"{}", headers=headers), 415)["code"] == "unsupported_body"


def test_a_caller_who_goes_away_half_way_disturbs_nobody(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    port = client.base_url.port
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(
                b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1000\r\nAuthorization: Bearer " + site.key.encode() + b'\r\n\r\n{"project'
            )
    assert client.post("/v1/score", json=body(example_keys(1)[0])).status_code == 200


# Everything around


def test_health_readiness_models_and_figures(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    client.post("/v1/score", json=body(example_keys(1)[0]))
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["models"] == {PROJECT: 1} and ready["registry"] == "ok" and ready["problems"] == {}
    (model,) = client.get("/v1/models").json()
    assert model["version"] == 1
    assert model["bundle_hash"] == site.registry.version(PROJECT, 1).bundle_hash
    assert model["rows"]["columns"]["enterprise"] == {
        "ent_id": "key",
        "city": "text",
        "staff": "number",
        "is_listed": "boolean",
    }
    figures = client.get("/metrics").text
    assert f'scorer_requests_total{{project="{PROJECT}",status="200"}}' in figures
    assert f'scorer_model_version{{project="{PROJECT}"}} 1.0' in figures


def test_the_documentation_loads_nothing_from_outside(client: httpx.Client) -> None:
    page = client.get("/docs", headers={"Accept-Language": "zh"})
    assert page.status_code == 200
    assert "/v1/score" in page.text and "评分服务" in page.text
    outside = page.text.replace("http://127.0.0.1:8502", "")
    assert "http://" not in outside and "https://" not in outside and "<script" not in outside
    assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")
    assert "为一家企业、一笔申请或一份合同评分" in page.text and "Successful Response" not in page.text


def test_the_openapi_description_is_whole(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    assert {"/v1/score", "/v1/models", "/healthz", "/readyz", "/metrics"} <= set(description["paths"])
    for reference in re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(description)):
        part: Any = description
        for name in reference.split("/"):
            part = part[name]
    score = description["paths"]["/v1/score"]["post"]
    assert set(score["security"][0]) <= set(description["components"]["securitySchemes"])
    assert error_of(client.post("/v1/score", content=b"x"), 415).keys() <= {"code", "message", "where", "fix", "points"}


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nothing", "/v1/score"])
def test_every_answer_carries_the_security_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_an_unknown_address_or_method_is_said_in_the_same_form(client: httpx.Client) -> None:
    assert error_of(client.get("/nothing"), 404)["code"] == "not_found"
    assert error_of(client.get("/v1/score"), 405)["code"] == "method_not_allowed"
