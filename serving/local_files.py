"""Small JSON files by which the service remembers what it must know when it starts without the database."""

import json
import logging
import os
from pathlib import Path
from typing import Any

__all__ = ["read_json", "write_whole"]

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
