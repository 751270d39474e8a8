"""A restore, its rollback and the end of what was put away, over HTTP, on every PostgreSQL that is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.conftest import database_settings
from tests.acceptance.test_postgres_versions import (
    OWNER,
    installed_servers,
    issue,
    make_owned_database,
    running,
    validate,
)
from tests.acceptance.test_restores import Client
from tests.live import LiveServer, free_port, wait_until
from tests.pgbouncer import needs_pgbouncer, pgbouncer

LIVE = "itechsmart_licenses"
SCOPES = ("ops:restore", "ops:read", "ops:backup")

MOST_OUTAGES = 12
"""Two exchanges, each told once by three lanes of two processes."""

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("bin_dir", installed_servers(), ids=str)
def test_a_backup_takes_the_live_database_s_place_and_gives_it_back_on_every_version(
    bin_dir: Path, tmp_path: Path
) -> None:
    with running(bin_dir) as port:
        with serving(make_restorable_database(port), tmp_path) as server:
            go_there_and_back(server)

        assert databases(port) == {LIVE}


@needs_pgbouncer
def test_a_pooler_that_keeps_sessions_is_in_nobody_s_way(tmp_path: Path) -> None:
    with running(installed_servers()[0]) as port:
        url = make_restorable_database(port)
        with (
            pgbouncer(url, pool_size=8, login_retry_seconds=1) as pooled,
            serving(pooled, tmp_path, DATABASE_DIRECT_URL=url) as server,
        ):
            go_there_and_back(server)

        assert databases(port) == {LIVE}


def go_there_and_back(server: LiveServer) -> None:
    """Back up, verify, restore, roll back and discard under load, and look at what the server tells of it."""
    license_key = issue(server)
    key = server.json("api-keys", "create", "--name", "r", *(word for one in SCOPES for word in ("--scope", one)))
    server.client.headers["X-API-Key"] = key["apiKey"]
    backup = do(server, "/admin/maintenance/backup")["result"]["backup"]
    do(server, f"/admin/backups/{backup}/verify")
    client = Client(server.url, license_key)

    with client.at_work():
        restored = do(server, f"/admin/backups/{backup}/restore", confirm=LIVE)
        rolled_back = do(server, "/admin/restores/rollback", confirm=LIVE)
    trail = server.json("audit", "verify")
    [kept] = server.client.get("/admin/restores").json()["items"]
    discarded = server.client.delete(f"/admin/restores/{kept['name']}")

    assert rolled_back["result"]["database"] == restored["result"]["putAway"]
    assert kept["name"] == rolled_back["result"]["putAway"]
    assert discarded.status_code == 204, discarded.text
    assert client.seen.keys() <= {"VALID", "503 True"}, client.seen
    assert trail["intact"], trail
    assert validate(server, license_key, "one") == "VALID"
    assert server.client.get("/health").json()["status"] == "healthy"
    errors = [line for line in server.lines() if line["level"] in ("ERROR", "CRITICAL")]
    assert [line for line in errors if line["event"] != "database_outage"] == []
    assert len(errors) <= MOST_OUTAGES
    assert "Traceback" not in server.stderr()


def do(server: LiveServer, path: str, **wish: object) -> Any:
    """A run at its end, which has to be a good one."""
    asked = server.client.post(path, json=wish)
    assert asked.status_code == 202, asked.text
    run: Any = {}

    def has_ended() -> bool:
        answer = server.client.get(f"/admin/runs/{asked.json()['id']}")
        if answer.status_code == 200:
            run.update(answer.json())
        return run.get("finishedAt") is not None

    wait_until(has_ended, f"{path} comes to its end", 60)
    assert run["status"] == "succeeded", run
    return run


@contextmanager
def serving(url: str, folder: Path, **others: str) -> Iterator[LiveServer]:
    """A server of two processes on this database."""
    settings = database_settings(url, WEB_CONCURRENCY="2", BACKUP_DIR=str(folder / "backups"), **others)
    with LiveServer(folder, {**settings, "SCHEDULES_ENABLED": "false"}, free_port()) as server:
        yield server


def make_restorable_database(port: int) -> str:
    """The URL of an empty database whose owner has the rights of deploy/postgres/roles.sql."""
    url = make_owned_database(port)
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {OWNER} CREATEDB".encode())
        connection.execute(f"GRANT pg_signal_backend TO {OWNER}".encode())
    return url


def databases(port: int) -> set[str]:
    """The databases beside those that every cluster has."""
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate").fetchall()
    return {name for (name,) in found} - {"postgres"}
