"""The first tables: organizations, products, plans, licenses, machines, validation events, users, API keys, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GIB = 1024**3
TIB = 1024**4

TIERS = (
    ("TRIAL", 5, 3, 1_000, 10 * GIB, 30, "demo_watermark"),
    ("STARTER", 25, 5, 10_000, 100 * GIB, None, "email_support"),
    ("PROFESSIONAL", 100, 15, 50_000, 500 * GIB, None, "priority_support custom_branding"),
    (
        "ENTERPRISE",
        1_000,
        None,
        1_000_000,
        2 * TIB,
        None,
        "dedicated_support custom_branding sla audit_logs",
    ),
    (
        "UNLIMITED",
        None,
        None,
        None,
        10 * TIB,
        None,
        "white_label custom_integrations dedicated_support sla audit_logs custom_development",
    ),
)


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("ip", postgresql.INET(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index(
        "ix_audit_events_subject_id_occurred_at", "audit_events", ["subject_id", "occurred_at"], unique=False
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("body_encrypted", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
        sa.UniqueConstraint("domain", name="uq_organizations_domain"),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("is_tier_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("max_users", sa.Integer(), nullable=True),
        sa.Column("max_products", sa.Integer(), nullable=True),
        sa.Column("max_machines", sa.Integer(), nullable=True),
        sa.Column("max_api_calls_per_day", sa.BigInteger(), nullable=True),
        sa.Column("max_storage_bytes", sa.BigInteger(), nullable=True),
        sa.Column(
            "features",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("trial_days", sa.Integer(), nullable=True),
        sa.Column("machine_binding", sa.Text(), server_default="AUTOMATIC", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "machine_binding IN ('AUTOMATIC', 'EXPLICIT', 'NONE')", name=op.f("ck_plans_machine_binding")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
        sa.UniqueConstraint("name", name="uq_plans_name"),
    )
    op.create_index(
        "uq_plans_tier_default", "plans", ["tier"], unique=True, postgresql_where=sa.text("is_tier_default")
    )
    op.create_table(
        "products",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
    )
    op.create_table(
        "validation_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=True),
        sa.Column("fingerprint_hash", sa.LargeBinary(), nullable=True),
        sa.Column("ip", postgresql.INET(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "code IN ('NOT_FOUND', 'ORGANIZATION_SUSPENDED', 'REVOKED', 'SUSPENDED', 'NOT_STARTED', "
            "'TRIAL_EXPIRED', 'EXPIRED', 'PRODUCT_SCOPE_MISMATCH', 'ENTITLEMENTS_MISSING', "
            "'FINGERPRINT_SCOPE_REQUIRED', 'NO_MACHINE', 'TOO_MANY_MACHINES', 'VALID')",
            name=op.f("ck_validation_events_code"),
        ),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        "ix_validation_events_license_id_occurred_at",
        "validation_events",
        ["license_id", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_api_keys_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("secret_hash", name="uq_api_keys_secret_hash"),
    )
    op.create_index("ix_api_keys_organization_id", "api_keys", ["organization_id"], unique=False)
    op.create_table(
        "licenses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="ACTIVE", nullable=False),
        sa.Column("license_key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("license_key_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("max_users", sa.Integer(), nullable=True),
        sa.Column("max_products", sa.Integer(), nullable=True),
        sa.Column("max_machines", sa.Integer(), nullable=True),
        sa.Column("allowed_products", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column(
            "features",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("machine_binding", sa.Text(), server_default="AUTOMATIC", nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_trial", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("trial_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "machine_binding IN ('AUTOMATIC', 'EXPLICIT', 'NONE')", name=op.f("ck_licenses_machine_binding")
        ),
        sa.CheckConstraint("status IN ('ACTIVE', 'SUSPENDED', 'REVOKED')", name=op.f("ck_licenses_status")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_licenses_organization_id_organizations"
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name="fk_licenses_plan_id_plans"),
        sa.PrimaryKeyConstraint("id", name="pk_licenses"),
        sa.UniqueConstraint("license_key_hash", name="uq_licenses_license_key_hash"),
    )
    op.create_index("ix_licenses_organization_id", "licenses", ["organization_id"], unique=False)
    op.create_index("ix_licenses_plan_id", "licenses", ["plan_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(role = 'OPERATOR') = (organization_id IS NULL)", name=op.f("ck_users_operator_has_no_organization")
        ),
        sa.CheckConstraint("role IN ('OPERATOR', 'ADMIN', 'MEMBER', 'VIEWER')", name=op.f("ck_users_role")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_is_lower_case")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_users_organization_id_organizations"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("ix_users_organization_id", "users", ["organization_id"], unique=False)
    op.create_table(
        "machines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("license_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint_hash", sa.LargeBinary(), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["license_id"], ["licenses.id"], name="fk_machines_license_id_licenses"),
        sa.PrimaryKeyConstraint("id", name="pk_machines"),
        sa.UniqueConstraint("license_id", "fingerprint_hash", name="uq_machines_license_id_fingerprint_hash"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.execute("CREATE TABLE validation_events_default PARTITION OF validation_events DEFAULT")
    op.execute("ALTER TABLE validation_events_default SET (autovacuum_vacuum_insert_scale_factor = 0.05)")
    add_tiers()


def add_tiers() -> None:
    """The five tiers that every installation starts with; they are rows, so operators change them and add others."""
    plans = sa.table(
        "plans",
        *(sa.column(name) for name in ("id", "name", "tier", "is_tier_default", "max_users", "max_products")),
        *(sa.column(name) for name in ("max_api_calls_per_day", "max_storage_bytes", "trial_days")),
        sa.column("features", postgresql.JSONB()),
    )
    op.bulk_insert(
        plans,
        [
            {
                "id": f"019a0000-0000-7000-8000-00000000000{number}",
                "name": tier.capitalize(),
                "tier": tier,
                "is_tier_default": True,
                "max_users": max_users,
                "max_products": max_products,
                "max_api_calls_per_day": api_calls,
                "max_storage_bytes": storage,
                "trial_days": trial_days,
                "features": dict.fromkeys(features.split(), True),
            }
            for number, (
                tier,
                max_users,
                max_products,
                api_calls,
                storage,
                trial_days,
                features,
            ) in enumerate(TIERS, 1)
        ],
    )


def downgrade() -> None:
    for table in (
        "sessions",
        "machines",
        "users",
        "licenses",
        "api_keys",
        "validation_events",
        "products",
        "plans",
        "organizations",
        "idempotency_keys",
        "audit_events",
    ):
        op.drop_table(table)
