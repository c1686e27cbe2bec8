"""The Tables page under people's hands: a model corrected by clicking only, saved, put to the tables, signed."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.settings import Settings
from tests.journeys.browser import Person, person
from tests.journeys.conftest import Installation
from tests.journeys.real_data import data_folder
from workbench.flows import data_models, importing
from workbench.flows.context import open_context

pytestmark = [pytest.mark.browser, pytest.mark.real_data]


def import_berka(analyst: Person, folder: Path) -> None:
    """Go from an empty workbench to eight tables, by clicking."""
    page = analyst.page
    page.get_by_label("Title").fill("Berka")
    analyst.click("Create the project")
    files = sorted(str(path) for path in folder.iterdir() if path.name.endswith(".asc.gz"))
    page.locator('[data-testid="stFileUploader"] input[type="file"]').set_input_files(files)
    analyst.settle()
    analyst.click("Import the files")
    analyst.wait_for("8 tables with 72,462 rows")
    analyst.settle()


def choose(analyst: Person, label: str, option: str) -> None:
    """Choose in a list by its label, by writing what is looked for, once the page stands still."""
    analyst.settle()
    analyst.page.get_by_label(label).first.click()
    analyst.page.keyboard.type(option)
    analyst.page.get_by_role("option", name=option, exact=True).click()
    analyst.settle()


def turn_to(analyst: Person, side: str) -> None:
    """Turn to one side of the table, or of the page."""
    analyst.page.get_by_text(side, exact=True).first.click()
    analyst.settle()


def test_a_model_is_corrected_by_clicking_and_signed_by_a_second_person(empty_installation: Installation) -> None:
    folder = data_folder("berka_partial")
    with person(empty_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        import_berka(analyst, folder)
        analyst.open("data_model")
        analyst.wait_for("8 tables, 8 links, 72,462 rows")
        analyst.wait_for("The rows agree")

        # The link of a table in between is taken away and offered again by how many rows find a parent.
        analyst.click_in_picture("disp")
        turn_to(analyst, "Links")
        analyst.wait_for("link table: rows of 2 tables meet here")
        page.get_by_role("button", name="Remove the link").first.click()
        analyst.wait_for("8 tables, 7 links, 72,462 rows")
        choose(analyst, "Let a column refer to another table", "client_id")
        analyst.wait_for("1,540 rows find no parent: 1001")
        page.get_by_role("button", name="Link", exact=True).first.click()
        analyst.wait_for("No unsaved changes")

        # A key that repeats is seen at once, cannot be saved, and is taken back.
        analyst.click_in_picture("trans")
        turn_to(analyst, "Key and times")
        page.get_by_label("Key: the columns that together identify one row").click()
        page.get_by_role("option", name="type", exact=True).click()
        analyst.settle()
        page.get_by_role("button", name="Remove trans_id").or_(
            page.locator('[data-baseweb="tag"]', has_text="trans_id").locator('[role="presentation"], svg').last
        ).first.click()
        analyst.wait_for("not unique")
        analyst.wait_for("49,099 of 49,102 rows repeat a value")
        expect(page.get_by_role("button", name="Save as version 1")).to_be_disabled()
        for _ in range(2):
            page.locator(".st-key-model_undo button").click()
            analyst.settle()
        analyst.wait_for("No unsaved changes")

        # A lag, and a column that no feature may be made of.
        lag = page.get_by_label("Days from event to knowledge")
        lag.fill("3")
        lag.press("Enter")
        analyst.wait_for("rows are known 3 days after the event, was 0")
        analyst.click_in_picture("client")
        turn_to(analyst, "Its columns")
        analyst.choose_cell(33, 35 + 35 + 17)  # the second row: birth_number
        page.keyboard.press("Space")
        analyst.wait_for("the role is left out, was feature")
        analyst.check_manners()

        # Leaving the page loses nothing.
        analyst.open("quality")
        analyst.open("data_model")
        analyst.wait_for("Unsaved changes: 2")
        page.get_by_label("Why").fill("postings arrive three days late")
        page.get_by_label("Why").press("Enter")
        analyst.settle()
        analyst.click("Save as version 1")
        analyst.wait_for("Version 1 by analyst, not reviewed.")
        expect(page.get_by_text("do not go by it yet")).to_have_count(0, timeout=60_000)
        analyst.settle()
        analyst.check_manners()

    with person(empty_installation.url) as reviewer:
        reviewer.sign_in("reviewer")
        reviewer.open("data_model")
        turn_to(reviewer, "Versions and review")
        reviewer.wait_for("postings arrive three days late")
        reviewer.wait_for("changes which rows a case may see")
        reviewer.page.get_by_label("Note").fill("agreed with operations")
        reviewer.click("Approve")
        reviewer.wait_for("Version 1 by analyst, approved.")
        reviewer.check_manners()

    ctx = open_context(Settings(home=empty_installation.home))
    signed = data_models.version(ctx, "berka", 1)
    assert (signed.state, signed.reviewed_by, signed.review_note) == ("approved", "reviewer", "agreed with operations")
    assert importing.version_of_stored(ctx, "berka") == 1
    kept = importing.tables(ctx, "berka")
    assert kept.spec("trans").known_at_lag_days == 3
    assert kept.spec("client").columns["birth_number"].role == "ignore"
    assert len(kept.data_model.relationships) == 8
    ctx.database.dispose()
