"""Small JSON files by which the service remembers what it must know when it starts without the database."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["read_json", "sole", "write_whole"]

_LOG = logging.getLogger(__name__)


def write_whole(path: Path, content: Any) -> None:
    """Write JSON that only its owner reads, replaced in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """Return the JSON in `path`, or None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        _LOG.error("%s is damaged and passed over", path.name)
        return None


@contextmanager
def sole(path: Path, *, is_patient: bool = False) -> Iterator[bool]:
    """Do what only one process shall do at a time; yields whether it is this one's turn.

    Parameters
    ----------
    path : Path
        Empty file that stands for it.
    is_patient : bool, default=False
        Wait until it is.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if is_patient else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
