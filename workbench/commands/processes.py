"""The processes of ``workbench up``: started together, looked after, stopped together by their ids."""

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from core.i18n import msg
from core.settings import Settings
from serving.workers import STOP_SECONDS
from workbench.commands.display import print_lines
from workbench.flows.context import open_context
from workbench.flows.projects import LOCAL_LOGIN_VARIABLE

__all__ = ["PARTS", "run_together"]

_GRACE_S = STOP_SECONDS + 10.0
_POLL_S = 0.3
_COMMANDS = {
    "worker": "from workbench.cli import main; main(['worker'])",
    "scorer": (
        "from core.settings import Settings; from serving.server import run; run(Settings.load(), is_watched=True)"
    ),
    "pages": "from core.settings import Settings; from workbench.server import run; run(Settings.load())",
}
PARTS = tuple(_COMMANDS)
"""What ``workbench up`` runs."""


def run_together(settings: Settings, *, local_login: bool) -> int:
    """Run the worker, the scorer and the pages until one ends or this process is told to stop; return the exit code."""
    open_context(settings).database.dispose()  # the tables are there before three processes want them
    environment = os.environ | {LOCAL_LOGIN_VARIABLE: "1" if local_login else "0"}
    stop = _StopFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.set)
    # A session each: Ctrl-C reaches this process only, which then stops them in order.
    running = {
        name: subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)  # noqa: S603
        for name, code in _COMMANDS.items()
    }
    _announce(settings)
    try:
        while not stop.is_set and all(process.poll() is None for process in running.values()):
            time.sleep(_POLL_S)
    finally:
        ended = {name: process.poll() for name, process in running.items() if process.poll() is not None}
        _stop_all(list(running.values()))
    if stop.is_set:
        return 0
    language = settings.language
    for name, code in ended.items():
        print_lines([msg("{part} ended with code {code}; all were stopped", part=name, code=code).text(language)])
    return 1


class _StopFlag:
    """Set by a signal."""

    def __init__(self) -> None:
        self.is_set = False

    def set(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        self.is_set = True


def _announce(settings: Settings) -> None:
    pages = f"http://{settings.ui_host}:{settings.ui_port}"
    scorer = f"http://{settings.scorer_host}:{settings.scorer_port}"
    text = msg("Workbench at {pages} · scorer at {scorer} · Ctrl-C stops both", pages=pages, scorer=scorer)
    print_lines([text.text(settings.language)])


def _stop_all(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
