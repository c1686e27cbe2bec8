"""The scoring service over real HTTP, under open-loop load, its log on; MLflow's own server and an echo beside it.

``python -m benchmarks.serving [--small]`` prints what it measures and, last, one JSON object.

The client is a process of its own on the same processors (`benchmarks.open_loop`): requests leave at a constant rate,
and the time of an answer counts from the moment its request was due. The model is LightGBM of 200 trees x 31 leaves;
ready features are 50 numbers without reasons unless said; relational requests carry about 200 rows for 250 features,
with four reasons; requests by id ask for the same cases. `rps` is the highest rate held with no error and a 99th
percentile of at most 50 ms, found by doubling and halving; the same search is made for MLflow's server with the same
booster and for the echo. Each figure is the median of five runs, one of `--small`. `cpu_ms_…` is the processor time
that the service took per request: what a free machine would need where this one is busy.
"""

import argparse
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks import parity
from benchmarks.open_loop import Load
from benchmarks.serving_site import OPERATOR, READY, RELATIONAL, Site, make_site
from model_registry.scorer import Scorer

_P99_MS = 50.0
_PROCESSES: dict[int, int] = {}
_SERVICE = (
    "import sys, functools; from core.settings import Settings; import serving.app as app, serving.server as server; "
    "app.ScoringService = functools.partial(app.ScoringService, poll_seconds=float(sys.argv[2])); "
    "server.run(Settings.load(), port=int(sys.argv[1]))"
)
_ECHO = (
    "import sys, uvicorn; from fastapi import FastAPI, Request, Response; app = FastAPI()\n"
    "@app.post('/echo')\n"
    "async def echo(request: Request): return Response(await request.body(), media_type='application/json')\n"
    "uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level='warning')"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="one short run of each, for a quick look")
    parser.add_argument("--without-mlflow", action="store_true", help="leave MLflow's server out")
    parser.add_argument("--without-parity", action="store_true", help="leave `benchmarks.parity` out")
    arguments = parser.parse_args()
    small = arguments.small
    n_runs, seconds = (1, 2.0) if small else (5, 4.0)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        site = make_site(Path(place) / "home", n_events=100_000 if small else 200_000, n_requests=100)
        print(f"{os.cpu_count()} processors, load {load_before:.1f} before it began; {n_runs} runs of {seconds:g} s")
        result: dict[str, Any] = {"small": small, "load_before": round(load_before, 1)}
        with service(site) as port:
            result |= latencies(site, port, n_runs, seconds)
            ours = [capacity(port, "/v1/score", site.bodies(site.ready), site.keys, seconds / 2) for _ in range(n_runs)]
            result["rps"] = round(statistics.median(ours))
            result |= batches(site, port, n_runs, 20_000 if small else 100_000)
        result |= swaps(site, 10 if small else 100)
        with server(_ECHO) as port:
            echoed = [capacity(port, "/echo", site.bodies(site.ready), site.keys, seconds / 2) for _ in range(n_runs)]
        result["echo_rps"] = round(statistics.median(echoed))
        print(f"held with p99 <= {_P99_MS:g} ms: ours {result['rps']:,}/s, echo {result['echo_rps']:,}/s")
        result["speedup_vs_mlflow"] = None
        if not arguments.without_mlflow:
            result |= against_mlflow(site, Path(place), n_runs, seconds / 2, result["rps"])
    if not arguments.without_parity:
        figures = parity.measure(small=small)
        result |= {name: figures[name] for name in ("max_rel_diff", "max_rel_diff_onnx")}
        result["parity_rows"] = figures["rows"]
    result["load_after"] = round(os.getloadavg()[0], 1)
    print(json.dumps(result))


def latencies(site: Site, port: int, n_runs: int, seconds: float) -> dict[str, Any]:
    """Return the 99th percentiles at the rates that are asked for, and the errors of all runs."""
    asked = {
        "rows": (300, site.bodies(site.ready)),
        "reasons": (200, site.bodies(site.ready, reasons=4)),
        "relational": (100, site.bodies(site.relational, reasons=4)),
        "by_id": (100, site.bodies(site.by_id, reasons=4)),
    }
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
    spent: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(n_runs):
        for name, (rate, bodies) in asked.items():
            warm(port, "/v1/score", bodies, site.keys)
            before = cpu_seconds(port)
            seen[name].append(send(port, "/v1/score", rate, seconds, bodies, site.keys))
            spent[name].append(1_000 * (cpu_seconds(port) - before) / seen[name][-1]["count"])
    found: dict[str, Any] = {"errors": sum(run["errors"] for runs in seen.values() for run in runs)}
    for name, runs in seen.items():
        found[f"p99_ms_{name}"] = round(statistics.median(run["p99_ms"] for run in runs), 2)
        found[f"p50_ms_{name}"] = round(statistics.median(run["p50_ms"] for run in runs), 2)
        found[f"cpu_ms_{name}"] = round(statistics.median(spent[name]), 2)
        lag = statistics.median(run["client_lag_p99_ms"] for run in runs)
        print(
            f"{name} at {asked[name][0]}/s: p50 {found[f'p50_ms_{name}']:.2f} ms, p99 {found[f'p99_ms_{name}']:.2f} ms "
            f"(the client's own lag: p99 {lag:.2f} ms); {found[f'cpu_ms_{name}']:.2f} ms of processor each"
        )
    return found


def capacity(port: int, path: str, bodies: list[str], keys: list[str], seconds: float) -> float:
    """Return the highest rate per second that is held, to within about 6 %."""
    warm(port, path, bodies, keys)

    def holds(rate: float) -> bool:
        seen = send(port, path, rate, seconds, bodies, keys)
        time.sleep(0.3)
        return bool(seen["errors"] == 0 and seen["p99_ms"] <= _P99_MS)

    low, high = 0.0, 100.0
    while high < 20_000 and holds(high):
        low, high = high, high * 2
    for _ in range(4):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def batches(site: Site, port: int, n_runs: int, n_rows: int) -> dict[str, Any]:
    """Return rows per second of ready features without reasons, from Arrow (logged and not) and from lines.

    Named lines have a `request_id` each, new ones in every run; repeated ones are the same lines sent once more.
    """
    import pyarrow as pa

    values = np.tile(site.values, (n_rows // len(site.values) + 1, 1))[:n_rows]
    names = list(site.ready[0]["features"])
    sink = io.BytesIO()
    table = pa.table(dict(zip(names, np.ascontiguousarray(values.T), strict=True)))
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=8_192)
    few = values[: n_rows // 4].tolist()
    requests = [{"project": READY, "reasons": 0, "features": dict(zip(names, row, strict=True))} for row in few]
    lines = _lines(requests)
    named = [_lines([{**one, "request_id": uuid.uuid4().hex} for one in requests]) for _ in range(n_runs)]
    arrow, ndjson = "application/vnd.apache.arrow.stream", "application/x-ndjson"

    def rate(bodies: list[bytes], kind: str, n: int, keep: str) -> float:
        def once(body: bytes) -> float:
            headers = {"Authorization": f"Bearer {site.keys[0]}", "Content-Type": kind}
            begin = time.perf_counter()
            answer = httpx.post(
                f"http://127.0.0.1:{port}/v1/score/batch", params={"project": READY, "keep": keep}, content=body,
                headers=headers, timeout=300,
            )  # fmt: skip
            seconds = time.perf_counter() - begin
            if answer.status_code != 200 or len(answer.content) < 8 * n:
                raise RuntimeError(f"a batch was answered {answer.status_code}")
            if kind == ndjson and json.loads(answer.content.splitlines()[-1])["summary"]["scored"] != n:
                raise RuntimeError("a line of a batch was refused")
            return n / seconds

        return round(statistics.median(map(once, bodies)))

    columns = [sink.getvalue()] * n_runs
    found = {
        "batch_rows_per_s": rate(columns, arrow, n_rows, "true"),
        "batch_rows_per_s_unlogged": rate(columns, arrow, n_rows, "false"),
        "batch_lines_per_s": rate([lines] * n_runs, ndjson, len(few), "true"),
        "batch_lines_per_s_unlogged": rate([lines] * n_runs, ndjson, len(few), "false"),
        "batch_named_lines_per_s": rate(named, ndjson, len(few), "true"),
        "batch_repeated_lines_per_s": rate(named, ndjson, len(few), "true"),
    }
    print(
        f"batches: Arrow {found['batch_rows_per_s']:,} rows/s logged, {found['batch_rows_per_s_unlogged']:,} not; "
        f"lines {found['batch_lines_per_s']:,} logged, {found['batch_lines_per_s_unlogged']:,} not; "
        f"named lines {found['batch_named_lines_per_s']:,} logged, sent again {found['batch_repeated_lines_per_s']:,}"
    )
    return found


def _lines(requests: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in requests)


def swaps(site: Site, n_swaps: int) -> dict[str, Any]:
    """Switch models under 200 requests a second, and count errors and answers that are not wholly of one version."""
    expected = {}
    for number in (1, 2):
        scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(READY, number)))
        for body, request in enumerate(site.ready):
            probability = scorer.score_features(request["features"], "c", n_reasons=0).probability
            expected[body, number] = (json.dumps(scorer.bundle_hash), json.dumps(probability))
    with service(site, poll_seconds=0.05) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        seen: list[dict[str, Any]] = []
        tell = ["version", "bundle_hash", "probability"]
        bodies = site.bodies(site.ready)
        thread = threading.Thread(
            target=lambda: seen.append(
                send(port, "/v1/score", 200, max(n_swaps * 0.5, 5), bodies, site.keys, tell=tell)
            )
        )
        thread.start()
        done = 0
        begin = time.monotonic()
        while done < n_swaps and thread.is_alive():
            number = 2 - done % 2
            site.registry.deploy(READY, number, by=OPERATOR, reason=f"switch {done}")
            while client.get("/readyz").json()["models"][READY] != number and thread.is_alive():
                time.sleep(0.01)
            done += thread.is_alive()
        seconds = time.monotonic() - begin
        thread.join()
    told = seen[0]["told"]
    mixed = sum(n for body, version, *rest, n in told if expected[body, int(version)] != tuple(rest))
    by_version = {number: sum(n for _, version, *_, n in told if int(version) == number) for number in (1, 2)}
    print(
        f"{done} switches in {seconds:.0f} s at 200/s: {seen[0]['errors']} errors, {mixed} mixed answers, p99 "
        f"{seen[0]['p99_ms']:.1f} ms; answers by version {by_version}"
    )
    return {"swaps": done, "mixed_versions": mixed, "swap_errors": seen[0]["errors"],
            "swap_p99_ms": round(seen[0]["p99_ms"], 2)}  # fmt: skip


def against_mlflow(site: Site, place: Path, n_runs: int, seconds: float, ours: float) -> dict[str, Any]:
    """Return what MLflow's own scoring server holds with the same booster."""
    try:
        import mlflow.lightgbm
    except ModuleNotFoundError:
        print("MLflow is not installed")
        return {}
    names = list(site.ready[0]["features"])
    mlflow.lightgbm.save_model(site.booster, str(place / "mlflow"), pip_requirements=[])
    bodies = [
        json.dumps({"dataframe_split": {"columns": names, "data": [list(request["features"].values())]}})
        for request in site.ready
    ]
    environment = {
        **os.environ, "__pyfunc_model_path__": f"file://{place / 'mlflow'}",
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "60",
        "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": f"file://{place / 'runs'}",
    }  # fmt: skip
    command = ["-m", "uvicorn", "--host", "127.0.0.1", "--log-level", "warning", "--no-access-log", "--port"]
    with server(command, environment, ["mlflow.pyfunc.scoring_server.app:app"]) as port:
        found = [capacity(port, "/invocations", bodies, site.keys, seconds) for _ in range(n_runs)]
    theirs = statistics.median(found)
    speedup = round(ours / theirs, 1) if theirs else None
    print(f"MLflow's scoring server holds {theirs:,.0f}/s: ours {speedup} times that")
    return {"mlflow_rps": round(theirs), "speedup_vs_mlflow": speedup}


def send(
    port: int, path: str, rate: float, seconds: float, bodies: list[str], keys: list[str], tell: list[str] | None = None
) -> dict[str, Any]:
    """Send open-loop load from another process and return what it saw."""
    load = Load(port, path, rate, max(int(rate * seconds), 20), bodies, keys, tell or [])
    command = [sys.executable, "-m", "benchmarks.open_loop"]
    done = subprocess.run(
        command, input=json.dumps(asdict(load)), capture_output=True, text=True, timeout=240, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def warm(port: int, path: str, bodies: list[str], keys: list[str]) -> None:
    """Send a few requests that nobody counts."""
    send(port, path, 50, 0.6, bodies, keys)


@contextmanager
def service(site: Site, poll_seconds: float = 1.0) -> Iterator[int]:
    """Run the real service, one worker."""
    environment = {**os.environ, "WORKBENCH_HOME": str(site.settings.home)}
    for name in ("WORKBENCH_DATABASE_URL", "WORKBENCH_ARTIFACT_ROOT", "WORKBENCH_SNAPSHOT_STORE"):
        environment.pop(name, None)
    with server(_SERVICE, environment, [str(poll_seconds)]) as port:
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").json()["snapshots"].get(RELATIONAL) is not None)
        yield port


@contextmanager
def server(
    command: str | list[str], environment: dict[str, str] | None = None, more: list[str] | None = None
) -> Iterator[int]:
    """Run a server of Python on a free loopback port, and stop it by its id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    start = ["-c", command] if isinstance(command, str) else command
    process = subprocess.Popen(
        [sys.executable, *start, str(port), *(more or [])], env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _PROCESSES[port] = process.pid
    try:
        until(lambda: process.poll() is not None or is_open(port))
        if process.poll() is not None:
            raise RuntimeError(f"a server ended with {process.returncode}")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def process_id(port: int) -> int:
    """Return the process of the server at `port`."""
    return _PROCESSES[port]


def cpu_seconds(port: int) -> float:
    """Return the processor time that the server at `port` has taken."""
    user, system = Path(f"/proc/{process_id(port)}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not happen in time")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
