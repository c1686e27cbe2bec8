"""How long work tells where it stands, and hears that it should stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from core.i18n import Message

__all__ = ["CallbackProgress", "Progress", "SilentProgress"]


class Progress(Protocol):
    """What long work is handed.

    Obligations of an implementation: `report` may be called often and from one thread; it raises
    `core.errors.CancelledError` when a person asked to cancel; `finish_requested` turns true when a person asked to
    keep the best so far and end early, and never back.
    """

    def report(self, fraction: float, message: Message) -> None:
        """Say that `fraction` (0 to 1) of the work is done and what is being done now."""
        ...

    @property
    def finish_requested(self) -> bool:
        """Whether to end early with the best so far."""
        ...

    def part(self, start: float, end: float) -> "Progress":
        """Return a progress whose 0 to 1 fills `start` to `end` of this one."""
        ...


@dataclass
class CallbackProgress:
    """Progress that calls a function; also the base of a part of another progress.

    Parameters
    ----------
    on_report : callable of (fraction, message)
        Called at each report; may raise `CancelledError`.
    on_finish_query : callable returning bool, optional
        Asked whether to finish early.
    """

    on_report: Callable[[float, Message], None]
    on_finish_query: Callable[[], bool] = field(default=lambda: False)

    def report(self, fraction: float, message: Message) -> None:
        """Pass the report on, the fraction held within 0 and 1."""
        self.on_report(min(max(fraction, 0.0), 1.0), message)

    @property
    def finish_requested(self) -> bool:
        """Whether to end early with the best so far."""
        return self.on_finish_query()

    def part(self, start: float, end: float) -> "CallbackProgress":
        """Return a progress whose 0 to 1 fills `start` to `end` of this one."""
        return CallbackProgress(
            lambda fraction, message: self.report(start + (end - start) * fraction, message), self.on_finish_query
        )


class SilentProgress(CallbackProgress):
    """Progress nobody looks at.

    Examples
    --------
    >>> SilentProgress().report(0.5, Message("half way"))
    """

    def __init__(self) -> None:
        super().__init__(_ignore)


def _ignore(fraction: float, message: Message) -> None:
    """Hear a report and do nothing."""
    del fraction, message
