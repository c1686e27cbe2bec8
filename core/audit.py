"""The audit trail: who did what to what and when, each record chained to the one before by its hash.

``hash = SHA-256(canonical JSON of {sequence, at, actor, action, subject, details, previous_hash})``, where `details` is
the stored text. Whoever edits, removes, inserts or reorders a record breaks the chain there. A tail that was cut off
leaves a whole chain behind: an *anchor* (number and hash of the last record), kept outside the database, finds that.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text

from core.database import Database
from core.errors import InputError
from core.findings import Finding, Severity
from core.fingerprints import canonical_json, fingerprint_json
from core.i18n import msg
from core.tables import audit_record

__all__ = ["EMPTY_HEAD", "Anchor", "AuditRecord", "AuditTrail", "read_anchors"]

EMPTY_HEAD = "0" * 64
"""What the first record names as the hash before it."""

# Any number, the same in every process: whoever holds it on PostgreSQL appends.
_POSTGRESQL_LOCK = 5_310_002
_LIMITS = {"actor": 128, "action": 64, "subject": 255}


@dataclass(frozen=True)
class AuditRecord:
    """One line of the trail.

    Parameters
    ----------
    sequence : int
        1, 2, 3, … without a gap.
    at : datetime
        Aware UTC.
    actor, action, subject : str
        Who did what to what: ``lin``, ``model.approve``, ``model:guarantee/3``.
    details : dict
        JSON values.
    previous_hash, hash : str
        The chain, 64 hexadecimal digits each.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True)
class Anchor:
    """Number and hash of the last record at a moment, to be kept where the database's owner cannot change it."""

    sequence: int
    hash: str
    at: str

    def to_json(self) -> dict[str, Any]:
        """Return the anchor as JSON values; `from_json` reads it back."""
        return {"sequence": self.sequence, "hash": self.hash, "at": self.at}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Anchor":
        """Read what `to_json` wrote."""
        return cls(int(data["sequence"]), str(data["hash"]), str(data["at"]))


class AuditTrail:
    """The trail of one database. Appends of several threads and processes are put in one order by the database.

    Parameters
    ----------
    database : Database
        Migrated.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def append(
        self,
        actor: str,
        action: str,
        subject: str,
        details: Mapping[str, Any],
        *,
        connection: Connection | None = None,
    ) -> AuditRecord:
        """Add a record.

        Parameters
        ----------
        actor, action, subject : str
            Who did what to what, up to 128, 64 and 255 characters.
        details : mapping of str to JSON value
            What else matters: versions, hashes, reasons. No secrets.
        connection : Connection, optional
            A writing transaction of the same database that the record belongs to: both are kept, or neither. Append
            late in it, because other appends wait for its end.

        Raises
        ------
        InputError
            Where a text is too long or the details are not JSON.
        """
        names = {"actor": _storable(actor), "action": _storable(action), "subject": _storable(subject)}
        _check_lengths(names)
        details_text = _details_text(details)
        with self._writing(connection) as transaction:
            last = _last(transaction)
            values: dict[str, Any] = {
                "sequence": last.sequence + 1 if last is not None else 1,
                "at": datetime.now(UTC),
                **names,
                "details": details_text,
                "previous_hash": last.hash if last is not None else EMPTY_HEAD,
            }
            values["hash"] = _hash(values)
            transaction.execute(insert(audit_record).values(values))
        return AuditRecord(**(values | {"details": json.loads(details_text)}))

    def records(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditRecord]:
        """Return the newest records first.

        Parameters
        ----------
        actor, action, subject : str, optional
            Only these.
        before : int, optional
            Only records with a smaller number: the next page.
        limit : int, default=100
            At most so many.
        """
        query = select(audit_record).order_by(audit_record.c.sequence.desc()).limit(limit)
        for column, value in (("actor", actor), ("action", action), ("subject", subject)):
            if value is not None:
                query = query.where(audit_record.c[column] == value)
        if before is not None:
            query = query.where(audit_record.c.sequence < before)
        with self.database.connect() as connection:
            return [_record(row) for row in connection.execute(query)]

    def head(self) -> str:
        """Return the hash of the last record, `EMPTY_HEAD` where there is none."""
        return self.anchor().hash

    def anchor(self) -> Anchor:
        """Return number and hash of the last record."""
        with self.database.connect() as connection:
            last = _last(connection, lock=False)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Anchor(0, EMPTY_HEAD, now) if last is None else Anchor(last.sequence, last.hash, now)

    def export_anchor(self, path: Path) -> Anchor:
        """Add the anchor of now as a line to the file `path`, on disk before this returns."""
        anchor = self.anchor()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(canonical_json(anchor.to_json()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return anchor

    def verify(self, anchors: Iterable[Anchor] = ()) -> list[Finding]:
        """Recompute the whole chain.

        Parameters
        ----------
        anchors : iterable of Anchor
            Kept outside the database (`read_anchors`).

        Returns
        -------
        list of Finding
            Empty where the trail is whole; else one finding that names the first bad record, or the anchor that the
            trail does not reach any more.
        """
        expected = {anchor.sequence: anchor for anchor in anchors if anchor.sequence > 0}
        n_seen, previous_hash = 0, EMPTY_HEAD
        query = select(audit_record).order_by(audit_record.c.sequence).execution_options(yield_per=1000)
        with self.database.connect() as connection, connection.execute(query) as rows:
            for row in rows:
                finding = _broken(row, n_seen + 1, previous_hash) or _moved(row, expected.pop(row.sequence, None))
                if finding is not None:
                    return [finding]
                n_seen, previous_hash = row.sequence, row.hash
        return [_cut(n_seen, min(expected))] if expected else []

    @contextmanager
    def _writing(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with self.database.begin() as transaction:
            yield transaction


def read_anchors(path: Path) -> list[Anchor]:
    """Read what `AuditTrail.export_anchor` wrote.

    Raises
    ------
    InputError
        Naming the file and the line that is no anchor.
    """
    anchors = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            anchors.append(Anchor.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                msg("an anchor was expected, as the audit export writes it"), where=f"{path.name}, line {number}"
            ) from error
    return anchors


def _last(connection: Connection, *, lock: bool = True) -> Row[Any] | None:
    # SQLite's writing transaction holds the only write lock already.
    if lock and connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
    return connection.execute(select(audit_record).order_by(audit_record.c.sequence.desc()).limit(1)).one_or_none()


def _hash(values: Mapping[str, Any]) -> str:
    signed = {name: value for name, value in values.items() if name != "hash"}
    return fingerprint_json(signed | {"at": values["at"].isoformat(timespec="microseconds")})


def _record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(**(row._asdict() | {"details": json.loads(row.details)}))


def _storable(value: str) -> str:
    """Return `value` with what a database cannot hold (zero bytes, broken characters of a file name) written out."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_storable_json(name): _storable_json(inner) for name, inner in value.items()}
    return [_storable_json(inner) for inner in value] if isinstance(value, list | tuple) else value


def _check_lengths(names: Mapping[str, str]) -> None:
    for name, limit in _LIMITS.items():
        if len(names[name]) > limit:
            raise InputError(
                msg("at most {limit} characters fit, got {n}", limit=limit, n=len(names[name])), where=name
            )


def _details_text(details: Mapping[str, Any]) -> str:
    try:
        return canonical_json(_storable_json(dict(details))).decode()
    except (TypeError, ValueError) as error:
        raise InputError(msg("the details of an audit record must be JSON: {reason}", reason=str(error))) from error


def _broken(row: Row[Any], sequence: int, previous_hash: str) -> Finding | None:
    if row.sequence != sequence:
        return _bad(sequence, msg("audit record {n} is missing", n=sequence))
    if row.previous_hash != previous_hash:
        return _bad(sequence, msg("audit record {n} does not follow the record before it", n=sequence))
    if row.hash != _hash(row._asdict()):
        return _bad(sequence, msg("audit record {n} was changed after it was written", n=sequence))
    return None


def _moved(row: Row[Any], anchor: Anchor | None) -> Finding | None:
    if anchor is None or anchor.hash == row.hash:
        return None
    return _bad(
        row.sequence, msg("audit record {n} is not the one that was anchored on {at}", n=row.sequence, at=anchor.at)
    )


def _cut(n_records: int, anchored: int) -> Finding:
    return _bad(
        n_records + 1,
        msg("the audit trail ends at record {n}, but record {anchored} was anchored", n=n_records, anchored=anchored),
    )


def _bad(sequence: int, message: Any) -> Finding:
    return Finding(
        "audit_chain_broken",
        Severity.BAD,
        message,
        where=f"audit_record {sequence}",
        fix=msg("compare with a backup, and ask who had access to the database"),
    )
