"""The score log: every answer kept on the scoring host first, then in the database, and read back as arrays.

`LocalScoreLog` writes it, `ship` brings it to the database, `read_scores` and `latest_scores` read it there; what each
promises stands in its own module.
"""

from monitoring.local_log import LocalScoreLog
from monitoring.log_files import LOG_FILES, read_local, remove_shipped
from monitoring.score_block import ScoreBlock, blocks_of
from monitoring.score_reading import LoggedScores, count_scores, latest_scores, read_scores
from monitoring.score_record import ScoreRecord
from monitoring.score_shipping import ship
from monitoring.score_store import write_scores

__all__ = [
    "LOG_FILES",
    "LocalScoreLog",
    "LoggedScores",
    "ScoreBlock",
    "ScoreRecord",
    "blocks_of",
    "count_scores",
    "latest_scores",
    "read_local",
    "read_scores",
    "remove_shipped",
    "ship",
    "write_scores",
]
