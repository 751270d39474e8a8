"""What tests of refusals share: an application in which nothing is ever created."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.embedded import EmbeddedPostgres
from app.domain.permissions import Permission
from tests.conftest import Clock, make_api_key, make_client, make_settings, running_app
from tests.mail_server import MailServer
from tests.web.limits import Server, limited_server
from tests.web.logs import LogLines, captured_lines
from tests.web.people import mailing_app


@pytest.fixture(scope="session")
async def refusing_app(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[FastAPI]:
    """A running application for requests that are refused, so that tests can share it."""
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE refusing TEMPLATE {template}".encode())
    settings = make_settings(postgres.database_url("refusing"), Path(tempfile.gettempdir()))
    async with running_app(settings, Clock()) as application:
        yield application


@pytest.fixture(scope="session")
async def refused_client(refusing_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any credential, for requests that are refused."""
    async with make_client(refusing_app) as anonymous:
        yield anonymous


@pytest.fixture(scope="session")
async def refused_api(refusing_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything, for requests that are refused for another reason."""
    secret = await make_api_key(refusing_app, frozenset(Permission))
    async with make_client(refusing_app, secret) as permitted:
        yield permitted


@pytest.fixture
def server(fresh_database: str, tmp_path: Path, clock: Clock) -> Server:
    """A server with the limits that are given: `server(validate="3/minute")`; other settings by their full name."""
    return limited_server(fresh_database, tmp_path, clock)


@pytest.fixture
async def mailing(fresh_database: str, tmp_path: Path, clock: Clock, mail_server: MailServer) -> AsyncIterator[FastAPI]:
    """The application with the mail server of the test."""
    async with mailing_app(fresh_database, tmp_path, clock, mail_server) as application:
        yield application


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """The log lines of the test, down to the level debug."""
    with captured_lines("debug") as lines:
        yield lines
