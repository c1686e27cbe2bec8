"""Who read what, kept on this host's disk before the answer leaves and brought to the audit trail soon after."""

import fcntl
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from core.audit import AuditTrail
from core.errors import UnavailableError
from core.i18n import msg

__all__ = ["AccessLog"]

_LOG = logging.getLogger(__name__)
_SHIPPED = "enterprise.read.batch"


class AccessLog:
    """Records of reading. Safe for several threads; the processes of a host share the folder.

    A record is on the disk when `append` returns, and comes to the audit trail once, whatever dies meanwhile: the
    records of a file go there in one transaction with one that names the file.

    Parameters
    ----------
    folder : Path
        The same for all processes of a host.
    trail : AuditTrail
        Where the records end.
    """

    def __init__(self, folder: Path, trail: AuditTrail) -> None:
        self._folder = folder
        self._trail = trail
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def append(self, actor: str, action: str, subject: str, details: Mapping[str, Any]) -> None:
        """Keep a record; raises `UnavailableError` where it cannot be written: what is not noted is not shown."""
        line = json.dumps([actor, action, subject, dict(details)], ensure_ascii=False).encode() + b"\n"
        try:
            with self._lock:
                file = self._file = self._file or self._begin()
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UnavailableError(msg("The access cannot be noted now; send the request again")) from error

    def ship(self) -> int:
        """Bring what all processes have written, also those that died, to the audit trail; return how many records.

        What cannot be brought there stays for the next time.
        """
        with self._lock:
            self._end()
        try:
            return sum(self._ship_file(path) for path in sorted(self._folder.glob("*.jsonl")))
        except (UnavailableError, sa.exc.SQLAlchemyError) as error:
            _LOG.warning("records of reading wait for the database: %s", type(error).__name__)
            return 0

    def _begin(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(8)}.jsonl"
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        # Held as long as it is written to; it goes with the process.
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _ship_file(self, path: Path) -> int:
        with _held(path) as file:
            if file is None:
                return 0
            # A last line without its end was being written when the process died: nobody was answered by it.
            lines = [json.loads(line) for line in file.read().split(b"\n")[:-1]]
            subject = f"reads:{path.stem}"
            if lines and not self._trail.records(subject=subject, limit=1):
                with self._trail.database.begin() as connection:
                    for actor, action, about, details in lines:
                        self._trail.append(actor, action, about, details, connection=connection)
                    self._trail.append("system", _SHIPPED, subject, {"n": len(lines)}, connection=connection)
            path.unlink()
            return len(lines)


@contextmanager
def _held(path: Path) -> Iterator[IO[bytes] | None]:
    """Yield the file, or None where another process writes or ships it, or has shipped it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file if path.exists() else None
