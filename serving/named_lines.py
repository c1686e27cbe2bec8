"""Named lines of a batch: which are answered already, which may be scored now, and which have to wait for another."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson

from serving.answers import answer_of, reused
from serving.lines import Line
from serving.repeats import Name, Repeats

__all__ = ["NamedLines"]

_MOST_REMEMBERED: Final = 64


class NamedLines:
    """What becomes of the lines of one batch that their caller named, and so may repeat.

    A line is taken on at once where nobody else is at its name, neither here nor in another process, and no line of the
    batch before it either. All others are *late*: they go the long way, which waits, and so does each line of the same
    name after one that is late, so that the first of them is always the one that counts.

    Used from the event loop only, but for `claim`.

    Parameters
    ----------
    repeats : Repeats
        What is known of named requests.
    """

    def __init__(self, repeats: Repeats) -> None:
        self._repeats = repeats
        self._late: Counter[Name] = Counter()

    def begin(self, lines: Sequence[Line]) -> dict[Name, Line]:
        """Answer the lines whose answer this process remembers; take on and return those that may be scored now."""
        first: dict[Name, Line] = {}
        for line in lines:
            if line.asked is not None and line.asked.is_named and (name := line.asked.name) not in self._late:
                first.setdefault(name, line)
        fresh: dict[Name, Line] = {}
        for name, line in first.items():
            assert line.asked is not None  # noqa: S101 - it has a name
            line.outcome = self._repeats.given(name, line.asked.payload_hash)
            if line.outcome is None and line.asked.request.features is not None:
                fresh[name] = line
        return {name: fresh[name] for name in self._repeats.begin_all(fresh)}

    def claim(self, begun: Mapping[Name, Line]) -> set[int]:
        """Return, in a thread, the numbers of the lines taken on that are ours to answer.

        Those that a process of the host has answered before get that answer; those that one is at stay as they are.
        """
        claimed = self._repeats.claim_all(begun)
        found = self._repeats.find(claimed) if claimed else {}
        for name, record in found.items():
            line = begun[name]
            assert line.asked is not None  # noqa: S101 - it has a name
            is_same = record.payload_hash == line.asked.payload_hash
            line.outcome = orjson.dumps(answer_of(record)) if is_same else reused()
        return {begun[name].number for name in claimed if name not in found}

    def settle(self, lines: Mapping[Name, Line], kept: "asyncio.Future[None]") -> None:
        """Remember the answers of lines that were taken on, if few and kept, and let who waits for them go on."""
        # Many would take the places of answers to single requests, which are sooner asked for again: those of many are
        # found in the log, all at once.
        if len(lines) <= _MOST_REMEMBERED and not kept.cancelled() and kept.exception() is None:
            for name, line in lines.items():
                if line.asked is not None and isinstance(line.outcome, bytes):
                    self._repeats.keep(name, line.asked.payload_hash, line.outcome)
        self.end(lines)

    def end(self, names: Iterable[Name]) -> None:
        """Let who waits for lines that were taken on go on."""
        for name in names:
            self._repeats.end(name)

    def hold(self, late: Iterable[Line]) -> None:
        """Note which lines go the long way, until they are `told`."""
        self._late.update(line.asked.name for line in late if line.asked is not None and line.asked.is_named)

    def told(self, late: Iterable[Line]) -> None:
        """Note that lines have come to the end of the long way."""
        self._late -= Counter(line.asked.name for line in late if line.asked is not None and line.asked.is_named)
