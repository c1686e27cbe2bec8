"""Shipping: what the local log holds is brought to the database, once, whatever dies in between."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from core.database import Database
from monitoring.log_files import LOG_FILES, read_entry, reject, set_shipped, shipped_bytes, whole_entries
from monitoring.score_block import ScoreBlock
from monitoring.score_record import ScoreRecord
from monitoring.score_store import write_scores

__all__ = ["ship"]

_CHUNK = 200


def ship(folder: Path, database: Database) -> int:
    """Bring what is in the local log to the database.

    May be called again, by several processes, and after a crash at any point: a record that is there already is left as
    it is. A line that cannot be kept is moved to ``rejected.jsonl`` and logged, so that it holds up no other.

    Parameters
    ----------
    folder : Path
        The local log.
    database : Database
        Migrated.

    Returns
    -------
    int
        Records that were new to the database.

    Raises
    ------
    UnavailableError
        If the database cannot be reached; what was shipped before stays shipped.
    """
    return sum(_ship_file(path, database) for path in sorted(folder.glob(LOG_FILES)))


def _ship_file(path: Path, database: Database) -> int:
    n_new = 0
    chunk: list[ScoreRecord] = []
    shipped = end = shipped_bytes(path)
    for end, entry in whole_entries(path, shipped):
        content = read_entry(entry)
        if content is None:
            reject(path, entry)
        else:
            chunk += content.rows() if isinstance(content, ScoreBlock) else [content]
        if len(chunk) >= _CHUNK:
            n_new += _ship_chunk(path, database, chunk, end)
            chunk = []
    if end > shipped:
        n_new += _ship_chunk(path, database, chunk, end)
    return n_new


def _ship_chunk(path: Path, database: Database, chunk: Sequence[ScoreRecord], end: int) -> int:
    try:
        n_new = write_scores(database, chunk)
    except (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.StatementError):
        n_new = sum(_write_or_reject(path, database, record) for record in chunk)
    set_shipped(path, end)
    return n_new


def _write_or_reject(path: Path, database: Database, record: ScoreRecord) -> int:
    try:
        return write_scores(database, [record])
    except (sa.exc.DataError, sa.exc.IntegrityError):
        reject(path, record.to_line())
        return 0
