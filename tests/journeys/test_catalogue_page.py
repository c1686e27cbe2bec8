"""The Catalogue page under the analyst's hand: a field found, followed to the champion, its rows seen without names."""

import pytest
from playwright.sync_api import expect

from core.settings import Settings
from tests.journeys.browser import person
from tests.journeys.conftest import Installation
from workbench.flows import importing
from workbench.flows.context import open_context

pytestmark = [pytest.mark.browser]


def test_a_field_is_found_followed_and_seen_masked(sample_installation: Installation) -> None:
    ctx = open_context(Settings(home=sample_installation.home))
    data = importing.stored(ctx, "sample")
    assert data is not None
    personal = [(table, column) for table in data.tables for column in table.columns if column.is_personal]
    table, column = personal[0]
    secret = [str(value) for value in importing.tables(ctx, "sample").frame(table.name)[column.name].head(50)]
    ctx.database.dispose()

    with person(sample_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        analyst.open("catalogue")
        search = page.get_by_placeholder("for example: overdue")
        search.fill("no such thing")
        search.press("Enter")
        analyst.wait_for("Nothing found")
        search.fill("销售额")  # in the other language
        search.press("Enter")
        analyst.wait_for("Declared sales")
        analyst.settle()
        chart = page.locator(".stPlotlyChart").first
        for words in ("Field", "Features", "Versions", "At work", "v1", "Champion"):
            expect(chart.get_by_text(words, exact=True).first).to_be_visible()
        analyst.check_manners()

        search.fill(f"{table.name} {column.name}")
        search.press("Enter")
        analyst.wait_for("No kept feature and no version reads this column.")
        analyst.settle()
        rows = page.get_by_text("First rows of")
        expect(rows).to_have_count(1)  # those of the field before go when the page has run through
        rows.click()
        analyst.wait_for("Personal values are masked")
        cells = page.locator('[data-testid="stDataFrame"] [role="gridcell"]')
        expect(cells.first).to_be_attached()
        shown = cells.all_text_contents()
        assert any("*" in text for text in shown)
        assert not set(secret) & set(shown)
        analyst.check_manners()
