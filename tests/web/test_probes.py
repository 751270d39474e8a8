"""Probes: exact answers, in time, whatever the database does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.migrations import head_revision
from tests.conftest import Clock, make_client, make_settings, running_app
from tests.live import free_port
from tests.web.logs import LogLines
from tests.web.problem import read_problem

PROBES = ["/health", "/livez", "/readyz"]


@pytest.fixture(params=["away", "hung"])
async def stranded(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose database is away, and of one whose database hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = free_port() if request.param == "away" else listener.getsockname()[1]
        settings = make_settings(f"postgresql://nobody@127.0.0.1:{port}/none", tmp_path)
        async with running_app(settings, clock) as application, make_client(application) as client:
            yield client


async def test_health_is_exactly_as_the_contract_says(client: httpx.AsyncClient) -> None:
    response = await client.get("/health")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.text == (
        '{"status":"healthy","timestamp":"2026-03-01T12:00:00.000Z","uptime":0,"database":"connected","version":"1.0.0"}'
    )


@pytest.mark.parametrize("path", PROBES)
async def test_a_head_probe_has_the_status_and_no_body(client: httpx.AsyncClient, path: str) -> None:
    response = await client.head(path)

    assert response.status_code == 200
    assert response.content == b""


async def test_uptime_grows_in_whole_seconds(client: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.runtime.started_at -= 3600.2

    assert (await client.get("/health")).json()["uptime"] == 3600


async def test_health_without_a_database_is_503_within_a_second(stranded: httpx.AsyncClient) -> None:
    started_at = time.monotonic()

    response = await stranded.get("/health")

    assert time.monotonic() - started_at < 1
    assert response.status_code == 503
    assert response.json() == {
        "status": "unhealthy",
        "timestamp": "2026-03-01T12:00:00.000Z",
        "uptime": 0,
        "database": "disconnected",
        "version": "1.0.0",
    }


@pytest.mark.parametrize("path", ["/health", "/readyz"])
async def test_every_one_of_many_probes_is_answered_within_a_second(stranded: httpx.AsyncClient, path: str) -> None:
    async def ask() -> tuple[int, float]:
        started_at = time.monotonic()
        response = await stranded.get(path)
        return response.status_code, time.monotonic() - started_at

    answers = await asyncio.gather(*(ask() for _ in range(30)))

    assert {status for status, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < 1


async def test_liveness_does_not_look_at_the_database(stranded: httpx.AsyncClient) -> None:
    response = await stranded.get("/livez")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


async def test_a_ready_server_says_so(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_readiness_names_the_database(stranded: httpx.AsyncClient) -> None:
    response = await stranded.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "failed": {"database": "The database does not answer."}}


async def test_readiness_names_the_drain_and_connections_are_let_go(client: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.runtime.is_draining = True

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.headers["connection"] == "close"
    assert response.json() == {"status": "not ready", "failed": {"draining": "The server is about to stop."}}
    assert (await client.get("/health")).status_code == 200


async def test_readiness_names_the_schema_and_the_command_to_run(
    client: httpx.AsyncClient, fresh_database: str
) -> None:
    _execute(fresh_database, "UPDATE alembic_version SET version_num = '0000'")

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "failed": {"schema": f"The schema is at 0000, not at {head_revision()}; run: license-server migrate"},
    }


async def test_readiness_of_an_empty_database_says_what_to_run(
    empty_database: str, tmp_path: Path, clock: Clock
) -> None:
    settings = make_settings(empty_database, tmp_path)
    async with running_app(settings, clock) as application, make_client(application) as client:
        response = await client.get("/readyz")

    assert response.json()["failed"] == {
        "schema": f"The schema is at nothing, not at {head_revision()}; run: license-server migrate"
    }


async def test_health_comes_back_with_the_database(client: httpx.AsyncClient, fresh_database: str) -> None:
    name = fresh_database.rpartition("/")[2].partition("?")[0]
    assert (await client.get("/health")).status_code == 200

    _execute(fresh_database, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    _execute(fresh_database, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    _execute(fresh_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize("path", [*PROBES, "/metrics"])
async def test_probes_are_never_logged_above_debug(client: httpx.AsyncClient, log_lines: LogLines, path: str) -> None:
    await client.get(path)

    assert [line["level"] for line in log_lines.access()] == ["DEBUG"]


async def test_unhealthy_probes_are_never_logged_above_debug(stranded: httpx.AsyncClient, log_lines: LogLines) -> None:
    await stranded.get("/health")

    assert {line["level"] for line in log_lines.read()} == {"DEBUG"}


async def test_metrics_are_open_without_a_token(client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "license_server_build_info{" in response.text


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Bearer wrong", b"Bearer 0123456789abcdef0", b"0123456789abcdef", "Bearer ключ".encode()],
)
async def test_metrics_with_a_token_are_for_those_who_send_it(
    fresh_database: str, tmp_path: Path, clock: Clock, log_lines: LogLines, header: bytes | None
) -> None:
    settings = make_settings(fresh_database, tmp_path, metrics_token="0123456789abcdef")
    async with running_app(settings, clock) as application, make_client(application) as client:
        headers = {} if header is None else {b"Authorization": header}
        refused = await client.get("/metrics", headers=headers)
        line = log_lines.access()[-1]
        given = await client.get("/metrics", headers={"Authorization": "Bearer 0123456789abcdef"})

    read_problem(refused, 401, "UNAUTHENTICATED")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (line["level"], line["status_text"]) == ("INFO", "Unauthorized")
    assert given.status_code == 200


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


async def test_many_probes_at_once_are_all_healthy(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(client.get(path) for path in PROBES for _ in range(20)))

    assert {response.status_code for response in responses} == {200}


async def test_many_probes_at_once_use_one_connection(client: httpx.AsyncClient, fresh_database: str) -> None:
    before = _count_connections(fresh_database)

    await asyncio.gather(*(client.get("/health") for _ in range(20)))

    assert _count_connections(fresh_database) - before <= 1


def _count_connections(database_url: str) -> int:
    """How many connections the server under test has at the moment."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])
