"""PostgreSQL's dates past what Python knows: ``infinity`` and years before Christ stand for "none"."""

from datetime import UTC, date, datetime
from typing import Any, Final

from psycopg import DataError
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

__all__ = ["read_endless_times"]

_NEVER: Final = datetime(9999, 12, 31)  # noqa: DTZ001 - a timestamp without a zone has none


def read_endless_times(connection: Any) -> None:
    """Let `connection` give 9999-12-31 for what Python has no date for; an import reads that as missing, and tells."""
    connection.adapters.register_loader("date", _Date)
    connection.adapters.register_loader("timestamp", _Moment)
    connection.adapters.register_loader("timestamptz", _ZonedMoment)


class _Date(DateLoader):
    def load(self, data: Any) -> date:
        try:
            return super().load(data)
        except DataError:
            return _NEVER.date()


class _Moment(TimestampLoader):
    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return _NEVER


class _ZonedMoment(TimestamptzLoader):
    def load(self, data: Any) -> datetime:
        try:
            return super().load(data)
        except DataError:
            return _NEVER.replace(tzinfo=UTC)
