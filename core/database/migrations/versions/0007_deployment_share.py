"""Which part of the enterprises a deployment answers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was deployed before answered everything or nothing."""
    op.add_column("deployment", sa.Column("share", sa.Double, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("deployment", "share")
