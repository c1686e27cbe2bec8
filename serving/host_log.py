"""The score log of a host as one of its processes uses it: writes its own file, finds what all have written."""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from core.database import Database
from monitoring.local_erasure import LocalErasure
from monitoring.score_index import ScoreIndex, name_of
from monitoring.score_log import LocalScoreLog, ScoreBlock, ScoreRecord, remove_shipped, ship
from serving.claims import Claims
from serving.local_files import sole

__all__ = ["HostLog"]

_KEEP_SHIPPED_SECONDS = 7 * 86_400.0


class HostLog:
    """One process's part in the log that the processes of a host share by a folder. Opened when it is made.

    Parameters
    ----------
    folder : Path
        The same for all.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._turn = folder / "shipping"
        with sole(folder / "indexing", is_patient=True):
            self._index = ScoreIndex(folder)
            self._index.catch_up()
        self._claims = Claims(folder / "claiming")
        self._erasure = LocalErasure(folder)
        self._is_known = False
        self._log = LocalScoreLog(folder, index=self._index)

    def append(self, record: ScoreRecord, *, is_named: bool = False) -> "Future[None]":
        """Hand a record to the writer; the future is done when it is on the disk.

        One that `is_named` by its caller is found again by every process.
        """
        return self._log.append_soon(record, name_of(record.project, record.request_id) if is_named else None)

    def append_in_loop(self, contents: Sequence[tuple[ScoreRecord | ScoreBlock, bool]]) -> "asyncio.Future[None]":
        """Hand records and blocks to the writer, each with whether it is named, for the running loop to wait for.

        The future is done when all of them are on the disk.
        """
        return self._log.append_in_loop([(content, _names(content) if named else ()) for content, named in contents])

    def append_block(self, block: ScoreBlock) -> "Future[None]":
        """Hand many answers to the writer at once; as `append`, of all rows where the block `is_named`."""
        return self._log.append_block_soon(block, _names(block) if block.is_named else ())

    def find(self, names: Iterable[tuple[str, str]]) -> list[ScoreRecord]:
        """Return what any process of the host answered to requests, given by project and request id."""
        return list(self._index.find(names).values())

    def held(self, names: Iterable[tuple[str, str]]) -> AbstractAsyncContextManager[None]:
        """Keep the other processes from answering these requests meanwhile; see `Claims.held`."""
        return self._claims.held(names)

    def claim(self, name: tuple[str, str]) -> int | None:
        """Keep the other processes from answering a request; see `Claims.claim`."""
        return self._claims.claim(name)

    def claim_all(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Keep the other processes from answering many requests; see `Claims.claim_all`."""
        return self._claims.claim_all(names)

    def unclaim(self, place: int) -> None:
        """Let a claim go."""
        self._claims.unclaim(place)

    @property
    def is_writing(self) -> bool:
        """Whether this process's writer lives."""
        return self._log.is_writing

    def ship(self, database: Database) -> int:
        """Bring what all have written to the database, also those that were killed; return how many were new.

        What is to be erased is erased afterwards. Does nothing where another process is at it.
        """
        with sole(self._turn) as is_mine:
            if not is_mine:
                return 0
            if not self._is_known:
                self._erasure.check_in(database)
                self._is_known = True
            n_new = ship(self._folder, database)
            self._erasure.run(database)
            return n_new

    def newest_erasure(self, database: Database) -> int:
        """Return the number of the last erasure that this host has done."""
        return self._erasure.newest_done(database)

    def clean(self) -> None:
        """Delete files that are in the database for a week."""
        self._is_known = False
        with sole(self._turn) as is_mine:
            if is_mine:
                remove_shipped(self._folder, older_than_seconds=_KEEP_SHIPPED_SECONDS, on_remove=self._index.forget)

    def close(self) -> None:
        """Write what was handed over, and stop."""
        self._log.close()
        self._index.close()
        self._claims.close()

    def ship_last(self, database: Database) -> int:
        """Ship after `close`, and wait for one's turn: who ships just now may have passed this one's last records."""
        with sole(self._turn, is_patient=True):
            return ship(self._folder, database)


def _names(content: ScoreRecord | ScoreBlock) -> list[bytes]:
    """Return what the index shall know the answers by."""
    request_ids = content.request_ids if isinstance(content, ScoreBlock) else (content.request_id,)
    return [name_of(content.project, one) for one in request_ids]
