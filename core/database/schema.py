"""The one collection of tables, and how their constraints are named."""

from sqlalchemy import MetaData

__all__ = ["metadata"]

# Named constraints can be dropped by a later migration on every database; unnamed ones cannot.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
