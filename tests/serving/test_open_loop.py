"""The benchmark's client is not fooled: a stall counts for every request due meanwhile, and errors are told."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.open_loop import Load


@contextmanager
def answering(status_of: Callable[[int], int]) -> Iterator[int]:
    """Serve on a free port; `status_of` is told the number of the request, one at a time, and may take its time."""
    one_at_a_time, seen = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with one_at_a_time:
                seen[0] += 1
                status = status_of(seen[0])
            content = json.dumps({"version": 1}).encode()
            head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            self.wfile.write(head + content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def sent(port: int, **chosen: Any) -> dict[str, Any]:
    load = Load(port=port, path="/x", rate=100.0, count=80, bodies=["{}", '{"a": 1}'], keys=["k"], **chosen)
    command = [sys.executable, "-m", "benchmarks.open_loop"]
    done = subprocess.run(command, input=json.dumps(asdict(load)), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_one_stall_makes_all_requests_late_that_were_due_meanwhile() -> None:
    def stall(number: int) -> int:
        if number == 20:
            time.sleep(0.6)
        return 200

    with answering(stall) as port:
        seen = sent(port, tell=["version"])
    assert (seen["count"], seen["errors"]) == (80, 0)
    # 60 of the 80 were due within the stall or just after it: a client that waited would have seen a single slow one.
    assert seen["p50_ms"] > 100
    assert seen["p99_ms"] > 500
    assert sorted(row[:2] for row in seen["told"]) == [[0, "1"], [1, "1"]]
    assert sum(row[-1] for row in seen["told"]) == 80


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_refusals_and_nobody_there_are_errors() -> None:
    with answering(lambda number: 503 if number % 8 == 0 else 200) as port:
        seen = sent(port)
    assert seen["statuses"] == {"200": 70, "503": 10}
    assert seen["errors"] == 10
    assert sent(port)["errors"] == 80
