"""Who answers a request that came to several processes at once: the one that holds its byte of a shared file."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.errors import UnavailableError
from core.i18n import msg
from monitoring.score_index import name_of

__all__ = ["Claims"]

_POLL_SECONDS = 0.005
_WAIT_SECONDS = 10.0


class Claims:
    """Claims of one process on requests, against the other processes of the host.

    A claim is a lock on one byte, far out in an empty file, that the request's name chooses. The kernel drops it when
    the process ends, however it ends. Used from the event loop only, and only for names that no other task of the
    process holds: locks of one process do not exclude each other.

    Parameters
    ----------
    path : Path
        The file, the same for all processes; made if missing.
    wait_seconds : float, default=10
        How long another process is waited for.
    """

    def __init__(self, path: Path, *, wait_seconds: float = _WAIT_SECONDS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
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
                await self._take(place)
                taken.append(place)
            yield
        finally:
            for place in taken:
                self.unclaim(place)

    def claim(self, name: tuple[str, str]) -> int | None:
        """Take the claim on one request without waiting; return what `unclaim` takes, None where another has it."""
        place = _place(name)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return None
        return place

    def unclaim(self, place: int) -> None:
        """Let a claim go."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Drop all claims."""
        os.close(self._descriptor)

    async def _take(self, place: int) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                return
            if time.monotonic() > deadline:
                raise UnavailableError(msg("This request is being answered already; send it again"), code="under_way")
            await asyncio.sleep(_POLL_SECONDS)


def _place(name: tuple[str, str]) -> int:
    return int.from_bytes(name_of(*name)[:8]) >> 2
