"""Where each answer stands in the local score log: how every process of a host finds what another one answered.

One small SQLite file beside the log. It is no record of anything: what it says is proved against the log before it is
believed, and a lost or damaged one is made anew from the log, at once, while answers are given.
"""

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from model_registry.versions import ANSWERING
from monitoring.index_file import IndexFile, Sight, is_lost
from monitoring.log_files import LOG_FILES, read_entry, whole_entries
from monitoring.score_block import ScoreBlock
from monitoring.score_record import ScoreRecord

__all__ = ["ScoreIndex", "name_of"]

T = TypeVar("T")
_NAME_BYTES: Final = 16
_REMEMBERED_NAMES: Final = 4_096  # a request is asked for by its name three times on its way
_FORGOTTEN_AT_ONCE: Final = 200
# Names go in joined, 16 bytes each: a statement gives up the interpreter at each step, and in a busy service it is half
# a millisecond until it has it again. So there is one step for all names of an entry.
_JOINED: Final = """
WITH RECURSIVE place(at) AS (
    SELECT 1 WHERE length(:names) UNION ALL SELECT at + 16 FROM place WHERE at + 16 < length(:names)
)
"""
_FILE_ID: Final = "(SELECT id FROM file WHERE file.name = :file)"
_NOTE_FILE: Final = (
    "INSERT INTO file (name, noted) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET noted = excluded.noted"
)
_NOTE: Final = f"INTO answer {_JOINED} SELECT substr(:names, at, 16), {_FILE_ID}, :start, :length FROM place"  # noqa: S608
_FIND: Final = f"""
{_JOINED} SELECT file.name, start, length, group_concat(at)
FROM place CROSS JOIN answer ON answer.name = substr(:names, at, 16) JOIN file ON file.id = answer.file
GROUP BY file.id, start, length
"""  # noqa: S608
_FORGET: Final = f"""
{_JOINED} DELETE FROM answer WHERE file = {_FILE_ID} AND name IN (SELECT substr(:names, at, 16) FROM place)
"""  # noqa: S608


@lru_cache(maxsize=_REMEMBERED_NAMES)
def name_of(project: str, request_id: str) -> bytes:
    """Return the 16 bytes by which a request is known here."""
    return hashlib.blake2b(f"{project}\0{request_id}".encode(), digest_size=_NAME_BYTES).digest()


class _Entry(NamedTuple):
    """An entry of a file: the names of what can be repeated in it, where it begins and its length."""

    names: Sequence[bytes]
    start: int
    length: int


class ScoreIndex:
    """Finds an answer that was given, by project and request id. Safe for several threads and processes.

    Parameters
    ----------
    folder : Path
        The local log's.
    slots : set of str, optional
        Whose answers are found; left out, those of the slots that answer.
    """

    def __init__(self, folder: Path, *, slots: Container[str] = ANSWERING) -> None:
        self._folder = folder
        self._slots = slots
        self._file = IndexFile(folder)

    def note(self, file: str, start: int, contents: Sequence[tuple[Sequence[bytes], int]]) -> Sight:
        """Say which entries are about to be appended to a file of the log, before they are.

        The order matters: a process that is killed between the two leaves an entry that `find` proves and drops, never
        a record that nobody finds.

        Parameters
        ----------
        file : str
            Name of the file.
        start : int
            Its length before.
        contents : sequence of (sequence of bytes, int)
            Of each entry `name_of` the requests in it that can be repeated, and its length.

        Returns
        -------
        tuple
            For `stands`.
        """
        entries, at = [], start
        for names, length in contents:
            if names:
                entries.append(_Entry(names, at, length))
            at += length
        rows = [_row(entry, file) for entry in entries]

        def write() -> Sight:
            with self._file.writing:
                self._write("INSERT OR REPLACE " + _NOTE, rows, (file, at))
                return self._file.seen

        return self._kept_whole(write)

    def stands(self, noted: Sight) -> bool:
        """Return whether what `note` noted is in the index still; else it is to be noted again.

        The index may have been made anew from the log between the note and the append.
        """
        return noted == self._file.seen and self._file.is_current

    def find(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ScoreRecord]:
        """Return the record of each project and request id that was answered, safe on the disk when this returns."""
        wanted = list(names)
        joined = b"".join([name_of(*name) for name in wanted])
        rows = self._kept_whole(lambda: self._rows(joined))
        by_file: defaultdict[str, list[tuple[int, int, set[tuple[str, str]]]]] = defaultdict(list)
        for file, start, length, places in rows:
            there = {wanted[int(place) // _NAME_BYTES] for place in places.split(",")}
            by_file[file].append((start, length, there))
        found = {}
        for file, entries in by_file.items():
            for content, there in self._read(file, entries):
                for record in self._records(content, there):
                    found[record.project, record.request_id] = record
        return found

    def catch_up(self) -> None:
        """Note what is in the log and not here, because the index is new or was lost."""
        self._kept_whole(self._catch_up)

    def _catch_up(self) -> None:
        with self._file.writing:
            noted = dict(self._file.writer.execute("SELECT name, noted FROM file"))
        for path in sorted(self._folder.glob(LOG_FILES)):
            start = noted.get(path.name, 0)
            if path.stat().st_size > start:
                self._catch_up_with(path, start)

    def forget(self, path: Path) -> None:
        """Drop the entries of a file of the log that is about to be deleted."""
        entries = [_Entry(*one) for one in self._named_entries(path, 0)]
        for first in range(0, len(entries), _FORGOTTEN_AT_ONCE):
            # In parts, because an answer that is given meanwhile waits for its turn to be noted.
            rows = [_row(entry, path.name) for entry in entries[first : first + _FORGOTTEN_AT_ONCE]]
            self._kept_whole(lambda rows=rows: self._write(_FORGET, rows))  # type: ignore[misc]  # of this turn
        self._kept_whole(lambda: self._write("DELETE FROM file WHERE name = :file", [{"file": path.name}]))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _kept_whole(self, act: Callable[[], T]) -> T:
        """Do something with the file; where it turns out lost or damaged, once more with one made anew from the log."""
        seen = self._file.seen
        if self._file.is_current:
            try:
                return act()
            except sqlite3.DatabaseError as error:
                if not is_lost(error):
                    raise
        with self._file.asking, self._file.writing:
            if self._file.seen == seen:  # else another thread has done it
                self._file.reopen()
                # Also where another process made it: what this one appended meanwhile it may have missed.
                try:
                    self._catch_up()
                except BaseException:
                    self._file.close()  # so that none takes it for whole: the next makes it anew
                    raise
        return act()

    def _rows(self, names: bytes) -> list[tuple[str, int, int, str]]:
        with self._file.asking:
            return self._file.reader.execute(_FIND, {"names": names}).fetchall()

    def _catch_up_with(self, path: Path, start: int) -> None:
        entries = [_Entry(*one) for one in self._named_entries(path, start)]
        end = entries[-1].start + entries[-1].length if entries else start
        self._write("INSERT OR IGNORE " + _NOTE, [_row(entry, path.name) for entry in entries], (path.name, end))

    def _named_entries(self, path: Path, start: int) -> Iterable[tuple[list[bytes], int, int]]:
        """Yield the names in each entry, where that begins, and its length."""
        for end, entry in whole_entries(path, start):
            content = read_entry(entry)
            if isinstance(content, ScoreBlock):
                request_ids = content.request_ids if content.is_named else ()
            else:
                request_ids = () if content is None else (content.request_id,)
            if content is not None and content.slot in self._slots and request_ids:
                yield [name_of(content.project, one) for one in request_ids], end - len(entry), len(entry)

    def _records(self, content: ScoreRecord | ScoreBlock | None, wanted: set[tuple[str, str]]) -> Iterator[ScoreRecord]:
        """Yield the records of an entry that are wanted."""
        if content is None or content.slot not in self._slots:
            return
        request_ids = content.request_ids if isinstance(content, ScoreBlock) else (content.request_id,)
        for number, request_id in enumerate(request_ids):
            if (content.project, request_id) in wanted:
                yield content.row(number) if isinstance(content, ScoreBlock) else content

    def _write(self, statement: str, rows: Sequence[Mapping[str, Any]], noted: tuple[str, int] | None = None) -> None:
        """Do something with entries, and say up to where a file is noted, both or neither."""
        with self._file.writing, self._file.writer as writer:
            writer.execute("BEGIN IMMEDIATE")
            if noted is not None:
                writer.execute(_NOTE_FILE, noted)
            writer.executemany(statement, rows)

    def _read(
        self, file: str, entries: Iterable[tuple[int, int, set[tuple[str, str]]]]
    ) -> Iterator[tuple[ScoreRecord | ScoreBlock | None, set[tuple[str, str]]]]:
        """Yield what stands at some places of a file, each with what is wanted of it; safe on the disk."""
        try:
            descriptor = os.open(self._folder / file, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            read = [(os.pread(descriptor, length, start), length, wanted) for start, length, wanted in entries]
            # Their writer may have been killed before it did this.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for entry, length, wanted in read:
            yield (read_entry(entry) if len(entry) == length and entry.endswith(b"\n") else None), wanted


def _row(entry: _Entry, file: str) -> dict[str, Any]:
    # In their order, neighbours share a page of the index.
    return {"names": b"".join(sorted(entry.names)), "file": file, "start": entry.start, "length": entry.length}
