"""Versions of data models, and what people have changed in one and not saved yet."""

import sqlalchemy as sa
from alembic import op

from core.database.types import Json, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "data_model_version",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reviewed_by", sa.String(128)),
        sa.Column("reviewed_at", UtcDateTime()),
        sa.Column("review_note", sa.Text()),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name="fk_data_model_version_project"),
        sa.PrimaryKeyConstraint("project", "number", name="pk_data_model_version"),
    )
    op.create_table(
        "data_model_draft",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("base_yaml", sa.Text(), nullable=False),
        sa.Column("steps", Json(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("conflicts", Json(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.name"], name="fk_data_model_draft_project"),
        sa.PrimaryKeyConstraint("project", "owner", name="pk_data_model_draft"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("data_model_draft")
    op.drop_table("data_model_version")
