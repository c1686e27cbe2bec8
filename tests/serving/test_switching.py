"""The service goes on: through a switch, a bad file, a database that is away, a restart and a stop."""

import asyncio
import errno
import shutil
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_registry.scorer import Scorer
from monitoring import local_log
from monitoring.local_erasure import LocalErasure
from monitoring.score_erasure import erase, erasures
from monitoring.score_log import read_local, read_scores
from serving import app as app_module
from serving import service as service_module
from serving.app import create_app
from serving.deployed import DeployedModels
from tests.model_registry.tiny_world import example_keys, make_tiny_bundle, payload
from tests.serving.conftest import AUTHOR, OPERATOR, PROJECT, REVIEWER, Site, running, wait_until


def ask(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/score", json={"project": PROJECT, "tables": payload(example_keys(1)[0]), **changes})


def version_of(client: httpx.Client) -> int:
    return client.get("/readyz").json()["models"].get(PROJECT, 0)


def expected(site: Site, number: int) -> tuple[str, float]:
    scorer = Scorer.load(site.registry.bundle_folder(site.registry.version(PROJECT, number)))
    return scorer.bundle_hash, scorer.score_rows(payload(example_keys(1)[0])).probability


def test_before_anything_is_deployed_the_service_is_not_ready(site: Site) -> None:
    with site.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert ask(client).status_code == 404
        site.deploy(1)
        wait_until(lambda: client.get("/readyz").status_code == 200)
        assert ask(client).json()["version"] == 1


def test_switches_under_load_lose_and_mix_no_answer(site: Site) -> None:
    site.deploy(1)
    known = {number: expected(site, number) for number in (1, 2)}
    answers: list[httpx.Response] = []
    stop = threading.Event()
    with site.client() as client:
        assert known[1][1] != known[2][1]

        def keep_asking() -> None:
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
                while not stop.is_set():
                    answers.append(ask(own, reasons=0))

        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in (2, 1, 2):
            site.deploy(number)
            wait_until(lambda number=number: version_of(client) == number)
        stop.set()
        for thread in threads:
            thread.join()
    assert {response.status_code for response in answers} == {200}
    seen = {(body["version"], (body["bundle_hash"], body["probability"])) for body in (a.json() for a in answers)}
    assert seen == set(known.items())


def test_a_rollback_serves_from_the_next_look_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    is_back, served = threading.Event(), list[int]()
    refresh = DeployedModels.refresh

    def noted(models: DeployedModels) -> None:
        is_after = is_back.is_set()
        refresh(models)
        served.extend(model.slot.number for model in models.all() if is_after)

    monkeypatch.setattr(DeployedModels, "refresh", noted)
    site.deploy(1)
    site.deploy(2)
    with site.client() as client:
        assert ask(client).json()["version"] == 2
        site.registry.rollback(PROJECT, by=OPERATOR, reason="worse")
        started = time.monotonic()
        is_back.set()
        wait_until(lambda: version_of(client) == 1)
        assert time.monotonic() - started < 3
        wait_until(lambda: served)
        # A look every second: what is served from the next one on is served within seconds.
        assert served[0] == 1 and service_module._POLL_SECONDS <= 1
        assert ask(client).json()["version"] == 1


def test_a_model_that_is_withdrawn_no_longer_answers(site: Site) -> None:
    site.deploy(1)
    with site.client() as client:
        assert ask(client).status_code == 200
        site.registry.withdraw(PROJECT, "champion", by=OPERATOR, reason="stop")
        wait_until(lambda: ask(client).status_code == 404)


def test_a_bad_new_bundle_leaves_the_last_good_model_serving(site: Site) -> None:
    site.deploy(1)
    with site.client() as client:
        site.deploy(2)
        wait_until(lambda: version_of(client) == 2)
        shutil.rmtree(site.settings.home / "scorer" / "bundles" / site.registry.version(PROJECT, 1).bundle_hash)
        spoil_after_deployment(site, 1)
        wait_until(lambda: client.get("/readyz").json()["problems"] == {PROJECT: "bundle_refused"})
        answer = ask(client)
        assert answer.status_code == 200
        assert answer.json()["version"] == 2


def spoil_after_deployment(site: Site, number: int) -> None:
    """Deploy a version whose files go bad right after the registry has proved them."""
    folder = site.registry.bundle_folder(site.registry.version(PROJECT, number))
    bundle_hash = site.registry.version(PROJECT, number).bundle_hash
    path = folder / "calibration.json"
    path.write_text(path.read_text().replace("slope", "slopf"))
    connection = sqlite3.connect(site.settings.home / "workbench.db")
    with connection:
        connection.execute(
            "insert into deployment (project, slot, action, number, bundle_hash, at, actor, reason)"
            " select project, slot, 'deploy', ?, ?, at, actor, reason from deployment limit 1",
            (number, bundle_hash),
        )
    connection.close()


def test_a_database_that_is_away_stops_no_answer_and_loses_none(site: Site, tmp_path: Path) -> None:
    site.deploy(1)
    database = site.settings.home / "workbench.db"
    with site.client() as client:
        ask(client, request_id="before")
        wait_until(lambda: "before" in read_scores(site.database, PROJECT).request_ids)
        site.database.dispose()
        away = move_away(database, tmp_path)
        answers = [ask(client, request_id=f"during-{i}") for i in range(3)]
        time.sleep(1.5)
        answers.append(ask(client, request_id="during-0"))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].content == answers[3].content
        move_back(away, database)
        expected_ids = ["before", "during-0", "during-1", "during-2"]
        wait_until(lambda: sorted(read_scores(site.database, PROJECT).request_ids) == expected_ids)


def move_away(database: Path, folder: Path) -> Path:
    """Put a folder where the database file was: opening it fails, and nothing can be made in its place."""
    away = folder / "away"
    away.mkdir()
    for path in database.parent.glob("workbench.db*"):
        path.rename(away / path.name)
    database.mkdir()
    return away


def move_back(away: Path, database: Path) -> None:
    database.rmdir()
    for path in away.iterdir():
        path.rename(database.parent / path.name)


def test_a_restart_without_the_database_serves_from_the_local_cache(site: Site, tmp_path: Path) -> None:
    site.deploy(1)
    with site.client() as client:
        first = ask(client, request_id="known", language="zh")
    site.database.dispose()
    move_away(site.settings.home / "workbench.db", tmp_path)
    shutil.rmtree(site.settings.artifacts)
    with site.client() as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["registry"]) == (200, "stale")
        again = ask(client, request_id="known", language="zh")
        assert again.content == first.content
        assert ask(client).json()["version"] == 1
        assert client.get("/v1/models", headers={"Authorization": "Bearer gw_nobody_x"}).status_code == 401


def test_what_is_asked_before_a_stop_is_answered_and_logged(site: Site) -> None:
    site.deploy(1)
    answered = []
    with site.client() as client:

        def keep_asking() -> None:
            with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
                for i in range(10_000):
                    try:
                        answer = ask(own, request_id=f"r{i}", reasons=0)
                    except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                        return
                    assert answer.status_code == 200
                    answered.append(f"r{i}")

        thread = threading.Thread(target=keep_asking)
        thread.start()
        wait_until(lambda: len(answered) > 20)
    thread.join()
    assert len(answered) > 20
    assert set(answered) <= set(read_scores(site.database, PROJECT).request_ids)


def test_an_approval_that_expires_is_said_in_the_answers(
    site: Site, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    make_tiny_bundle(tmp_path / "three", "logistic", note="third")
    number = site.registry.register(PROJECT, tmp_path / "three", author=AUTHOR, run={}).number
    site.registry.submit(PROJECT, number, by=AUTHOR, note="")
    end = datetime.now(UTC) + timedelta(seconds=2)
    site.registry.approve(PROJECT, number, by=REVIEWER, expires_at=end)
    site.deploy(number)
    with site.client() as client:
        codes = lambda: [warned["code"] for warned in ask(client).json()["warnings"]]  # noqa: E731
        assert codes() == []
        wait_until(lambda: codes() == ["approval_expired"])


def test_a_full_disk_refuses_answers_and_recovers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.deploy(1)
    with site.client() as client:
        assert ask(client).status_code == 200

        def full(descriptor: int, content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(local_log.os, "write", full)
        refused = ask(client, request_id="full")
        monkeypatch.undo()
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert ask(client, request_id="full").status_code == 200


def test_an_erased_answer_is_given_anew_when_it_is_asked_for_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalErasure.__init__, "__kwdefaults__", {"settle_seconds": 0.0})
    site.deploy(1)
    key = example_keys(1)[0]
    folder = site.settings.home / "scorer" / "log"
    with site.client() as client:
        first = ask(client, request_id="gone")
        ask(client, request_id="stays", tables=payload(example_keys(2)[1]))
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 2)
        erase(site.database, PROJECT, [key], by="zhao", reason="asked for it")
        wait_until(lambda: not erasures(site.database)[0].pending)
        assert key.encode() not in b"".join(path.read_bytes() for path in folder.glob("scores-*.jsonl"))
        assert [one.request_id for one in read_local(folder, max_records=9)] == ["stays"]
        # What this process remembered is forgotten as well: the id is free for another content.
        wait_until(lambda: ask(client, request_id="gone", reasons=0).status_code == 200)
        assert first.status_code == 200
        wait_until(lambda: set(read_scores(site.database, PROJECT).request_ids) == {"gone", "stays"})


def test_a_clock_that_jumps_loses_and_doubles_no_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back, ten years on, before there were such clocks: what is asked is answered and kept, once."""
    site.deploy(1)
    present = datetime.now(UTC)
    moments = [present, present - timedelta(hours=1), present + timedelta(days=3650), datetime(1970, 1, 1, tzinfo=UTC)]

    class Clock(datetime):
        now_ = present

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return cls.now_.astimezone(tz)

    monkeypatch.setattr(service_module, "datetime", Clock)
    monkeypatch.setattr(local_log, "datetime", Clock)
    with site.client() as client:
        given = {}
        for number, moment in enumerate(moments):
            Clock.now_ = moment
            given[f"jump-{number}"] = ask(client, request_id=f"jump-{number}").content
            assert ask(client, request_id="jump-0").content == given["jump-0"]
        wait_until(lambda: len(read_scores(site.database, PROJECT)) == 4)
    with site.client() as client:
        assert {name: ask(client, request_id=name).content for name in given} == given
    read = read_scores(site.database, PROJECT)
    assert list(read.request_ids) == ["jump-3", "jump-1", "jump-0", "jump-2"]
    assert list(read.asked_at) == [np.datetime64(moment.replace(tzinfo=None), "us") for moment in sorted(moments)]


def test_a_slow_body_is_cut_off_while_others_are_served(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_MAX_BODY_SECONDS", 0.5)
    site.deploy(1)
    with running(site.settings) as address:
        port = int(address.rsplit(":", 1)[1])
        headers = {"Authorization": f"Bearer {site.key}"}

        async def drip() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = "POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
            writer.write(f"{head}Authorization: Bearer {site.key}\r\n\r\n{{".encode())
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            return answer

        async def many() -> list[bytes]:
            return await asyncio.gather(*(drip() for _ in range(50)))

        dripping: list[bytes] = []
        thread = threading.Thread(target=lambda: dripping.extend(asyncio.run(many())))
        thread.start()
        with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
            assert ask(client).status_code == 200
        thread.join()
        assert len(dripping) == 50
        assert all(b" 408 " in answer.split(b"\r\n", 1)[0] for answer in dripping)


def test_making_the_application_touches_nothing(site: Site, tmp_path: Path) -> None:
    before = sorted(site.settings.home.rglob("*"))
    create_app(site.settings)
    assert sorted(site.settings.home.rglob("*")) == before
