"""The client knows the service's forms and repeats what may be repeated; the examples work against the real service."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from monitoring.score_log import read_scores
from serving import client as client_module
from serving.answer_form import AnswerForm, BatchLineForm, OutcomesForm
from serving.client import (
    Answer,
    AsyncScoringClient,
    BatchLine,
    Outcome,
    OutcomeReport,
    Problem,
    Reason,
    Retries,
    ScoreRequest,
    ScoringClient,
    ScoringError,
    Warned,
)
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PACKAGES = {"curl": "curl", "javac": "default-jdk-headless"}
JSON = {"Content-Type": "application/json"}
QUICK = Retries(first_pause_seconds=0.001, longest_pause_seconds=0.002)
ANSWER = {
    "request_id": "r", "project": "p", "version": 1, "bundle_hash": "h", "key": "k", "as_of": "2025-01-01T00:00:00",
    "probability": 0.1, "score": 600.0, "grade": "A", "reasons": [], "warnings": [], "snapshots": {},
}  # fmt: skip


def request_for(i: int, **changes: Any) -> ScoreRequest:
    return ScoreRequest(project=PROJECT, tables=payload(example_keys(5)[i]), **changes)


def fields(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, str]:
    """Return each field with its type as text, constraints and descriptions left out."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return {
        name: ("needed " if name in schema.get("required", ()) else "") + kind(field, schemas)
        for name, field in schema["properties"].items()
    }


def kind(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(fields(field, schemas))
    if "anyOf" in field:
        return " | ".join(sorted(kind(one, schemas) for one in field["anyOf"]))
    if field.get("type") == "array":
        return f"[{kind(field['items'], schemas)}]" if field.get("items") else "[]"
    return str(field.get("enum") or field.get("type"))


@pytest.mark.parametrize(
    ("ours", "place"),
    [
        (ScoreRequest, ("/v1/score", "requestBody", "application/json")),
        (Answer, ("/v1/score", "200", "application/json")),
        (OutcomeReport, ("/v1/outcomes", "200", "application/json")),
        (Reason, "ReasonForm"),
        (Warned, "WarningForm"),
    ],
)
def test_the_forms_of_the_client_are_those_that_are_served(
    client: httpx.Client, ours: type[BaseModel], place: str | tuple[str, str, str]
) -> None:
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    if isinstance(place, str):
        served = schemas[place]
    else:
        path, part, media_type = place
        operation = description["paths"][path]["post"]
        content = operation[part] if part == "requestBody" else operation["responses"][part]
        served = content["content"][media_type]["schema"]
    own = ours.model_json_schema()
    assert fields(own, own.get("$defs", {})) == fields(served, schemas)


def test_the_parts_of_errors_lines_and_outcomes_are_served_under_the_same_names(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    error = schemas["Problem"]["properties"]["error"]["properties"]
    assert set(Problem.model_fields) == set(error) == set(schemas["ErrorForm"]["properties"])
    assert set(BatchLine.model_fields) <= set(schemas["BatchLineForm"]["properties"])
    report = client.get("/openapi.json").json()["paths"]["/v1/outcomes"]["post"]["requestBody"]["content"]
    item = report["application/json"]["schema"]["properties"]["outcomes"]["items"]
    assert set(Outcome.model_fields) == set(item["properties"])


def test_what_is_answered_is_what_is_described(service: tuple[Site, httpx.Client]) -> None:
    _, client = service
    body = json.loads(request_for(0, request_id="described").model_dump_json(exclude_unset=True))
    AnswerForm.model_validate_json(client.post("/v1/score", json=body).content)
    lines = f'{json.dumps(body)}\n{{"project": 3}}\n'
    batch = client.post("/v1/score/batch", content=lines, headers={"Content-Type": "application/x-ndjson"})
    for line in batch.content.splitlines():
        BatchLineForm.model_validate_json(line)
    told = {"project": PROJECT, "outcomes": [{"key": "A1", "outcome": 1, "observed_at": "2025-01-01"}, {}]}
    OutcomesForm.model_validate_json(client.post("/v1/outcomes", json=told).content)


def test_score_batch_outcomes_and_models_against_the_service(service: tuple[Site, httpx.Client]) -> None:
    site, http = service
    with ScoringClient(str(http.base_url), site.key) as client:
        answer = client.score(request_for(0, language="zh"))
        assert answer.reasons
        assert client.models()[0]["project"] == PROJECT
        requests = [request_for(i % 5, request_id=f"line-{i}") for i in range(7)]
        requests[3] = ScoreRequest(project=PROJECT, tables={}, request_id="line-3")
        lines = list(client.score_batch(iter(requests), rows_at_once=3))
        assert [line.row for line in lines] == [1, 2, 3, 4, 5, 6, 7]
        assert [line.answer is not None for line in lines] == [True] * 3 + [False] + [True] * 3
        assert lines[3].error is not None
        assert lines[0].answer is not None
        assert lines[0].answer.probability == answer.probability
        wait_until(lambda: answer.request_id in read_scores(site.database, PROJECT).request_ids)
        report = client.report_outcomes(
            PROJECT, [Outcome(request_id=answer.request_id, outcome=0, observed_at="2025-06-30")]
        )
        assert (report.kept, report.refused) == (1, 0)
        with pytest.raises(ScoringError) as refused:
            client.score(ScoreRequest(project="nobody's", tables={}))
        assert (refused.value.status, refused.value.problem.code) == (404, "no_model")


def test_the_asynchronous_client_does_the_same(service: tuple[Site, httpx.Client]) -> None:
    site, http = service

    async def ask() -> tuple[list[Answer], list[BatchLine], int, int]:
        async with AsyncScoringClient(str(http.base_url), site.key) as client:
            answers = await asyncio.gather(*(client.score(request_for(i)) for i in range(5)))
            lines = [line async for line in client.score_batch([request_for(i) for i in range(5)], rows_at_once=2)]
            report = await client.report_outcomes(PROJECT, [Outcome(key="A1", outcome=1, observed_at="2025-01-01")])
            return answers, lines, report.kept, len(await client.models())

    answers, lines, kept, n_models = asyncio.run(ask())
    assert [line.answer.probability for line in lines if line.answer] == [answer.probability for answer in answers]
    assert (kept, n_models) == (1, 1)


class Flaky:
    """Answers as it is told, one after another, and keeps what was sent."""

    def __init__(self, *outcomes: int | Exception, retry_after: str = "0") -> None:
        self.outcomes, self.retry_after = list(outcomes), retry_after
        self.sent: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == 200:
            return httpx.Response(200, json=ANSWER)
        error = {"code": "overloaded", "message": "later", "where": "", "fix": ""}
        return httpx.Response(outcome, json={"error": error}, headers={"Retry-After": self.retry_after})


@pytest.mark.parametrize(
    "first", [429, 503, httpx.ReadTimeout("slow"), httpx.ConnectError("away"), httpx.RemoteProtocolError("cut")]
)
def test_what_may_be_repeated_is_repeated_under_one_id(first: int | Exception) -> None:
    flaky = Flaky(first, first, 200)
    with ScoringClient("http://x", "k", retries=QUICK, transport=httpx.MockTransport(flaky)) as client:
        assert client.score(ScoreRequest(project="p", id="1")).grade == "A"
    assert len(flaky.sent) == 3
    assert len({sent["request_id"] for sent in flaky.sent}) == 1

    again = Flaky(first, 200)

    async def ask() -> Answer:
        transport = httpx.MockTransport(again)
        async with AsyncScoringClient("http://x", "k", retries=QUICK, transport=transport) as client:
            return await client.score(ScoreRequest(project="p", id="1"))

    assert asyncio.run(ask()).grade == "A"
    assert len({sent["request_id"] for sent in again.sent}) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422, 500])
def test_what_may_not_be_repeated_is_not(status: int) -> None:
    flaky = Flaky(status)
    with (
        ScoringClient("http://x", "k", retries=QUICK, transport=httpx.MockTransport(flaky)) as client,
        pytest.raises(ScoringError) as refused,
    ):
        client.score(ScoreRequest(project="p", id="1"))
    assert refused.value.status == status


def test_attempts_end() -> None:
    for outcome, status in ((503, 503), (httpx.ReadTimeout("slow"), None)):
        flaky = Flaky(*[outcome] * 9)
        with (
            ScoringClient("http://x", "k", retries=QUICK, transport=httpx.MockTransport(flaky)) as client,
            pytest.raises(ScoringError) as refused,
        ):
            client.score(ScoreRequest(project="p", id="1"))
        assert (refused.value.status, len(flaky.sent)) == (status, 5)


def test_the_time_that_the_service_names_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    for named, waited in (("3", 3.0), ("9999", 10.0)):
        flaky = Flaky(429, 200, retry_after=named)
        with ScoringClient("http://x", "k", transport=httpx.MockTransport(flaky)) as client:
            client.score(ScoreRequest(project="p", id="1"))
        assert pauses.pop() == waited


def test_the_file_alone_is_the_client() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('scoring_client', {str(ROOT / 'serving' / 'client.py')!r})\n"
        "module = importlib.util.module_from_spec(spec); sys.modules['scoring_client'] = module\n"
        "spec.loader.exec_module(module)\n"
        "ours = {'automl', 'core', 'features', 'model_registry', 'monitoring', 'serving', 'workbench', 'numpy'}\n"
        "assert not ours & {name.partition('.')[0] for name in sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/", env={"PATH": os.environ["PATH"]})


@pytest.fixture(scope="module", params=["curl", "python", "java"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command that runs an example, that of Java compiled."""
    if request.param == "python":
        return [sys.executable, str(EXAMPLES / "score.py")]
    program = {"curl": "curl", "java": "javac"}[request.param]
    if shutil.which(program) is None:
        reason = f"{program} is not on this machine: install the package {PACKAGES[program]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    if request.param == "curl":
        return ["sh", str(EXAMPLES / "score.sh")]
    folder = tmp_path_factory.mktemp("java")
    compiler = ["javac", "-Xlint:all", "-Werror", "-d", str(folder), str(EXAMPLES / "Score.java")]
    subprocess.run(compiler, check=True, timeout=120)
    return ["java", "-cp", str(folder), "Score"]


def run_example(command: list[str], address: str, key: str, body: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"SCORER": address, "SCORER_KEY": key, "BODY": str(body), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_examples_get_a_score_and_say_why_there_is_none(
    service: tuple[Site, httpx.Client], tmp_path: Path, example: list[str]
) -> None:
    site, http = service
    body = tmp_path / "request.json"
    body.write_text(request_for(0, request_id=f"example-{Path(example[0]).name}").model_dump_json(exclude_unset=True))
    ended = run_example(example, str(http.base_url), site.key, body)
    assert ended.returncode == 0, ended.stderr
    # Under its request id the same answer comes again, whoever asks.
    assert json.loads(ended.stdout) == http.post("/v1/score", content=body.read_bytes(), headers=JSON).json()
    refused = run_example(example, str(http.base_url), "no-key", body)
    assert refused.returncode != 0
    assert "not_authenticated" in refused.stdout + refused.stderr


def test_the_examples_ask_again_where_the_service_is_busy(tmp_path: Path, example: list[str]) -> None:
    body = tmp_path / "request.json"
    body.write_text(request_for(0, request_id="busy").model_dump_json(exclude_unset=True))
    answer = ANSWER | {"request_id": "busy"}
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["content-length"])))
            content = json.dumps(answer if len(seen) == 2 else {}).encode()
            self.send_response(200 if len(seen) == 2 else 503)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        ended = run_example(example, f"http://127.0.0.1:{server.server_port}", "key", body)
        server.shutdown()
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == answer
    assert seen == [body.read_bytes()] * 2
