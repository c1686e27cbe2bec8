"""An upload whose connection is cut in the middle of its body, at the workbench's real server."""

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Request

from tests.journeys.browser import Person, person
from tests.journeys.conftest import Installation

pytestmark = [pytest.mark.browser]

MARK = b"cut-in-the-middle"
ROWS = b"firm_id,employees\nF1,5\nF2,7\nF3,12\n"


def upload(analyst: Person, name: str, content: bytes) -> Request:
    """Choose a file on the Data page, and return the request that sends it."""
    chooser = analyst.page.locator('[data-testid="stFileUploader"] input[type="file"]')
    with analyst.page.expect_request(
        lambda request: "upload_file" in request.url and request.method != "OPTIONS"
    ) as sent:
        chooser.set_input_files([{"name": name, "mimeType": "text/csv", "buffer": content}])
    analyst.settle()
    return sent.value


def cut(request: Request, total_bytes: int, sent_bytes: int) -> None:
    """Send a file as `request` did, to a place of its own, and cut the connection when `sent_bytes` are sent."""
    address = urlsplit(request.url)
    path = f"{address.path.rpartition('/')[0]}/{uuid4()}"
    boundary = "cut"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="firms.csv"; filename="firms.csv"\r\n\r\n'.encode()
    headers = {name: value for name, value in request.all_headers().items() if not name.startswith(":")}
    headers |= {"content-type": f"multipart/form-data; boundary={boundary}", "content-length": str(total_bytes)}
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection((address.hostname, address.port), timeout=30) as wire:
        wire.sendall("\r\n".join(lines).encode() + head + MARK)
        for _ in range(sent_bytes >> 16):
            wire.sendall(b"F4,5\nF5,77\n123\n\n" * 4096)
        time.sleep(0.3)  # it is read there before it breaks off


def files_with(home: Path, mark: bytes) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and mark in path.read_bytes()]


def test_an_upload_cut_in_the_middle_leaves_nothing_and_the_next_one_works(empty_installation: Installation) -> None:
    with person(empty_installation.url) as analyst:
        analyst.sign_in("analyst")
        analyst.open("data")
        analyst.page.get_by_label("Title", exact=True).fill("Firms")
        analyst.click("Create the project")
        request = upload(analyst, "firms.csv", ROWS)
        cut(request, 40 << 20, 16 << 20)
        assert httpx.get(f"{empty_installation.url}/sign-in", timeout=60).status_code == 200
        assert files_with(empty_installation.home, MARK) == []
        assert (
            list(empty_installation.home.rglob("uploads/*")) == []
        )  # what is chosen is kept nowhere before it is imported
        analyst.click("Import the files")
        analyst.wait_for("1 tables with 3 rows", 120_000)
        assert [path.name for path in empty_installation.home.rglob("uploads/*/*")] == ["firms.csv"]
        assert files_with(empty_installation.home, MARK) == []
        analyst.check_manners()
