"""Every page starts in both languages, on a fresh installation and on one where the loop has run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.identity import SYSTEM
from core.settings import Settings
from workbench.flows.context import open_context
from workbench.flows.projects import SAMPLE_USERS

PAGES = ("home", "data", "features", "train", "explain", "review", "deploy", "monitor")
APP = Path(__file__).parents[2] / "workbench" / "app.py"

# Streamlit's and Plotly's own deprecation notices are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _fresh_caches() -> Iterator[None]:
    import streamlit as st

    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    ctx = open_context(Settings.load())
    for name, roles in SAMPLE_USERS.items():
        ctx.identity.create_user(name, f"{name}-only-here-1", roles, by=SYSTEM)
    ctx.database.dispose()
    return tmp_path / "home"


def open_page(page: str, *, user: str = "analyst", language: str = "en"):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=60)
    app.session_state["signed_in_as"] = user
    app.session_state["kept_language"] = language
    app.run()
    if page != "home":
        app.switch_page(f"app_pages/{page}.py").run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def words_of(app) -> str:
    parts = [element.value for kind in ("title", "markdown", "caption") for element in getattr(app, kind)]
    return "\n".join([*map(str, parts), *(element.proto.body for element in app.get("html"))])


@pytest.mark.parametrize("page", PAGES)
def test_page_teaches_when_empty(page: str, empty_home: Path) -> None:
    app = open_page(page)
    assert "No project yet" in words_of(app)
    assert not app.error


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_page_starts_on_the_sample_project(
    page: str, language: str, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(sample_home))
    app = open_page(page, language=language)
    assert not app.error
    assert "nan" not in words_of(app).lower().split()


def test_nobody_sees_a_page_without_signing_in(empty_home: Path) -> None:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.title
    assert "/sign-in" in words_of(app)


@pytest.mark.parametrize("user", ["reviewer", "operator", "admin"])
@pytest.mark.parametrize("page", PAGES)
def test_page_starts_for_every_role(page: str, user: str, sample_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(sample_home))
    assert not open_page(page, user=user).error
