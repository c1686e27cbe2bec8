"""Who was refused and why, counted while answers are given and written to the audit trail in batches."""

import logging
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import sqlalchemy as sa

from core.audit import AuditTrail
from core.errors import UnavailableError

__all__ = ["UNKNOWN", "Refusals"]

_LOG = logging.getLogger(__name__)
_MAX_COUNTED = 10_000
_UNKNOWN_EVERY_SECONDS = 60.0
UNKNOWN = "-"
"""Who is refused without a usable key."""


class Refusals:
    """Counts refusals; `write` brings the counts to the audit trail, those of nobody known once a minute at most.

    Noting is a step in memory. While the database is away the counts grow, not the number of records; what a crash of
    the process can lose are the counts since the last `write`.

    Parameters
    ----------
    trail : AuditTrail
        Where they end.
    """

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._since = datetime.now(UTC)
        self._unknown_at = 0.0

    def note(self, caller: str, path: str, code: str, n: int = 1) -> None:
        """Count `n` refusals of `caller` at `path`."""
        with self._lock:
            name = (caller, path, code)
            # Callers, addresses and codes are few; this bound is for what nobody thought of.
            self._counts[name if name in self._counts or len(self._counts) < _MAX_COUNTED else ("-", "-", "-")] += n

    def write(self, *, is_last: bool = False) -> int:
        """Append one record per caller and address; return how many. What cannot be written is kept for later."""
        # Who has no key must not be able to make the trail long.
        is_quiet = not is_last and time.monotonic() < self._unknown_at
        with self._lock:
            kept = {name: n for name, n in self._counts.items() if is_quiet and name[0] == UNKNOWN}
            counts, self._counts = self._counts - Counter(kept), Counter(kept)
            if any(name[0] == UNKNOWN for name in counts):
                self._unknown_at = time.monotonic() + _UNKNOWN_EVERY_SECONDS
            since, self._since = self._since, datetime.now(UTC)
        by_place: dict[tuple[str, str], dict[str, int]] = {}
        for (caller, path, code), n in sorted(counts.items()):
            by_place.setdefault((caller, path), {})[code] = n
        n_written = 0
        try:
            for (caller, path), codes in by_place.items():
                details = {"counts": codes, "since": since.isoformat()}
                self._trail.append(caller, "score.refused", path, details)
                n_written += 1
                for code in codes:
                    del counts[caller, path, code]
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("refusals wait for the database: %s", type(error).__name__)
            with self._lock:
                self._counts.update(counts)
                self._since = since
        return n_written
