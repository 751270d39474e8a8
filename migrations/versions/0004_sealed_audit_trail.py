"""The audit trail only grows, and is sealed by a chain of keyed hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_audit_events_organization_id_id": ["organization_id", "id"],
    "ix_audit_events_subject_id_id": ["subject_id", "id"],
    "ix_audit_events_actor_id_id": ["actor_id", "id"],
    "ix_audit_events_event_id": ["event", "id"],
    "ix_audit_events_ip_id": ["ip", "id"],
    "ix_audit_events_request_id": ["request_id"],
}
ONLY_GROWING = ("audit_events", "audit_links")

REFUSE = """
CREATE FUNCTION refuse_change_of_audit_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail only grows: % on % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$"""

QUEUE = """
CREATE FUNCTION queue_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I.audit_unsealed (event_id) VALUES ($1)', TG_TABLE_SCHEMA) USING NEW.id;
    RETURN NULL;
END $$"""

# Whoever got everything by default privileges (deploy/postgres/roles.sql) is not to have this.
FORBID = """
DO $$
DECLARE
    somebody text;
BEGIN
    FOR somebody IN
        SELECT DISTINCT grantee::regrole::text FROM pg_class, aclexplode(relacl)
        WHERE oid = '{0}'::regclass AND grantee <> 0
    LOOP
        EXECUTE 'REVOKE UPDATE, DELETE, TRUNCATE ON {0} FROM ' || somebody;
    END LOOP;
END $$"""


def upgrade() -> None:
    op.create_table(
        "audit_links",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_links"),
        sa.UniqueConstraint("event_id", name="uq_audit_links_event_id"),
    )
    op.create_table(
        "audit_unsealed",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_audit_unsealed"),
    )
    op.create_table(
        "installation_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installation_secrets"),
    )
    # No release had the table before, so there is no large one yet, and building its indexes holds nobody up.
    op.drop_index("ix_audit_events_subject_id_occurred_at", "audit_events")
    for name, columns in INDEXES.items():
        op.create_index(name, "audit_events", columns, unique=False)
    op.create_index(
        "ix_audit_events_occurred_at", "audit_events", ["occurred_at"], unique=False, postgresql_using="brin"
    )
    op.execute(QUEUE)
    op.execute(
        "CREATE TRIGGER queue_audit_event AFTER INSERT ON audit_events"
        " FOR EACH ROW EXECUTE FUNCTION queue_audit_event()"
    )
    op.execute("INSERT INTO audit_unsealed (event_id) SELECT id FROM audit_events")
    op.execute(REFUSE)
    for table in ONLY_GROWING:
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_trail()"
        )
        # ALWAYS: also for who sets session_replication_role.
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER refuse_change")
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")
        op.execute(FORBID.format(table))


def downgrade() -> None:
    op.execute("DROP TRIGGER refuse_change ON audit_events")
    op.execute("DROP TRIGGER queue_audit_event ON audit_events")
    op.execute("GRANT UPDATE, DELETE, TRUNCATE ON audit_events TO CURRENT_USER")
    op.drop_index("ix_audit_events_occurred_at", "audit_events")
    for name in INDEXES:
        op.drop_index(name, "audit_events")
    op.create_index(
        "ix_audit_events_subject_id_occurred_at", "audit_events", ["subject_id", "occurred_at"], unique=False
    )
    for table in ("audit_links", "audit_unsealed", "installation_secrets"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change_of_audit_trail()")
    op.execute("DROP FUNCTION queue_audit_event()")
