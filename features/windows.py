"""Windows of event time: a stretch of days or calendar months that ends just before the cutoff."""

import re
from dataclasses import dataclass
from functools import cache

from core.errors import ConfigurationError
from core.i18n import msg

__all__ = ["Window", "parse_window"]

_WINDOW = re.compile(r"([1-9][0-9]{0,3})([dmy])")


@dataclass(frozen=True)
class Window:
    """A stretch of time that ends just before the cutoff.

    Days are 24 hours. Months are calendar months: six months before 31 August is the last day of February, at the same
    time of day (as in `dateutil.relativedelta` and Featuretools).

    Examples
    --------
    >>> parse_window("6m").months, parse_window("90d").days
    (6, 90)
    """

    days: int = 0
    months: int = 0

    @property
    def shortest_days(self) -> float:
        """Fewest days the window can span."""
        return self.days + self.months * 28.0 if self.months < 12 else self.days + self.months * 30.41

    @property
    def longest_days(self) -> float:
        """Most days the window can span."""
        return self.days + min(self.months * 31.0, self.months * 30.44 + 4)


@cache
def parse_window(text: str) -> Window:
    """Read ``"30d"``, ``"6m"`` or ``"2y"``.

    Raises
    ------
    ConfigurationError
        The text is not a number from 1 to 9999 followed by d, m or y.
    """
    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            msg("a window is a number of days, months or years such as 30d, 6m or 2y, not {text}", text=repr(text))
        )
    number, unit = int(match[1]), match[2]
    if unit == "d":
        return Window(days=number)
    return Window(months=number * (12 if unit == "y" else 1))
