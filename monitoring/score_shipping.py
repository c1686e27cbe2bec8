"""Shipping: what the local log holds is brought to the database, once, whatever dies in between."""

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from core.database import Database
from monitoring.log_files import LOG_FILES, is_erased, read_entry, reject, set_shipped, shipped_bytes, whole_entries
from monitoring.score_block import ScoreBlock
from monitoring.score_record import ScoreRecord
from monitoring.score_store import write_scores

__all__ = ["ship"]

_MAX_RECORDS = 1_000
_MAX_BLOCK_BYTES = 8_000_000


def ship(folder: Path, database: Database) -> int:
    """Bring what is in the local log to the database.

    May be called again, by several processes, and after a crash at any point: a record that is there already is left as
    it is. An entry that cannot be kept is moved to ``rejected.jsonl`` and logged, so that it holds up no other.

    Parameters
    ----------
    folder : Path
        The local log.
    database : Database
        Migrated.

    Returns
    -------
    int
        Answers that were new to the database.

    Raises
    ------
    UnavailableError
        If the database cannot be reached; what was shipped before stays shipped.
    """
    return sum(_ship_file(path, database) for path in sorted(folder.glob(LOG_FILES)))


def _ship_file(path: Path, database: Database) -> int:
    n_new = n_block_bytes = 0
    records: list[ScoreRecord] = []
    blocks: list[ScoreBlock] = []
    shipped = end = shipped_bytes(path)
    if path.stat().st_size <= shipped:
        return 0
    for end, entry in whole_entries(path, shipped):
        content = read_entry(entry)
        if content is None:
            if not is_erased(entry):
                reject(path, entry)
        elif isinstance(content, ScoreRecord):
            records.append(content)
        elif content.is_named:
            # A request id that a caller chose is one row in the database, wherever else it was answered.
            records += content.rows()
        else:
            blocks += [content] if len(content) else []
            n_block_bytes += len(entry)
        if len(records) >= _MAX_RECORDS or n_block_bytes >= _MAX_BLOCK_BYTES:
            n_new += _ship_chunk(path, database, records, blocks, end)
            records, blocks, n_block_bytes = [], [], 0
    if end > shipped:
        n_new += _ship_chunk(path, database, records, blocks, end)
    return n_new


def _ship_chunk(
    path: Path, database: Database, records: Sequence[ScoreRecord], blocks: Sequence[ScoreBlock], end: int
) -> int:
    try:
        n_new = write_scores(database, records, blocks)
    except (sa.exc.DataError, sa.exc.IntegrityError):
        n_new = sum(_write_or_reject(path, database, record) for record in records)
        n_new += sum(_write_or_reject(path, database, block) for block in blocks)
    set_shipped(path, end)
    return n_new


def _write_or_reject(path: Path, database: Database, one: ScoreRecord | ScoreBlock) -> int:
    try:
        return write_scores(database, [one]) if isinstance(one, ScoreRecord) else write_scores(database, [], [one])
    except (sa.exc.DataError, sa.exc.IntegrityError):
        reject(path, one.to_line() if isinstance(one, ScoreRecord) else one.to_bytes())
        return 0
