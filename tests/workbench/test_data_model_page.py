"""The Tables page under two analysts' hands: what was wrong is said, the second of two loses nothing, a third signs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.identity import SYSTEM, Actor
from tests.workbench.lending import lending_project
from workbench.flows import data_models, model_desk
from workbench.flows.context import Context

APP = Path(__file__).parents[2] / "workbench" / "app.py"
MEI = Actor("mei", frozenset({"analyst"}))
UNIT = {"do": "set_column", "table": "payments", "column": "amount_cny", "field": "unit", "value": "10k CNY"}

# Streamlit's and Plotly's own deprecation notices are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def page(ctx: Context, tmp_path: Path) -> Iterator[Any]:
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    for name, role in (("lin", "analyst"), ("wang", "reviewer")):
        ctx.identity.create_user(name, f"{name}-only-here-1", (role,), by=SYSTEM)
    lending_project(ctx, tmp_path / "source", n_clients=60)
    st.cache_resource.clear()
    app = AppTest.from_file(str(APP), default_timeout=90)
    app.session_state["signed_in_as"] = "lin"
    app.session_state["kept_language"] = "en"
    yield app.run().switch_page("app_pages/data_model.py").run()
    st.cache_resource.clear()


def words(page: Any) -> str:
    return "\n".join([*(element.proto.body for element in page.get("html")), *(item.value for item in page.caption)])


def by_label(elements: Any, label: str) -> Any:
    return next(element for element in elements if element.label == label)


def test_keys_and_times_are_corrected_and_what_the_rows_say_stands_beside(ctx: Context, page: Any) -> None:
    assert "each of the 60 rows has a value of its own" in words(page)
    by_label(page.selectbox, "Table").set_value("payments").run()
    by_label(page.multiselect, "Key: the columns that together identify one row").set_value(["client_id"]).run()
    assert "not unique" in words(page)
    assert by_label(page.button, "Save as version 1").disabled
    by_label(page.button, "Undo").click().run()
    assert "No unsaved changes" in words(page)
    by_label(page.button, "Redo").click().run()
    by_label(page.button, "Discard all changes").click().run()
    assert not model_desk.open_desk(ctx, "lending").steps

    by_label(page.number_input, "Days from event to knowledge").set_value(4.0).run()
    assert "rows are known 4 days after the event, was 0" in words(page)
    by_label(page.button, "Save as version 1").click().run()
    assert data_models.model(ctx, "lending", 1).tables["payments"].known_at_lag_days == 4
    assert not page.exception


def test_the_second_of_two_is_shown_what_both_changed_and_chooses(ctx: Context, page: Any) -> None:
    model_desk.edit(ctx, "lending", {**UNIT, "value": "CNY"})
    mei = ctx.acting_as(MEI)
    model_desk.edit(mei, "lending", UNIT)
    page.run()
    assert "mei has unsaved changes too" in words(page)
    model_desk.save(mei, "lending")
    page.run()
    assert "Version 1 was saved since you began with version 0." in words(page)
    assert by_label(page.button, "Save as version 2").disabled
    by_label(page.button, "Put my changes on it").click().run()
    assert "both changed it" in words(page)
    assert "the unit is CNY, was 10k CNY" in words(page)
    by_label(page.button, "Take version 1").click().run()
    assert "both changed it" not in words(page)
    assert "No unsaved changes" in words(page)


def test_a_reviewer_reads_the_differences_and_refuses_with_a_reason(ctx: Context, page: Any) -> None:
    model_desk.edit(ctx, "lending", UNIT)
    model_desk.save(ctx, "lending", note="as finance says")
    page.session_state["signed_in_as"] = "wang"
    page.session_state["kept_model_view"] = "versions"
    page.run()
    assert "the unit is 10k CNY, was none" in words(page)
    by_label(page.button, "Refuse").click().run()
    assert "a refusal needs its reason" in words(page)
    by_label(page.text_area, "Note").set_value("it is in yuan").run()
    by_label(page.button, "Refuse").click().run()
    assert data_models.version(ctx, "lending", 1).state == "refused"
    assert "it is in yuan" in words(page)
