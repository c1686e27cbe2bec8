"""A fresh installation in a temporary home, and a context over it."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.identity import Actor
from core.settings import Settings
from workbench.flows.context import Context, open_context

ANALYST = Actor("lin", frozenset({"analyst"}))
REVIEWER = Actor("wang", frozenset({"reviewer"}))
OPERATOR = Actor("zhao", frozenset({"operator"}))
VIEWER = Actor("guest", frozenset({"viewer"}))


@pytest.fixture
def settings(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    _forget_pages()
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(migrated_file, home / "workbench.db")
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    for name in ("WORKBENCH_DATABASE_URL", "WORKBENCH_ARTIFACT_ROOT", "WORKBENCH_LANGUAGE", "WORKBENCH_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return Settings.load()


def _forget_pages() -> None:
    """Let pages forget what they keep for the life of a process: the installation of the test before."""
    if (streamlit := sys.modules.get("streamlit")) is not None:
        streamlit.cache_resource.clear()
        streamlit.cache_data.clear()


@pytest.fixture
def ctx(settings: Settings) -> Iterator[Context]:
    context = open_context(settings, actor=ANALYST)
    yield context
    context.database.dispose()
