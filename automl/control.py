"""Runs fits side by side and stops them: cancelled, finished early, out of time, or no longer wanted."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

from core.i18n import Message, msg
from core.progress import Progress

__all__ = ["FitControl", "StopFittingError", "Supervisor"]

T = TypeVar("T")
_POLL_SECONDS = 0.2
_IN_TIME = 0.9
"""Of its time, that a fit is to take: it sees only between two rounds that it is over, and has to answer then."""


class StopFittingError(Exception):
    """The fit under way is given up; what is there already is enough."""


@dataclass
class FitControl:
    """What a fit, in its thread, asks now and then.

    Parameters
    ----------
    stop : Event
        Set when the fit is to be given up.
    cut_short : Event
        Set when the fit is to return what it has.
    deadline : float
        `time.monotonic` at which it is to return what it has.
    """

    stop: Event = field(default_factory=Event)
    cut_short: Event = field(default_factory=Event)
    deadline: float = math.inf

    def check(self) -> None:
        """Raise `StopFittingError` when the fit is to be given up."""
        if self.stop.is_set():
            raise StopFittingError

    def is_over(self) -> bool:
        """Whether the fit must return what it has."""
        return self.cut_short.is_set() or time.monotonic() > self.deadline


@dataclass
class Supervisor:
    """Runs the fits of a trial in threads, while the calling thread reports and listens.

    Only the calling thread talks to `progress`. A fit is given up when a person cancels, and, once there is a finished
    trial, when time is up or a person asks to finish; without one it is cut short.

    Parameters
    ----------
    progress : Progress
        Told where the search stands; its `report` raises `CancelledError` when a person cancelled.
    n_workers : int
        Fits that run side by side.
    deadline : float
        `time.monotonic` at which the search ends.
    has_candidate : bool
        Whether any trial is finished.
    """

    progress: Progress
    n_workers: int = 1
    deadline: float = math.inf
    has_candidate: bool = False
    fraction: float = 0.0
    message: Message = field(default_factory=lambda: msg("starting"))

    def say(self, fraction: float, message: Message) -> None:
        """Report, and report the same from now on while fits run."""
        self.fraction, self.message = fraction, message
        self.progress.report(fraction, message)

    @property
    def has_ended(self) -> bool:
        """Whether no further trial should begin, and those under way be given up."""
        return self.has_candidate and (time.monotonic() > self.deadline or self.progress.finish_requested)

    def run(
        self,
        jobs: Sequence[Callable[[FitControl], T]],
        goes_on: Callable[[list[T]], bool] | None = None,
        limit_seconds: float | None = None,
        *,
        needed: bool = False,
    ) -> list[T]:
        """Run `jobs` and return their results in order; after each, ``goes_on(results so far)`` may end the rest.

        With `limit_seconds` each job gets its share of this time, after which it is to return what it has. Jobs that
        are `needed` are cut short, not given up, when the search ends.

        Raises
        ------
        StopFittingError
            The jobs were given up.
        CancelledError
            A person cancelled.
        """
        stop, cut_short = Event(), Event()
        results: list[T] = []
        ends = min(self.deadline, math.inf if limit_seconds is None else time.monotonic() + limit_seconds)
        with ThreadPoolExecutor(self.n_workers, thread_name_prefix="fit") as pool:
            futures = [
                pool.submit(self._start, job, FitControl(stop, cut_short), ends, len(jobs) - i)
                for i, job in enumerate(jobs)
            ]
            try:
                for future in futures:
                    results.append(self._await(future, stop, cut_short, needed=needed))
                    if goes_on is not None and not goes_on(results):
                        break
            finally:
                stop.set()
        return results

    def _start(self, job: Callable[[FitControl], T], control: FitControl, ends: float, n_left: int) -> T:
        """Run one job in its thread, with its share of the time."""
        control.check()
        if math.isfinite(ends):
            now = time.monotonic()
            control.deadline = now + _IN_TIME * max(ends - now, 0.0) / math.ceil(n_left / self.n_workers)
        return job(control)

    def _await(self, future: "Future[T]", stop: Event, cut_short: Event, *, needed: bool) -> T:
        while not wait([future], timeout=_POLL_SECONDS).done:
            self.progress.report(self.fraction, self.message)
            if self.has_ended and not (needed and not self.progress.finish_requested):
                stop.set()
            elif self.has_ended or self.progress.finish_requested:
                cut_short.set()
        return future.result()
