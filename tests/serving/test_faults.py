"""Faults of callers, injected into the real service: each has its exact answer, and others are served."""

import asyncio
import gzip
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.audit import AuditTrail
from core.identity import SYSTEM, Identity
from model_registry.scorer import Scorer
from monitoring import local_log
from serving import connections
from serving.limits import Limits
from tests.model_registry.tiny_world import example_keys, payload
from tests.serving.conftest import PROJECT, Site, wait_until

SIXTY_MB = 60_000_000


def body(**changes: Any) -> dict[str, Any]:
    return {"project": PROJECT, "tables": payload(example_keys(1)[0]), "reasons": 0, **changes}


def right(site: Site) -> float:
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, 1)))
    return scorer.score_rows(payload(example_keys(1)[0])).probability


async def opened(port: int, head: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    await writer.drain()
    return reader, writer


def port_of(client: httpx.Client) -> int:
    return int(client.base_url.port or 0)


# Bodies


def pieces(n_bytes: int) -> Iterator[bytes]:
    yield b'{"project": "'
    for _ in range(n_bytes // 1_000_000):
        yield b"x" * 1_000_000
    yield b'"}'


@pytest.mark.parametrize("form", ["with its length", "in pieces"])
def test_a_body_of_sixty_megabytes_is_refused_and_others_are_served(client: httpx.Client, form: str) -> None:
    content: Any = b"".join(pieces(SIXTY_MB)) if form == "with its length" else pieces(SIXTY_MB)
    with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
        started = time.monotonic()
        try:
            refused = own.post("/v1/score", content=content, headers={"Content-Type": "application/json"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")
        except (httpx.WriteError, httpx.ReadError):
            # Hung up on in the middle of sending, the answer unread: refused all the same, as the next lines show.
            pass
        assert time.monotonic() - started < 10
    assert client.post("/v1/score", json=body()).status_code == 200


def test_a_length_of_sixty_megabytes_is_refused_before_a_byte_of_it_is_read(client: httpx.Client) -> None:
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: x\r\nAuthorization: {client.headers['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {SIXTY_MB}\r\n\r\n"
    )

    async def ask() -> bytes:
        reader, writer = await opened(port_of(client), head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    answer = asyncio.run(ask())
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert b"payload_too_large" in answer


def test_a_gzip_bomb_is_refused_unopened(client: httpx.Client) -> None:
    bomb = gzip.compress(b" " * SIXTY_MB)
    assert len(bomb) < 100_000
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    for path in ("/v1/score", "/v1/outcomes"):
        refused = client.post(path, content=bomb, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (415, "unsupported_body")


# Connections


def test_idle_connections_and_dripping_heads_are_hung_up_on_while_others_are_served(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 3.0)
    site.deploy(1)

    async def crowd(port: int, answered: list[int]) -> tuple[int, int, float]:
        started = time.monotonic()
        idle = [await opened(port) for _ in range(1_500)]
        dripping = [await opened(port, b"POST /v1/score HTTP/1.1\r\n") for _ in range(300)]

        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            while not reader.at_eof():
                try:
                    writer.write(b"X-Drip: 1\r\n")
                    await asyncio.wait_for(reader.read(1), 0.5)
                except TimeoutError:
                    continue
                except ConnectionError:
                    return True
            return True

        async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> bool:
            return await asyncio.wait_for(reader.read(), 60) == b""

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as other:
            headers = {"Authorization": f"Bearer {site.key}"}
            for _ in range(10):
                answer = await other.post("/v1/score", json=body(), headers=headers)
                answered.append(answer.status_code)
        idle_ended = await asyncio.gather(*(wait(*one) for one in idle))
        drips_ended = await asyncio.gather(*(drip(*one) for one in dripping))
        for _, writer in [*idle, *dripping]:
            writer.close()
        return sum(idle_ended), sum(drips_ended), time.monotonic() - started

    answered: list[int] = []
    with site.client() as client:
        n_idle, n_dripping, seconds = asyncio.run(crowd(port_of(client), answered))
        assert client.post("/v1/score", json=body()).status_code == 200
    assert answered == [200] * 10
    assert (n_idle, n_dripping) == (1_500, 300)
    assert seconds < 30


def test_an_endless_head_is_hung_up_on(client: httpx.Client) -> None:
    async def ask() -> int:
        reader, writer = await opened(port_of(client), b"GET /healthz HTTP/1.1\r\n")
        n_bytes = 0
        try:
            while n_bytes < 5_000_000 and not reader.at_eof():
                writer.write(b"X-More: " + b"x" * 1_000 + b"\r\n")
                n_bytes += 1_010
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            writer.close()
        return n_bytes

    assert asyncio.run(ask()) < 5_000_000
    assert client.get("/healthz").status_code == 200


def test_a_connection_that_asks_again_and_again_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 2.0)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    async def ask(port: int) -> list[bytes]:
        reader, writer = await opened(port)
        answers = []
        for pause in (2.5, 2.5, 2.5, 0.0):
            writer.write(request)
            answers.append(await asyncio.wait_for(reader.readuntil(b'{"status":"ok"}'), 60))
            await asyncio.sleep(pause)
        writer.close()
        return answers

    with site.client() as client:
        assert len(asyncio.run(ask(port_of(client)))) == 4


# Too much at once


def test_three_times_what_fits_is_refused_with_a_time_and_all_is_well_within_five_seconds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes 100 ms a group and four requests fit at once; three times what that gives is asked."""
    plain = local_log.os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.1)
        plain(descriptor)

    site.deploy(1)
    probability = right(site)
    with site.client(limits=Limits(max_at_once=4)) as client:
        monkeypatch.setattr(local_log.os, "fsync", slow)
        answers = asyncio.run(flood(client, per_second=3 * 4 / 0.1, seconds=3.0))
        ended = time.monotonic()
        wait_until(lambda: all(client.post("/v1/score", json=body()).status_code == 200 for _ in range(5)))
        recovered_within = time.monotonic() - ended
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}
    assert min(statuses.values()) > 50
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} == {"1"}
    assert {answer.json()["probability"] for answer in answers if answer.status_code == 200} == {probability}
    assert recovered_within < 5


async def flood(client: httpx.Client, *, per_second: float, seconds: float) -> list[httpx.Response]:
    """Ask at a constant rate, whether answers come or not."""
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    async with httpx.AsyncClient(base_url=client.base_url, headers=client.headers, timeout=30, limits=limits) as own:
        tasks, started = [], time.monotonic()
        for i in range(int(per_second * seconds)):
            await asyncio.sleep(max(started + i / per_second - time.monotonic(), 0))
            tasks.append(asyncio.create_task(own.post("/v1/score", json=body())))
        return list(await asyncio.gather(*tasks))


# Keys


def test_two_keys_of_one_system_overlap_while_one_replaces_the_other(service: tuple[Site, httpx.Client]) -> None:
    site, client = service
    identity = Identity(site.database)
    old, old_secret = identity.create_key("rotating", ["model.score"], by=SYSTEM)
    headers = [{"Authorization": f"Bearer {old_secret}"}]
    wait_until(lambda: client.get("/v1/models", headers=headers[0]).status_code == 200)
    _, new_secret = identity.create_key("rotating", ["model.score"], by=SYSTEM)
    headers.append({"Authorization": f"Bearer {new_secret}"})
    wait_until(lambda: client.get("/v1/models", headers=headers[1]).status_code == 200)
    # Both at once, so that no request of the system is refused while it changes over.
    assert client.get("/v1/models", headers=headers[0]).status_code == 200
    identity.revoke_key(old.id, by=SYSTEM)
    wait_until(lambda: client.get("/v1/models", headers=headers[0]).status_code == 401)
    assert client.get("/v1/models", headers=headers[1]).status_code == 200


def test_refusals_of_nobody_known_are_counted_in_the_audit_trail_too(site: Site) -> None:
    site.deploy(1)
    with site.client(key=None) as client:
        for _ in range(7):
            assert client.post("/v1/score", json=body()).status_code == 401
        assert client.get("/v1/models").status_code == 401
    found = [one for one in AuditTrail(site.database).records() if (one.action, one.actor) == ("score.refused", "-")]
    assert {one.subject: one.details["counts"] for one in found} == {
        "/v1/score": {"not_authenticated": 7},
        "/v1/models": {"not_authenticated": 1},
    }
