"""The months of the score log: a table each, made when its first record comes, and dropped whole.

The same on both databases; on PostgreSQL the tables are partitions of `score_record` and `score_block` besides, so
that plain SQL reads them together. A month is that of the moment of asking, in UTC.
"""

import re
from datetime import UTC, datetime
from functools import cache

import sqlalchemy as sa

from core.database import Database
from monitoring.tables import score_block, score_record

__all__ = ["bounds_of", "drop_month", "lock_log", "make_month", "month_counts", "month_of", "month_table", "months_of"]

_MONTH_TABLE = re.compile(r"(?:score_record|score_block)_(\d{4}_\d{2})")
# Any number, the same in every process: whoever holds it on PostgreSQL writes the score log.
_POSTGRESQL_LOCK = 5_310_007


def month_of(moment: datetime) -> str:
    """Return the month of an aware moment, as the names of its tables end.

    Examples
    --------
    >>> month_of(datetime(2026, 3, 1, tzinfo=UTC))
    '2026_03'
    """
    return f"{moment.astimezone(UTC):%Y_%m}".rjust(7, "0")


def bounds_of(month: str) -> tuple[datetime, datetime]:
    """Return the first moment of a month, and the first after it.

    Examples
    --------
    >>> [str(bound) for bound in bounds_of("2026_12")]
    ['2026-12-01 00:00:00+00:00', '2027-01-01 00:00:00+00:00']
    """
    year, number = (int(part) for part in month.split("_"))
    return datetime(year, number, 1, tzinfo=UTC), datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def months_of(connection: sa.Connection, start: datetime | None = None, end: datetime | None = None) -> list[str]:
    """Return the months that are there, newest first; with bounds, those that the period touches."""
    names = connection.execute(_names(connection)).scalars()
    found = {match[1] for name in names if (match := _MONTH_TABLE.fullmatch(str(name)))}
    low = month_of(start) if start is not None else "0000_00"
    return sorted(
        (month for month in found if month >= low and (end is None or bounds_of(month)[0] < end)), reverse=True
    )


@cache
def month_table(base: sa.Table, month: str) -> sa.Table:
    """Return the table of a month, of the form of `base`; its key is unique in it."""
    name = f"{base.name}_{month}"
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(one.name, one.type, nullable=False) for one in base.columns),
        sa.PrimaryKeyConstraint(*base.info["month_key"], name=f"pk_{name}"),
        *(
            sa.Index(str(index.name).replace(base.name, name), *(column.name for column in index.columns))
            for index in base.indexes
        ),
    )


def lock_log(connection: sa.Connection) -> None:
    """Keep other processes from writing to the log until the end of the transaction."""
    # SQLite's writing transaction holds the only write lock already.
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))


def make_month(connection: sa.Connection, month: str) -> None:
    """Make the tables of a month that is not there; called with the log locked."""
    start, end = bounds_of(month)
    for base in (score_record, score_block):
        table = month_table(base, month)
        table.create(connection)
        if connection.dialect.name == "postgresql":
            # Made first and attached then: readers of the other months need not stand aside for it.
            if base is score_block:
                # Whole feature values hardly shrink, and PostgreSQL would spend more on trying than on all the rest.
                connection.exec_driver_sql(f"alter table {table.name} alter column content set storage external")
            connection.exec_driver_sql(
                f"alter table {base.name} attach partition {table.name} for values from ('{start}') to ('{end}')"
            )


def drop_month(connection: sa.Connection, month: str) -> None:
    """Drop a month with all that is in it, without reading it; called with the log locked."""
    for base in (score_record, score_block):
        month_table(base, month).drop(connection)


def month_counts(database: Database) -> dict[str, int]:
    """Return how many answers each month holds."""
    counts = {}
    with database.connect() as connection:
        for month in months_of(connection):
            rows, blocks = (month_table(base, month) for base in (score_record, score_block))
            n_rows = connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one()
            counts[month] = n_rows + int(connection.execute(sa.select(sa.func.sum(blocks.c.n_rows))).scalar() or 0)
    return counts


def _names(connection: sa.Connection) -> sa.Select[str]:
    if connection.dialect.name == "postgresql":
        query = "select relname as name from pg_class where relkind = 'r' and pg_table_is_visible(oid)"
    else:
        query = "select name from sqlite_master where type = 'table'"
    name = sa.column("name", sa.Text)
    return sa.select(name).select_from(sa.text(query).columns(name).subquery()).where(name.startswith("score"))
