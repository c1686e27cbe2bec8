"""How long the complete sample world takes to generate, and how much memory, in each of its sizes.

``python -m benchmarks.sample_world [--small]`` generates each size in a process of its own into Parquet files, prints
what it measures, then one JSON object as its last line (``--small``: only the smallest size):

- ``seconds``, ``cpu_seconds``, ``peak_mb``, ``rows``, ``disk_mb``: each a figure per size; the limits of seconds are
  10, 90 and 600, of memory 4,096 MB;
- ``identical``: whether the smallest world, generated again in another process, has the same bytes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from typing import Any

_LIMITS_S = {"small": 10, "demo": 90, "full": 600}
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from core.fingerprints import fingerprint_file, fingerprint_json
from sample_data import write_world

folder, start = Path(sys.argv[2]), time.perf_counter()
rows = write_world(folder, sys.argv[1])
seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
files = sorted(path for path in folder.rglob("*") if path.is_file())
print(json.dumps({
    "seconds": round(seconds, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
    "peak_mb": used.ru_maxrss >> 10, "rows": sum(rows.values()),
    "disk_mb": sum(path.stat().st_size for path in files) >> 20,
    "fingerprint": fingerprint_json({str(path.relative_to(folder)): fingerprint_file(path) for path in files}),
}))
"""


def generate(size: str) -> dict[str, Any]:
    """Return the figures of one size, generated in a fresh process; imports count in its memory and CPU time."""
    with tempfile.TemporaryDirectory(prefix="workbench-benchmark-") as folder:
        command = [sys.executable, "-c", _CHILD, size, f"{folder}/world"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="the smallest size only")
    sizes = ["small"] if parser.parse_args().small else list(_LIMITS_S)
    found: dict[str, dict[str, Any]] = {}
    for size in sizes:
        found[size] = figures = generate(size)
        print(
            f"{size:>6}: {figures['rows']:>12,} rows in {figures['seconds']:6.1f} s (limit {_LIMITS_S[size]}), "
            f"CPU {figures['cpu_seconds']:6.1f} s, at most {figures['peak_mb']:,} MB, {figures['disk_mb']:,} MB on disk"
        )
    identical = generate("small")["fingerprint"] == found["small"]["fingerprint"]
    print(f"the smallest again: {'the same bytes' if identical else 'OTHER BYTES'}")
    names = ("seconds", "cpu_seconds", "peak_mb", "rows", "disk_mb")
    answer = {name: {size: figures[name] for size, figures in found.items()} for name in names}
    print(json.dumps({**answer, "identical": identical}))


if __name__ == "__main__":
    main()
