"""The real service on a free port, with really trained models, and what a caller needs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from core.database import Database
from core.identity import SYSTEM, Actor, Identity
from core.settings import Settings
from features.online_places import snapshot_place
from features.online_publishing import publish_snapshot
from model_registry.registry import Registry
from serving.limits import Limits
from serving.quick_desk import QuickDesk
from serving.server import make_server
from tests.model_registry.tiny_world import make_tiny_bundle, tiny_world
from warehouse.table_set import TableSet

PROJECT = "guarantee"
AUTHOR = Actor("lin", frozenset({"analyst"}))
REVIEWER = Actor("wang", frozenset({"reviewer"}))
OPERATOR = Actor("zhao", frozenset({"operator"}))


@dataclass
class Site:
    """One installation: database, registry with two approved versions, and a key that may score."""

    settings: Settings
    database: Database
    registry: Registry
    key: str

    def deploy(self, number: int) -> None:
        self.registry.deploy(PROJECT, number, by=OPERATOR, reason="test")

    def publish(self, table_set: TableSet | None = None, **options: Any) -> None:
        """Publish the online snapshot of the tiny world, or of other tables of its kind."""
        tables, plan = table_set or tiny_world().table_set, tiny_world().matrix.plan
        publish_snapshot(tables, snapshot_place(self.settings, PROJECT), [plan], **options)

    @contextmanager
    def client(self, key: str | None = "", limits: Limits | None = None) -> Iterator[httpx.Client]:
        """Run the service while the body runs; the client sends the key unless another (or None) is given."""
        with running(self.settings, limits) as address:
            secret = self.key if key == "" else key
            headers = {"Authorization": f"Bearer {secret}"} if secret else {}
            with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
                yield client


@contextmanager
def running(settings: Settings, limits: Limits | None = None, server: uvicorn.Server | None = None) -> Iterator[str]:
    server = server or make_server(settings, port=0, limits=limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the service did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    make_tiny_bundle(folder / "one", "lightgbm")
    make_tiny_bundle(folder / "two", "logistic")
    return folder / "one", folder / "two"


def make_site(home: Path, bundles: tuple[Path, Path], **chosen: Any) -> Site:
    settings = Settings(home=home, **chosen)
    database = Database(settings.database_url_resolved)
    database.migrate()
    registry = Registry(database, settings.artifacts, mlflow=False)
    for bundle in bundles:
        number = registry.register(PROJECT, bundle, author=AUTHOR, run={}).number
        registry.submit(PROJECT, number, by=AUTHOR, note="")
        registry.approve(PROJECT, number, by=REVIEWER)
    _, secret = Identity(database).create_key("core-system", ["model.score", "snapshot.read"], by=SYSTEM)
    return Site(settings, database, registry, secret)


@pytest.fixture
def site(tmp_path: Path, bundles: tuple[Path, Path]) -> Iterator[Site]:
    """An installation of its own, nothing deployed."""
    site = make_site(tmp_path / "home", bundles)
    yield site
    site.database.dispose()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, bundles: tuple[Path, Path]
) -> Iterator[tuple[Site, httpx.Client]]:
    """One running service of version 1 for the tests that only ask."""
    site = make_site(tmp_path_factory.mktemp("site") / "home", bundles)
    site.deploy(1)
    site.publish()
    with site.client() as client:
        yield site, client
    site.database.dispose()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether the desk took each request that came."""
    seen: list[bool] = []
    take = QuickDesk.take

    def noted(desk: QuickDesk, *given: Any) -> bool:
        seen.append(take(desk, *given))
        return seen[-1]

    monkeypatch.setattr(QuickDesk, "take", noted)
    yield seen


@pytest.fixture
def client(service: tuple[Site, httpx.Client]) -> httpx.Client:
    return service[1]


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result


@contextmanager
def peak_growth_mb() -> Iterator[list[float]]:
    """Fill in by how much the memory of this process grew at most while the body ran."""
    grown: list[float] = []
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_mb("VmRSS")
    yield grown
    grown.append(_status_mb("VmHWM") - before)


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1_024 for line in lines if line.startswith(f"{name}:"))
