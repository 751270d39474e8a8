"""Backups, and the runs and schedules that make and prove them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KINDS = ("vacuum", "analyze", "reindex", "prune")
WITH_BACKUPS = (*KINDS, "backup", "verify", "restore", "rollback", "drill")
# In UTC, as the guide wants the backup; the trial comes after the week's vacuum and the month's reindex.
DEFAULTS = (
    {"name": "daily-backup", "kind": "backup", "cron": "0 2 * * *", "options": {"pin": False, "note": ""}},
    {"name": "weekly-verify", "kind": "verify", "cron": "0 7 * * SUN", "options": {"backup": ""}},
)


def upgrade() -> None:
    op.create_table(
        "backups",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=True),
        sa.Column("stores", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("manifest", postgresql.JSONB(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recovery_seconds", sa.Double(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'stored', 'verified', 'failed', 'expired')", name=op.f("ck_backups_status")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_backups"),
    )
    op.create_index("ix_backups_created_at_id", "backups", ["created_at", "id"], unique=False)
    _allow("runs", "kind", WITH_BACKUPS)
    _allow("schedules", "kind", WITH_BACKUPS)
    _allow("runs", "mutex_group", ("tables", "backups"))
    names = ("name", "kind", "cron")
    schedules = sa.table("schedules", *map(sa.column, names), sa.column("options", postgresql.JSONB()))
    insert = postgresql.insert(schedules).values([dict(one) for one in DEFAULTS])
    op.execute(insert.on_conflict_do_nothing())


def downgrade() -> None:
    for table in ("runs", "schedules"):
        op.execute(sa.text(f"DELETE FROM {table} WHERE kind NOT IN ({_listed(KINDS)})"))  # noqa: S608 - our own names
        _allow(table, "kind", KINDS)
    _allow("runs", "mutex_group", ("tables",))
    op.drop_table("backups")


def _allow(table: str, column: str, values: tuple[str, ...]) -> None:
    """What the table may hold from now on; few rows, so they are looked at here and now."""
    op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, f"{column} IN ({_listed(values)})")


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
