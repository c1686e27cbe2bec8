"""``workbench up``: pages, worker and scorer come up together and go together, by their own process ids."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from serving.workers import STOP_SECONDS
from tests.ports import free_port
from workbench.commands import processes


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"no {what} within {seconds} s"
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in found.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ends_by", ["a signal to it", "the death of a part"])
def test_what_came_up_together_goes_together(tmp_path: Path, ends_by: str) -> None:
    pages, scorer = free_port(), free_port()
    ports = {"WORKBENCH_UI_PORT": str(pages), "WORKBENCH_SCORER_PORT": str(scorer)}
    environment = {**os.environ, **ports, "WORKBENCH_HOME": str(tmp_path / "home"), "PYTHONWARNINGS": ""}
    with (tmp_path / "log").open("wb") as log:
        up = subprocess.Popen([sys.executable, "-m", "workbench.cli", "up"], env=environment, stdout=log, stderr=log)
    try:
        for url in (f"http://127.0.0.1:{pages}/sign-in", f"http://127.0.0.1:{scorer}/healthz"):
            wait_for(lambda url=url: answers(url) or up.poll() is not None, 90, url)
        assert up.poll() is None, (tmp_path / "log").read_text()[-3000:]
        parts = children(up.pid)
        assert len(parts) == 3
        if ends_by == "a signal to it":
            up.send_signal(signal.SIGTERM)
        else:
            os.kill(parts[0], signal.SIGKILL)
        assert up.wait(90) == (0 if ends_by == "a signal to it" else 1)
        assert not any(is_running(part) for part in parts)
    finally:
        if up.poll() is None:
            up.kill()
            up.wait()
    assert f"Workbench at http://127.0.0.1:{pages}" in (tmp_path / "log").read_text()


def test_a_part_may_take_as_long_to_stop_as_the_scorer_promises(tmp_path: Path) -> None:
    # The scorer itself kills a worker after STOP_SECONDS: whoever starts it must wait longer than that.
    assert processes._GRACE_S > STOP_SECONDS
    code = (
        "import pathlib, signal, sys, time\n"
        "def finish(*_):\n    time.sleep(11)\n    pathlib.Path(sys.argv[1]).touch()\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, finish)\nprint('ready', flush=True)\nsignal.pause()\n"
    )
    part = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "done")], stdout=subprocess.PIPE)
    assert part.stdout is not None
    assert part.stdout.readline() == b"ready\n"
    processes._stop_all([part])
    part.stdout.close()
    assert (part.returncode, (tmp_path / "done").exists()) == (0, True)
