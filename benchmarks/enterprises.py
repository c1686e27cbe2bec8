"""How long reading an enterprise as of a moment takes: ``GET /v1/enterprises/{id}?as_of=``, over real HTTP.

``python -m benchmarks.enterprises [--small]`` publishes the view of the demo world (20,000 enterprises; ``--small``:
1,500) to a file, starts the service, asks for enterprises drawn at random as of moments drawn at random, one after the
other over a connection that stays open, prints what it measures, then one JSON object as its last line:

- ``rows``: of all tables of the view; ``view_mb``, ``publish_seconds``: what publishing it takes;
- ``p50_ms``, ``p99_ms``: all tables, up to 100 rows of each, as a portal asks;
- ``p50_ms_one``, ``p99_ms_one``: one table;
- ``p50_ms_busiest``, ``p99_ms_busiest``: the enterprise with the most rows, 1,000 of each table;
- ``answer_kb``: the usual size of the first; ``peak_mb``: most memory of the service; ``errors``: answers other than
  200, and than 404 where the enterprise was not known yet.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.serving import process_id, server
from core.database import Database
from core.identity import SYSTEM, Identity
from core.settings import Settings
from features.entity_view_publishing import make_view, publish_view
from features.online_places import enterprise_place
from sample_data import generate_world
from warehouse.table_set import TableSet

_SERVICE = (
    "import sys; from core.settings import Settings; import serving.server as server\n"
    "server.run(Settings.load(), port=int(sys.argv[1]))"
)
_PROJECT, _ROOT, _ONE = "sample", "enterprise", "contract"
_SEED = 7


def publish(settings: Settings, world: TableSet) -> dict[str, float]:
    """Publish the view of all tables, and return what that took."""
    started = time.perf_counter()
    view = make_view(world.data_model, _ROOT)
    as_of = world.as_of.to_datetime64()
    about = publish_view(world, enterprise_place(settings, _PROJECT), view, as_of=as_of)
    seconds = time.perf_counter() - started
    reader = enterprise_place(settings, _PROJECT).reader()
    reader.current()
    size_mb = reader.size_bytes() / (1 << 20)
    reader.close()
    return {"rows": sum(about.n_rows.values()), "view_mb": round(size_mb), "publish_seconds": round(seconds, 1)}


def questions(world: TableSet, n: int) -> list[dict[str, str]]:
    """Return enterprises and moments, drawn from the ten years before the data ends."""
    rng = np.random.default_rng(_SEED)
    keys = rng.choice(world.frame(_ROOT)["ent_id"].to_numpy(), n)
    moments = world.as_of.to_datetime64() - rng.integers(0, 10 * 365 * 86_400, n).astype("timedelta64[s]")
    return [{"id": str(key), "as_of": str(moment)[:19]} for key, moment in zip(keys, moments, strict=True)]


def busiest(world: TableSet) -> str:
    """Return the enterprise with the most rows in the tables that name it."""
    counts = sum(
        world.frame(name)["ent_id"].value_counts().reindex(world.frame(_ROOT)["ent_id"], fill_value=0)
        for name in world.names
        if "ent_id" in world.spec(name).columns
    )
    return str(counts.idxmax())  # type: ignore[union-attr]  # there is more than one such table


def ask(client: httpx.Client, asked: Sequence[Mapping[str, str]], **query: str) -> dict[str, Any]:
    """Ask one question after the other, and return the percentiles of their times, the sizes and the errors."""
    times, sizes, n_errors = [], [], 0
    for question in asked:
        started = time.perf_counter()
        answer = client.get(f"/v1/enterprises/{question['id']}", params={"as_of": question["as_of"], **query})
        times.append(1_000 * (time.perf_counter() - started))
        sizes.append(len(answer.content))
        n_errors += answer.status_code not in {200, 404}
    half, most = np.percentile(times, [50, 99])
    return {"p50": round(float(half), 1), "p99": round(float(most), 1), "kb": np.median(sizes) / 1024, "n": n_errors}


def measure(settings: Settings, world: TableSet, key: str, n: int) -> dict[str, Any]:
    """Return the figures of the running service."""
    environment = {**os.environ, "WORKBENCH_HOME": str(settings.home), "WORKBENCH_SCORER_RATE_LIMIT": "0"}
    asked, last = questions(world, n), str(world.as_of)[:19]
    with server(_SERVICE, environment) as port:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            ask(client, asked[:20])  # the first ones open files and fill caches
            whole, one = ask(client, asked), ask(client, asked, tables=_ONE)
            most = ask(client, [{"id": busiest(world), "as_of": last}] * (n // 4), limit="1000")
        peak_mb = _peak_mb(process_id(port))
    parts = {"": whole, "_one": one, "_busiest": most}
    return {
        **{f"{name}_ms{part}": found[name] for part, found in parts.items() for name in ("p50", "p99")},
        "answer_kb": round(whole["kb"], 1),
        "peak_mb": peak_mb,
        "errors": sum(found["n"] for found in parts.values()),
    }


def _peak_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="1,500 enterprises")
    small = parser.parse_args().small
    world = generate_world(1_500 if small else 20_000).table_set
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        settings = Settings(home=Path(place) / "home")
        with Database(settings.database_url_resolved) as database:
            database.migrate()
            key = Identity(database).create_key("portal", ["enterprise.read"], by=SYSTEM)[1]
        answer = publish(settings, world)
        print(f"{answer['rows']:,} rows published in {answer['publish_seconds']} s, {answer['view_mb']} MB")
        answer |= measure(settings, world, key, 200 if small else 1_000)
    print(
        f"an enterprise: p50 {answer['p50_ms']} ms, p99 {answer['p99_ms']} ms, {answer['answer_kb']} KB; one table "
        f"{answer['p50_ms_one']} and {answer['p99_ms_one']} ms; the busiest {answer['p50_ms_busiest']} and "
        f"{answer['p99_ms_busiest']} ms; {answer['errors']} errors; at most {answer['peak_mb']} MB"
    )
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
