"""Counts what is asked and how fast it is answered, moment by moment, and brings the counts to the database."""

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from core.database import Database
from core.errors import UnavailableError
from monitoring.latency import bucket_of
from monitoring.traffic import ANSWERS, PERIOD_SECONDS, TrafficCount, forget_traffic, write_traffic
from serving.deployed import Slot

__all__ = ["Traffic"]

_LOG = logging.getLogger(__name__)
_OK: Final = 200
_MAX_WAITING: Final = 20_000
_FORGET_EVERY_SECONDS: Final = 3_600.0
_Kind = tuple[int, str, str, int, int]


class Traffic:
    """Counts of one process. Counting is a step in memory; `write` is called by a thread that may wait.

    While the database is away the counts of the last moments wait, up to a bound; older ones are dropped and that is
    logged: they are figures for people, not records.

    Parameters
    ----------
    database : Database
        Where counts end.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # Numbers of processes are used again, also by another container that shares the host's name.
        self._source = f"{socket.gethostname()[:60]}:{os.getpid()}:{time.time_ns() % 1_000_000_007}"
        self._lock = threading.Lock()
        self._counts: Counter[_Kind] = Counter()
        self._seconds: dict[_Kind, Counter[int]] = {}
        self._waiting: list[TrafficCount] = []
        self._forget_at = 0.0

    def note(self, project: str, slot: Slot | None, status: int, seconds: float) -> None:
        """Count one request; `slot` is whose answer it got, None where it got none or one made before."""
        kind = (_moment(), project, slot.slot if slot else "", slot.number if slot else 0, status)
        with self._lock:
            self._counts[kind] += 1
            if status == _OK:
                self._seconds.setdefault(kind, Counter())[bucket_of(seconds)] += 1

    def note_answered(self, project: str, slot: Slot, seconds: Sequence[float]) -> None:
        """Count several requests that one slot answered."""
        kind = (_moment(), project, slot.slot, slot.number, _OK)
        buckets = [bucket_of(one) for one in seconds]
        with self._lock:
            self._counts[kind] += len(buckets)
            self._seconds.setdefault(kind, Counter()).update(buckets)

    def note_answers(self, project: str, slot: str, version: int, n: int) -> None:
        """Count answers made and kept."""
        with self._lock:
            self._counts[_moment(), project, slot, version, ANSWERS] += n

    def write(self, *, is_last: bool = False) -> None:
        """Bring the moments that are over to the database, and the present one too where it `is_last`."""
        self._waiting += self._taken(None if is_last else _moment())
        if (n_too_many := len(self._waiting) - _MAX_WAITING) > 0:
            _LOG.warning("%s counts of the traffic are dropped, because the database is away", n_too_many)
            del self._waiting[:n_too_many]
        try:
            if self._waiting:
                write_traffic(self._database, self._waiting)
                self._waiting = []
            if time.monotonic() >= self._forget_at:
                forget_traffic(self._database)
                self._forget_at = time.monotonic() + _FORGET_EVERY_SECONDS
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("the counts of the traffic wait for the database: %s", type(error).__name__)

    def _taken(self, present: int | None) -> list[TrafficCount]:
        with self._lock:
            over = [kind for kind in self._counts if kind[0] != present]
            taken = [(kind, self._counts.pop(kind), self._seconds.pop(kind, Counter())) for kind in over]
        return [
            TrafficCount(datetime.fromtimestamp(moment, UTC), self._source, project, slot, version, status, n, seconds)
            for (moment, project, slot, version, status), n, seconds in taken
        ]


def _moment() -> int:
    return int(time.time()) // PERIOD_SECONDS * PERIOD_SECONDS
