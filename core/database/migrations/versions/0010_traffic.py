"""What was asked of the scorers, counted by the moment."""

import sqlalchemy as sa
from alembic import op

from core.database import Json, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "traffic_count",
        sa.Column("at", UtcDateTime, primary_key=True),
        sa.Column("source", sa.String(96), primary_key=True),
        sa.Column("project", sa.String(120), primary_key=True),
        sa.Column("slot", sa.String(32), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("status", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("seconds", Json, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("traffic_count")
