"""When a cron expression is due in a time zone, and how that is said; the one place that knows CronSim.

Times follow Debian's cron: where the clock is put forward, what was due in the hour that is left out is due right after
it; where it is put back, what has a fixed hour is due once.
"""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import InputError
from core.i18n import Message, msg

__all__ = [
    "MOST_COUNTED",
    "check_cron",
    "check_zone",
    "in_words",
    "latest_due",
    "moment_in_words",
    "n_due",
    "next_due",
    "weekday",
]

MOST_COUNTED: Final = 1_000
"""Missed moments are counted up to here."""
_N_FIELDS: Final = 5
_PLAIN: Final = re.compile(r"(\d{1,2}) (\d{1,2}) (\S+) \* (\S+)")
_HOURLY: Final = re.compile(r"(\d{1,2}) \*(?:/(\d{1,2}))? \* \* \*")
_MINUTES: Final = re.compile(r"\*/(\d{1,2}) \* \* \* \*")
_WEEKDAYS: Final = (
    msg("Monday"), msg("Tuesday"), msg("Wednesday"), msg("Thursday"), msg("Friday"), msg("Saturday"), msg("Sunday"),
)  # fmt: skip


def check_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name; raises `InputError` where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            msg("there is no time zone {name}", name=repr(name)), where="time_zone",
            fix=msg("Give an IANA name, such as Asia/Shanghai."),
        ) from error  # fmt: skip


def check_cron(cron: str) -> str:
    """Return an expression of five fields with single blanks between.

    Raises
    ------
    InputError
        It has another number of fields, or one that cannot be.

    Examples
    --------
    >>> check_cron("30  2 * * 1-5")
    '30 2 * * 1-5'
    """
    text = " ".join(cron.split())
    fix = msg("Give minute, hour, day, month and weekday: 30 2 * * * is every day at 02:30.")
    if len(text.split()) != _N_FIELDS or len(text) > 128:
        raise InputError(msg("a cron expression has five fields"), where="cron", fix=fix)
    from cronsim import CronSim, CronSimError  # not part of a scoring host, whose command line reads this module, too

    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise InputError(msg("the cron expression cannot be read: {reason}", reason=str(error)), where="cron",
                         fix=fix) from error  # fmt: skip
    return text


def next_due(cron: str, zone: str, after: datetime) -> datetime:
    """Return the first moment due after `after`, both aware; in UTC.

    Examples
    --------
    >>> next_due("0 2 * * *", "Asia/Shanghai", datetime(2026, 11, 28, 7, tzinfo=UTC)).isoformat()
    '2026-11-28T18:00:00+00:00'
    """
    from cronsim import CronSim

    return _utc(next(CronSim(cron, after.astimezone(check_zone(zone)))))


def latest_due(cron: str, zone: str, first: datetime, now: datetime) -> datetime:
    """Return the latest moment due up to `now`, of which `first` is known to be one; in UTC."""
    from cronsim import CronSim

    found = _utc(next(CronSim(cron, now.astimezone(check_zone(zone)), reverse=True)))
    # What is due at `now` itself is found from the other side: a moment does not precede itself.
    following = next_due(cron, zone, found)
    return max(first, following if following <= now else found)


def n_due(cron: str, zone: str, first: datetime, last: datetime) -> int:
    """Return how many moments were due from `first` up to `last`, at most `MOST_COUNTED`."""
    n, moment = 1, first
    while moment < last and n < MOST_COUNTED:
        moment = next_due(cron, zone, moment)
        n += 1
    return n


def in_words(cron: str) -> Message:
    """Return when an expression is due, as a person says it; unusual ones are shown as they are.

    Examples
    --------
    >>> str(in_words("30 2 * * *")), str(in_words("0 8 * * 1")), str(in_words("0 */6 * * *"))
    ('every day at 02:30', 'every Monday at 08:00', 'every 6 hours, at minute 0')
    """
    if found := _MINUTES.fullmatch(cron):
        return msg("every {n} minutes", n=found[1])
    if found := _HOURLY.fullmatch(cron):
        if found[2] is None:
            return msg("every hour, at minute {minute}", minute=found[1])
        return msg("every {n} hours, at minute {minute}", n=found[2], minute=found[1])
    found = _PLAIN.fullmatch(cron)
    words = None if found is None else _of_days(f"{int(found[2]):02d}:{int(found[1]):02d}", found[3], found[4])
    return words or msg("by the cron expression {cron}", cron=cron)


def moment_in_words(moment: datetime, zone: str, now: datetime) -> Message:
    """Return a moment that lies ahead as a person in `zone` says it.

    Examples
    --------
    >>> now = datetime(2026, 11, 28, 7, tzinfo=UTC)
    >>> str(moment_in_words(datetime(2026, 11, 28, 18, tzinfo=UTC), "Asia/Shanghai", now))
    'tomorrow at 02:00'
    """
    local, today = moment.astimezone(check_zone(zone)), now.astimezone(check_zone(zone)).date()
    time = f"{local:%H:%M}"
    days = (local.date() - today).days
    if days == 0:
        return msg("today at {time}", time=time)
    if days == 1:
        return msg("tomorrow at {time}", time=time)
    return msg("on {weekday}, {date} at {time}", weekday=weekday(local.weekday()), date=f"{local:%Y-%m-%d}", time=time)


def weekday(day: int) -> Message:
    """Return the name of a day of the week, 0 for Monday."""
    return _WEEKDAYS[day]


def _of_days(time: str, day: str, day_of_week: str) -> Message | None:
    if (day, day_of_week) == ("*", "*"):
        return msg("every day at {time}", time=time)
    if (day, day_of_week) == ("*", "1-5"):
        return msg("Monday to Friday at {time}", time=time)
    if day == "*" and re.fullmatch("[0-7]", day_of_week):
        return msg("every {weekday} at {time}", weekday=weekday((int(day_of_week) - 1) % 7), time=time)
    if day_of_week == "*" and day.isdigit():
        return msg("on day {day} of each month at {time}", day=day, time=time)
    if (day, day_of_week) == ("L", "*"):
        return msg("on the last day of each month at {time}", time=time)
    return None


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
