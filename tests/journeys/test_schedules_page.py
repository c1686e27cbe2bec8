"""The Schedules page under the analyst's hand: made, run at once by the worker, and its history told."""

import pytest
from playwright.sync_api import expect

from core.settings import Settings
from tests.journeys.browser import person
from tests.journeys.conftest import Installation
from workbench.flows import quality
from workbench.flows.context import open_context
from workbench.jobs.schedules import ScheduleBook

pytestmark = [pytest.mark.browser]


def test_a_schedule_is_made_run_at_once_and_tells_what_came_of_it(sample_installation: Installation) -> None:
    with person(sample_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        analyst.open("schedules")
        analyst.wait_for("Nothing runs by itself yet.")
        page.get_by_label("What", exact=True).click()
        page.get_by_role("option", name="Assess the data's quality").click()
        analyst.settle()
        page.get_by_label("Name", exact=True).fill("nightly quality")
        page.get_by_label("Name", exact=True).press("Enter")
        analyst.settle()
        analyst.click("Put on the schedule")
        analyst.wait_for("Next is nightly quality")
        analyst.wait_for("It has not run yet.")
        analyst.check_manners()

        analyst.click("Run it now")
        history = page.locator(".st-key-panel_schedule_history")
        expect(history.get_by_text("done", exact=True)).to_be_visible(timeout=90_000)
        analyst.settle()
        expect(page.get_by_role("button", name="Run it now")).to_be_enabled()
        assert "every day at 02:30" in analyst.words()
        analyst.check_manners()

    ctx = open_context(Settings(home=sample_installation.home))
    (run,) = ScheduleBook(ctx.database).runs("sample", "nightly quality")
    assert (run.state, run.attempt, run.n_missed) == ("succeeded", 1, 0)
    assert len(quality.state(ctx, "sample").history) == 2  # the demo's, and this one
    ctx.database.dispose()
