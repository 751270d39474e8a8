"""A server that may do little: the role of `deploy/postgres/roles.sql`, behind a transaction-mode pooler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import head_revision
from tests.acceptance.conftest import database_settings
from tests.acceptance.test_postgres_versions import issue, validate
from tests.db.roles import Roles, database_with_roles
from tests.live import LiveServer, free_port, wait_until
from tests.pgbouncer import PROGRAM, pgbouncer

pytestmark = pytest.mark.acceptance


@pytest.fixture
def roles(postgres: EmbeddedPostgres) -> Iterator[Roles]:
    """An empty database with the roles."""
    with database_with_roles(postgres.database_url("postgres"), "of_little_power") as made:
        yield made


@pytest.mark.parametrize(
    "is_pooled",
    [False, pytest.param(True, marks=pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed"))],
    ids=["direct", "pooled"],
)
def test_the_server_works_with_its_own_role_and_migrates_as_the_owner(
    roles: Roles, tmp_path: Path, is_pooled: bool
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(pgbouncer(roles.app)) if is_pooled else roles.app
        environment = database_settings(url, DATABASE_DIRECT_URL=roles.owner, DATABASE_MIGRATE_ON_START="false")
        server = LiveServer(tmp_path, environment, free_port())

        migrated = server.json("migrate")
        with server:
            license_key = issue(server)
            codes = [validate(server, license_key, machine) for machine in ("one", "two", "one") * 5]
            health = server.client.get("/health").json()["status"]
            wait_until(lambda: server.json("audit", "verify")["position"] > 3, "the trail is sealed")
            trail = server.json("audit", "verify")
            wished = server.json("maintenance", "vacuum", "--force", "--no-wait")["id"]
            wait_until(lambda: server.json("runs", "show", wished)["finishedAt"] is not None, "the run has ended")
            vacuumed = server.json("runs", "show", wished)

    assert migrated == {"before": None, "after": head_revision()}
    assert (codes, health) == (["VALID", "TOO_MANY_MACHINES", "VALID"] * 5, "healthy")
    assert trail["intact"]
    assert vacuumed["status"] == "succeeded", vacuumed
    assert "ERROR" not in {line["level"] for line in server.lines()}
    with psycopg.connect(roles.superuser) as connection:
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert owners == [("license_server_owner",)]
