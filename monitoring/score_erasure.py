"""Erasure: the answers about some keys go from the database at once, and from each scoring host when it next ships.

An erasure is a row with salted digests of the keys, never the keys: who holds a key can prove that it was erased, and
nobody can read from the row whose it was. The audit trail, which names no key, only gains a record.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from core.audit import AuditTrail
from core.database import Database
from monitoring.score_block import ScoreBlock
from monitoring.score_months import lock_log, month_table, months_of
from monitoring.score_reading import read_block
from monitoring.score_store import block_columns, key_sum
from monitoring.tables import (
    outcome_report,
    score_block,
    score_erasure,
    score_erasure_done,
    score_host,
    score_record,
)

__all__ = ["Erasure", "count_of", "digest_of", "erase", "erase_again", "erasures"]

_AT_ONCE = 500


@dataclass(frozen=True)
class Erasure:
    """What was erased, and who still has to.

    Parameters
    ----------
    erasure_id : int
        Counts up.
    project : str
        Whose score log.
    salt : str
        Of the digests, hexadecimal.
    digests : frozenset of str
        `digest_of` the keys.
    requested_at : datetime
        Aware; answers asked for up to then are erased.
    requested_by, reason : str
        By whom, and why.
    n_records, n_outcomes : int
        Answers and reported outcomes that went from the database at once.
    done : mapping of str to datetime
        When each scoring host had nothing left, by its name.
    pending : tuple of str
        Names of the hosts that have still to look.
    """

    erasure_id: int
    project: str
    salt: str
    digests: frozenset[str]
    requested_at: datetime
    requested_by: str
    reason: str
    n_records: int
    n_outcomes: int
    done: Mapping[str, datetime]
    pending: tuple[str, ...]

    def covers(self, project: str, key: str) -> bool:
        """Whether the answers about a key were erased."""
        return project == self.project and digest_of(key, self.salt) in self.digests


def digest_of(key: str, salt: str) -> str:
    """Return what stands for a key in an erasure, 32 hexadecimal digits."""
    return hashlib.blake2b(key.encode(), key=bytes.fromhex(salt), digest_size=16).hexdigest()


def erase(database: Database, project: str, keys: Iterable[str], *, by: str, reason: str) -> Erasure:
    """Erase what the database holds about some keys: their answers, and what was reported of them.

    Parameters
    ----------
    database : Database
        Migrated.
    project : str
        Whose score log.
    keys : iterable of str
        Keys of scored rows.
    by, reason : str
        For the audit trail.

    Returns
    -------
    Erasure
        With the hosts that have still to erase in their local logs; they do so by themselves.

    Raises
    ------
    UnavailableError
        If the database cannot be reached; nothing is erased then.
    """
    named = sorted(set(keys))
    salt, until = secrets.token_hex(16), datetime.now(UTC)
    row: dict[str, Any] = {
        "project": project,
        "salt": salt,
        "digests": sorted(digest_of(key, salt) for key in named),
        "requested_at": until,
        "requested_by": by,
        "reason": reason,
    }
    with database.begin() as connection:
        _overwrite_what_is_deleted(connection)
        lock_log(connection)
        found = _erase_answers(connection, project, named, until)
        request_ids = [request_id for some in found.values() for request_id in some]
        row["n_records"] = len(request_ids)
        row["n_outcomes"] = _erase_outcomes(connection, project, named, request_ids)
        insert = sa.insert(score_erasure).values(row).returning(score_erasure.c.id)
        erasure_id = connection.execute(insert).scalar_one()
        details = {name: row[name] for name in ("n_records", "n_outcomes", "reason", "salt", "digests")}
        details |= {"erasure": erasure_id, "n_keys": len(named)}
        AuditTrail(database).append(by, "score_log.erase", f"project:{project}", details, connection=connection)
    _settle(database, found)
    return next(one for one in erasures(database) if one.erasure_id == erasure_id)


def erase_again(database: Database, erasure: Erasure, keys: Iterable[str]) -> int:
    """Erase answers of before an erasure that were shipped after it; return how many."""
    named = sorted(set(keys))
    if not named:
        return 0
    with database.begin() as connection:
        _overwrite_what_is_deleted(connection)
        lock_log(connection)
        found = _erase_answers(connection, erasure.project, named, erasure.requested_at)
        request_ids = [request_id for some in found.values() for request_id in some]
        _erase_outcomes(connection, erasure.project, (), request_ids)
    _settle(database, found)
    return len(request_ids)


def count_of(database: Database, project: str, keys: Iterable[str]) -> tuple[int, int]:
    """Return how many answers about some keys the database holds, and how many reports name one of them."""
    named = sorted(set(keys))
    n_records = n_outcomes = 0
    with database.connect() as connection:
        for month in months_of(connection):
            table = month_table(score_record, month)
            for some in _portions(named):
                which = (table.c.project == project) & table.c.key.in_(some)
                n_records += connection.execute(sa.select(sa.func.count()).where(which)).scalar_one()
            for _, block in _blocks_with(connection, month, project, named):
                n_records += int(np.isin(np.array(block.case_keys, dtype=object), named).sum())
        for some in _portions(named):
            which = (outcome_report.c.project == project) & (outcome_report.c.named_by == "key")
            query = sa.select(sa.func.count()).where(which, outcome_report.c.name.in_(some))
            n_outcomes += connection.execute(query).scalar_one()
    return n_records, n_outcomes


def erasures(database: Database, *, after: int = 0) -> list[Erasure]:
    """Return the erasures with a greater number, oldest first."""
    with database.connect() as connection:
        hosts = {row.host: row for row in connection.execute(sa.select(score_host))}
        done: dict[int, dict[str, datetime]] = {}
        for row in connection.execute(sa.select(score_erasure_done)):
            done.setdefault(row.erasure_id, {})[row.host] = row.done_at
        query = sa.select(score_erasure).where(score_erasure.c.id > after).order_by(score_erasure.c.id)
        return [
            Erasure(
                erasure_id=row.id,
                project=row.project,
                salt=row.salt,
                digests=frozenset(row.digests),
                requested_at=row.requested_at,
                requested_by=row.requested_by,
                reason=row.reason,
                n_records=row.n_records,
                n_outcomes=row.n_outcomes,
                done={hosts[host].name: at for host, at in done.get(row.id, {}).items() if host in hosts},
                pending=tuple(sorted(one.name for host, one in hosts.items() if host not in done.get(row.id, {}))),
            )
            for row in connection.execute(query)
        ]


def _erase_answers(
    connection: sa.Connection, project: str, keys: Sequence[str], until: datetime
) -> dict[str, list[str]]:
    """Delete answers and return their request ids, by the months that held some."""
    found = {
        month: _erase_rows(connection, month, project, keys, until)
        + _erase_in_blocks(connection, month, project, keys, until)
        for month in months_of(connection, end=until)
    }
    return {month: request_ids for month, request_ids in found.items() if request_ids}


def _erase_rows(connection: sa.Connection, month: str, project: str, keys: Sequence[str], until: datetime) -> list[str]:
    table = month_table(score_record, month)
    found: list[str] = []
    for some in _portions(keys):
        which = (table.c.project == project) & table.c.key.in_(some) & (table.c.asked_at <= until)
        found += connection.execute(sa.delete(table).where(which).returning(table.c.request_id)).scalars()
    return found


def _erase_in_blocks(
    connection: sa.Connection, month: str, project: str, keys: Sequence[str], until: datetime
) -> list[str]:
    table = month_table(score_block, month)
    found: list[str] = []
    for block_id, block in _blocks_with(connection, month, project, keys, until):
        is_erased = np.isin(np.array(block.case_keys, dtype=object), keys)
        found += [block.request_ids[i] for i in np.flatnonzero(is_erased).tolist()]
        this = table.c.block_id == block_id
        if is_erased.all():
            connection.execute(sa.delete(table).where(this))
        elif is_erased.any():
            rest = block.take(np.flatnonzero(~is_erased))
            connection.execute(sa.update(table).where(this).values(block_columns(rest)))
    return found


def _blocks_with(
    connection: sa.Connection, month: str, project: str, keys: Sequence[str], until: datetime | None = None
) -> list[tuple[str, ScoreBlock]]:
    """Return the blocks of a month that may hold one of the keys."""
    table = month_table(score_block, month)
    sums = np.array([key_sum(key) for key in keys], dtype="<u4")
    query = sa.select(table.c.block_id, table.c.key_sums).where(table.c.project == project)
    if until is not None:
        query = query.where(table.c.asked_at <= until)
    with connection.execute(query.execution_options(yield_per=100)) as rows:
        names = [name for name, theirs in rows if np.isin(np.frombuffer(theirs, dtype="<u4"), sums).any()]
    contents = (sa.select(table.c.content).where(table.c.block_id == name) for name in names)
    return [(name, read_block(connection.execute(one).scalar_one())) for name, one in zip(names, contents, strict=True)]


def _erase_outcomes(connection: sa.Connection, project: str, keys: Sequence[str], request_ids: Sequence[str]) -> int:
    n = 0
    for named_by, names in (("key", keys), ("request_id", request_ids)):
        for some in _portions(names):
            which = (outcome_report.c.project == project) & (outcome_report.c.named_by == named_by)
            n += connection.execute(sa.delete(outcome_report).where(which, outcome_report.c.name.in_(some))).rowcount
    return n


def _portions(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]


def _overwrite_what_is_deleted(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("pragma secure_delete = on")


def _settle(database: Database, months: Iterable[str]) -> None:
    """Let the old content go from the database's own files too, as far as it can be told to."""
    if database.engine.dialect.name == "sqlite":
        # Readers may stand in the way: then it is done when they have gone, by SQLite itself.
        with database.engine.connect() as connection:
            connection.connection.driver_connection.execute("pragma wal_checkpoint(truncate)")  # type: ignore[union-attr]
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for month in months:
            for base in (score_record, score_block):
                connection.exec_driver_sql(f"vacuum {month_table(base, month).name}")
