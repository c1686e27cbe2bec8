"""Small folders of files to import, and the real data sets."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from core.findings import Finding

# the same examples on every machine and at every load, and no folder of old ones in the checkout
settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write files (text as UTF-8, bytes as they are; ``.gz`` names are compressed) and return their folder."""

    def write(files: dict[str, str | bytes]) -> Path:
        target = tmp_path / "source"
        target.mkdir(exist_ok=True)
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (target / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return target

    return write


@pytest.fixture
def codes() -> Callable[..., list[str]]:
    """Return the codes of findings, of those in one place where it is given."""

    def of(findings: tuple[Finding, ...] | list[Finding], where: str = "") -> list[str]:
        return [finding.code for finding in findings if where in finding.where]

    return of
