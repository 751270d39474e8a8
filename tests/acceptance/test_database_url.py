"""Running on a PostgreSQL of the operator's own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres
from app.db.migrations import head_revision
from app.vault import make_key
from tests.acceptance.conftest import database_settings
from tests.live import LiveServer, free_port, wait_until

pytestmark = pytest.mark.acceptance


@pytest.fixture
def owned_database(postgres: EmbeddedPostgres, empty_database: str) -> Iterator[str]:
    """The URL of an empty database that belongs to a role which may do nothing else."""
    name = empty_database.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE landlord LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        connection.execute(f"ALTER DATABASE {name} OWNER TO landlord".encode())
    yield empty_database.replace("postgres@", "landlord@", 1)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("DROP OWNED BY landlord")
        connection.execute(f"ALTER DATABASE {name} OWNER TO postgres".encode())
        connection.execute("DROP ROLE landlord")


def test_two_migrations_at_once_both_succeed(owned_database: str, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, database_settings(owned_database), free_port())

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: server.command("migrate", "--json"), range(2))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert sum("First operator" in ran.stderr for ran in (first, second)) == 1
    assert server.json("migrate") == {"before": head_revision(), "after": head_revision()}


def test_a_server_on_an_unmigrated_database_is_alive_and_becomes_ready_by_license_server_migrate(
    owned_database: str, tmp_path: Path
) -> None:
    environment = database_settings(owned_database, DATABASE_MIGRATE_ON_START="false")
    with _Unready(tmp_path, environment, free_port()) as server:
        readiness = server.client.get("/readyz")
        assert readiness.status_code == 503
        assert "license-server migrate" in readiness.json()["failed"]["schema"]
        assert server.client.get("/health").status_code == 200

        migrated = server.command("migrate")
        assert migrated.returncode == 0, migrated.stderr

        wait_until(lambda: server.client.get("/readyz").status_code == 200, "the server is ready")
        assert server.client.post("/api/licenses/validate", json={"licenseKey": "X"}).json()["code"] == "NOT_FOUND"


def test_two_servers_at_once_on_an_empty_database_make_one_operator(owned_database: str, tmp_path: Path) -> None:
    servers = [LiveServer(tmp_path / name, database_settings(owned_database), free_port()) for name in ("one", "two")]
    for server in servers:
        server.folder.mkdir()
        server.start()
    try:
        for server in servers:
            server.wait_until_ready()

        with psycopg.connect(owned_database) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchall() == [(1,)]
        assert sum("First operator" in server.stderr() for server in servers) == 1
    finally:
        for server in servers:
            server.__exit__(None, None, None)


def test_healthcheck_tells_by_its_exit_code(stopped_server: LiveServer, postgres: EmbeddedPostgres) -> None:
    before = stopped_server.command("healthcheck")
    stopped_server.start()
    stopped_server.wait_until_ready()
    healthy = stopped_server.command("healthcheck")
    name = stopped_server.environment["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    away = stopped_server.command("healthcheck")

    assert (before.returncode, healthy.returncode, away.returncode) == (1, 0, 1)
    assert before.stderr.startswith(f"The server does not answer at 127.0.0.1:{stopped_server.port}")
    assert (healthy.stdout, healthy.stderr) == ("", "")
    assert away.stderr == "The server is unhealthy: /health answered 503\n"


class _Unready(LiveServer):
    """A server that is entered as soon as it answers."""

    def __enter__(self) -> LiveServer:
        self.start()
        wait_until(self._is_alive, "the server answers")
        return self

    def _is_alive(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez").status_code == 200
        except httpx.TransportError:
            return False


def test_an_encryption_key_that_opens_nothing_stored_stops_the_start(stopped_server: LiveServer) -> None:
    server = stopped_server
    who = ("--name", "Acme", "--domain", "acme.example", "--email", "it@acme.example")
    organization = server.json("organizations", "create", *who)
    server.json("licenses", "issue", "--organization-id", organization["id"], "--tier", "UNLIMITED")
    server.environment["ENCRYPTION_KEY"] = make_key()

    server.start()

    assert server.process.wait(30) == 1
    assert "add that key to ENCRYPTION_KEY. (ENCRYPTION_KEY_MISSING)" in server.stderr()


def test_a_command_on_a_database_that_was_never_migrated_says_what_to_run(empty_database: str, tmp_path: Path) -> None:
    server = LiveServer(tmp_path, database_settings(empty_database), free_port())

    done = server.command("licenses", "list")

    assert done.returncode == 1
    assert done.stderr == (
        f"The schema is at nothing, not at {head_revision()}; run: license-server migrate (SCHEMA_OUTDATED)\n"
    )
