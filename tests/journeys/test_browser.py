"""The workbench as people use it, in real Chromium: every page, both languages, both themes; the loop by clicking."""

import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.journeys.browser import Person, person
from tests.journeys.conftest import Installation

PAGES = (
    "data",
    "data_model",
    "quality",
    "catalogue",
    "standard",
    "label",
    "features",
    "train",
    "evaluate",
    "explain",
    "reasons",
    "scorecard",
    "economics",
    "review",
    "deploy",
    "traffic",
    "monitor",
    "schedules",
)

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("zh", True)])
def test_every_page_shows_the_sample_project(language: str, dark: bool, sample_installation: Installation) -> None:
    with person(sample_installation.url, dark=dark, chinese=language == "zh") as analyst:
        analyst.sign_in("analyst", language=language)
        analyst.check_manners()
        for page in PAGES:
            analyst.open(page)
            analyst.check_manners()
            wait_for_title(analyst, is_chinese=language == "zh")


def wait_for_title(who: Person, *, is_chinese: bool) -> None:
    """Wait until the page's title has a Chinese character, or has none."""
    title, sign = who.page.locator("h1").first, re.compile("[\u4e00-\u9fff]")
    (expect(title).to_have_text if is_chinese else expect(title).not_to_have_text)(sign, timeout=20_000)


def test_the_language_stays_as_chosen(empty_installation: Installation) -> None:
    with person(empty_installation.url, chinese=True) as visitor:
        visitor.sign_in("analyst", language="zh")
        wait_for_title(visitor, is_chinese=True)
        visitor.click("English")
        wait_for_title(visitor, is_chinese=False)
        visitor.page.reload()
        visitor.settle()
        wait_for_title(visitor, is_chinese=False)
        visitor.page.goto(f"{visitor.url}/sign-in")
        assert visitor.page.locator("html").get_attribute("lang") == "en"


def test_a_scorecard_is_edited_and_registered_by_clicking(sample_installation: Installation) -> None:
    with person(sample_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        analyst.open("scorecard")
        analyst.check_manners()
        analyst.click("Start a scorecard")
        analyst.wait_for("By information value on the training rows.", 240_000)
        analyst.settle()
        bins = page.locator('[data-testid="stButtonGroup"] button')
        for number in (1, 2):
            bins.filter(has_text=re.compile(rf"^\s*{number} ")).click()
            analyst.settle()
        page.get_by_placeholder("Reason, kept in the audit trail").first.fill("hardly any rows")
        page.keyboard.press("Enter")
        analyst.settle()
        analyst.click("Merge 2 bins")
        analyst.wait_for("changes by hand: 1")
        page.get_by_text("Changes", exact=True).first.click()
        analyst.wait_for("hardly any rows")
        analyst.check_manners()
        page.get_by_text("Crossed", exact=True).first.click()
        analyst.click("Put the pair on the card")
        analyst.wait_for("changes by hand: 2")
        analyst.wait_for("Take this pair off the card")
        analyst.check_manners()
        analyst.click("Register as a draft version")
        analyst.wait_for("registered as v", 120_000)
        analyst.settle()
        page.get_by_text("Points table", exact=True).first.click()
        analyst.wait_for("base points")
        analyst.check_manners()
        analyst.open("review")
        analyst.wait_for("Changes made by hand: 2")
        analyst.wait_for("points of their own beside the points of each")
        analyst.check_manners()


def test_sign_in_refuses_a_wrong_password_and_keeps_the_name(empty_installation: Installation) -> None:
    with person(empty_installation.url) as stranger:
        page = stranger.page
        page.goto(empty_installation.url)
        page.wait_for_url("**/sign-in")
        page.fill("#name", "analyst")
        page.fill("#password", "wrong")
        page.locator("form").first.get_by_role("button").click()
        assert page.get_by_role("alert").is_visible()
        assert page.input_value("#name") == "analyst"
        stranger.complaints.clear()  # the browser notes the 401 itself
        stranger.sign_in("analyst", "analyst-only-here-1")
        stranger.check_manners()


def write_lending(folder: Path, n_clients: int = 700) -> list[str]:
    """Write clients and their monthly payments; who pays late and little defaults more often."""
    rng = np.random.default_rng(7)
    risk = rng.normal(size=n_clients)
    bad = rng.random(n_clients) < 1 / (1 + np.exp(1.4 - 1.3 * risk))
    clients = ["client_id,limit_cny,sector,default_next_month"]
    payments = ["payment_id,client_id,paid_on,amount_cny,days_late"]
    for client in range(n_clients):
        sector = "CFG"[client % 3]
        clients.append(f"K{client:05d},{rng.integers(10, 90) * 1000},{sector},{int(bad[client])}")
        for month in range(1, 9):
            late = max(0, int(rng.normal(2 + 6 * risk[client], 4)))
            amount = round(float(np.exp(rng.normal(7 - 0.3 * risk[client], 0.4))), 2)
            payments.append(f"P{client:05d}{month:02d},K{client:05d},2024-{month:02d}-15,{amount},{late}")
    files = {"clients.csv": clients, "payments.csv": payments}
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return [str(folder / name) for name in files]


def build_model(analyst: Person, files: list[str]) -> None:
    """Go from an empty workbench to a version that waits for review, by clicking only."""
    page = analyst.page
    page.get_by_label("Title").fill("Card clients")
    analyst.click("Create the project")
    page.locator('[data-testid="stFileUploader"] input[type="file"]').set_input_files(files)
    analyst.settle()
    analyst.click("Import the files")
    analyst.wait_for("5,600")
    analyst.check_manners()

    analyst.open("label")
    analyst.click("Save the label")
    analyst.open("features")
    analyst.click("Build the features")
    analyst.wait_for("Leakage proof", 120_000)
    analyst.settle()
    assert "Passed" in analyst.words()
    analyst.check_manners()

    analyst.open("train")
    page.get_by_role("radio", name="Quick (≤ 1 min)").or_(
        page.get_by_role("button", name="Quick (≤ 1 min)")
    ).first.click()
    analyst.settle()
    page.get_by_role("button", name="Train a model", exact=True).click()
    analyst.wait_for("Finish with the best so far")
    analyst.wait_for("The race so far")  # there is a best by now
    page.get_by_role("button", name="Finish with the best so far").click()
    analyst.wait_for("Candidates", 120_000)
    analyst.settle()
    analyst.check_manners()

    analyst.open("explain")
    analyst.check_manners()
    analyst.open("review")
    page.get_by_label("Note").fill("first version")
    page.get_by_label("Note").blur()
    analyst.settle()
    analyst.click("Submit for review")
    analyst.wait_for("waiting for review")


def test_the_loop_by_clicking(empty_installation: Installation, tmp_path: Path) -> None:
    with person(empty_installation.url) as analyst:
        analyst.sign_in("analyst")
        analyst.check_manners()
        build_model(analyst, write_lending(tmp_path))
        assert not analyst.page.get_by_role("button", name="Approve", exact=True).is_visible()
        analyst.check_manners()

    with person(empty_installation.url) as reviewer:
        reviewer.sign_in("reviewer")
        reviewer.open("review")
        reviewer.page.get_by_label("Note").fill("evidence read")
        reviewer.page.get_by_label("Note").blur()
        reviewer.settle()
        reviewer.click("Approve")
        reviewer.wait_for("approved")
        reviewer.check_manners()

    with person(empty_installation.url) as operator:
        operator.sign_in("operator")
        operator.open("deploy")
        operator.page.get_by_label("Reason", exact=True).fill("first champion")
        operator.page.get_by_label("Reason", exact=True).blur()
        operator.settle()
        operator.click("Deploy")
        operator.wait_for("put there by operator")
        operator.wait_for("Probability of default")
        operator.check_manners()
        operator.open("monitor")
        operator.wait_for("no period has been checked yet")
        operator.check_manners()
        operator.page.locator('[data-testid="stSidebarNav"] a').first.click()
        operator.settle()
        operator.wait_for("v1")
        operator.check_manners()


def test_tables_of_a_database_are_imported_by_clicking(empty_installation: Installation, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "loans.db") as connection:
        connection.execute("create table firms (firm_id integer primary key, sector text)")
        connection.execute("create table loans (loan_id integer primary key, firm_id integer, paid_on date)")
        connection.executemany("insert into firms values (?, 'C')", [(n,) for n in range(30)])
        connection.executemany("insert into loans values (?, ?, '2024-05-01')", [(n, n % 30) for n in range(120)])
    connection.close()
    with person(empty_installation.url, dark=True) as analyst:
        analyst.sign_in("analyst")
        page = analyst.page
        page.get_by_label("Title").fill("Loans")
        analyst.click("Create the project")
        analyst.wait_for("Import the files")
        page.get_by_role("radio", name="Database").or_(page.get_by_role("button", name="Database")).first.click()
        analyst.wait_for("Look for tables")
        page.locator('[data-testid="stSelectbox"]').filter(has_text="Database").locator("input").click()
        page.keyboard.type("SQLite")
        page.keyboard.press("Enter")
        analyst.wait_for("File on the server")
        page.get_by_label("File on the server", exact=True).fill(str(tmp_path / "not-there.db"))
        analyst.click("Look for tables")
        analyst.wait_for("there is no such file")
        page.get_by_label("File on the server", exact=True).fill(str(tmp_path / "loans.db"))
        analyst.click("Look for tables")
        analyst.click("Import these tables")
        analyst.wait_for("2 tables with 150 rows")
        analyst.open("quality")
        analyst.wait_for("Can the data be trusted?")
        analyst.check_manners()
        analyst.click("Assess again")
        title = page.locator('[data-testid="stPopoverBody"] .wb b').first
        red, green, blue = re.findall(r"\d+", title.evaluate("node => getComputedStyle(node).color"))[:3]
        assert (
            min(int(red), int(green), int(blue)) > 160
        )  # light letters on the dark ground of what floats above the page
