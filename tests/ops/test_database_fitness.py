"""The doctor's look at real databases: what is wrong is told, and what it says mends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import migrate
from app.domain.findings import Finding, Level
from app.domain.fitness import USUAL_SCHEDULES
from app.ops.database_fitness import check_database
from app.vault import Vault, VaultError, make_key
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.db.roles import Roles, database_with_roles
from tests.pgbouncer import needs_pgbouncer, pgbouncer
from tests.tls_host import tls_host

UNSAFE = "database_durability"
"""The cluster of the tests need not survive a power failure, and the doctor sees it."""


@pytest.fixture(scope="module")
def roles(postgres: EmbeddedPostgres) -> Iterator[Roles]:
    """A migrated database with the roles of the product."""
    with database_with_roles(postgres.database_url("postgres"), "of_the_doctor") as made:
        migrate(made.owner)
        yield made


async def examine(
    url: str, folder: Path, *, direct: str | None = None, vault: Vault | VaultError | None = None, **others: Any
) -> dict[str, Finding]:
    """What is not good, by check."""
    if direct is not None:
        others["database_direct_url"] = direct
    settings = make_settings(url, folder, **others)
    vault = vault or Vault((ENCRYPTION_KEY,))
    findings = await check_database(settings, url, vault, lambda: datetime.now(UTC))
    assert all(one.action for one in findings if one.level is not Level.GOOD), "each says what to do"
    return {one.check: one for one in findings if one.level is not Level.GOOD and one.check != UNSAFE}


def run_sql(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


async def test_with_the_roles_of_the_product_rights_are_as_they_should_be(roles: Roles, tmp_path: Path) -> None:
    found = await examine(roles.app, tmp_path, direct=roles.owner)

    assert set(found) == {"extension_pg_stat_statements", "extension_pgstattuple", "operators"}


async def test_without_a_direct_address_maintenance_would_skip_every_table(roles: Roles, tmp_path: Path) -> None:
    before = (await examine(roles.app, tmp_path))["maintenance_grants"]
    run_sql(roles.superuser, str(before.action).partition(", or ")[2])

    try:
        assert "maintenance_grants" not in await examine(roles.app, tmp_path)
    finally:
        run_sql(roles.superuser, "REVOKE MAINTAIN ON ALL TABLES IN SCHEMA public FROM license_server")
    assert before.level is Level.WARNING


async def test_a_right_that_lacks_is_bad_and_the_action_gives_it_back(roles: Roles, tmp_path: Path) -> None:
    run_sql(roles.owner, "REVOKE SELECT ON users, plans FROM license_server")

    found = (await examine(roles.app, tmp_path, direct=roles.owner))["database_grants"]
    run_sql(roles.owner, str(found.action))

    assert (found.level, found.sentence) == (Level.BAD, "The role license_server may not SELECT plans, SELECT users.")
    assert "database_grants" not in await examine(roles.app, tmp_path, direct=roles.owner)


async def test_a_right_to_change_the_trail_is_a_warning_and_the_action_takes_it(roles: Roles, tmp_path: Path) -> None:
    run_sql(roles.superuser, "GRANT DELETE ON audit_events TO license_server")

    found = (await examine(roles.app, tmp_path, direct=roles.owner))["database_grants"]
    run_sql(roles.owner, str(found.action))

    assert (found.level, "DELETE audit_events" in found.sentence) == (Level.WARNING, True)
    assert "database_grants" not in await examine(roles.app, tmp_path, direct=roles.owner)


async def test_a_superuser_is_a_warning(fresh_database: str, tmp_path: Path) -> None:
    assert (await examine(fresh_database, tmp_path))["database_grants"].level is Level.WARNING


async def test_a_direct_address_of_another_database_is_bad(
    fresh_database: str, shared_database: str, tmp_path: Path
) -> None:
    found = await examine(fresh_database, tmp_path, direct=shared_database)

    assert "different databases" in found["direct_url"].sentence


async def test_a_direct_address_where_nothing_answers_is_bad(fresh_database: str, tmp_path: Path) -> None:
    found = await examine(fresh_database, tmp_path, direct="postgresql://someone:geheim@127.0.0.1:1/x")

    assert "does not answer at DATABASE_DIRECT_URL" in found["direct_url"].sentence
    assert "geheim" not in str(found)


async def test_a_database_without_our_tables_wants_a_migration(empty_database: str, tmp_path: Path) -> None:
    found = (await examine(empty_database, tmp_path))["database_schema"]

    assert (found.level, found.action) == (Level.BAD, "license-server migrate")


@pytest.mark.parametrize("vault", [Vault((make_key(),)), VaultError("There is none.")])
async def test_a_key_that_does_not_open_what_is_stored_is_bad(
    fresh_database: str, tmp_path: Path, vault: Vault | VaultError
) -> None:
    secret = Vault((ENCRYPTION_KEY,)).encrypt("secret")
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO installation_secrets VALUES ('a', %s, now())", [secret])

    assert "encryption_key" not in await examine(fresh_database, tmp_path)
    assert (await examine(fresh_database, tmp_path, vault=vault))["encryption_key"].level is Level.BAD


async def test_operators_without_second_factor_and_with_the_default_address_are_told(
    fresh_database: str, tmp_path: Path
) -> None:
    run_sql(
        fresh_database,
        "INSERT INTO users (id, email, name, role) VALUES"
        " (gen_random_uuid(), 'admin@example.com', 'a', 'OPERATOR'),"
        " (gen_random_uuid(), 'b@b.example', 'b', 'OPERATOR')",
    )

    found = await examine(fresh_database, tmp_path)

    assert found["second_factors"].sentence == "2 of 2 operators have no second factor."
    assert found["admin_email"].level is Level.WARNING
    assert "operators" not in found


async def test_a_weekly_vacuum_that_no_longer_succeeds_is_told(fresh_database: str, tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=10)
    with psycopg.connect(fresh_database) as connection:
        for status, finished_at in (("succeeded", long_ago), ("failed", datetime.now(UTC))):
            connection.execute(
                "INSERT INTO runs (id, kind, mutex_group, status, options, trigger, requested_by_kind, requested_at,"
                " finished_at) VALUES (gen_random_uuid(), 'vacuum', 'tables', %s, '{}', 'schedule', 'x', now(), %s)",
                [status, finished_at],
            )

    found = (await examine(fresh_database, tmp_path))["last_vacuum"]

    assert f"{long_ago:%Y-%m-%d}" in found.sentence


async def test_schedules_that_nobody_looks_at_are_told(fresh_database: str, tmp_path: Path) -> None:
    before = await examine(fresh_database, tmp_path)
    run_sql(fresh_database, "UPDATE schedules SET updated_at = now() - interval '2 hours'")
    never = await examine(fresh_database, tmp_path)
    run_sql(fresh_database, "UPDATE schedules SET next_run_at = now() - interval '1 day', planned_at = now()")
    left = await examine(fresh_database, tmp_path, schedules_enabled=False)

    assert "schedules" not in before
    assert never["schedules"].action == "Start the server, or: license-server schedules run-due"
    assert "daily-backup, monthly-prune, monthly-reindex, weekly-vacuum, weekly-verify" in never["schedules"].sentence
    assert "SCHEDULES_ENABLED=false" in left["schedules"].sentence


def test_the_schedules_that_are_missed_are_those_that_an_installation_begins_with(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        begun = connection.execute("SELECT kind, name, cron FROM schedules").fetchall()

    assert {kind: (name, cron) for kind, name, cron in begun} == USUAL_SCHEDULES


async def test_a_database_that_hangs_is_one_finding_within_seconds(tmp_path: Path) -> None:
    with tls_host(None) as silent:
        began_at = time.monotonic()
        found = await examine(f"postgresql://someone:geheim@{silent}/x", tmp_path)

    assert time.monotonic() - began_at < 5
    assert list(found) == ["database"]
    assert "geheim" not in str(found)


@needs_pgbouncer
class TestPooler:
    async def test_one_that_refuses_our_limits_asks_for_a_direct_address(
        self, fresh_database: str, tmp_path: Path
    ) -> None:
        with pgbouncer(fresh_database) as pooled:
            found = await examine(pooled, tmp_path)

        assert found["pooler"].action == "Set DATABASE_DIRECT_URL to PostgreSQL itself."

    async def test_one_in_transaction_mode_is_recognised_by_the_session_it_shares(
        self, fresh_database: str, tmp_path: Path
    ) -> None:
        with pgbouncer(fresh_database, ignores_options=True) as pooled:
            in_transactions = await examine(pooled, tmp_path)
        with pgbouncer(fresh_database, ignores_options=True, pool_mode="session", pool_size=20) as pooled:
            in_sessions = await examine(pooled, tmp_path)

        assert (in_transactions["pooler"].level, in_sessions["pooler"].level) == (Level.BAD, Level.WARNING)

    async def test_with_a_direct_address_it_is_fine_when_the_role_brings_the_limits(
        self, roles: Roles, tmp_path: Path
    ) -> None:
        with pgbouncer(roles.app) as pooled:
            found = await examine(pooled, tmp_path, direct=roles.owner)

        assert not {"pooler", "session_limits", "direct_url"} & set(found)

    async def test_limits_that_the_role_does_not_bring_are_told_and_the_action_sets_them(
        self, fresh_database: str, tmp_path: Path
    ) -> None:
        run_sql(fresh_database, "CREATE ROLE unlimited LOGIN SUPERUSER")
        url = fresh_database.replace("postgres@", "unlimited@")
        try:
            with pgbouncer(url) as pooled:
                found = (await examine(pooled, tmp_path, direct=url))["session_limits"]
            run_sql(fresh_database, str(found.action))
            with pgbouncer(url) as pooled:
                mended = await examine(pooled, tmp_path, direct=url)
        finally:
            run_sql(fresh_database, "DROP ROLE unlimited")

        assert "statement_timeout" in found.sentence
        assert "session_limits" not in mended

    async def test_a_direct_address_that_leads_through_it_is_bad(self, fresh_database: str, tmp_path: Path) -> None:
        with pgbouncer(fresh_database) as pooled:
            found = await examine(pooled, tmp_path, direct=pooled)

        assert "DATABASE_DIRECT_URL leads through a pooler" in found["direct_url"].sentence
