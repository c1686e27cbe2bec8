"""A person at the workbench, in real Chromium: signs in, opens pages, clicks, and notices what is wrong on a page."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from playwright.sync_api import FloatRect, Locator, Page, WebSocket, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLOW_MS = 60_000
_MOST_UNHEARD_MS = 5_000
_MOST_CLICKS = 4
_RUDE = ("Traceback (most recent call last)", "This page failed unexpectedly", "This app has encountered an error")


class Person:
    """One browser window, signed in as one user."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        page.set_default_timeout(SLOW_MS)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note_request(request.url))
        self._is_heard = True
        page.on("domcontentloaded", lambda _: self._hear(is_heard=False))
        page.on("websocket", self._listen)

    def sign_in(self, name: str, password: str | None = None, language: str = "en") -> None:
        """Sign in with a password, or by the local button where none is given."""
        self.page.goto(f"{self.url}/sign-in?language={language}")
        if password is None:
            self.page.locator(f"button[value={name}]").click()
        else:
            self.page.fill("#name", name)
            self.page.fill("#password", password)
            self.page.locator("form").first.get_by_role("button").click()
        expect(self.page.locator("h1")).to_be_visible(timeout=SLOW_MS)
        self.settle()

    def open(self, page: str) -> None:
        """Open a page through the navigation."""
        address = self.page.locator(f'[data-testid="stSidebarNav"] a[href$="/{page}"]')
        address.click()
        expect(self.page).to_have_url(re.compile(f"/{page}$"), timeout=SLOW_MS)
        self.settle()

    def settle(self) -> None:
        """Wait until the script behind the page has ended."""
        self.page.wait_for_timeout(400)
        # A page that was loaded, or what was clicked, has to reach the script before that can be said to have ended.
        for _ in range(_MOST_UNHEARD_MS // 50):
            if self._is_heard:
                break
            self.page.wait_for_timeout(50)
        app = self.page.locator('[data-testid="stApp"]')
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=SLOW_MS)

    def _listen(self, wire: WebSocket) -> None:
        """Note whether the server has said anything since the page was loaded or last told it something."""
        wire.on("framesent", lambda _: self._hear(is_heard=False))
        wire.on("framereceived", lambda _: self._hear(is_heard=True))

    def _hear(self, *, is_heard: bool) -> None:
        self._is_heard = is_heard

    def click(self, name: str) -> None:
        """Click a button by its words and wait for the page."""
        self.page.get_by_role("button", name=name, exact=True).click()
        self.settle()

    def place(self, part: Locator) -> FloatRect:
        """Return where `part` stands, once it stands still (what is drawn anew has no place for a while)."""
        before: FloatRect | None = None
        for _ in range(SLOW_MS // 250):
            box = part.bounding_box()
            if box is not None and box == before:
                return box
            before = box
            self.page.wait_for_timeout(250)
        raise AssertionError(f"{part} never stood still")

    def click_in_picture(self, words: str) -> None:
        """Click a word that the page's first chart draws."""
        box = self.place(self.page.locator(".stPlotlyChart").first.get_by_text(words, exact=True))
        self.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.settle()

    def choose_cell(self, x: float, y: float) -> None:
        """Click a cell of the page's first grid, so many pixels from its corner, until the grid says that it is chosen.

        A grid is drawn on a canvas and for a while, after it was drawn anew, hears no click.
        """
        grid = self.page.locator('[data-testid="stDataFrame"]').first
        chosen = grid.locator('[role="gridcell"][aria-selected="true"]')
        grid.scroll_into_view_if_needed()
        for _ in range(_MOST_CLICKS):
            box = self.place(grid.locator("canvas").first)
            self.page.mouse.click(box["x"] + x, box["y"] + y)
            with suppress(PlaywrightTimeoutError):
                chosen.first.wait_for(state="attached", timeout=_MOST_UNHEARD_MS)
                return
        raise AssertionError("the grid heard no click")

    def wait_for(self, words: str, timeout_ms: int = SLOW_MS) -> None:
        """Wait until the page shows `words`."""
        expect(self.page.get_by_text(words).first).to_be_visible(timeout=timeout_ms)

    def words(self) -> str:
        """Return all the page's words."""
        return self.page.locator('[data-testid="stMain"]').inner_text()

    def check_manners(self) -> None:
        """Assert that the page shows no trace, no fault, no bare number, and asked nobody else for anything."""
        words = self.words()
        assert not [rude for rude in _RUDE if rude in words], words[-1500:]
        assert not re.search(r"\b(nan|None|inf)\b", words), re.findall(r".*\b(?:nan|None|inf)\b.*", words)
        assert not self.foreign, self.foreign
        assert not self.complaints, self.complaints

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(text)

    def _note_request(self, url: str) -> None:
        if not url.startswith((self.url, self.url.replace("http", "ws"), "data:", "blob:")):
            self.foreign.append(url)


def browser_path() -> str:
    """Return where Chromium is."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise AssertionError("no Chromium here; deploy/environment.sh system-parts installs or names it")


@contextmanager
def person(url: str, *, dark: bool = False, chinese: bool = False) -> Iterator[Person]:
    """Open a fresh browser on the workbench at `url`, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(_FLAGS))
        context = browser.new_context(
            viewport={"width": 1440, "height": 900},
            color_scheme="dark" if dark else "light",
            locale="zh-CN" if chinese else "en-US",
        )
        visitor = Person(context.new_page(), url)
        try:
            yield visitor
        except Exception as error:
            error.add_note(f"the page said:\n{visitor.page.locator('body').inner_text()[-3000:]}")
            raise
        finally:
            context.close()
            browser.close()
