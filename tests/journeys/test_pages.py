"""Every page starts in both languages, on a fresh installation and on one where the loop has run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.identity import SYSTEM
from core.settings import Settings
from workbench.flows.context import open_context
from workbench.flows.projects import SAMPLE_USERS

PAGES = (
    "home",
    "data",
    "data_model",
    "quality",
    "standard",
    "label",
    "features",
    "train",
    "evaluate",
    "explain",
    "reasons",
    "scorecard",
    "economics",
    "review",
    "deploy",
    "traffic",
    "monitor",
    "schedules",
)
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


def open_app(user: str, language: str = "en"):
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=90)
    app.session_state["signed_in_as"] = user
    app.session_state["kept_language"] = language
    return app.run()


def each_page(app) -> Iterator[str]:
    """Open page after page, and see that none fails and none shows an error."""
    for page in PAGES:
        app.switch_page(f"app_pages/{page}.py").run()
        assert not app.exception, (page, app.exception[0].stack_trace)
        assert not app.error, (page, app.error[0].value)
        yield page


def words_of(app) -> str:
    parts = [element.value for kind in ("title", "markdown", "caption") for element in getattr(app, kind)]
    return "\n".join([*map(str, parts), *(element.proto.body for element in app.get("html"))])


def test_each_page_teaches_when_empty(empty_home: Path) -> None:
    app = open_app("analyst")
    for page in each_page(app):
        assert "No project yet" in words_of(app), page


@pytest.mark.parametrize(
    ("user", "language"),
    [("analyst", "en"), ("analyst", "zh"), ("reviewer", "en"), ("operator", "zh"), ("admin", "en")],
)
def test_each_page_starts_on_the_sample_project(
    user: str, language: str, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(sample_home))
    # AppTest asks the options for their words once more after the script has ended, where no session is.
    monkeypatch.setattr("workbench.ui.texts.recall", lambda _name, _default=None: language)
    app = open_app(user, language)
    for page in each_page(app):
        assert not {"nan", "None"} & set(words_of(app).split()), page
