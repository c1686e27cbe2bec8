"""Model versions, review events and deployments."""

import sqlalchemy as sa
from alembic import op

from core.database import Json, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "model_version",
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
    op.create_table(
        "review_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("bundle_hash", sa.String(64), nullable=False),
        sa.Column("details", Json, nullable=False),
    )
    op.create_index("ix_review_event_version", "review_event", ["project", "number"])
    op.create_table(
        "deployment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("slot", sa.String(32), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("bundle_hash", sa.String(64)),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_deployment_slot", "deployment", ["project", "slot", "id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("deployment")
    op.drop_table("review_event")
    op.drop_table("model_version")
