"""Schedules, with those that the guide asks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# In UTC. The guide's weekly backup is on Sundays at 03:00: the vacuum comes well after it, and the look for bloated
# indexes after the vacuum; what is pruned on the 1st is gone before either.
TABLES = {"tables": [], "force": False}
DEFAULTS = (
    {"name": "weekly-vacuum", "kind": "vacuum", "cron": "30 4 * * SUN", "options": TABLES},
    {"name": "monthly-reindex", "kind": "reindex", "cron": "30 5 * * SUN#1", "options": {**TABLES, "indexes": []}},
    {"name": "monthly-prune", "kind": "prune", "cron": "30 3 1 * *", "options": {"dryRun": False}},
)


def upgrade() -> None:
    schedules = op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("options", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("missed", sa.Text(), server_default="run_once", nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("kind IN ('vacuum', 'analyze', 'reindex', 'prune')", name=op.f("ck_schedules_kind")),
        sa.CheckConstraint("missed IN ('run_once', 'skip')", name=op.f("ck_schedules_missed")),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
    )
    op.bulk_insert(schedules, [dict(one) for one in DEFAULTS])
    op.create_index(
        "ix_runs_schedule_id",
        "runs",
        ["schedule", "id"],
        unique=False,
        postgresql_where=sa.text("schedule IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_runs_schedule_id", table_name="runs")
    op.drop_table("schedules")
