"""Bringing the tables to the newest version with Alembic, without a configuration file.

Alembic is imported only where there is something to migrate: it takes longer to import than all the rest here.
"""

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from core.errors import ConfigurationError
from core.i18n import msg

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["MIGRATIONS", "downgrade", "is_newest", "newest", "upgrade"]

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic hands the running migration to `env.py` through module globals: one at a time in a process.
_ONE_AT_A_TIME = threading.Lock()
# Any number, the same in every process: whoever holds it on PostgreSQL migrates.
_POSTGRESQL_LOCK = 5_310_001


@cache
def newest() -> str:
    """Return the newest version: the files of the versions begin with their numbers."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def is_newest(connection: Connection) -> bool:
    """Return whether the tables are at the newest version."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    return connection.execute(text("select version_num from alembic_version")).scalars().all() == [newest()]


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables up to `revision` inside the writing transaction of `connection`: all of it or nothing."""
    from alembic import command
    from alembic.util import CommandError

    try:
        with _ONE_AT_A_TIME:
            command.upgrade(_config(connection), revision)
    except CommandError as error:
        raise ConfigurationError(
            msg("the tables of the database are not of this version of the product: {reason}", reason=str(error)),
            fix=msg("start the version that made them, or restore the backup from before it"),
        ) from error


def downgrade(connection: Connection, revision: str) -> None:
    """Take the tables back down to `revision` (``"base"``: none of them), and what is in them."""
    from alembic import command

    with _ONE_AT_A_TIME:
        command.downgrade(_config(connection), revision)


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _POSTGRESQL_LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
