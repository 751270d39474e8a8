"""People for tests of the doors: accounts, sessions, and an application with a mail server."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from app.db.models import LoginSession, User
from app.domain.permissions import SESSION_TOKEN_PREFIX, Role, hash_secret
from app.jobs.mail import send_mail
from app.runtime import Runtime
from tests.conftest import Clock, make_client, make_settings, running_app
from tests.mail_server import MailServer

PASSWORD = "three blue boats at dawn"
NEW_PASSWORD = "seven green hills at noon"

_numbers = itertools.count(1)


@asynccontextmanager
async def mailing_app(
    database_url: str, folder: Path, clock: Clock, mail_server: MailServer, **others: object
) -> AsyncIterator[FastAPI]:
    """The running application with this mail server."""
    settings = make_settings(
        database_url, folder, public_url="https://licenses.example", **mail_server.settings, **others
    )
    async with running_app(settings, clock) as application:
        yield application


async def make_user(app: FastAPI, role: Role, organization_id: str | None = None, **fields: Any) -> User:
    """A user with the password of the tests."""
    runtime: Runtime = app.state.runtime
    given: dict[str, Any] = {
        "email": f"{role.lower()}-{next(_numbers)}@acme.example",
        "name": role.title(),
        "role": role,
        "organization_id": UUID(organization_id) if organization_id else None,
        **fields,
    }
    if "password_hash" not in given:
        given["password_hash"] = await runtime.passwords.hash(PASSWORD)
    async with runtime.database.transaction() as tx:
        user = User(**given)
        tx.add(user)
    return user


async def session_of(app: FastAPI, user: User) -> httpx.AsyncClient:
    """A client with a session of the user, whose proof is recent."""
    runtime: Runtime = app.state.runtime
    token = SESSION_TOKEN_PREFIX + uuid4().hex
    async with runtime.database.transaction() as tx:
        tx.add(
            LoginSession(
                user_id=user.id,
                token_hash=hash_secret(token),
                created_at=runtime.now(),
                expires_at=runtime.now() + timedelta(hours=12),
                proven_at=runtime.now(),
            )
        )
    return make_client(app, token)


async def sign_in(client: httpx.AsyncClient, email: str, password: str) -> int:
    """The status of a login."""
    return (await client.post("/api/auth/login", json={"email": email, "password": password})).status_code


async def deliver(app: FastAPI) -> None:
    """Have all mail sent that waits."""
    await send_mail(app.state.runtime)
