"""Requests that callers named, and so may repeat: each is answered by one process, once, and the same again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.errors import ConflictError
from monitoring.score_log import ScoreRecord
from serving.answers import GivenAnswers
from serving.host_log import HostLog

__all__ = ["Name", "Repeats"]

Name = tuple[str, str]
"""Project and request id: what tells a named request from every other."""


@dataclass(slots=True)
class _Claim:
    """What is held for a request under way: the host's claim where there is one, and who waits for its end."""

    place: int | None = None
    ended: "asyncio.Future[None] | None" = None

    def wait(self) -> "asyncio.Future[None]":
        if self.ended is None:
            self.ended = asyncio.get_running_loop().create_future()
        return self.ended

    def end(self) -> None:
        if self.ended is not None:
            self.ended.set_result(None)


class Repeats:
    """What is known of named requests: those under way here, those answered lately, and those in the host's log.

    Used from the event loop only; `claim_all`, `find` and `forget` from any thread.

    Parameters
    ----------
    log : callable
        Returns the log that the host's processes share.
    max_answers : int
        How many answers are kept in memory.
    """

    def __init__(self, log: Callable[[], HostLog], *, max_answers: int) -> None:
        self._log = log
        self._answers = GivenAnswers(max_answers=max_answers)
        self._under_way: dict[Name, _Claim] = {}

    def knows(self, name: Name) -> bool:
        """Whether this process is answering the request, or remembers its answer."""
        return name in self._under_way or name in self._answers

    def given(self, name: Name, payload_hash: str) -> bytes | ConflictError | None:
        """Return the answer that was given to a request, or that another one was given it; None where none was."""
        try:
            return self._answers.get(*name, payload_hash)
        except ConflictError as error:
            return error

    def put(self, record: ScoreRecord) -> bytes:
        """Remember and return the answer of a record that was kept, as the bytes that are sent."""
        return self._answers.put(record)

    def keep(self, name: Name, payload_hash: str, content: bytes) -> None:
        """Remember the answer to a request that was kept."""
        self._answers.keep(name, payload_hash, content)

    def forget(self) -> None:
        """Forget the answers, because some of them were erased: the log still knows the rest."""
        self._answers.forget()

    async def wait_for(self, names: Sequence[Name]) -> None:
        """Wait until none of the requests is under way in this process."""
        while running := [self._under_way[name].wait() for name in names if name in self._under_way]:
            await asyncio.wait(running)

    @asynccontextmanager
    async def claimed(self, names: Sequence[Name], shared: Sequence[Name]) -> AsyncIterator[None]:
        """Let the same requests wait while the body runs, and remember what the host's processes answered to them.

        Parameters
        ----------
        names : sequence of Name
            None of them under way.
        shared : sequence of Name
            Those of them that other processes may be asked too.

        Raises
        ------
        UnavailableError
            If another process does not come to an end with one of them.
        """
        together = _Claim()
        self._under_way.update(dict.fromkeys(names, together))
        try:
            async with self._log().held(shared):
                self._recall(shared)
                yield
        finally:
            for name in names:
                self._under_way.pop(name, None)
            together.end()

    def begin(self, name: Name) -> bool:
        """Let the same request wait from now on, until `end`; return False where it is under way already.

        That may be in this process or in another one.
        """
        if name in self._under_way:
            return False
        place = self._log().claim(name)
        if place is not None:
            self._under_way[name] = _Claim(place)
        return place is not None

    def begin_all(self, names: Iterable[Name]) -> list[Name]:
        """Let the same requests wait from now on, until `end`; return those that are not under way here already.

        Whether another process is at them is for `claim_all` to find out.
        """
        begun = [name for name in names if name not in self._under_way]
        self._under_way.update((name, _Claim()) for name in begun)
        return begun

    def claim_all(self, names: Iterable[Name]) -> Collection[Name]:
        """Return which requests that were begun no other process has just now, nor may have until `end`; in a thread.

        Those that were begun are the caller's alone, which is why it may.
        """
        places = self._log().claim_all(names)
        for name, place in places.items():
            self._under_way[name].place = place
        return places.keys()

    def find(self, names: Iterable[Name]) -> dict[Name, ScoreRecord]:
        """Return what any process of the host answered to requests that were claimed, without remembering it."""
        return {(one.project, one.request_id): one for one in self._log().find(names)}

    def recall(self, names: Collection[Name]) -> set[Name]:
        """Remember what any process of the host answered to requests that were begun; return which were."""
        self._recall(names)
        return {name for name in names if name in self._answers}

    def end(self, name: Name) -> None:
        """Let those who repeat a request that was begun go on."""
        claim = self._under_way.pop(name)
        if claim.place is not None:
            self._log().unclaim(claim.place)
        claim.end()

    def _recall(self, names: Iterable[Name]) -> None:
        for record in self._log().find(names):
            self._answers.put(record)
