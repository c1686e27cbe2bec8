"""A share of the enterprises is given, changed and taken back, by flow and by command."""

import json
from pathlib import Path

import pytest

from core.errors import ConflictError, PermissionDeniedError
from core.identity import SYSTEM
from tests.model_registry.tiny_world import make_tiny_bundle
from tests.workbench.conftest import ANALYST, REVIEWER
from tests.workbench.test_cli import run
from tests.workbench.test_snapshots import bundle, ready  # noqa: F401 - fixtures
from workbench.flows import deployment
from workbench.flows.administration import audit_records
from workbench.flows.context import Context

NAME = "p"
APP = Path(__file__).parents[2] / "workbench" / "app.py"


@pytest.fixture
def two(ready: Context, tmp_path: Path) -> Context:  # noqa: F811
    """An operator's context over a project whose version 1 serves; version 2 is approved."""
    make_tiny_bundle(tmp_path / "two", "logistic", note="second")
    ready.registry.register(NAME, tmp_path / "two", author=ANALYST, run={"metrics": {}, "params": {}, "tags": {}})
    ready.registry.submit(NAME, 2, by=ANALYST, note="")
    ready.registry.approve(NAME, 2, by=REVIEWER)
    deployment.deploy(ready, NAME, 1, reason="first", publish=False)
    return ready


def test_a_share_is_set_changed_and_taken_back(two: Context) -> None:
    given = deployment.deploy(two, NAME, 2, slot="live-challenger", share=0.1, reason="a tenth", publish=False)
    assert (given.live.version.number, given.live.share, given.champion.version.number) == (2, 0.1, 1)
    more = deployment.deploy(two, NAME, 2, slot="live-challenger", share=0.3, reason="does well", publish=False)
    assert [event.share for event in more.history] == [0.3, 0.1, 0.0]
    assert deployment.withdraw(two, NAME, slot="live-challenger", reason="enough").live is None
    with pytest.raises(ConflictError):
        deployment.withdraw(two, NAME, slot="live-challenger", reason="again")
    with pytest.raises(PermissionDeniedError):
        deployment.withdraw(two.acting_as(ANALYST), NAME, slot="champion", reason="no")
    actions = [one.action for one in audit_records(two.acting_as(REVIEWER), subject=f"model:{NAME}/2")]
    known = {"model.deploy", "model.share", "model.withdraw"}
    assert [name for name in actions if name in known] == ["model.withdraw", "model.share", "model.deploy"]


def test_the_same_by_command(two: Context, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["deploy", "2", "--share", "12.5", "-m", "an eighth", "--json"], capsys)
    assert (code, json.loads(out)["live"]["share"]) == (0, 0.125)
    code, out, _ = run(["withdraw", "live-challenger", "-m", "enough", "--json"], capsys)
    assert (code, json.loads(out)["live"]) == (0, None)
    code, _, err = run(["deploy", "2", "--share", "100", "-m", "all"], capsys)
    assert code == 1
    assert "100" in err


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_share_is_set_and_taken_back_by_clicking(two: Context) -> None:
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    two.identity.create_user("operator", "only-here-1", ["operator"], by=SYSTEM)
    st.cache_resource.clear()
    app = AppTest.from_file(str(APP), default_timeout=90)
    app.session_state["signed_in_as"] = "operator"
    app.run()
    app.switch_page("app_pages/deploy.py").run()
    app.segmented_control(key="deploy_part").set_value("live-challenger").run()
    app.number_input(key="deploy_share").set_value(15).run()
    app.text_input(key="deploy_reason").set_value("try it").run()
    next(button for button in app.button if button.label == "Deploy").click().run()
    assert not app.exception
    live = deployment.state(two, NAME).live
    assert live is not None
    assert (live.version.number, live.share, live.reason, live.by) == (2, 0.15, "try it", "operator")
    app.number_input(key="share_live-challenger").set_value(40).run()
    app.text_input(key="why_live-challenger").set_value("does well").run()
    next(button for button in app.button if button.label == "Set the share").click().run()
    assert deployment.state(two, NAME).live.share == 0.4
    app.text_input(key="why_live-challenger").set_value("enough").run()
    app.button(key="withdraw_live-challenger").click().run()
    assert not app.exception
    assert deployment.state(two, NAME).live is None
    st.cache_resource.clear()
