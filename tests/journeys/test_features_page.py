"""The Features page under the analyst's hand: windows, primitives and columns are chosen, built and seen used."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser import Person, person
from tests.journeys.conftest import Installation
from tests.journeys.test_browser import write_lending

pytestmark = [pytest.mark.browser]


def import_lending(analyst: Person, folder: Path) -> None:
    """Go from an empty workbench to a saved label."""
    page = analyst.page
    page.get_by_label("Title").fill("Card clients")
    analyst.click("Create the project")
    page.locator('[data-testid="stFileUploader"] input[type="file"]').set_input_files(write_lending(folder, 400))
    analyst.settle()
    analyst.click("Import the files")
    analyst.wait_for("3,200")
    analyst.open("label")
    analyst.click("Save the label")
    analyst.open("features")
    analyst.wait_for("all that is possible")


def test_a_window_is_picked_a_column_left_out_and_the_build_uses_it(
    empty_installation: Installation, tmp_path: Path
) -> None:
    with person(empty_installation.url) as analyst:
        analyst.sign_in("analyst")
        import_lending(analyst, tmp_path)
        page = analyst.page
        field = page.get_by_label("Add a window")
        field.fill("18 weeks")
        field.press("Enter")
        analyst.wait_for("such as 30d, 6m or 2y")
        field.fill("45d")
        field.press("Enter")
        analyst.wait_for("45 days")
        analyst.wait_for("all that is possible")
        analyst.settle()
        unwanted = page.get_by_role("button", name="24 months", exact=True)
        unwanted.click()
        expect(unwanted).to_have_attribute("aria-pressed", "false")
        analyst.settle()

        # A click on the picture chooses the table.
        analyst.click_in_picture("payments")
        analyst.wait_for("client_id with clients: 100.0% linked")
        analyst.wait_for("Settings changed and not saved yet: 1")
        analyst.wait_for("all that is possible")
        analyst.settle()
        analyst.choose_cell(33, 123)  # the third row: days_late
        page.keyboard.press("Space")
        analyst.wait_for("Settings changed and not saved yet: 2")
        analyst.check_manners()

        analyst.click("Build the features")
        analyst.wait_for("Leakage certificate", 120_000)
        analyst.settle()
        kept = analyst.words()
        page.get_by_role("radio", name="Dropped, with reasons").or_(
            page.get_by_role("button", name="Dropped, with reasons")
        ).first.click()
        analyst.wait_for("Rule")
        analyst.settle()
        words = kept + analyst.words()
        assert "last 45 days" in words
        assert "last 24 months" not in words
        assert "days_late" not in words
        assert "Negative control" in words
        analyst.check_manners()
