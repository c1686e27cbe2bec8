"""Who answers a request that came to several processes at once: the one that holds its byte of a shared file."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import UnavailableError
from core.i18n import msg
from monitoring.score_index import name_of

__all__ = ["Claims"]

_POLL_SECONDS = 0.005
_WAIT_SECONDS = 10.0
_N_FILES = 64


class Claims:
    """Claims of one process on requests, against the other processes of the host.

    A claim is a lock on one byte, far out in an empty file; file and byte are chosen by the request's name. The kernel
    drops it when the process ends, however it ends. There are many files because the kernel looks at all locks of a
    file when one is taken. Only for names that nobody else in the process holds: locks of one process do not exclude
    each other. `claim_all`, and letting go, may be done in a thread; all else is for the event loop.

    Parameters
    ----------
    folder : Path
        The files' folder, the same for all processes; made if missing.
    wait_seconds : float, default=10
        How long another process is waited for.
    """

    def __init__(self, folder: Path, *, wait_seconds: float = _WAIT_SECONDS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._descriptors = [os.open(folder / f"{i:02d}", os.O_RDWR | os.O_CREAT, 0o600) for i in range(_N_FILES)]
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def held(self, names: Iterable[tuple[str, str]]) -> AsyncIterator[None]:
        """Hold the claims on requests, by project and request id, while the body runs.

        Raises
        ------
        UnavailableError
            If another process does not come to an end with one of them.
        """
        # All processes take them in one order, so that no two wait for each other.
        places = sorted({_place(name) for name in names})
        taken: list[int] = []
        try:
            for place in places:
                await self._wait_for(place)
                taken.append(place)
            yield
        finally:
            for place in taken:
                self.unclaim(place)

    def claim(self, name: tuple[str, str]) -> int | None:
        """Take the claim on one request without waiting; return what `unclaim` takes, None where another has it."""
        place = _place(name)
        return place if self._take(place) else None

    def claim_all(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Take the claims on many requests without waiting; return those taken, each with what `unclaim` takes."""
        taken: dict[tuple[str, str], int] = {}
        try:
            for name in names:
                if self._take(place := _place(name)):
                    taken[name] = place
        except BaseException:
            for place in taken.values():
                self.unclaim(place)
            raise
        return taken

    def unclaim(self, place: int) -> None:
        """Let a claim go."""
        fcntl.lockf(self._descriptors[place % _N_FILES], fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Drop all claims."""
        for descriptor in self._descriptors:
            os.close(descriptor)

    def _take(self, place: int) -> bool:
        try:
            fcntl.lockf(self._descriptors[place % _N_FILES], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    async def _wait_for(self, place: int) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while not self._take(place):
            if time.monotonic() > deadline:
                raise UnavailableError(msg("This request is being answered already; send it again"), code="under_way")
            await asyncio.sleep(_POLL_SECONDS)


def _place(name: tuple[str, str]) -> int:
    return int.from_bytes(name_of(*name)[:8]) >> 2
