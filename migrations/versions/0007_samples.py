"""Samples of sizes and statements, a day each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "size_samples",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "subject", name="pk_size_samples"),
    )
    op.create_table(
        "statement_samples",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("query_id", sa.BigInteger(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("total_milliseconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "query_id", name="pk_statement_samples"),
    )


def downgrade() -> None:
    op.drop_table("statement_samples")
    op.drop_table("size_samples")
