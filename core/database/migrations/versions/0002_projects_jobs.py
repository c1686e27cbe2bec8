"""Projects, their finished steps, jobs and workers."""

import sqlalchemy as sa
from alembic import op

from core.database.types import Json, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "project",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("title", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("spec_fingerprint", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_project"),
    )
    op.create_table(
        "project_step",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("finished_by", sa.String(128), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("inputs", sa.String(64), nullable=False),
        sa.Column("summary", Json(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name="fk_project_step_project"),
        sa.PrimaryKeyConstraint("project", "step", name="pk_project_step"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("project", sa.String(64)),
        sa.Column("args", Json(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("actor", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime()),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("fraction", sa.Float(), nullable=False),
        sa.Column("message", Json()),
        sa.Column("eta", UtcDateTime()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("heartbeat_at", UtcDateTime()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("finish_requested", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.String(128)),
        sa.Column("result", Json()),
        sa.Column("error", Json()),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_state_id", "job", ["state", "id"])
    op.create_index("ix_job_project_id", "job", ["project", "id"])
    op.create_index("ix_job_idempotency_key", "job", ["idempotency_key"])
    op.create_table(
        "job_worker",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_worker"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("job_worker", "job", "project_step", "project"):
        op.drop_table(table)
