"""How much is taken on: so many requests per key and second, and so many at once; more is refused quickly."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import UnavailableError
from core.i18n import msg
from serving.problems import TooManyRequestsError

__all__ = ["Gate", "Limits", "RateLimit"]


@dataclass(frozen=True)
class Limits:
    """What one process takes on.

    Parameters
    ----------
    requests_per_second : float, default=2000
        Of one key, in the long run.
    burst : int, default=4000
        Requests of one key that may come at once after a pause.
    max_at_once : int, default=128
        Requests that are worked on at a time, their bodies complete.
    max_batches : int, default=4
        Batches that are worked on at a time.
    max_lookups : int, default=32
        Of the requests worked on at a time, those that wait for the online snapshot.
    """

    requests_per_second: float = 2_000.0
    burst: int = 4_000
    max_at_once: int = 128
    max_batches: int = 4
    max_lookups: int = 32


class RateLimit:
    """A bucket of tokens per key: each request takes one, and so many come back each second.

    Used from the event loop only. Names must be of keys that were recognised, so that callers cannot add buckets.

    Parameters
    ----------
    per_second : float
        Tokens that come back.
    burst : int
        Tokens that a bucket holds.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now: float | None = None) -> None:
        """Take a token of `name`; `now` is a monotonic moment in seconds.

        Raises
        ------
        TooManyRequestsError
            If there is none, with the seconds after which there will be one.
        """
        moment = time.monotonic() if now is None else now
        left, since = self._buckets.get(name, (self._burst, moment))
        # A moment before the last one gives nothing, now or later.
        moment = max(moment, since)
        left = min(self._burst, left + (moment - since) * self._per_second)
        if left < 1.0:
            self._buckets[name] = (left, moment)
            seconds = math.ceil((1.0 - left) / self._per_second)
            raise TooManyRequestsError(
                msg("This key sends more than {n} requests a second", n=f"{self._per_second:g}"),
                retry_after_seconds=max(seconds, 1),
            )
        self._buckets[name] = (left - 1.0, moment)

    def put_back(self, name: str) -> None:
        """Give a token back that was taken for a request which is counted again elsewhere."""
        left, since = self._buckets[name]
        self._buckets[name] = (min(self._burst, left + 1.0), since)


class Gate:
    """Lets so many in at once, and turns the rest away at once instead of letting them wait.

    Used from the event loop only.
    """

    def __init__(self, max_at_once: int) -> None:
        self._max_at_once = max_at_once
        self._n_inside = 0

    @property
    def is_busy(self) -> bool:
        """Whether anything is inside."""
        return self._n_inside > 0

    @property
    def is_full(self) -> bool:
        """Whether who came now would be turned away."""
        return self._n_inside >= self._max_at_once

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside while the body runs; raises `UnavailableError` where the gate is full."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Go in, to `leave` later; raises `UnavailableError` where the gate is full."""
        if self.is_full:
            raise UnavailableError(msg("Too many requests are being worked on; send this one again"), code="overloaded")
        self._n_inside += 1

    def leave(self) -> None:
        """Make room for another."""
        self._n_inside -= 1
