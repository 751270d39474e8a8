"""What tests are given: a real PostgreSQL, transactions that leave nothing behind, the application, a live server."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from app.db.embedded import EmbeddedPostgres, embedded_postgres
from app.db.engine import connect
from app.db.migrations import migrate
from app.db.session import Session
from app.domain.permissions import COMMAND_LINE, Permission
from app.runtime import Runtime
from app.services import api_keys
from app.services.api_keys import CreateApiKey
from app.settings import RateLimitPolicy, Settings
from app.vault import Vault, make_key
from app.web.app import create_app
from tests.live import LiveServer, free_port
from tests.mail_server import MailServer
from tests.s3 import LiveS3, live_s3
from tests.valkey import LiveValkey

ENCRYPTION_KEY = make_key()
NO_RATE_LIMITS = {f"rate_limit_{policy}": "off" for policy in RateLimitPolicy}
PLENTY_BYTES = 4 << 30
TEMPLATE = "license_server_template"

_numbers = itertools.count(1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        """Let time pass: `clock.forward(days=1)`."""
        self.now += timedelta(**duration)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL for the whole run, which need not survive a power failure: that makes it much quicker."""
    with (
        tempfile.TemporaryDirectory(prefix="lst-", dir=_quickest_folder()) as folder,
        embedded_postgres(Path(folder)) as running,
    ):
        _execute(running, "ALTER SYSTEM SET fsync = off")
        _execute(running, "ALTER SYSTEM SET full_page_writes = off")
        _execute(running, "SELECT pg_reload_conf()")
        yield running


def _quickest_folder() -> str | None:
    """Memory where there is plenty of it: each test has a database of its own, which is files to make and to remove."""
    memory = Path("/dev/shm")
    is_roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > PLENTY_BYTES
    return str(memory) if is_roomy else None


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A migrated database that others are copied from; nobody connects to it."""
    _execute(postgres, f"CREATE DATABASE {TEMPLATE}")
    migrate(postgres.database_url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def fresh_database(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a migrated database of the test's own."""
    name = f"test_{next(_numbers)}"
    _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield postgres.database_url(name)
    _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database without any table."""
    name = f"empty_{next(_numbers)}"
    _execute(postgres, f"CREATE DATABASE {name}")
    yield postgres.database_url(name)
    _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_database(postgres: EmbeddedPostgres, template: str) -> str:
    """The URL of the database that `tx` works in."""
    _execute(postgres, f"CREATE DATABASE shared TEMPLATE {template}")
    return postgres.database_url("shared")


@pytest.fixture
async def tx(shared_database: str) -> AsyncIterator[Session]:
    """A session whose transaction is rolled back."""
    engine = create_async_engine(
        "postgresql+psycopg://", async_creator=lambda: connect(shared_database), poolclass=NullPool
    )
    async with engine.connect() as connection:
        transaction = await connection.begin()
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            yield session
        await transaction.rollback()
    await engine.dispose()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def vault() -> Vault:
    """A vault with the key that `settings` has."""
    return Vault((ENCRYPTION_KEY,))


@pytest.fixture
def settings(fresh_database: str, tmp_path: Path) -> Settings:
    """The settings of a server on a database of the test's own."""
    return make_settings(fresh_database, tmp_path)


def make_settings(database_url: str, data_dir: Path, **others: object) -> Settings:
    """Settings for a server on this database; without rate limits unless they are given."""
    given = {"database_url": database_url, "encryption_key": ENCRYPTION_KEY, "data_dir": data_dir}
    return Settings.model_validate({**given, **NO_RATE_LIMITS, **others})


@pytest.fixture
async def app(settings: Settings, clock: Clock) -> AsyncIterator[FastAPI]:
    """The running application on a database of the test's own."""
    async with running_app(settings, clock) as application:
        yield application


@asynccontextmanager
async def running_app(settings: Settings, clock: Clock) -> AsyncIterator[FastAPI]:
    """The application between its start and its stop."""
    application = create_app(settings, clock=clock)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any credential."""
    async with make_client(app) as anonymous:
        yield anonymous


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an API key of the installation that may do everything."""
    secret = await make_api_key(app, frozenset(Permission))
    async with make_client(app, secret) as permitted:
        yield permitted


def make_client(app: FastAPI, api_key: str | None = None, *, ip: str = "192.0.2.7") -> httpx.AsyncClient:
    """A client that calls the application directly, from this address."""
    headers = {} if api_key is None else {"X-API-Key": api_key}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(ip, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://license-server", headers=headers)


async def make_api_key(app: FastAPI, scopes: frozenset[Permission]) -> str:
    """The secret of a new API key of the installation."""
    runtime: Runtime = app.state.runtime
    async with runtime.database.transaction() as session:
        _, secret = await api_keys.create(session, COMMAND_LINE, CreateApiKey("tests", scopes), now=runtime.now())
    return secret


@pytest.fixture
def valkey() -> Iterator[LiveValkey]:
    """A real Valkey of the test's own."""
    with LiveValkey.in_a_folder_of_its_own() as running:
        yield running


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A real mail server of the test's own."""
    with MailServer() as running:
        yield running


@pytest.fixture
def s3() -> Iterator[LiveS3]:
    """A real S3 server of the test's own, with a bucket."""
    with live_s3() as running:
        yield running


@pytest.fixture
def live_server(fresh_database: str, tmp_path: Path) -> Iterator[LiveServer]:
    """A real process on a real port, on a database of the test's own."""
    environment = {"DATABASE_URL": fresh_database, "ENCRYPTION_KEY": ENCRYPTION_KEY, "DRAIN_SECONDS": "0.5"}
    with LiveServer(tmp_path, environment, free_port()) as server:
        yield server


def _execute(postgres: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())
