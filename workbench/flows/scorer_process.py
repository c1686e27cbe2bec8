"""The scoring service as a process of its own, started for a while on a free port here, and asked over HTTP."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.errors import UnavailableError
from core.i18n import msg
from workbench.flows.context import Context

if TYPE_CHECKING:
    from core.settings import Settings
    from workbench.flows.scoring import Payload

__all__ = ["Answered", "RunningScorer", "ask", "running_scorer"]

_HOST = "127.0.0.1"
_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 50.0
_OWNER = "demo-portal"


@dataclass(frozen=True)
class RunningScorer:
    """Where the service listens, and a key for it."""

    port: int
    secret: str


@dataclass(frozen=True)
class Answered:
    """What the service answered for one enterprise."""

    key: str
    cutoff: datetime
    probability: float
    score: float
    grade: str
    reasons: tuple[str, ...]
    version: int
    request_id: str
    milliseconds: float


@contextmanager
def running_scorer(ctx: Context) -> Iterator[RunningScorer]:
    """Run the service until the block ends, with an API key that ends with it.

    Raises
    ------
    UnavailableError
        If it does not come up.
    """
    admin = _key_maker(ctx)
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    key, secret = ctx.identity.create_key(_OWNER, ["model.score"], expires_at, by=admin)
    port = _free_port()
    code = f"from core.settings import Settings; from serving.server import run; run(Settings.load(), port={port})"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
        command, env=environment(ctx.settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_until_ready(process, port)
        yield RunningScorer(port, secret)
    finally:
        _stop(process)
        ctx.identity.revoke_key(key.id, by=admin)


def ask(scorer: RunningScorer, payload: "Payload", language: str) -> Answered:
    """Ask for one score.

    Raises
    ------
    UnavailableError
        If the service refuses.
    """
    body = json.dumps(payload.request(language)).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {scorer.secret}"}
    started = time.perf_counter()
    status, answer = _request(scorer.port, "POST", "/v1/score", body, headers)
    milliseconds = 1000 * (time.perf_counter() - started)
    if status != http.client.OK:
        raise UnavailableError(msg("the scorer answered {status}: {text}", status=status, text=json.dumps(answer)))
    return Answered(
        key=payload.key,
        cutoff=payload.cutoff,
        probability=answer["probability"],
        score=answer["score"],
        grade=answer["grade"],
        reasons=tuple(reason["text"] for reason in answer["reasons"]),
        version=answer["version"],
        request_id=answer["request_id"],
        milliseconds=milliseconds,
    )


def environment(settings: "Settings") -> dict[str, str]:
    """Return the environment that makes another process see the same installation."""
    return os.environ | {
        "WORKBENCH_HOME": str(settings.home),
        "WORKBENCH_DATABASE_URL": settings.database_url_resolved,
        "WORKBENCH_ARTIFACT_ROOT": str(settings.artifacts),
        "WORKBENCH_LANGUAGE": settings.language,
        "WORKBENCH_SNAPSHOT_STORE": settings.snapshot_store or "",
        "PYTHONUNBUFFERED": "1",
    }


def _key_maker(ctx: Context) -> Any:
    from core.identity import SYSTEM

    return ctx.actor if ctx.actor.can("user.manage") else SYSTEM


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    answer: Any = None
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):  # it does not listen yet
            status, answer = _request(port, "GET", "/readyz")
            if status == http.client.OK:
                return
        time.sleep(0.1)
    raise UnavailableError(
        msg("the scorer did not come up on port {port}: {answer}", port=port, answer=json.dumps(answer))
    )


def _request(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(_HOST, port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
