"""An open-loop HTTP client: requests leave at a constant rate whatever comes back, in a process of its own.

``python -m benchmarks.open_loop`` reads a JSON object from standard input (see `Load`) and prints what it saw as JSON.

The time of an answer counts from the moment the request was due, not from when it could be sent: a service that stalls
is not forgiven the requests that had to wait for it (no coordinated omission). Requests go over kept-alive connections;
one that finds none free opens another, up to a bound, and beyond that it waits, its time running.
"""

import asyncio
import collections
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Load", "head"]


@dataclass
class Load:
    """What is to be sent: `count` requests at `rate` per second to 127.0.0.1, the bodies in turn.

    `tell` names the fields of the answers to be counted by body; answers are then read, else only their status.
    """

    port: int
    path: str
    rate: float
    count: int
    bodies: list[str]
    keys: list[str]
    tell: list[str] = field(default_factory=list)
    max_connections: int = 256
    max_seconds: float = 120.0


def head(path: str, key: str, length: int) -> bytes:
    """Return the head of a request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


class _Connection(asyncio.Protocol):
    """One connection that carries one request at a time."""

    def __init__(self, client: "_Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._seen = bytearray()
        self._due: float | None = None
        self._body = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes, due: float, body: int) -> None:
        assert self._transport is not None
        self._due, self._body = due, body
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        end = self._seen.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = bytes(self._seen[:end]).lower()
        at = lines.find(b"content-length:")
        length = int(lines[at + 15 : (lines + b"\r\n").find(b"\r\n", at)]) if at >= 0 else 0
        if len(self._seen) < end + 4 + length:
            return
        status, content = int(lines[9:12]), bytes(self._seen[end + 4 : end + 4 + length])
        self._seen.clear()
        due, self._due = self._due, None
        assert due is not None
        self._client.answered(self, status, content, due, self._body, closes=b"connection: close" in lines)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - what asyncio calls
        self._client.lost(self, is_waiting=self._due is not None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Client:
    def __init__(self, load: Load) -> None:
        self._load = load
        bodies = [body.encode() for body in load.bodies]
        keys = load.keys
        self._requests = [
            head(load.path, keys[number % len(keys)], len(body)) + body
            for number, body in enumerate(bodies * (len(keys) if len(bodies) % len(keys) else 1))
        ]
        self._n_bodies = len(bodies)
        self._free: list[_Connection] = []
        self._all: set[_Connection] = set()
        self._waiting: collections.deque[tuple[float, int]] = collections.deque()
        self._opening: set[asyncio.Task[None]] = set()
        self.laps: list[float] = []
        self.lags: list[float] = []
        self.statuses: collections.Counter[str] = collections.Counter()
        self.told: collections.Counter[tuple[Any, ...]] = collections.Counter()
        self._done = asyncio.Event()

    async def run(self) -> float:
        for _ in range(8):
            await self._open()
        start = time.perf_counter() + 0.05
        for number in range(self._load.count):
            due = start + number / self._load.rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            elif number % 64 == 0:
                await asyncio.sleep(0)  # behind: let answers in all the same
            self.lags.append(time.perf_counter() - due)
            self._dispatch(due, number)
        try:
            async with asyncio.timeout(min(self._load.max_seconds, 30.0)):
                while self._n_ended() < self._load.count:
                    self._done.clear()
                    await self._done.wait()
        except TimeoutError:
            self.statuses["unanswered"] += self._load.count - self._n_ended()
        seconds = time.perf_counter() - start
        for connection in list(self._all):
            connection.close()
        return seconds

    def _dispatch(self, due: float, number: int) -> None:
        if self._free:
            self._free.pop().send(self._requests[number % len(self._requests)], due, number % self._n_bodies)
            return
        self._waiting.append((due, number))
        if len(self._all) + len(self._opening) < self._load.max_connections:
            task = asyncio.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._load.port)
        except OSError:
            self.statuses["refused"] += 1
            if self._waiting:
                self._waiting.popleft()
            self._done.set()
            return
        self._all.add(connection)
        self._next(connection)

    def _next(self, connection: _Connection) -> None:
        if self._waiting:
            due, number = self._waiting.popleft()
            connection.send(self._requests[number % len(self._requests)], due, number % self._n_bodies)
        else:
            self._free.append(connection)

    def answered(
        self, connection: _Connection, status: int, content: bytes, due: float, body: int, *, closes: bool
    ) -> None:
        self.laps.append(time.perf_counter() - due)
        self.statuses[str(status)] += 1
        if self._load.tell and status == 200:
            answer = json.loads(content)
            self.told[(body, *(json.dumps(answer[name]) for name in self._load.tell))] += 1
        self._done.set()
        if closes:
            connection.close()
        else:
            self._next(connection)

    def lost(self, connection: _Connection, *, is_waiting: bool) -> None:
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if is_waiting:
            self.statuses["lost"] += 1
            self._done.set()

    def _n_ended(self) -> int:
        return sum(self.statuses.values())


def main() -> None:
    """Send what standard input describes and print what came back."""
    load = Load(**json.load(sys.stdin))
    load.count = min(load.count, int(load.rate * load.max_seconds))

    async def run() -> tuple[_Client, float]:
        client = _Client(load)
        return client, await client.run()

    client, seconds = asyncio.run(run())
    laps, lags = np.array(client.laps) * 1_000, np.array(client.lags) * 1_000
    p50, p99 = np.percentile(laps, [50, 99]) if laps.size else (np.inf, np.inf)
    answer = {
        "count": load.count,
        "errors": load.count - client.statuses["200"],
        "statuses": dict(client.statuses),
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "client_lag_p99_ms": float(np.percentile(lags, 99)),
        "seconds": seconds,
        "told": [[*values, n] for values, n in client.told.items()],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
