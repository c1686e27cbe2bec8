"""The files of the local score log: what whole entries are in them, how much of each is shipped, and their end.

An entry is a record in JSON, one line, or a block (`ScoreBlock`), which begins with a line that says how long it is.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from monitoring.score_block import BLOCK_START, ScoreBlock, content_length
from monitoring.score_record import ScoreRecord, read_record

__all__ = [
    "LOG_FILES",
    "erased_line",
    "is_erased",
    "read_entry",
    "read_local",
    "reject",
    "remove_shipped",
    "set_shipped",
    "shipped_bytes",
    "whole_entries",
]

_LOG = logging.getLogger(__name__)
LOG_FILES = "scores-*.jsonl"
"""Names of the files of the local log."""


def whole_entries(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield each whole entry from `offset` on with where it ends; half an entry at the end is not yielded."""
    with path.open("rb") as file:
        file.seek(offset)
        while entry := _next_entry(file):
            offset += len(entry)
            yield offset, entry


def read_entry(entry: bytes) -> ScoreRecord | ScoreBlock | None:
    """Return what an entry of the local log holds, None where that is nothing that can be read."""
    return ScoreBlock.from_bytes(entry) if entry.startswith(BLOCK_START) else read_record(entry)


def erased_line(length: int) -> bytes:
    """Return what a line of so many bytes is overwritten with when its record is erased."""
    return b"{" + b" " * (length - 3) + b"}\n"


def is_erased(entry: bytes) -> bool:
    """Whether a line's record was erased."""
    return entry == erased_line(len(entry))


def read_local(folder: Path, *, max_records: int) -> list[ScoreRecord]:
    """Return the newest records of the local log, oldest first, at most `max_records`."""
    found: list[ScoreRecord] = []
    for path in sorted(folder.glob(LOG_FILES), reverse=True):
        records: list[ScoreRecord] = []
        for _, entry in whole_entries(path, 0):
            content = read_entry(entry)
            if content is not None:
                records += [content] if isinstance(content, ScoreRecord) else content.rows()
        found = records[-(max_records - len(found)) :] + found
        if len(found) >= max_records:
            break
    return found


def shipped_bytes(path: Path) -> int:
    """Return how much of a file is in the database already."""
    try:
        return int(_marker(path).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def set_shipped(path: Path, end: int) -> None:
    """Note that a file is in the database up to `end`, in one step."""
    temporary = _marker(path).with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
    temporary.write_text(str(end))
    temporary.replace(_marker(path))


def remove_shipped(
    folder: Path, *, older_than_seconds: float, on_remove: Callable[[Path], None] = lambda _: None
) -> int:
    """Delete files of the local log that are wholly in the database and were not written to for so long.

    `on_remove` is told each before it goes. Called by one process at a time.
    """
    removed = 0
    for path in folder.glob(LOG_FILES):
        status = path.stat()
        if time.time() - status.st_mtime > older_than_seconds and shipped_bytes(path) >= status.st_size:
            on_remove(path)
            _marker(path).unlink(missing_ok=True)
            path.unlink()
            removed += 1
    return removed


def reject(path: Path, entry: bytes) -> None:
    """Set an entry of a file aside that cannot be kept, so that it holds up no other."""
    _LOG.error("an entry of the score log cannot be kept: %s", path.name)
    with (path.parent / "rejected.jsonl").open("ab") as file:
        file.write(entry)


def _next_entry(file: BinaryIO) -> bytes:
    """Return the next whole entry, nothing where there is none."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return b""
    length = content_length(line) if line.startswith(BLOCK_START) else None
    if length is None:
        return line
    content = file.read(length + 1)
    return line + content if len(content) == length + 1 else b""


def _marker(path: Path) -> Path:
    return path.with_suffix(".shipped")
