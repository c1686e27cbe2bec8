"""Fixtures of whole loops: the sample project, built once a run, and the workbench's own processes on loopback."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

_SAMPLE_ENTERPRISES = 3_000
_SAMPLE_TRIALS = 2
_START_TIMEOUT_S = 90


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test in Chromium have a second try; the run's summary names each that needed one.

    A person clicks again where a click met a page that was just being drawn. A page that is wrong is wrong twice.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of an installation in which the demo ran once; shared by all test processes, never written to."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    home = shared / "sample_home"
    with (shared / "sample_home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "finished").exists():
            shutil.rmtree(home, ignore_errors=True)
            command = [sys.executable, "-m", "workbench.cli", "demo", "--enterprises", str(_SAMPLE_ENTERPRISES)]
            command += ["--trials", str(_SAMPLE_TRIALS), "--json"]
            environment = {
                **os.environ,
                "WORKBENCH_HOME": str(home),
                "WORKBENCH_SCORER_PORT": str(free_port()),
                "PYTHONWARNINGS": "",
            }
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
            assert done.returncode == 0, done.stderr[-4000:]
            (home / "demo.json").write_text(done.stdout)
            (home / "finished").touch()
    return home


@pytest.fixture
def own_sample_home(sample_home: Path, tmp_path: Path) -> Path:
    """A copy of the sample installation that a test may change."""
    return Path(shutil.copytree(sample_home, tmp_path / "home"))


@dataclass(frozen=True)
class Installation:
    """A running workbench: pages, worker and scorer."""

    home: Path
    url: str
    scorer_url: str


def running(home: Path) -> Iterator[Installation]:
    """Start ``workbench up`` over `home`, wait until its pages answer, and stop it by its pid."""
    ui_port, scorer_port = free_port(), free_port()
    environment = {
        **os.environ,
        "WORKBENCH_HOME": str(home),
        "WORKBENCH_UI_PORT": str(ui_port),
        "WORKBENCH_SCORER_PORT": str(scorer_port),
        "PYTHONWARNINGS": "",
    }
    log = (home.parent / f"up-{ui_port}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli", "up"], env=environment, stdout=log, stderr=log, start_new_session=True
    )
    url = f"http://127.0.0.1:{ui_port}"
    try:
        _wait_until_up(url, process, Path(log.name))
        yield Installation(home, url, f"http://127.0.0.1:{scorer_port}")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        log.close()


def _wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/sign-in", timeout=20).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not up yet
        time.sleep(0.3)
    raise AssertionError(f"the workbench did not come up:\n{log.read_text('utf-8', 'replace')[-3000:]}")


@pytest.fixture
def sample_installation(own_sample_home: Path) -> Iterator[Installation]:
    """A running workbench over a copy of the sample installation."""
    yield from running(own_sample_home)


@pytest.fixture
def empty_installation(tmp_path: Path) -> Iterator[Installation]:
    """A running workbench that knows its sample users and nothing else."""
    from core.identity import SYSTEM
    from core.settings import Settings
    from workbench.flows.context import open_context
    from workbench.flows.projects import SAMPLE_USERS

    home = tmp_path / "empty_home"
    ctx = open_context(Settings(home=home))
    for name, roles in SAMPLE_USERS.items():
        ctx.identity.create_user(name, f"{name}-only-here-1", roles, by=SYSTEM)
    ctx.database.dispose()
    yield from running(home)
