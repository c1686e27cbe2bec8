"""Whether the scoring service grows with the requests it has answered, over real HTTP, its log and shipping on.

``python -m benchmarks.serving_memory [--requests 1000000] [--leaky]`` prints what it measures and, last, one JSON
object.

Every request has an id of its own, as the client's have, so that all that remembers them is at work. What is read is
the anonymous memory of the process (``RssAnon``) at 40 moments of the run. `growth_mb` counts from the 2,000th request
on: what is kept on purpose, such as the last 5,000 answers, is in it. `growth_mb_at_million` is that plus what the
slope over the second half of the run adds up to a million requests; it is what must stay under 50. With ``--leaky`` the
service keeps every answer it gives, and the same measure must find that.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.open_loop import head
from benchmarks.serving import process_id, server
from benchmarks.serving_site import READY, make_site

__all__ = ["LIMIT_MB", "Growth", "measure"]

LIMIT_MB = 50.0
"""What a million requests may add."""
_MILLION = 1_000_000
_SETTLED = 2_000
_N_READINGS = 40
_N_CONNECTIONS = 64
_SERVICE = (
    "import sys; from core.settings import Settings; import serving.answers as answers, serving.server as server\n"
    "if sys.argv[2] == 'leaky':\n"
    "    keep, kept = answers.GivenAnswers.keep, []\n"
    "    def leak(answers, project_and_id, payload_hash, content):\n"
    "        kept.append(bytes(bytearray(content)))\n"
    "        keep(answers, project_and_id, payload_hash, content)\n"
    "    answers.GivenAnswers.keep = leak\n"
    "server.run(Settings.load(), port=int(sys.argv[1]))"
)


@dataclass(frozen=True)
class Growth:
    """What a run added to the memory of the service.

    Parameters
    ----------
    n_requests : int
        Answered, all of them with 200.
    rps : float
        Requests per second, from a closed loop.
    first_mb, last_mb : float
        Anonymous memory at the 2,000th request and at the end.
    slope_bytes : float
        Of a request, over the second half of the run.
    """

    n_requests: int
    rps: float
    first_mb: float
    last_mb: float
    slope_bytes: float

    @property
    def growth_mb(self) -> float:
        """What was added from the 2,000th request on."""
        return self.last_mb - self.first_mb

    @property
    def growth_mb_at_million(self) -> float:
        """The same for a million requests, which the rest of them prolongs by the slope."""
        return self.growth_mb + max(self.slope_bytes, 0.0) * max(_MILLION - self.n_requests, 0) / 1e6


def measure(
    home: Path, keys: list[str], bodies: list[dict[str, Any]], n_requests: int, *, is_leaky: bool = False
) -> Growth:
    """Run the service of an installation and send it requests.

    Parameters
    ----------
    home : Path
        Of the installation; something is deployed there.
    keys : list of str
        API keys, in turn.
    bodies : list of dict
        Requests, in turn, without an id.
    n_requests : int
        How many.
    is_leaky : bool, default=False
        Whether the service shall keep every answer.

    Raises
    ------
    RuntimeError
        If a request is not answered with 200.
    """
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    with server(_SERVICE, environment, ["leaky" if is_leaky else "plain"]) as port:
        pid = process_id(port)
        sender = _Sender(port, keys, bodies, n_requests)
        begin = time.perf_counter()
        readings = asyncio.run(sender.run(lambda: _anonymous_bytes(pid)))
        seconds = time.perf_counter() - begin
    if set(sender.statuses) != {200}:
        raise RuntimeError(f"requests were answered {dict(sender.statuses)}")
    done, used = np.array(readings, dtype=np.float64).T
    late = done >= n_requests / 2
    slope = float(np.polyfit(done[late], used[late], 1)[0])
    return Growth(n_requests, round(n_requests / seconds, 1), used[0] / 1e6, used[-1] / 1e6, slope)


class _Sender:
    """Several connections that each send the next request when the last one is answered."""

    def __init__(self, port: int, keys: list[str], bodies: list[dict[str, Any]], n_requests: int) -> None:
        self._port = port
        self._keys = keys
        self._bodies = [json.dumps(body).encode()[:-1] for body in bodies]
        self._n_requests = n_requests
        self._n_sent = 0
        self.statuses: Counter[int] = Counter()

    async def run(self, read_memory: Any) -> list[tuple[int, int]]:
        readings: list[tuple[int, int]] = []
        await self._send_until(min(_SETTLED, self._n_requests // 10))
        readings.append((self._n_sent, read_memory()))
        for number in range(1, _N_READINGS + 1):
            await self._send_until(max(self._n_requests * number // _N_READINGS, self._n_sent))
            readings.append((self._n_sent, read_memory()))
        return readings

    async def _send_until(self, n: int) -> None:
        await asyncio.gather(*(self._send(n) for _ in range(_N_CONNECTIONS)))

    async def _send(self, n: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while self._n_sent < n:
                number = self._n_sent
                self._n_sent += 1
                body = self._bodies[number % len(self._bodies)] + b',"request_id":"memory-%d"}' % number
                writer.write(head("/v1/score", self._keys[number % len(self._keys)], len(body)) + body)
                start = (await reader.readuntil(b"\r\n\r\n")).lower()
                at = start.index(b"content-length:") + 15
                await reader.readexactly(int(start[at : start.index(b"\r\n", at)]))
                self.statuses[int(start[9:12])] += 1
        finally:
            writer.close()


def _anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the service has gone")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=_MILLION, help="how many; fewer are prolonged to a million")
    parser.add_argument("--leaky", action="store_true", help="let the service leak, to see that it is found")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        site = make_site(Path(place) / "home", n_events=100_000, n_requests=100)
        bodies = [{**request, "project": READY} for request in site.ready]
        seen = measure(site.settings.home, site.keys, bodies, arguments.requests, is_leaky=arguments.leaky)
    print(
        f"{seen.n_requests:,} requests at {seen.rps:,.0f}/s: {seen.first_mb:.1f} MB at first, {seen.last_mb:.1f} MB at "
        f"last; {seen.slope_bytes:.0f} bytes a request over the second half; {seen.growth_mb_at_million:.1f} MB of "
        f"{LIMIT_MB:g} at a million"
    )
    print(
        json.dumps(
            {**asdict(seen), "growth_mb": seen.growth_mb, "growth_mb_at_million": seen.growth_mb_at_million,
             "is_leaky": arguments.leaky}
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
