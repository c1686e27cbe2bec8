"""When work inside a search must stop: cancelled, finished early, or out of time."""

import time
from dataclasses import dataclass, field

from core.i18n import Message
from core.progress import Progress

__all__ = ["FitControl", "StopFittingError"]

_REPORT_EVERY_SECONDS = 0.5


class StopFittingError(Exception):
    """The fit under way is to be given up; what is there already is enough."""


@dataclass
class FitControl:
    """Handed to every fit.

    Parameters
    ----------
    progress : Progress
        Told now and then; its `report` raises `CancelledError` when a person cancelled.
    deadline : float
        `time.monotonic` at which the search ends; infinity for none.
    can_abandon : bool
        Whether there is a finished candidate, so that a fit may be given up; otherwise it is cut short.
    fold_deadline : float
        `time.monotonic` at which a fit that cannot be given up is cut short.
    """

    progress: Progress
    deadline: float = float("inf")
    can_abandon: bool = False
    fold_deadline: float = float("inf")
    fraction: float = 0.0
    message: Message | None = None
    _reported_at: float = field(default=0.0, repr=False)

    def say(self, fraction: float, message: Message) -> None:
        """Set what `check` reports from now on, and report it."""
        self.fraction, self.message = fraction, message
        self._reported_at = time.monotonic()
        self.progress.report(fraction, message)

    def check(self) -> None:
        """Raise `CancelledError` when cancelled, and `StopFittingError` when time is up and the fit may be given up."""
        now = time.monotonic()
        if self.message is not None and now - self._reported_at > _REPORT_EVERY_SECONDS:
            self.say(self.fraction, self.message)
        if self.can_abandon and (now > self.deadline or self.progress.finish_requested):
            raise StopFittingError

    def is_over(self) -> bool:
        """Whether a fit that cannot be given up must return what it has."""
        return time.monotonic() > self.fold_deadline or self.progress.finish_requested

    @property
    def has_ended(self) -> bool:
        """Whether no further trial should begin."""
        return time.monotonic() > self.deadline or self.progress.finish_requested
