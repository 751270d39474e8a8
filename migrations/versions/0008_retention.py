"""Retention: archives, legal holds, and a way for the oldest sealed part of the audit trail to go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ONLY_GROWING = ("audit_events", "audit_links")

# What may go is what a base of the chain covers, and nothing else: an event by its link, a link by its position.
REFUSE_REMOVAL = """
CREATE FUNCTION refuse_removal_from_audit_trail() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_covered boolean;
BEGIN
    EXECUTE format(
        CASE TG_TABLE_NAME
            WHEN 'audit_events' THEN
                'SELECT bool_and(link.position <= (SELECT max(position) FROM %1$I.audit_bases))
                     AND count(*) = count(link.position)
                 FROM gone LEFT JOIN %1$I.audit_links AS link ON link.event_id = gone.id'
            ELSE
                'SELECT bool_and(gone.position <= (SELECT max(position) FROM %1$I.audit_bases)) FROM gone'
        END,
        TG_TABLE_SCHEMA
    ) INTO is_covered;
    IF is_covered IS NOT TRUE THEN
        RAISE EXCEPTION 'The audit trail only grows: % on % is refused.', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$"""

# Whoever got everything by default privileges (deploy/postgres/roles.sql) has no reason to say where the chain begins.
ONLY_THE_OWNER_ADDS_BASES = """
DO $$
DECLARE
    somebody text;
BEGIN
    FOR somebody IN
        SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)
        WHERE oid = 'audit_bases'::regclass AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE 'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON audit_bases FROM ' || somebody;
    END LOOP;
END $$"""


def upgrade() -> None:
    op.create_table(
        "archives",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_archives"),
        sa.UniqueConstraint("file_name", name="uq_archives_file_name"),
    )
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("placed_by_kind", sa.Text(), nullable=False),
        sa.Column("placed_by_id", sa.Uuid(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_legal_holds_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_legal_holds"),
    )
    op.create_index("ix_legal_holds_organization_id", "legal_holds", ["organization_id"], unique=False)
    op.create_table(
        "audit_bases",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("archive_id", sa.Uuid(), nullable=False),
        sa.Column("archive_sha256", sa.Text(), nullable=False),
        sa.Column("seal_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_bases"),
    )
    guard("audit_bases", "UPDATE OR DELETE OR TRUNCATE")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_bases FROM PUBLIC, CURRENT_USER")
    op.execute(ONLY_THE_OWNER_ADDS_BASES)
    op.execute(REFUSE_REMOVAL)
    for table in ONLY_GROWING:
        op.execute(f"DROP TRIGGER refuse_change ON {table}")
        guard(table, "UPDATE OR TRUNCATE")
        op.execute(
            f"CREATE TRIGGER refuse_removal AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_removal_from_audit_trail()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER refuse_removal")


def guard(table: str, changes: str) -> None:
    """Refuse these changes of a table, also to who sets session_replication_role."""
    op.execute(
        f"CREATE TRIGGER refuse_change BEFORE {changes} ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_trail()"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER refuse_change")


def downgrade() -> None:
    for table in ONLY_GROWING:
        op.execute(f"DROP TRIGGER refuse_removal ON {table}")
        op.execute(f"DROP TRIGGER refuse_change ON {table}")
        guard(table, "UPDATE OR DELETE OR TRUNCATE")
    op.execute("DROP FUNCTION refuse_removal_from_audit_trail()")
    for table in ("audit_bases", "legal_holds", "archives"):
        op.drop_table(table)
