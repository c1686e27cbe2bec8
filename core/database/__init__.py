"""The one database of an installation: SQLite by default, PostgreSQL by address.

Every package declares its tables on `metadata` in its own ``tables.py``; the migrations beside this file create them.
"""

from core.database.connection import Database
from core.database.schema import metadata
from core.database.types import Json, UtcDateTime

__all__ = ["Database", "Json", "UtcDateTime", "metadata"]
