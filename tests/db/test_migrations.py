"""Migrations: from nothing to head, one process at a time, and nothing left behind outside our tables."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from app.db.migrations import LOCK_NUMBER, MIGRATIONS_FOLDER, head_revision, migrate
from app.db.models import Model
from app.domain.errors import DatabaseUnavailable

OUTSIDE = {
    "roles": "SELECT rolname, rolsuper, rolconfig::text FROM pg_roles ORDER BY 1",
    "databases": "SELECT datname, datacl::text FROM pg_database ORDER BY 1",
    "tablespaces": "SELECT spcname FROM pg_tablespace ORDER BY 1",
    "their settings": "SELECT setdatabase, setrole, setconfig::text FROM pg_db_role_setting ORDER BY 1, 2",
}
SCHEMA = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
        AND contype <> 'n' ORDER BY 1, 2""",
    "indexes": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1""",
}


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture
def empty(server_url: str) -> Iterator[str]:
    """The URL of a database without any table."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_for_migrations")
        yield server_url.replace("/postgres?", "/empty_for_migrations?")
        connection.execute("DROP DATABASE empty_for_migrations WITH (FORCE)")


def make_engine(url: str) -> Engine:
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)


def run_alembic(url: str, wish: str, *arguments: str) -> None:
    """An alembic command on our own connection, as a developer would give it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER))
    with make_engine(url).connect() as connection:
        config.attributes["connection"] = connection
        getattr(command, wish)(config, *arguments)


def test_an_empty_database_comes_to_head_and_a_second_time_changes_nothing(empty: str) -> None:
    assert migrate(empty) == (None, head_revision())
    assert migrate(empty) == (head_revision(), head_revision())
    assert rows(empty, "SELECT version_num FROM alembic_version") == [(head_revision(),)]


def test_the_five_tiers_are_there_with_the_limits_of_the_contract(empty: str) -> None:
    migrate(empty)

    assert rows(
        empty,
        "SELECT tier, max_users, max_products, max_api_calls_per_day, max_storage_bytes, trial_days, max_machines,"
        " machine_binding, is_tier_default, array(SELECT jsonb_object_keys(features) ORDER BY 1)"
        " FROM plans ORDER BY id",
    ) == [
        ("TRIAL", 5, 3, 1000, 10737418240, 30, None, "AUTOMATIC", True, ["demo_watermark"]),
        ("STARTER", 25, 5, 10000, 107374182400, None, None, "AUTOMATIC", True, ["email_support"]),
        (
            *("PROFESSIONAL", 100, 15, 50000, 536870912000, None, None, "AUTOMATIC", True),
            ["custom_branding", "priority_support"],
        ),
        (
            *("ENTERPRISE", 1000, None, 1000000, 2199023255552, None, None, "AUTOMATIC", True),
            ["audit_logs", "custom_branding", "dedicated_support", "sla"],
        ),
        (
            *("UNLIMITED", None, None, None, 10995116277760, None, None, "AUTOMATIC", True),
            ["audit_logs", "custom_development", "custom_integrations", "dedicated_support", "sla", "white_label"],
        ),
    ]


def test_alembic_finds_no_difference_between_models_and_migrations(empty: str) -> None:
    migrate(empty)

    run_alembic(empty, "check")


def test_models_and_migrations_make_the_same_columns_checks_and_indexes(empty: str, empty_database: str) -> None:
    migrate(empty)
    Model.metadata.create_all(make_engine(empty_database))

    for what, query in SCHEMA.items():
        migrated = [row for row in rows(empty, query) if "validation_events_default" not in str(row)]
        assert migrated == rows(empty_database, query), what


def test_the_way_down_leaves_nothing_and_the_way_up_is_open_again(empty: str) -> None:
    migrate(empty)

    run_alembic(empty, "downgrade", "base")

    assert rows(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("alembic_version",)]
    assert rows(empty, "SELECT version_num FROM alembic_version") == []
    assert rows(empty, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    assert migrate(empty) == (None, head_revision())


def test_of_two_that_migrate_at_once_one_waits_and_both_succeed(empty: str) -> None:
    with ThreadPoolExecutor(2) as threads, psycopg.connect(empty, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [LOCK_NUMBER])
        both = [threads.submit(migrate, empty) for _ in range(2)]
        await_connections(holder, 2)
        assert rows(empty, "SELECT to_regclass('licenses')::text") == [(None,)]
        assert not any(one.done() for one in both)
        holder.execute("SELECT pg_advisory_unlock(%s)", [LOCK_NUMBER])
        found = sorted((one.result(30) for one in both), key=str)

    assert found == [(head_revision(), head_revision()), (None, head_revision())]


def await_connections(holder: psycopg.Connection, count: int) -> None:
    """Until so many processes that want to migrate have asked for the lock and were refused."""
    for _ in range(3000):
        waiting = holder.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            " AND application_name = 'license-server-migrate' AND query = 'ROLLBACK'"
        ).fetchone()
        if waiting == (count,):
            return
    pytest.fail("nobody waits for the lock")


def test_whoever_holds_a_table_makes_a_migration_give_up_rather_than_block_everybody(empty: str) -> None:
    migrate(empty)

    with psycopg.connect(empty) as holder, ThreadPoolExecutor(1) as thread:
        holder.execute("SELECT 1 FROM plans")
        attempt: Future[None] = thread.submit(run_alembic, empty, "downgrade", "base")
        with pytest.raises(Exception, match="lock timeout"):
            attempt.result(20)

    assert rows(empty, "SELECT count(*) FROM plans") == [(5,)]
    assert migrate(empty) == ("0001", head_revision())


def test_migrate_tells_of_a_held_table_as_unavailable(empty: str) -> None:
    with psycopg.connect(empty) as holder, ThreadPoolExecutor(1) as thread:
        holder.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        attempt = thread.submit(migrate, empty)
        with pytest.raises(DatabaseUnavailable, match="Somebody else is changing the same thing"):
            attempt.result(20)

    assert migrate(empty) == (None, head_revision())


def test_migrating_leaves_no_lock_and_creates_nothing_outside_its_database(server_url: str, empty: str) -> None:
    before = {what: rows(server_url, query) for what, query in OUTSIDE.items()}

    migrate(empty)

    assert {what: rows(server_url, query) for what, query in OUTSIDE.items()} == before
    assert rows(empty, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    assert rows(empty, schemas) == [("public",)]
    assert rows(empty, "SELECT extname FROM pg_extension") == [("plpgsql",)]


def test_a_migration_that_fails_leaves_no_lock_and_no_half_of_it(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE TABLE machines (id int)")

    with pytest.raises(Exception, match="already exists"):
        migrate(empty)

    assert rows(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [("machines",)]
    assert rows(empty, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_an_owner_who_is_no_superuser_migrates_its_own_database(server_url: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE tenant LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        connection.execute("CREATE DATABASE of_tenant OWNER tenant")
        try:
            own = server_url.replace("postgres@", "tenant@").replace("/postgres?", "/of_tenant?")
            assert rows(own, "SELECT current_user::text") == [("tenant",)]
            assert migrate(own) == (None, head_revision())
        finally:
            connection.execute("DROP DATABASE of_tenant WITH (FORCE)")
            connection.execute("DROP ROLE tenant")


def test_events_that_were_recorded_before_the_chain_came_wait_for_their_link(empty: str) -> None:
    migrate(empty)
    run_alembic(empty, "downgrade", "0003")
    with psycopg.connect(empty) as connection:
        connection.execute(
            "INSERT INTO audit_events (id, occurred_at, event, subject_id, actor_kind, data)"
            " VALUES (gen_random_uuid(), now(), 'license.changed', 'x', 'command_line', '{}')"
        )
        connection.execute("UPDATE audit_events SET subject_id = 'y'")

    migrate(empty)

    assert rows(empty, "SELECT subject_id FROM audit_events JOIN audit_unsealed ON id = event_id") == [("y",)]


def test_no_migration_imports_the_application() -> None:
    for version in sorted((MIGRATIONS_FOLDER / "versions").glob("*.py")):
        assert "import app" not in version.read_text(), version
        assert "from app" not in version.read_text(), version
