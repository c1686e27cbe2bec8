"""Requests that callers named, and so may repeat: each is answered by one process, once, and the same again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from core.errors import ConflictError
from monitoring.score_log import ScoreRecord
from serving.answers import GivenAnswers
from serving.host_log import HostLog

__all__ = ["Name", "Repeats"]

Name = tuple[str, str]
"""Project and request id: what tells a named request from every other."""


class _Claim(NamedTuple):
    """What is held for a request under way: the word that it has ended, and the host's claim where there is one."""

    ended: "asyncio.Future[None]"
    place: int | None


class Repeats:
    """What is known of named requests: those under way here, those answered lately, and those in the host's log.

    Used from the event loop only; `forget` from any thread.

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
        while running := [self._under_way[name].ended for name in names if name in self._under_way]:
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
        ended = asyncio.get_running_loop().create_future()
        self._under_way.update(dict.fromkeys(names, _Claim(ended, None)))
        try:
            async with self._log().held(shared):
                self._recall(shared)
                yield
        finally:
            for name in names:
                self._under_way.pop(name, None)
            ended.set_result(None)

    def begin(self, name: Name) -> bool:
        """Let the same request wait from now on, until `end`; return whether no other process has it just now."""
        place = self._log().claim(name)
        self._under_way[name] = _Claim(asyncio.get_running_loop().create_future(), place)
        return place is not None

    def recall(self, names: Collection[Name]) -> set[Name]:
        """Remember what any process of the host answered to requests that were begun; return which were."""
        self._recall(names)
        return {name for name in names if name in self._answers}

    def end(self, name: Name) -> None:
        """Let those who repeat a request that was begun go on."""
        claim = self._under_way.pop(name)
        if claim.place is not None:
            self._log().unclaim(claim.place)
        claim.ended.set_result(None)

    def _recall(self, names: Iterable[Name]) -> None:
        for record in self._log().find(names):
            self._answers.put(record)
