"""Runs: long work that is asked for, done by one process, and accounted for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mutex_group", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("slot_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by_kind", sa.Text(), nullable=False),
        sa.Column("requested_by_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("progress", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("warnings", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('vacuum', 'analyze', 'reindex', 'prune')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint("mutex_group IN ('tables')", name=op.f("ck_runs_mutex_group")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'succeeded_with_warnings', 'skipped', 'failed',"
            " 'cancelled', 'lost')",
            name=op.f("ck_runs_status"),
        ),
        sa.CheckConstraint("trigger IN ('request', 'command', 'schedule')", name=op.f("ck_runs_trigger")),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_kind_id", "runs", ["kind", "id"], unique=False)
    op.create_index(
        "uq_runs_mutex_group_under_way",
        "runs",
        ["mutex_group"],
        unique=True,
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_index(
        "uq_runs_schedule_slot_at",
        "runs",
        ["schedule", "slot_at"],
        unique=True,
        postgresql_where=sa.text("slot_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("runs")
