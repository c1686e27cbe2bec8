"""Many answers of one model in one record: columns instead of a text for each, at a twentieth of the cost.

On the disk a block is one line that says how long it is and what its checksum is, a header in JSON with all that the
rows share, and one section per column: numbers as they lie in memory (little-endian), texts joined by line feeds.
Nothing in it is compressed, and nothing but its own rows is needed to read it.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Final

import numpy as np
import orjson

from model_registry.feature_row import FeatureRow
from monitoring.score_record import ScoreRecord

__all__ = ["BLOCK_START", "ScoreBlock", "blocks_of", "content_length"]

BLOCK_START: Final = b"#block "
"""First bytes of a block, with which no record in JSON begins."""
_HEAD_BYTES: Final = len(BLOCK_START) + 29
_FORMAT: Final = 1
_MIN_ROWS: Final = 4
_NUMBERS: Final = {"probability": "<f8", "score": "<f8", "cutoff": "<i8", "grade": "<u2", "values": "<f8"}
_SHARED: Final = ("project", "slot", "version", "bundle_hash", "source", "language")


@dataclass(frozen=True)
class ScoreBlock:
    """Answers that one version gave at one moment.

    Parameters
    ----------
    block_id : str
        Names the block; kept once however often it is shipped.
    project, slot, version, bundle_hash, source, language, snapshots
        As in `ScoreRecord`, the same for all rows.
    asked_at : datetime
        Aware moment of the request.
    aliases : tuple of str
        Columns of `values`.
    request_ids : sequence of str, length n_rows
        One each, without line feeds.
    probabilities, scores : ndarray of float64, shape (n_rows,)
        Answers.
    grades : sequence of str, length n_rows
        Grades of the master scale.
    cutoffs : ndarray of datetime64[us], shape (n_rows,)
        In the data's own clock.
    values : ndarray of float64, shape (n_rows, n_features)
        Feature values, NaN for null.
    keys : sequence of str, length n_rows, optional
        Keys of the rows; the request ids where left out.
    payload_hashes : sequence of str, length n_rows, optional
        None where no row is ever asked for again.
    said : sequence of (list of reasons, list of warnings), length n_rows, optional
        As in `ScoreRecord`; None where neither was given to anybody.
    is_named : bool, default=False
        Whether the callers chose the request ids, so that they may ask again.
    content : bytes, optional
        The block as it lies in a file, where it was read from one.
    """

    block_id: str
    project: str
    slot: str
    version: int
    bundle_hash: str
    asked_at: datetime
    aliases: tuple[str, ...]
    request_ids: Sequence[str]
    probabilities: np.ndarray
    scores: np.ndarray
    grades: Sequence[str]
    cutoffs: np.ndarray
    values: np.ndarray = field(repr=False)
    keys: Sequence[str] | None = None
    payload_hashes: Sequence[str] | None = None
    said: Sequence[tuple[list[dict[str, Any]], list[dict[str, Any]]]] | None = None
    source: str = "batch"
    language: str = "en"
    snapshots: Mapping[str, str] = field(default_factory=dict)
    is_named: bool = False
    content: bytes | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.request_ids)

    def to_bytes(self) -> bytes:
        """Return the block as it lies in a file.

        Raises
        ------
        ValueError
            If a text that must not holds a line feed.
        """
        if self.content is not None:
            return self.content
        grades = sorted(set(self.grades))
        codes = {grade: code for code, grade in enumerate(grades)}
        sections: dict[str, bytes | memoryview] = {
            "request_id": _join(self.request_ids),
            "probability": _plain(self.probabilities, "probability"),
            "score": _plain(self.scores, "score"),
            "cutoff": _plain(self.cutoffs.astype("datetime64[us]").astype(np.int64), "cutoff"),
            "grade": _plain(np.array([codes[grade] for grade in self.grades]), "grade"),
            "values": _plain(self.values, "values"),
        }
        if self.keys is not None and self.keys is not self.request_ids:
            sections["key"] = _join(self.keys)
        if self.payload_hashes is not None:
            sections["payload_hash"] = _join(self.payload_hashes)
        if self.said is not None:
            sections["said"] = b"\n".join(orjson.dumps(one) for one in self.said)
        header = {name: getattr(self, name) for name in _SHARED} | {
            "format": _FORMAT,
            "id": self.block_id,
            "asked_at": self.asked_at,
            "snapshots": dict(self.snapshots),
            "is_named": self.is_named,
            "aliases": self.aliases,
            "grades": grades,
            "n_rows": len(self),
            "sections": [[name, len(content)] for name, content in sections.items()],
        }
        return _entry([orjson.dumps(header), b"\n", *sections.values()])

    @classmethod
    def from_bytes(cls, content: bytes) -> "ScoreBlock | None":
        """Read what `to_bytes` wrote; None where it is not whole. Rows that were erased are not among its own."""
        parts = _Parts.read(content)
        return None if parts is None else parts.block(content)

    @staticmethod
    def blank(content: bytes, keys: "frozenset[str]") -> tuple[bytes, int]:
        """Return a block's bytes with the rows of some keys made unreadable, as long as before, and how many rows.

        Nothing of them is left: texts become zero bytes, numbers NaN or 0.
        """
        parts = _Parts.read(content)
        rows = [] if parts is None else [i for i, key in enumerate(parts.all_keys) if key in keys]
        if parts is None or not rows:
            return content, 0
        return parts.without(rows), len(rows)

    def take(self, chosen: np.ndarray) -> "ScoreBlock":
        """Return the rows of some numbers as a block of the same name."""
        numbers = chosen.tolist()
        return replace(
            self,
            request_ids=[self.request_ids[i] for i in numbers],
            probabilities=self.probabilities[chosen],
            scores=self.scores[chosen],
            grades=[self.grades[i] for i in numbers],
            cutoffs=self.cutoffs[chosen],
            values=self.values[chosen],
            keys=self.keys and [self.keys[i] for i in numbers],
            payload_hashes=self.payload_hashes and [self.payload_hashes[i] for i in numbers],
            said=self.said and [self.said[i] for i in numbers],
            content=None,
        )

    @property
    def case_keys(self) -> Sequence[str]:
        """Key of each row."""
        return self.request_ids if self.keys is None else self.keys

    def row(self, number: int) -> ScoreRecord:
        """Return one row as a record."""
        reasons, warnings = self.said[number] if self.said is not None else ([], [])
        return ScoreRecord(
            request_id=self.request_ids[number],
            project=self.project,
            slot=self.slot,
            version=self.version,
            bundle_hash=self.bundle_hash,
            asked_at=self.asked_at,
            key=self.case_keys[number],
            cutoff=self.cutoffs[number].astype("datetime64[us]").item(),
            probability=float(self.probabilities[number]),
            score=float(self.scores[number]),
            grade=self.grades[number],
            reasons=reasons,
            warnings=warnings,
            features=dict(zip(self.aliases, self.values[number].tolist(), strict=True)),
            source=self.source,
            language=self.language,
            payload_hash=self.payload_hashes[number] if self.payload_hashes is not None else "",
            snapshots=self.snapshots,
        )

    def rows(self) -> Iterator[ScoreRecord]:
        """Yield all rows as records."""
        return (self.row(number) for number in range(len(self)))


def blocks_of(
    records: Sequence[ScoreRecord], named: "Iterable[bool]", new_id: "Iterator[str]"
) -> tuple[list[ScoreBlock], list[tuple[ScoreRecord, bool]]]:
    """Put records of one moment together into blocks.

    Parameters
    ----------
    records : sequence of ScoreRecord
        Of any models.
    named : iterable of bool
        Whether the caller chose the request id, for each.
    new_id : iterator of str
        Names for blocks.

    Returns
    -------
    blocks : list of ScoreBlock
        Of what has enough in common.
    rest : list of (ScoreRecord, bool)
        Records that stay alone, with whether they are named.
    """
    groups: dict[Any, list[ScoreRecord]] = {}
    for record, is_named in zip(records, named, strict=True):
        shared = _shared_parts(record)
        key = (*shared, record.asked_at, _aliases(record), tuple(record.snapshots.items()), is_named)
        groups.setdefault(key, []).append(record)
    blocks, rest = [], []
    for (*_, is_named), group in groups.items():
        if len(group) < _MIN_ROWS or any("\n" in one.key or "\n" in one.request_id for one in group):
            rest += [(record, is_named) for record in group]
        else:
            blocks.append(_block_of(group, next(new_id), is_named=is_named))
    return blocks, rest


_shared_parts = attrgetter(*_SHARED)


def _aliases(record: ScoreRecord) -> tuple[str, ...]:
    features = record.features
    return features.aliases if isinstance(features, FeatureRow) else tuple(features)


def _values(record: ScoreRecord) -> Sequence[float | None] | np.ndarray:
    features = record.features
    return features.values_ if isinstance(features, FeatureRow) else list(features.values())


def _block_of(group: Sequence[ScoreRecord], block_id: str, *, is_named: bool) -> ScoreBlock:
    first = group[0]
    has_said = any(record.reasons or record.warnings for record in group)
    return ScoreBlock(
        block_id=block_id,
        asked_at=first.asked_at,
        aliases=_aliases(first),
        request_ids=[record.request_id for record in group],
        probabilities=np.array([record.probability for record in group]),
        scores=np.array([record.score for record in group]),
        grades=[record.grade for record in group],
        cutoffs=np.array([record.cutoff for record in group], dtype="datetime64[us]"),
        values=np.array([_values(record) for record in group], dtype=np.float64),
        keys=[record.key for record in group],
        payload_hashes=[record.payload_hash for record in group] if is_named else None,
        said=[(record.reasons, record.warnings) for record in group] if has_said else None,
        snapshots=first.snapshots,
        is_named=is_named,
        **{name: getattr(first, name) for name in _SHARED},
    )


def content_length(head: bytes) -> int | None:
    """Return how long the content is that a block's first line announces; None where that line is spoilt."""
    about = head[len(BLOCK_START) : -10]
    return int(about[:10]) if head == _head(about) else None


def _entry(parts: Sequence[bytes | memoryview]) -> bytes:
    """Return content in parts as an entry of a file: length and checksum first, and a checksum of those two."""
    length = checksum = 0
    for part in parts:
        length += len(part)
        checksum = zlib.crc32(part, checksum)
    # Joined once: a batch's values are megabytes, and each copy of them costs as much as the checksum.
    return b"".join([_head(b"%010d %08x" % (length, checksum)), *parts, b"\n"])


def _head(about: bytes) -> bytes:
    return b"%b%b %08x\n" % (BLOCK_START, about, zlib.crc32(about))


class _Parts:
    """A block's header and where its sections lie."""

    def __init__(self, header: dict[str, Any], content: bytes, start: int) -> None:
        self.header = header
        self._content = content
        self._places: dict[str, tuple[int, int]] = {}
        for name, length in header["sections"]:
            self._places[name] = start, start + length
            start += length

    @classmethod
    def read(cls, entry: bytes) -> "_Parts | None":
        content = entry[_HEAD_BYTES:-1]
        # The head is proved by its own checksum, and so is the content's checksum in it.
        if content_length(entry[:_HEAD_BYTES]) != len(content) or int(entry[18:26], 16) != zlib.crc32(content):
            return None
        end = content.index(b"\n")
        return cls(orjson.loads(content[:end]), content, end + 1)

    @cached_property
    def all_keys(self) -> list[str]:
        return self._texts("key") or self._texts("request_id")

    def block(self, entry: bytes) -> ScoreBlock:
        header, request_ids = self.header, self._texts("request_id")
        # A request id has at least one character, and all that it has are printable.
        erased = np.array([text.startswith("\0") for text in request_ids], dtype=bool)
        grades = header["grades"]
        whole = ScoreBlock(
            block_id=header["id"],
            asked_at=datetime.fromisoformat(header["asked_at"]).astimezone(UTC),
            aliases=tuple(header["aliases"]),
            request_ids=request_ids,
            probabilities=self._numbers("probability"),
            scores=self._numbers("score"),
            grades=[grades[code] for code in self._numbers("grade").tolist()],
            cutoffs=self._numbers("cutoff").astype("datetime64[us]"),
            values=self._numbers("values").reshape(header["n_rows"], len(header["aliases"])),
            keys=self._texts("key") or None,
            payload_hashes=self._texts("payload_hash") or None,
            said=[_said(line) for line in self._lines("said")] or None,
            snapshots=header["snapshots"],
            is_named=header["is_named"],
            content=None if erased.any() else entry,
            **{name: header[name] for name in _SHARED},
        )
        return whole.take(np.flatnonzero(~erased)) if erased.any() else whole

    def without(self, rows: Sequence[int]) -> bytes:
        changed = bytearray(self._content)
        for name, (start, end) in self._places.items():
            if name in _NUMBERS:
                # A view of the bytes themselves: what is set here is set there.
                numbers = np.frombuffer(memoryview(changed)[start:end], dtype=_NUMBERS[name])
                width = len(self.header["aliases"]) if name == "values" else 1
                table = numbers.reshape(self.header["n_rows"], width)
                table[list(rows)] = 0 if numbers.dtype.kind in "iu" else np.nan
                continue
            at, chosen = start, set(rows)
            for number, text in enumerate(self._content[start:end].split(b"\n")):
                if number in chosen:
                    changed[at : at + len(text)] = bytes(len(text))
                at += len(text) + 1
        return _entry([bytes(changed)])

    def _lines(self, name: str) -> list[bytes]:
        start, end = self._places.get(name, (0, 0))
        return self._content[start:end].split(b"\n") if name in self._places else []

    def _texts(self, name: str) -> list[str]:
        start, end = self._places.get(name, (0, 0))
        return self._content[start:end].decode().split("\n") if name in self._places else []

    def _numbers(self, name: str) -> np.ndarray:
        start, end = self._places[name]
        return np.frombuffer(self._content[start:end], dtype=_NUMBERS[name])


def _said(line: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    reasons, warnings = ([], []) if line.startswith(b"\0") else orjson.loads(line)
    return reasons, warnings


def _join(texts: Sequence[str]) -> bytes:
    content = "\n".join(texts).encode()
    if content.count(b"\n") != max(len(texts) - 1, 0):
        raise ValueError("a text of a block holds a line feed")
    return content


def _plain(numbers: np.ndarray, name: str) -> memoryview:
    return np.ascontiguousarray(numbers, dtype=_NUMBERS[name]).reshape(-1).view(np.uint8).data
