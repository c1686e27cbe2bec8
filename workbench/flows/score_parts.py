"""Scoring that was killed goes on where it stood: finished runs of rows are kept beside the file until it is whole.

What is kept lies in a folder beside the file of scores, named after it. A part is renamed into place when it is on
disk, so it is whole or not there; the file of scores is made of the parts at the end. Another question (another
version, table, language …) to the same file begins anew.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import ConflictError
from core.i18n import msg
from workbench.flows.score_files import ScoreFile, file_format

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoreParts", "scoring_in_parts", "whole_file", "working_folder"]

_QUESTION: Final = "question.json"
_LOCK: Final = "lock"


class ScoreParts:
    """Runs of rows of one file of scores, each a Parquet file, in order.

    Parameters
    ----------
    folder : Path
        Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = [_n_rows(path) for path in self._whole()]

    @property
    def n_rows(self) -> int:
        """Rows of the finished parts."""
        return sum(self._rows)

    @property
    def n_parts(self) -> int:
        """Finished parts: runs of rows that need not be scored again."""
        return len(self._rows)

    def rows_of(self, number: int) -> int:
        """Return how many rows a finished part has."""
        return self._rows[number]

    def add(self, frame: "pd.DataFrame") -> None:
        """Keep the next run of rows; once this returns a kill does not lose it."""
        meanwhile = self._folder / "next.parquet"
        part = ScoreFile(meanwhile, "parquet")
        part.write(frame)
        part.close()
        with meanwhile.open("rb") as written:
            os.fsync(written.fileno())
        meanwhile.replace(self._path(self.n_parts))
        self._rows.append(len(frame))

    def frames(self) -> Iterator["pd.DataFrame"]:
        """Yield the runs of rows in order, as they were added."""
        import pyarrow.parquet as pq

        for number in range(self.n_parts):
            yield pq.read_table(self._path(number), use_threads=False).to_pandas(use_threads=False)

    def _whole(self) -> Iterator[Path]:
        number = 0
        while (path := self._path(number)).is_file():
            yield path
            number += 1

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:06}.parquet"


@contextmanager
def scoring_in_parts(output: Path, question: Mapping[str, Any]) -> Iterator[tuple[ScoreParts, ScoreFile]]:
    """Yield what is finished of a file of scores, to be added to, and the file that is made of it at the end.

    Parameters
    ----------
    output : Path
        The file of scores.
    question : mapping of JSON values
        What decides about each row: version, source with its size and time, language. Parts of another are discarded.

    Raises
    ------
    ConflictError
        Another run writes the same file now.
    """
    file_format(output)
    with working_folder(output, question) as folder:
        parts = ScoreParts(folder)
        with whole_file(output, folder) as file:
            yield parts, file
            for frame in parts.frames():
                file.write(frame)


@contextmanager
def whole_file(output: Path, folder: Path) -> Iterator[ScoreFile]:
    """Yield a file of scores to be filled in a working folder, which takes its place at the end."""
    form = file_format(output)
    file = ScoreFile(folder / f"whole.{form}", form)
    try:
        yield file
    finally:
        file.close()
    file.path.replace(output)


@contextmanager
def working_folder(output: Path, question: Mapping[str, Any], place: Path | None = None) -> Iterator[Path]:
    """Yield a folder beside `output`, or in `place`, that only a kill leaves behind: the same question finds it again.

    Raises
    ------
    ConflictError
        Another run writes the same file now.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = (place or output.parent) / f".{output.name}.parts"
    folder.mkdir(exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        _take(lock, output)
        text = json.dumps(question, sort_keys=True, default=str)
        if _read(folder / _QUESTION) != text:
            _empty(folder)
            (folder / _QUESTION).write_text(text, encoding="utf-8")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _take(lock: Any, output: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConflictError(
            msg("another run writes this file of scores now"),
            where=output.name,
            fix=msg("Wait for it, or name another file."),
        ) from None


def _read(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8")
    return None


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink()


def _n_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)
