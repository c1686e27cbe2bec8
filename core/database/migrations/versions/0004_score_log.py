"""The score log and the drift reports."""

import sqlalchemy as sa
from alembic import op

from core.database import Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "score_record",
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
        sa.UniqueConstraint("project", "slot", "request_id", name="uq_score_record_request"),
    )
    op.create_index("ix_score_record_asked_at", "score_record", ["project", "slot", "asked_at"])
    op.create_index("ix_score_record_cutoff", "score_record", ["project", "slot", "cutoff"])
    op.create_table(
        "drift_report",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("period_start", UtcDateTime, nullable=False),
        sa.Column("period_end", UtcDateTime, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("report", Json, nullable=False),
    )
    op.create_index("ix_drift_report_project", "drift_report", ["project", "slot", "created_at"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("drift_report")
    op.drop_table("score_record")
