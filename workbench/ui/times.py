"""Times as a person reads them: how long ago, and exactly when."""

from datetime import UTC, date, datetime

from core.i18n import formats
from workbench.ui.texts import language

__all__ = ["ago", "day", "exact", "short_period"]


def ago(moment: datetime | None) -> str:
    """Return how long ago `moment` was, in the session's language; a dash for None."""
    return formats.ago(moment, datetime.now(UTC), language())


def exact(moment: datetime | None) -> str:
    """Return date and time of `moment`, in the session's language; a dash for None."""
    return formats.when(moment, language())


def day(moment: date | datetime | None) -> str:
    """Return the date of `moment` as 2024-12-31; a dash for None."""
    return "–" if moment is None else moment.strftime("%Y-%m-%d")


def short_period(period: str) -> str:
    """Return the end of a period, for an axis.

    Examples
    --------
    >>> short_period("2024-07 – 2024-12"), short_period("2024-07")
    ('2024-12', '2024-07')
    """
    return period.rsplit(" ", 1)[-1]
