"""Folders that appear whole or not at all: written under another name, then renamed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

__all__ = ["fresh_name", "keep_latest", "writing_file", "writing_folder"]

_ABANDONED_AFTER_S = 2 * 86_400.0


@contextmanager
def writing_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target` that takes its place at the end; an error leaves no trace of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writing_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` that takes its place at the end; an error leaves no trace of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid4().hex[:8]}.{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def keep_latest(parent: Path, n_kept: int) -> None:
    """Remove all but the `n_kept` latest folders of `parent`, and what work broken off days ago left there."""
    folders = sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    finished = [path for path in folders if not path.name.startswith(".")]
    left_behind = [path for path in folders if path.name.startswith(".") and _age_s(path) > _ABANDONED_AFTER_S]
    for path in finished[: max(len(finished) - n_kept, 0)] + left_behind:
        shutil.rmtree(path, ignore_errors=True)


def fresh_name(fingerprint: str) -> str:
    """Return a folder name that sorts by time and shows the fingerprint: ``20261123T070501-1f2e3d4c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{fingerprint[:8]}"


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
