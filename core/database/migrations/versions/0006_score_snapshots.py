"""Which dated data an answer drew on."""

import sqlalchemy as sa
from alembic import op

from core.database import Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; answers given before drew on none."""
    op.add_column("score_record", sa.Column("snapshots", Json, nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("score_record", "snapshots")
