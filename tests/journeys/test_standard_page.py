"""The Data standard page under the analyst's hand: an upload that differs, the finding, the match decided on."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.settings import Settings
from tests.journeys.browser import person
from tests.journeys.conftest import Installation
from workbench.flows import projects, standard
from workbench.flows.context import open_context

pytestmark = [pytest.mark.browser]

_ROW, _FIELD_X = 35, 450  # pixels of a row of the grid, and where its column of fields lies


def test_a_differing_column_is_found_and_its_match_decided(empty_installation: Installation, tmp_path: Path) -> None:
    rows = "\n".join(f"E{n},Firm {n},S{n % 7},{100 + n}" for n in range(40))
    (tmp_path / "firm.csv").write_text(f"企业编号,company_name,size_code,reg_capital\n{rows}\n", "utf-8")
    with person(empty_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        page.get_by_label("Title").fill("Firms")
        analyst.click("Create the project")
        page.locator('[data-testid="stFileUploader"] input[type="file"]').set_input_files(str(tmp_path / "firm.csv"))
        analyst.settle()
        analyst.click("Import the files")
        analyst.wait_for("1 tables with 40 rows")
        analyst.open("standard")
        analyst.wait_for("3 of 4 columns of 1 tables are fields of the data standard")
        analyst.check_manners()

        analyst.choose_cell(_FIELD_X, 3 * _ROW + _ROW / 2)  # the third row: size_code
        page.keyboard.press("Enter")
        page.keyboard.type("enterprise.scale")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Keep the decisions: 1")).to_be_visible()
        analyst.click("Keep the decisions: 1")
        analyst.wait_for("4 of 4 columns of 1 tables are fields of the data standard")
        analyst.wait_for("codes that are not in the code table 2005")
        analyst.check_manners()

    ctx = open_context(Settings(home=empty_installation.home))
    assert projects.spec(ctx, "firms").standard.columns == {"firm": {"size_code": "enterprise.scale"}}
    columns = {one.name: one for one in standard.state(ctx, "firms").table("firm").columns}
    assert columns["size_code"].is_chosen
    assert not columns["company_name"].is_chosen
    ctx.database.dispose()
