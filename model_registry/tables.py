"""The registry's tables: versions, what reviewers did, and what was put in which slot."""

import sqlalchemy as sa

from core.database import Json, UtcDateTime, metadata

__all__ = ["deployment", "model_version", "review_event"]

model_version = sa.Table(
    "model_version",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("bundle_hash", sa.String(64), nullable=False),
    sa.Column("author", sa.String(120), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("run", Json, nullable=False),
    sa.Column("submitted_by", sa.String(120)),
    sa.Column("submitted_at", UtcDateTime),
    sa.Column("submitted_hash", sa.String(64)),
    sa.Column("decided_by", sa.String(120)),
    sa.Column("decided_at", UtcDateTime),
    sa.Column("approved_hash", sa.String(64)),
    sa.Column("conditions", sa.Text),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("mlflow_run_id", sa.String(64)),
    sa.Column("mlflow_version", sa.String(32)),
    sa.UniqueConstraint("project", "number", name="uq_model_version_project_number"),
)

review_event = sa.Table(
    "review_event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(120), nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("bundle_hash", sa.String(64), nullable=False),
    sa.Column("details", Json, nullable=False),
    sa.Index("ix_review_event_version", "project", "number"),
)

deployment = sa.Table(
    "deployment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("project", sa.String(120), nullable=False),
    sa.Column("slot", sa.String(32), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("bundle_hash", sa.String(64)),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(120), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("share", sa.Double, nullable=False, server_default="0"),
    sa.Index("ix_deployment_slot", "project", "slot", "id"),
)
