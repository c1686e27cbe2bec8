"""On the Features page a trap is decided on by clicking, and a drop is taken back by choosing."""

from pathlib import Path

import pytest

from core.identity import SYSTEM
from core.settings import Settings
from tests.workbench.leaky import WRITTEN_OFF, WRITTEN_OFF_ON, leaky_project
from workbench.flows import feature_choice, features, traps
from workbench.flows.context import Context

APP = Path(__file__).parents[2] / "workbench" / "app.py"
# Streamlit's and Plotly's own deprecation notices are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def press(app, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception[0].stack_trace


def test_traps_and_drops_are_decided_on_by_clicking(ctx: Context, settings: Settings, tmp_path: Path) -> None:
    from streamlit.testing.v1 import AppTest

    features.run(ctx, leaky_project(ctx, tmp_path / "data"))
    ctx.identity.create_user("analyst", "analyst-only-here-1", {"analyst"}, by=SYSTEM)
    app = AppTest.from_file(str(APP), default_timeout=90)
    app.session_state["signed_in_as"] = "analyst"
    app.session_state["kept_language"] = "en"
    app.run()
    app.switch_page("app_pages/features.py").run()
    assert not app.exception, app.exception[0].stack_trace

    reason = next(item for item in app.text_input if item.label == "Reason to use it all the same")
    press(app, "Use it all the same")  # without a reason
    assert any("only with a reason" in error.value for error in app.error)
    reason = next(item for item in app.text_input if item.label == "Reason to use it all the same")
    reason.input("known at the branch on the day").run()
    press(app, "Use it all the same")
    press(app, "Leave it out")
    state = {item.subject: item for item in traps.states(ctx, "lending")}
    assert state[WRITTEN_OFF].acknowledgement.by == "analyst"
    assert state[WRITTEN_OFF_ON].is_left_out

    chosen = next(item for item in app.multiselect if item.label == "Keep what was dropped")
    dropped = features.stored(ctx, "lending").dropped[0]
    chosen.select(f"{dropped.name()} – {dropped.why()}").run()
    press(app, "Keep")
    assert feature_choice.chosen(ctx, "lending").keep == [dropped.alias]
    press(app, "Take back")
    assert WRITTEN_OFF not in feature_choice.chosen(ctx, "lending").acknowledged
