"""The score log by months: a table each, which goes whole when its time is over; blocks; erasure.

The records that are there move into their months.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from core.database import Json, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEXES = {"asked_at": ["project", "slot", "asked_at"], "cutoff": ["project", "slot", "cutoff"], "key": ["project", "key"]}


def upgrade() -> None:
    """Create the tables and move the records."""
    connection = op.get_bind()
    is_postgresql = connection.dialect.name == "postgresql"
    for name in ("asked_at", "cutoff"):
        op.drop_index(f"ix_score_record_{name}", "score_record")
    op.rename_table("score_record", "score_record_before")
    parted: dict[str, Any] = {"postgresql_partition_by": "RANGE (asked_at)"}
    op.create_table("score_record", *_record_columns(), **parted)
    _index("score_record")
    op.create_table("score_block", *_block_columns(), **parted)
    op.create_index("ix_score_block_asked_at", "score_block", ["project", "slot", "asked_at"])
    for month in _months(connection, is_postgresql=is_postgresql):
        _move_month(month, is_postgresql=is_postgresql)
    op.drop_table("score_record_before")
    _create_erasure()


def downgrade() -> None:
    """Put the records into one table again; answers in blocks have no place there and are dropped."""
    connection = op.get_bind()
    for name in ("score_erasure_done", "score_erasure", "score_host"):
        op.drop_table(name)
    names = sa.inspect(connection).get_table_names()
    for name in _INDEXES:
        op.drop_index(f"ix_score_record_{name}", "score_record")
    op.rename_table("score_record", "score_record_by_month")
    op.create_table(
        "score_record",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *_record_columns(),
        sa.UniqueConstraint("project", "slot", "request_id", name="uq_score_record_request"),
    )
    for name in ("asked_at", "cutoff"):
        op.create_index(f"ix_score_record_{name}", "score_record", _INDEXES[name])
    columns = ", ".join(column.name for column in _record_columns())
    for month in sorted(name for name in names if name.startswith("score_record_2")):
        op.execute(f"insert into score_record ({columns}) select {columns} from {month} order by asked_at")  # noqa: S608
    for month in (name for name in names if name.startswith(("score_record_2", "score_block_2"))):
        op.drop_table(month)
    op.drop_table("score_record_by_month")
    op.drop_table("score_block")


def _record_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("bundle_hash", sa.String(64), nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("cutoff", sa.DateTime, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("grade", sa.String(32), nullable=False),
        sa.Column("reasons", Json, nullable=False),
        sa.Column("warnings", Json, nullable=False),
        sa.Column("features", Json, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("payload_hash", sa.String(64), nullable=False),
        sa.Column("snapshots", Json, nullable=False, server_default="{}"),
    ]


def _block_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("block_id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("first_cutoff", sa.DateTime, nullable=False),
        sa.Column("last_cutoff", sa.DateTime, nullable=False),
        sa.Column("n_rows", sa.Integer, nullable=False),
        sa.Column("key_sums", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    ]


def _index(table: str) -> None:
    for name, columns in _INDEXES.items():
        op.create_index(f"ix_{table}_{name}", table, columns)


def _months(connection: sa.Connection, *, is_postgresql: bool) -> list[str]:
    """Return the months of the records that are there, as ``2026-03``."""
    month = "to_char(asked_at at time zone 'UTC', 'YYYY-MM')" if is_postgresql else "substr(asked_at, 1, 7)"
    query = f"select distinct {month} from score_record_before"  # noqa: S608 - of two constants
    return sorted(connection.exec_driver_sql(query).scalars())


def _move_month(month: str, *, is_postgresql: bool) -> None:
    records, blocks = (f"{base}_{month.replace('-', '_')}" for base in ("score_record", "score_block"))
    year, number = (int(part) for part in month.split("-"))
    following = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
    zone = "+00" if is_postgresql else ""
    start, end = (f"'{one}-01 00:00:00{zone}'" for one in (month, following))
    # A scorer of the new version that ran before the upgrade may have made the tables of its month already.
    there = sa.inspect(op.get_bind()).get_table_names()
    if records not in there:
        key = sa.PrimaryKeyConstraint("project", "slot", "request_id", name=f"pk_{records}")
        op.create_table(records, *_record_columns(), key)
        _index(records)
    if blocks not in there:
        op.create_table(blocks, *_block_columns(), sa.PrimaryKeyConstraint("block_id", name=f"pk_{blocks}"))
        op.create_index(f"ix_{blocks}_asked_at", blocks, ["project", "slot", "asked_at"])
    columns = ", ".join(column.name for column in _record_columns())
    op.execute(
        f"insert into {records} ({columns}) select {columns} from score_record_before "  # noqa: S608
        f"where asked_at >= {start} and asked_at < {end} order by id on conflict do nothing"
    )
    if is_postgresql:
        for base, table in (("score_record", records), ("score_block", blocks)):
            op.execute(f"alter table {base} attach partition {table} for values from ({start}) to ({end})")


def _create_erasure() -> None:
    op.create_table(
        "score_erasure",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("digests", Json, nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("n_records", sa.Integer, nullable=False),
        sa.Column("n_outcomes", sa.Integer, nullable=False),
    )
    op.create_table(
        "score_host",
        sa.Column("host", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "score_erasure_done",
        sa.Column("erasure_id", sa.Integer, sa.ForeignKey("score_erasure.id"), primary_key=True),
        sa.Column("host", sa.String(64), primary_key=True),
        sa.Column("done_at", UtcDateTime, nullable=False),
        sa.Column("n_local", sa.Integer, nullable=False),
        sa.Column("n_records", sa.Integer, nullable=False),
    )
