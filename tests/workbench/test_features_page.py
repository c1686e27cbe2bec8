"""The form of the Features page: what is clicked stands in the draft, is refused in words, saved, and taken back."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.identity import SYSTEM
from tests.workbench.lending import lending_project
from workbench.flows import feature_choice, projects
from workbench.flows.context import Context

APP = Path(__file__).parents[2] / "workbench" / "app.py"

# Streamlit's and Plotly's own deprecation notices are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def page(ctx: Context, tmp_path: Path) -> Iterator[Any]:
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    ctx.identity.create_user("lin", "lin-only-here-1", ("analyst",), by=SYSTEM)
    (tmp_path / "source").mkdir()
    kinds = "sector,kind\nC,goods\nF,goods\nG,trade\n"
    (tmp_path / "source" / "sectors.csv").write_text(kinds, "utf-8")
    above = {"parent": "sectors", "parent_column": "sector", "child": "clients", "child_column": "sector"}
    tables = {"sectors": {"primary_key": ["sector"], "columns": {"kind": {"type": "category"}}}}
    lending_project(ctx, tmp_path / "source", n_clients=120, tables=tables, relationships=[above])
    st.cache_resource.clear()
    app = AppTest.from_file(str(APP), default_timeout=90)
    app.session_state["signed_in_as"] = "lin"
    app.session_state["kept_language"] = "en"
    yield app.run().switch_page("app_pages/features.py").run()
    st.cache_resource.clear()


def words(page: Any) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def by_label(elements: Any, label: str) -> Any:
    return next(element for element in elements if element.label == label)


def test_choices_stand_in_the_draft_until_they_are_saved_or_taken_back(ctx: Context, page: Any) -> None:
    by_label(page.text_input, "Add a window").set_value("18 weeks").run()
    assert "a window is a number of days, months or years" in words(page)
    by_label(page.text_input, "Add a window").set_value("45d").run()
    assert "a window is a number" not in words(page)
    assert "45 days" in by_label(page.pills, "Windows").options
    by_label(page.pills, "How many and how much").set_value(["count", "sum"]).run()
    assert feature_choice.chosen(ctx, "lending").windows == ["3m", "all"]

    by_label(page.toggle, "Counterparties").set_value(True).run()
    by_label(page.button, "Save the choice").click().run()
    saved = feature_choice.chosen(ctx, "lending")
    assert saved.windows == ["3m", "all", "45d"]
    assert {"count", "sum"} <= set(saved.chosen)
    assert "max" not in saved.chosen
    assert "std" in saved.chosen
    assert saved.chosen_counterparties

    by_label(page.selectbox, "Table").set_value("payments").run()
    by_label(page.toggle, "Use this table").set_value(False).run()
    by_label(page.button, "Undo changes").click().run()
    assert by_label(page.toggle, "Use this table").value is True
    by_label(page.toggle, "Use this table").set_value(False).run()
    by_label(page.button, "Save the choice").click().run()
    assert feature_choice.chosen(ctx, "lending").ignore == {"payments": []}
    by_label(page.button, "Back to the defaults").click().run()
    by_label(page.button, "Save the choice").click().run()
    assert feature_choice.chosen(ctx, "lending").ignore == {}
    assert not page.exception


def test_what_other_firms_tell_is_switched_on_and_off_and_saved(ctx: Context, page: Any) -> None:
    assert by_label(page.toggle, "What link tables lead to").value is True
    assert by_label(page.toggle, "Counterparties").value is False
    by_label(page.toggle, "What link tables lead to").set_value(False).run()
    peers = by_label(page.multiselect, "Compare with firms of the same")
    assert peers.value == []
    peers.set_value(["sectors.kind"]).run()
    by_label(page.pills, "What is told of each comparison").set_value(["z_score", "n_peers"]).run()
    by_label(page.button, "Save the choice").click().run()
    saved = feature_choice.chosen(ctx, "lending")
    assert saved.links is False
    assert saved.chosen_counterparties == ()
    assert saved.peers is not None
    assert (saved.peers.by, saved.peers.statistics) == (["sectors.kind"], ["z_score", "n_peers"])

    by_label(page.toggle, "What link tables lead to").set_value(True).run()
    by_label(page.multiselect, "Compare with firms of the same").set_value([]).run()
    by_label(page.button, "Save the choice").click().run()
    saved = feature_choice.chosen(ctx, "lending")
    assert (saved.links, saved.peers) == (True, None)
    assert not page.exception


def test_conditions_are_added_and_removed_and_the_count_follows(ctx: Context, page: Any) -> None:
    by_label(page.selectbox, "Table").set_value("payments").run()
    n_before = counted(page)
    by_label(page.button, "Add the condition").click().run()
    by_label(page.button, "Save the choice").click().run()
    (condition,) = feature_choice.chosen(ctx, "lending").conditions
    assert condition.table == "payments"
    assert counted(page) > n_before
    by_label(page.button, "Remove").click().run()
    by_label(page.button, "Save the choice").click().run()
    assert not feature_choice.chosen(ctx, "lending").conditions
    assert not page.exception


def counted(page: Any) -> int:
    """Wait for the preview, and return how many features it counts."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        told = words(page)
        if "possible" in told:
            after = told.split("Features that would be computed")[1].split('class="headline">')[1]
            return int(after.split(" ")[0].replace(",", ""))
        time.sleep(0.3)
        page.run()
    raise AssertionError(words(page))


def test_without_a_label_the_way_leads_to_the_label_page_whose_guess_can_be_saved_at_once(
    ctx: Context, page: Any
) -> None:
    held = projects.spec(ctx, "lending")
    projects.write_spec(ctx, "lending", held.model_copy(update={"labels": []}))
    assert "No label yet" in words(page.run())
    by_label(page.switch_page("app_pages/label.py").run().button, "Save the label").click().run()
    assert not page.error, page.error[0].value
    (label,) = projects.spec(ctx, "lending").labels
    assert (label.name, label.root_table, label.key_column) == ("default_next_month", "clients", "client_id")
    assert (label.column, label.bad_values) == ("default_next_month", [1])
    assert label.cutoff is not None
    assert label.cutoff.date is not None
