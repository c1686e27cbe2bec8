"""Schemathesis reads the description of the running service and tries every operation in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx

from core.identity import SYSTEM, Identity
from tests.serving.conftest import Site

ROOT = Path(__file__).parents[2]
SCOPES = ["model.score", "snapshot.read", "enterprise.read"]


def test_every_operation_does_what_the_description_says(service: tuple[Site, httpx.Client], tmp_path: Path) -> None:
    site, client = service
    _, secret = Identity(site.database).create_key("schemathesis", SCOPES, by=SYSTEM)
    program = str(Path(sys.executable).with_name("schemathesis"))
    settings = ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
    options = ["--max-examples", "10", "--seed", "20240501", "--workers", "1", "--no-color"]
    key = ["-H", f"Authorization: Bearer {secret}"]
    done = subprocess.run(
        [program, *settings, "run", f"{client.base_url}/openapi.json", *key, *options],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.serving.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    operations = sum(len(item) for item in client.get("/openapi.json").json()["paths"].values())
    assert f"Tested: {operations}" in done.stdout
    generated = re.search(r"([0-9,]+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1].replace(",", "")) > 20 * operations
