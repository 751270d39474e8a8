"""A database that is away, hangs or refuses, and defects of ours: an honest answer, in time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from tests.conftest import Clock, make_client, make_settings, running_app
from tests.factories.http import issue_license
from tests.live import free_port
from tests.web.logs import LogLines
from tests.web.problem import read_problem

QUESTION = {"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}
LOGIN = {"email": "somebody@acme.example", "password": "a long password"}
REFUSING_TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$;
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON products DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port at which somebody accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
async def hung(silent_port: int, tmp_path: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose database hangs."""
    async with _client_of(f"postgresql://nobody@127.0.0.1:{silent_port}/none", tmp_path, clock) as client:
        yield client


@pytest.fixture(params=["away", "hung"])
async def stranded(
    request: pytest.FixtureRequest, silent_port: int, tmp_path: Path, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server whose database is away, and of one whose database hangs."""
    port = free_port() if request.param == "away" else silent_port
    async with _client_of(f"postgresql://nobody@127.0.0.1:{port}/none", tmp_path, clock) as client:
        yield client


@asynccontextmanager
async def _client_of(url: str, folder: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with running_app(make_settings(url, folder), clock) as application, make_client(application) as client:
        client.headers["X-API-Key"] = "itsk_unknown"
        yield client


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/licenses/validate", QUESTION),
        ("POST", "/api/auth/login", LOGIN),
        ("GET", "/api/licenses", None),
        ("POST", "/api/products", {"id": "a", "name": "A"}),
    ],
)
async def test_without_a_database_the_answer_is_503_in_time(
    stranded: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    started_at = time.monotonic()

    response = await stranded.request(method, path, json=body)

    assert time.monotonic() - started_at < 6
    read_problem(response, 503, "DATABASE_UNAVAILABLE")
    assert int(response.headers["retry-after"]) >= 1


async def test_many_who_ask_a_hung_database_are_all_answered_in_time(hung: httpx.AsyncClient) -> None:
    started_at = time.monotonic()

    responses = await asyncio.gather(*(hung.post("/api/licenses/validate", json=QUESTION) for _ in range(600)))

    assert time.monotonic() - started_at < 12
    assert {response.status_code for response in responses} == {503}


async def test_a_lost_connection_is_replaced(api: httpx.AsyncClient, fresh_database: str) -> None:
    license = await issue_license(api, maxMachines=None)
    question = {"licenseKey": license["licenseKey"]}
    await api.post("/api/licenses/validate", json=question)

    _execute(fresh_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    assert (await api.post("/api/licenses/validate", json=question)).json()["code"] == "VALID"
    assert (await api.get("/api/licenses")).status_code == 200
    assert (await api.get("/health")).status_code == 200


async def test_an_exhausted_pool_is_503(api: httpx.AsyncClient, app: FastAPI) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(app.state.runtime.database.transaction())

        response = await api.get("/api/licenses")

        read_problem(response, 503, "DATABASE_UNAVAILABLE")
    assert (await api.get("/api/licenses")).status_code == 200


async def test_a_commit_that_fails_is_not_answered_with_success(api: httpx.AsyncClient, fresh_database: str) -> None:
    _execute(fresh_database, REFUSING_TRIGGER)

    response = await api.post("/api/products", json={"id": "a", "name": "A"})

    read_problem(response, 500, "INTERNAL_ERROR")
    assert (await api.get("/api/products")).json() == {"items": [], "nextCursor": None}


async def test_a_commit_that_meets_a_taken_name_is_409(api: httpx.AsyncClient, fresh_database: str) -> None:
    _execute(fresh_database, REFUSING_TRIGGER.replace("check_violation", "unique_violation"))

    read_problem(await api.post("/api/products", json={"id": "a", "name": "A"}), 409, "ALREADY_EXISTS")


async def test_a_defect_is_500_without_detail_and_one_error_line(
    api: httpx.AsyncClient, fresh_database: str, log_lines: LogLines
) -> None:
    _execute(fresh_database, "DROP TABLE products CASCADE")

    response = await api.get("/api/products")

    document = read_problem(response, 500, "INTERNAL_ERROR")
    assert document["detail"] == "Something went wrong on our side; the log line with this requestId says what."
    assert "products" not in response.text
    [error] = [line for line in log_lines.read() if line["level"] == "ERROR"]
    assert error["event"] == "defect"
    assert error["request_id"] == document["requestId"]
    assert "UndefinedTable" in error["exception"]


async def test_a_defect_of_a_validation_is_500_and_the_next_one_is_answered(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    _execute(fresh_database, "ALTER TABLE validation_events RENAME TO elsewhere")
    refused = await api.post("/api/licenses/validate", json=QUESTION)
    _execute(fresh_database, "ALTER TABLE elsewhere RENAME TO validation_events")

    answered = await api.post("/api/licenses/validate", json=QUESTION)

    read_problem(refused, 500, "INTERNAL_ERROR")
    assert answered.json()["code"] == "NOT_FOUND"


async def test_a_lock_that_somebody_holds_is_503(api: httpx.AsyncClient, fresh_database: str) -> None:
    license = await issue_license(api)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("SELECT 1 FROM licenses FOR UPDATE")

        response = await api.post(f"/api/licenses/{license['id']}/suspend")

    document = read_problem(response, 503, "DATABASE_UNAVAILABLE")
    assert document["detail"] == "Somebody else is changing the same thing; try again in a moment."


async def test_a_read_only_database_is_503(api: httpx.AsyncClient, fresh_database: str) -> None:
    name = fresh_database.rpartition("/")[2].partition("?")[0]
    _execute(fresh_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    _execute(fresh_database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    response = await api.post("/api/products", json={"id": "a", "name": "A"})

    read_problem(response, 503, "DATABASE_UNAVAILABLE")


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
