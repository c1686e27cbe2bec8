"""Monitoring's tables: every answer that was given, what became of the cases, and the drift reports made of them."""

import sqlalchemy as sa

from core.database import Json, UtcDateTime, metadata

__all__ = ["drift_report", "outcome_report", "score_record"]

score_record = sa.Table(
    "score_record",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
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
    # A shadow challenger answers the same request as the champion: hence the slot in the key.
    sa.UniqueConstraint("project", "slot", "request_id", name="uq_score_record_request"),
    sa.Index("ix_score_record_asked_at", "project", "slot", "asked_at"),
    sa.Index("ix_score_record_cutoff", "project", "slot", "cutoff"),
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
