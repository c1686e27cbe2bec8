"""The people of a review, and sealed folders to review."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.database import Database
from core.identity import Actor
from model_registry.manifest import write_sealed
from model_registry.registry import Registry

AUTHOR = Actor("lin", frozenset({"analyst"}))
REVIEWER = Actor("wang", frozenset({"reviewer"}))
OPERATOR = Actor("zhao", frozenset({"operator"}))
EVERYTHING = Actor("chen", frozenset({"analyst", "reviewer", "operator"}))
RUN = {"params": {"learning_rate": 0.05}, "metrics": {"auc": 0.71}, "tags": {"data_fingerprint": "d" * 64}}


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[[str], Path]:
    def make(content: str) -> Path:
        folder = tmp_path / "made" / content
        write_sealed(folder, lambda target: (target / "info.json").write_text(f'{{"content":"{content}"}}') and None)
        return folder

    return make


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    """A registry without its mirror: MLflow has tests of its own, and takes seconds."""
    return Registry(database, tmp_path / "artifacts", mlflow=False)


@pytest.fixture
def draft(registry: Registry, make_bundle: Callable[[str], Path]) -> int:
    return registry.register("guarantee", make_bundle("one"), author=AUTHOR, run=RUN).number


@pytest.fixture
def submitted(registry: Registry, draft: int) -> int:
    return registry.submit("guarantee", draft, by=AUTHOR, note="ready").number


@pytest.fixture
def approved(registry: Registry, submitted: int) -> int:
    return registry.approve("guarantee", submitted, by=REVIEWER, note="sound").number
