"""Work on a schedule, and what came of it."""

import sqlalchemy as sa
from alembic import op

from core.database.types import Json, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "schedule",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("args", Json(), nullable=False),
        sa.Column("cron", sa.String(128), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("retry_minutes", sa.Integer(), nullable=False),
        sa.Column("actor", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedule"),
        sa.UniqueConstraint("project", "name", name="uq_schedule_project_name"),
    )
    op.create_index("ix_schedule_next_at", "schedule", ["next_at"])
    op.create_table(
        "schedule_run",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("n_missed", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer()),
        sa.Column("retry_at", UtcDateTime()),
        sa.Column("error", Json()),
        sa.Column("alert_at", UtcDateTime()),
        sa.Column("n_alerts", sa.Integer(), nullable=False),
        sa.Column("alerted_at", UtcDateTime()),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], name="fk_schedule_run_schedule"),
        sa.PrimaryKeyConstraint("id", name="pk_schedule_run"),
        sa.UniqueConstraint("schedule_id", "due_at", name="uq_schedule_run_due"),
    )
    op.create_index("ix_schedule_run_state", "schedule_run", ["state"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("schedule_run")
    op.drop_table("schedule")
