"""What became of the cases that were scored."""

import sqlalchemy as sa
from alembic import op

from core.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "outcome_report",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("project", sa.String(120), nullable=False),
        sa.Column("named_by", sa.String(16), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("outcome", sa.Integer, nullable=True),
        sa.Column("observed_at", sa.DateTime, nullable=False),
        sa.Column("report_id", sa.String(128), nullable=True),
        sa.Column("reported_at", UtcDateTime, nullable=False),
        sa.Column("reported_by", sa.String(128), nullable=False),
    )
    op.create_index("ix_outcome_report_case", "outcome_report", ["project", "named_by", "name", "id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("outcome_report")
