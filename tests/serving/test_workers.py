"""Several workers at one port: even where one is killed, every answer is right, and none that was given is lost."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import ConfigurationError
from model_registry.scorer import Scorer
from monitoring.score_log import latest_scores, read_local, read_scores
from serving.workers import Workers
from tests.model_registry.tiny_world import example_keys, payload, ready_values
from tests.serving.conftest import PROJECT, Site, wait_until

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(site: Site, n_workers: int) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run ``workbench serve --workers`` at a free port until the block ends."""
    path = os.pathsep.join(filter(None, (os.environ.get("WORKBENCH_TEST_PATH"), str(ROOT))))
    environment = os.environ | {"WORKBENCH_HOME": str(site.settings.home), "PYTHONPATH": path}
    log = site.settings.home / "serve.log"
    command = [sys.executable, "-m", "workbench.cli", "serve", "--workers", str(n_workers), "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        port = wait_until(lambda: re.search(r"workers at port (\d+)", log.read_text()), 90).group(1)
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: workers_that_serve(address) == n_workers, 60)
        yield address, process
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


def workers_that_serve(address: str) -> float:
    with suppress(httpx.HTTPError):
        return figure(address, "scorer_workers")
    return 0


def figure(address: str, name: str) -> float:
    text = httpx.get(f"{address}/metrics", timeout=20).text
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def children(process: "subprocess.Popen[bytes]") -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


class Caller(threading.Thread):
    """A business system: asks one after another, and repeats what was not answered under the same id."""

    def __init__(self, site: Site, address: str, name: str) -> None:
        super().__init__(daemon=True)
        self.given: dict[str, bytes] = {}
        self.statuses: Counter[int] = Counter()
        self.stop = threading.Event()
        self._headers = {"Authorization": f"Bearer {site.key}"}
        self._address, self._name = address, name

    def run(self) -> None:
        keys = example_keys(20)
        for i in range(100_000):
            if self.stop.is_set():
                return
            body = {
                "project": PROJECT,
                "tables": payload(keys[i % 20]),
                "request_id": f"{self._name}-{i}",
                "reasons": 0,
            }
            if (answer := self._ask(body)) is not None:
                self.given[body["request_id"]] = answer

    def _ask(self, body: dict[str, Any]) -> bytes | None:
        while True:
            try:
                # A connection each, so that the kernel spreads them over the workers.
                answer = httpx.post(f"{self._address}/v1/score", json=body, headers=self._headers, timeout=20)
            except httpx.TransportError:
                if self.stop.is_set():
                    return None
                continue
            self.statuses[answer.status_code] += 1
            return answer.content


def test_killed_workers_and_a_stop_under_load_lose_no_answer_and_give_no_wrong_one(site: Site) -> None:
    site.deploy(1)
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    right = {key: scorer.score_rows(payload(key)).probability for key in example_keys(20)}
    with serving(site, 2) as (address, process):
        before = children(process)
        callers = [Caller(site, address, f"c{i}") for i in range(3)]
        for caller in callers:
            caller.start()
        wait_until(lambda: all(len(caller.given) > 10 for caller in callers), 90)
        for killed in before:
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda killed=killed: killed not in children(process) and len(children(process)) == 2, 90)
            wait_until(lambda: workers_that_serve(address) == 2, 60)
        given = {request_id: answer for caller in callers for request_id, answer in list(caller.given.items())}
        # What the killed ones had counted is still told.
        assert figure(address, "scorer_requests_total") >= len(given)
        repeated = list(given)[:: max(len(given) // 40, 1)]
        assert all(ask_again(site, address, request_id, given) for request_id in repeated)
        process.terminate()
        for caller in callers:
            caller.stop.set()
        assert process.wait(60) == 0
    given = {request_id: answer for caller in callers for request_id, answer in list(caller.given.items())}
    assert {status for caller in callers for status in caller.statuses} == {200}
    answers = {request_id: httpx.Response(200, content=answer).json() for request_id, answer in given.items()}
    assert all(answer["probability"] == right[answer["key"]] for answer in answers.values())
    logged = {one.request_id: one for one in latest_scores(site.database, PROJECT, limit=1_000_000)}
    assert given.keys() <= logged.keys()
    assert all(logged[name].probability == answer["probability"] for name, answer in answers.items())
    assert len(read_scores(site.database, PROJECT)) == len(logged)


def test_a_single_worker_is_replaced_too_and_stops_in_order(site: Site) -> None:
    site.deploy(1)
    headers = {"Authorization": f"Bearer {site.key}"}
    body = {"project": PROJECT, "tables": payload(example_keys(1)[0]), "request_id": "before"}
    with serving(site, 1) as (address, process):
        first = httpx.post(f"{address}/v1/score", json=body, headers=headers, timeout=20)
        (killed,) = children(process)
        os.kill(killed, signal.SIGKILL)
        # The parent holds the socket: a call that comes meanwhile waits for the new worker.
        again = httpx.post(f"{address}/v1/score", json=body, headers=headers, timeout=60)
        after = httpx.post(f"{address}/v1/score", json={**body, "request_id": "after"}, headers=headers, timeout=20)
        assert (first.status_code, again.content, after.status_code) == (200, first.content, 200)
        (worker,) = children(process)
        assert worker != killed
        process.terminate()
        assert process.wait(60) == 0
        assert not is_running(worker)
    assert {one.request_id for one in latest_scores(site.database, PROJECT)} == {"before", "after"}


def ask_again(site: Site, address: str, request_id: str, given: dict[str, bytes]) -> bool:
    key = httpx.Response(200, content=given[request_id]).json()["key"]
    body = {"project": PROJECT, "tables": payload(key), "request_id": request_id, "reasons": 0}
    answer = httpx.post(f"{address}/v1/score", json=body, headers={"Authorization": f"Bearer {site.key}"}, timeout=20)
    return answer.content == given[request_id]


def test_one_request_at_all_workers_at_once_is_answered_once_and_workers_end_with_their_parent(site: Site) -> None:
    site.deploy(1)
    headers = {"Authorization": f"Bearer {site.key}"}
    body = {"project": PROJECT, "tables": payload(example_keys(1)[0])}
    with serving(site, 3) as (address, process):
        answers: dict[str, list[bytes]] = {f"same-{i}": [] for i in range(12)}

        def ask(request_id: str) -> None:
            answer = httpx.post(
                f"{address}/v1/score", json={**body, "request_id": request_id}, headers=headers, timeout=20
            )
            answers[request_id].append(answer.content)

        threads = [threading.Thread(target=ask, args=(name,)) for name in answers for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(len(given) == 6 and len(set(given)) == 1 for given in answers.values())
        lines = [
            {"project": PROJECT, "request_id": f"line-{i}", "reasons": 0, **asked}
            for i, asked in enumerate([{"tables": body["tables"]}, {"features": ready_values(1)}] * 20)
        ]
        batches = together(address, headers, lines)
        assert all(given == batches[0] for given in batches)
        other = httpx.post(
            f"{address}/v1/score", json={**body, "request_id": "same-0", "reasons": 1}, headers=headers, timeout=20
        )
        assert (other.status_code, other.json()["error"]["code"]) == (409, "request_id_reused")
        # One record each in the local logs themselves, of all workers together.
        kept = Counter(one.request_id for one in read_local(site.settings.home / "scorer" / "log", max_records=999))
        assert kept == dict.fromkeys([*answers, *(f"line-{i}" for i in range(40))], 1)
        assert len(list((site.settings.home / "scorer" / "log").glob("scores-*.jsonl"))) >= 2
        workers = children(process)
        assert len(workers) == 3
        process.kill()
        process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in workers), 90)


def together(address: str, headers: dict[str, str], bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the same lines as six batches at once, each in another order; return what each id was answered."""
    answers: list[dict[str, Any]] = []

    def send(turn: int) -> None:
        lines = b"".join(json.dumps(body).encode() + b"\n" for body in bodies[turn * 7 :] + bodies[: turn * 7])

        def ask() -> httpx.Response | None:
            answer = httpx.post(
                f"{address}/v1/score/batch",
                content=lines,
                headers={**headers, "Content-Type": "application/x-ndjson"},
                timeout=30,
            )
            # The kernel chose the worker: one that has its fill of batches says so, and is asked again.
            is_full = answer.status_code == 503 and answer.json()["error"]["code"] == "overloaded"
            return None if is_full else answer

        answer = wait_until(ask, 60)
        assert answer.status_code == 200
        given = [json.loads(line)["answer"] for line in answer.content.splitlines()[:-1]]
        answers.append({one["request_id"]: one for one in given})

    threads = [threading.Thread(target=send, args=(turn,)) for turn in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(given) for given in answers] == [len(bodies)] * 6
    return answers


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            Workers("127.0.0.1", port, 2)
    assert str(port) in str(refused.value)
