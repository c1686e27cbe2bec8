"""Real files and a database brought in by clicking only, in real Chromium; each step's page is looked at."""

import re
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser import SLOW_MS, Person, person
from tests.journeys.conftest import Installation
from tests.journeys.real_data import data_folder

pytestmark = [pytest.mark.browser]


def begin(analyst: Person, title: str, labels: dict[str, str]) -> None:
    """Make a project and stand on its Data page."""
    analyst.page.get_by_label(labels["title"], exact=True).fill(title)
    analyst.click(labels["create"])
    analyst.wait_for(labels["empty"])
    analyst.check_manners()


def upload(analyst: Person, folder: Path, labels: dict[str, str]) -> None:
    """Choose all files of a folder and import them."""
    files = sorted(str(path) for path in folder.iterdir())
    analyst.page.locator('[data-testid="stFileUploader"] input[type="file"]').set_input_files(files)
    analyst.settle()
    analyst.click(labels["import"])
    analyst.wait_for(labels["found"], 3 * SLOW_MS)
    analyst.settle()
    analyst.check_manners()


ENGLISH = {
    "title": "Title", "create": "Create the project", "empty": "No tables yet", "import": "Import the files",
    "found": "What the import found",
}  # fmt: skip
CHINESE = {
    "title": "名称", "create": "创建项目", "empty": "还没有数据表", "import": "导入文件", "found": "导入中的发现",
}  # fmt: skip


def rows_of(analyst: Person, heading: str) -> list[list[str]]:
    """Return the cells of the table whose header begins with `heading`."""
    table = analyst.page.locator("table").filter(has=analyst.page.locator("th", has_text=re.compile(rf"^{heading}$")))
    return [row.locator("td").all_inner_texts() for row in table.first.locator("tbody tr").all()]


@pytest.mark.real_data
def test_eight_linked_tables_with_semicolons_and_short_dates(empty_installation: Installation) -> None:
    source = data_folder("berka_partial")
    with person(empty_installation.url) as analyst:
        analyst.sign_in("analyst")
        analyst.open("data")
        begin(analyst, "Czech loans", ENGLISH)
        upload(analyst, source, ENGLISH)
        analyst.wait_for("8 tables with 72,462 rows, known up to 1998-12-29")
        tables = {cells[0]: cells for cells in rows_of(analyst, "Table")}
        assert tables["loan"][3:] == ["loan_id", "date", "–", "1993-07-05 – 1998-12-08"]
        assert tables["trans"][1] == "49,102"
        links = {(parent, child): lost for parent, child, lost in rows_of(analyst, "Parent")}
        assert len(links) == 8
        assert set(links.values()) == {"0"}
        # clients and accounts meet in disp, many to many
        assert {("client.client_id", "disp.client_id"), ("account.account_id", "disp.account_id")} <= set(links)
        words = analyst.words()
        assert "district, column A12: 1 values are written ? . * 不详 or 未知 and were read as missing" in words
        assert "1993-01-01 to 1997-12-29" in words  # days without a clock
        analyst.open("quality")
        analyst.check_manners()


@pytest.mark.real_data
def test_guaranteed_loans_with_month_names_and_days_counted_by_sas(empty_installation: Installation) -> None:
    source = data_folder("sba_guarantee")
    with person(empty_installation.url, dark=True, chinese=True) as analyst:
        analyst.sign_in("analyst", language="zh")
        analyst.open("data")
        begin(analyst, "SBA", CHINESE)
        upload(analyst, source, CHINESE)
        tables = {cells[0]: cells for cells in rows_of(analyst, "表")}
        assert tables["SBAnational_first22k"][3:6] == ["LoanNr_ChkDgt", "ApprovalDate", "–"]
        assert tables["SBAcase.11.13.17"][3] == "LoanNr_ChkDgt"
        assert "SBAcase.11.13.17，ApprovalDate 列" in analyst.words()
        assert "这些值像是日期序列号" in analyst.words()
        analyst.open("quality")
        analyst.check_manners()


def loans(path: Path, rows: list[tuple[int, str]]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table if not exists loans (loan_id integer primary key, loaded_on date)")
        connection.executemany("insert into loans values (?, ?)", rows)
    connection.close()


def test_new_and_late_rows_of_a_database_by_clicking(empty_installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "loans.db"
    loans(file, [(1, "2024-01-01"), (2, "2024-03-01"), (3, "2024-03-05")])
    with person(empty_installation.url) as analyst:
        page = analyst.page
        analyst.sign_in("analyst")
        analyst.open("data")
        begin(analyst, "Loans of the house", ENGLISH)
        page.get_by_text("Database", exact=True).first.click()
        analyst.settle()
        page.locator('[data-testid="stSelectbox"]').filter(has_text="Database").locator("input").click()
        page.get_by_role("option", name="SQLite").click()
        analyst.settle()
        page.get_by_label("File on the server", exact=True).fill(str(file))
        analyst.click("Look for tables")
        grid = page.locator('[data-testid="stDataFrame"]').first
        expect(grid).to_be_visible(timeout=SLOW_MS)
        analyst.settle()
        page.get_by_label("Growing columns", exact=True).click()
        page.keyboard.type("loaded")
        page.get_by_role("option", name="loans · loaded_on", exact=True).click()
        page.keyboard.press("Escape")  # the list stays open for more, over the grid
        analyst.settle()
        again = page.get_by_label("Read again: loans · loaded_on", exact=True)
        again.fill("5")
        again.press("Tab")
        analyst.settle()
        analyst.click("Import these tables")
        analyst.wait_for("1 tables with 3 rows", 2 * SLOW_MS)
        loans(file, [(4, "2024-03-02"), (5, "2024-02-01"), (6, "2024-03-09")])  # late, too late, new
        analyst.settle()
        analyst.click("Import again")
        page.get_by_text("Database", exact=True).first.click()
        analyst.settle()
        analyst.click("Import new rows only")
        analyst.wait_for("1 tables with 5 rows", 2 * SLOW_MS)
        analyst.check_manners()
