"""The upkeep of a host's score log: shipped to the database, erased and retained by policy, cleaned of what is old."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress

import sqlalchemy as sa

from core.database import Database
from core.errors import UnavailableError, WorkbenchError
from core.identity import SYSTEM
from monitoring.score_retention import retain
from serving.host_log import HostLog
from serving.metrics import ServiceMetrics

__all__ = ["LogUpkeep"]

_LOG = logging.getLogger(__name__)
_CLEAN_EVERY_SECONDS = 3_600.0


class LogUpkeep:
    """One process's part in it, done round by round in one thread. Whatever the database cannot do now waits.

    Parameters
    ----------
    log : callable
        Returns the log that the host's processes share.
    database : Database
        Where the answers go.
    metrics : ServiceMetrics
        Counts what was shipped.
    months : int or None
        How many months the database keeps; None keeps all.
    forget : callable
        Is called when some answers were erased, which may still be in memory.
    """

    def __init__(
        self,
        log: Callable[[], HostLog],
        database: Database,
        metrics: ServiceMetrics,
        *,
        months: int | None,
        forget: Callable[[], None],
    ) -> None:
        self._log = log
        self._database = database
        self._metrics = metrics
        self._months = months
        self._forget = forget
        self._newest_erasure = 0
        self._clean_at = time.monotonic() + _CLEAN_EVERY_SECONDS

    def run(self) -> None:
        """Do one round."""
        self._ship(self._log().ship)
        self._forget_erased()
        if time.monotonic() >= self._clean_at:
            self._clean_at = time.monotonic() + _CLEAN_EVERY_SECONDS
            self._log().clean()
            self._retain()

    def run_last(self) -> None:
        """Ship what is left in a log that is closed."""
        self._ship(self._log().ship_last)

    def _ship(self, ship: Callable[[Database], int]) -> None:
        try:
            self._metrics.shipped.inc(ship(self._database))
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("the score log waits for the database: %s", type(error).__name__)

    def _forget_erased(self) -> None:
        """Forget the answers in memory when the host has erased some in its log."""
        with suppress(UnavailableError, sa.exc.SQLAlchemyError):
            newest = self._log().newest_erasure(self._database)
            if newest != self._newest_erasure:
                self._newest_erasure = newest
                self._forget()

    def _retain(self) -> None:
        if self._months is None:
            return
        try:
            retain(self._database, self._months, by=SYSTEM.name, is_asked=False)
        except (WorkbenchError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("the score log keeps months that are due: %s", error)
