"""The Reason codes page under the analyst's hand: words, codes of one's own, features moved, and who did it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.journeys.test_pages import open_app, words_of
from workbench.flows import reason_codes
from workbench.flows.context import open_context

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def page(own_sample_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import streamlit as st

    monkeypatch.setenv("WORKBENCH_HOME", str(own_sample_home))
    # AppTest asks the options for their words once more after the script has ended, where no session is.
    monkeypatch.setattr("workbench.ui.texts.recall", lambda _name, _default=None: "en")
    st.cache_resource.clear()
    yield open_app("analyst").switch_page("app_pages/reasons.py").run()
    st.cache_resource.clear()


def by_label(elements: Any, label: str) -> Any:
    return next(element for element in elements if element.label == label)


def test_words_and_codes_are_changed_by_clicking_and_the_change_is_on_record(page: Any) -> None:
    assert "features that no code fits: 0" in words_of(page)
    code = page.radio[0].options[0].split(" · ")[0]
    by_label(page.text_input, "What it is about, English").set_value("bills paid late")
    by_label(page.button, "Save the words").click().run()
    assert "Risk raised by bills paid late" in words_of(page)

    page.radio[0].set_value("R27").run()
    by_label(page.text_input, "What it is about, English").set_value("the outside rating")
    by_label(page.text_input, "What it is about, Chinese").set_value("外部评级")
    by_label(page.button, "Add the code").click().run()
    assert "No feature has this code" in "\n".join(str(one.value) for one in page.caption)

    page.radio[0].set_value(code).run()
    moved = by_label(page.multiselect, "Give another code to")
    moved.set_value([moved.options[0]])
    by_label(page.selectbox, "Code").set_value("R27")
    by_label(page.button, "Give the code").click().run()
    assert not page.error, page.error[0].value
    page.radio[0].set_value("R27").run()
    assert "外部评级推高风险" in words_of(page)

    ctx = open_context(Settings.load())
    changes = reason_codes.history(ctx, "sample")
    ctx.database.dispose()
    assert [one.by for one in changes] == ["analyst"] * 3
    assert [sorted(one.subjects) for one in reversed(changes)] == [[code], ["R27"], []]
    assert [new for _, new in changes[0].features.values()] == ["R27"]
