"""Monitoring's tables: every answer that was given, what became of the cases, and the drift reports made of them."""

import sqlalchemy as sa

from core.database import Json, UtcDateTime, metadata

__all__ = [
    "drift_report",
    "outcome_report",
    "score_block",
    "score_erasure",
    "score_erasure_done",
    "score_host",
    "score_record",
    "traffic_count",
]

score_record = sa.Table(
    "score_record",
    metadata,
    # Empty: the records lie in a table of the same form for each month (`score_months`), which holds a request id once.
    # On PostgreSQL those are its partitions, so that a query of this one reads them all.
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
    sa.Index("ix_score_record_asked_at", "project", "slot", "asked_at"),
    sa.Index("ix_score_record_cutoff", "project", "slot", "cutoff"),
    sa.Index("ix_score_record_key", "project", "key"),
    # A shadow challenger answers the same request as the champion: hence the slot in the key.
    info={"month_key": ("project", "slot", "request_id")},
    postgresql_partition_by="RANGE (asked_at)",
)

score_block = sa.Table(
    "score_block",
    metadata,
    # Empty, as `score_record`. Many answers of one model at one moment (`ScoreBlock`), whose request ids nobody chose.
    sa.Column("block_id", sa.String(64), nullable=False),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("slot", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("first_cutoff", sa.DateTime, nullable=False),
    sa.Column("last_cutoff", sa.DateTime, nullable=False),
    sa.Column("n_rows", sa.Integer, nullable=False),
    # A checksum of four bytes of each row's key: who looks for a key opens only the blocks that may hold it.
    sa.Column("key_sums", sa.LargeBinary, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Index("ix_score_block_asked_at", "project", "slot", "asked_at"),
    info={"month_key": ("block_id",)},
    postgresql_partition_by="RANGE (asked_at)",
)

score_erasure = sa.Table(
    "score_erasure",
    metadata,
    # Whose records were erased up to when: by salted digests, because a key that is erased must not stand here.
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

score_host = sa.Table(
    "score_host",
    metadata,
    # Who keeps a local log, and so must erase in it.
    sa.Column("host", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

score_erasure_done = sa.Table(
    "score_erasure_done",
    metadata,
    sa.Column("erasure_id", sa.Integer, sa.ForeignKey("score_erasure.id"), primary_key=True),
    sa.Column("host", sa.String(64), primary_key=True),
    sa.Column("done_at", UtcDateTime, nullable=False),
    sa.Column("n_local", sa.Integer, nullable=False),
    sa.Column("n_records", sa.Integer, nullable=False),
)

outcome_report = sa.Table(
    "outcome_report",
    metadata,
    # Never changed: a correction is another row, and the newest of a case counts.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("named_by", sa.String(16), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("outcome", sa.Integer, nullable=True),
    sa.Column("observed_at", sa.DateTime, nullable=False),
    sa.Column("report_id", sa.String(128), nullable=True),
    sa.Column("reported_at", UtcDateTime, nullable=False),
    sa.Column("reported_by", sa.String(128), nullable=False),
    sa.Index("ix_outcome_report_case", "project", "named_by", "name", "id"),
)

drift_report = sa.Table(
    "drift_report",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("slot", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("period_start", UtcDateTime, nullable=False),
    sa.Column("period_end", UtcDateTime, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("verdict", sa.String(32), nullable=False),
    sa.Column("report", Json, nullable=False),
    sa.Index("ix_drift_report_project", "project", "slot", "created_at"),
)

traffic_count = sa.Table(
    "traffic_count",
    metadata,
    # What a process counts of one kind in one moment is written once.
    sa.Column("at", UtcDateTime, primary_key=True),
    sa.Column("source", sa.String(96), primary_key=True),
    sa.Column("project", sa.String(120), primary_key=True),
    sa.Column("slot", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("status", sa.Integer, primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("seconds", Json, nullable=False),
)
