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
        `time.monotonic` at which the search of this family ends; infinity for none.
    has_candidate : bool
        Whether any family has a finished trial: a fit may be given up when a person asks to finish.
    has_trial : bool
        Whether this family has one: a fit may be given up when time is up. Without one it is cut short instead.
    """

    progress: Progress
    deadline: float = float("inf")
    has_candidate: bool = False
    has_trial: bool = False
    fraction: float = 0.0
    message: Message | None = None
    _reported_at: float = field(default=0.0, repr=False)
    _fold_deadline: float = field(default=float("inf"), repr=False)

    def say(self, fraction: float, message: Message) -> None:
        """Set what `check` reports from now on, and report it."""
        self.fraction, self.message = fraction, message
        self._reported_at = time.monotonic()
        self.progress.report(fraction, message)

    def begin_fold(self, n_left: int) -> None:
        """Give the fold that begins its share of the time, where the trial cannot be given up."""
        now = time.monotonic()
        self._fold_deadline = float("inf") if self.has_trial else now + max(self.deadline - now, 0.0) / n_left

    def check(self) -> None:
        """Raise `CancelledError` when cancelled, `StopFittingError` when the fit may be given up and should be."""
        if self.message is not None and time.monotonic() - self._reported_at > _REPORT_EVERY_SECONDS:
            self.say(self.fraction, self.message)
        is_late = self.has_trial and time.monotonic() > self.deadline
        if is_late or (self.has_candidate and self.progress.finish_requested):
            raise StopFittingError

    def is_over(self) -> bool:
        """Whether a fit that cannot be given up must return what it has."""
        return time.monotonic() > self._fold_deadline or self.progress.finish_requested

    @property
    def has_ended(self) -> bool:
        """Whether no further trial should begin."""
        is_late = self.has_trial and time.monotonic() > self.deadline
        return is_late or (self.has_candidate and self.progress.finish_requested)
