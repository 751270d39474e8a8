"""Restores as the roles of `deploy/postgres/roles.sql`, which may do little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import migrate
from app.domain.maintenance import BackupOptions, RestoreOptions, RollbackOptions
from app.domain.restores import RestoreRefused
from app.ops.audit_chain import find_faults
from app.ops.backups.backup import backup
from app.ops.backups.restore import restore
from app.ops.backups.rollback import rollback
from tests.conftest import make_settings
from tests.db.roles import OWNER, Roles, database_with_roles
from tests.ops.maintenance.workshop import open_workshop

NAME = "of_restores"


@pytest.fixture
def roles(postgres: EmbeddedPostgres) -> Iterator[Roles]:
    """A migrated database of the owner's; what restores put away is dropped first, for it belongs to the roles."""
    url = postgres.database_url("postgres")
    with database_with_roles(url, NAME) as made:
        migrate(made.owner)
        yield made
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{NAME}_"])
            for (name,) in found.fetchall():
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_the_owner_restores_and_rolls_back_and_everybody_may_do_what_they_could(
    roles: Roles, tmp_path: Path
) -> None:
    settings = make_settings(roles.app, tmp_path, database_direct_url=roles.owner, backup_dir=tmp_path / "backups")
    async with open_workshop(settings, roles.app, direct_url=roles.owner) as site:
        before = terms(roles)
        made = await backup(site.bench, BackupOptions())
        site.sql("INSERT INTO products (id, name) VALUES ('late', 'late')")

        outcome = await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

        assert outcome.warnings == ()
        assert terms(roles) == before
        assert site.sql("SELECT count(*) FROM products") == [(0,)]
        await rollback(site.bench, RollbackOptions())
        assert site.sql("SELECT count(*) FROM products") == [(1,)]
        assert terms(roles) == before


@pytest.mark.parametrize(
    ("statement", "mends"),
    [
        (f"ALTER ROLE {OWNER} NOCREATEDB", f"ALTER ROLE {OWNER} CREATEDB;"),
        (f"ALTER DATABASE {NAME} OWNER TO postgres", f'ALTER DATABASE "{NAME}" OWNER TO {OWNER};'),
        (f"REVOKE pg_signal_backend FROM {OWNER}", f"GRANT pg_signal_backend TO {OWNER};"),
    ],
)
async def test_what_the_role_lacks_is_told_with_the_sql_that_mends_it(
    roles: Roles, tmp_path: Path, statement: str, mends: str
) -> None:
    settings = make_settings(roles.app, tmp_path, database_direct_url=roles.owner, backup_dir=tmp_path / "backups")
    async with open_workshop(settings, roles.app, direct_url=roles.owner) as site:
        made = await backup(site.bench, BackupOptions())
        with psycopg.connect(roles.superuser, autocommit=True) as connection:
            connection.execute(statement.encode())

        with psycopg.connect(roles.app), pytest.raises(RestoreRefused) as caught:
            await restore(site.bench, RestoreOptions(made.result["backup"], force=True), verify_chain=find_faults)

    assert mends in caught.value.message


def terms(roles: Roles) -> list[tuple[str, ...]]:
    """Who may do what with the database and its tables."""
    with psycopg.connect(roles.superuser) as connection:
        found = connection.execute(
            "SELECT 'database', datacl::text[] || datdba::regrole::text || datconnlimit::text FROM pg_database"
            " WHERE datname = current_database() UNION ALL"
            " SELECT relname, relacl::text[] || relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') UNION ALL"
            " SELECT nspname, nspacl::text[] FROM pg_namespace WHERE nspname = 'public' UNION ALL"
            " SELECT 'default', defaclacl::text[] FROM pg_default_acl"
        )
        return sorted((name, *sorted(rights)) for name, rights in found.fetchall())
