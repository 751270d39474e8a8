"""People for tests of the doors: accounts, sessions, devices that show codes, and an application with a mail server."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pyotp
from fastapi import FastAPI

from app.db.models import LoginSession, User
from app.domain.permissions import SESSION_TOKEN_PREFIX, Role, hash_secret
from app.jobs.mail import send_mail
from app.passwords import HASHER
from app.runtime import Runtime
from app.services import users
from tests.conftest import Clock, make_client, make_settings, running_app
from tests.mail_server import MailServer

EMAIL = "operator@acme.example"
PASSWORD = "three blue boats at dawn"
NEW_PASSWORD = "seven green hills at noon"

_numbers = itertools.count(1)
_hash_once = cache(HASHER.hash)
"""What the server would make of the password too, computed once a run: it is made to be slow."""


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


async def deliver(app: FastAPI) -> None:
    """Have all mail sent that waits."""
    await send_mail(app.state.runtime)


async def make_operator(app: FastAPI) -> str:
    """The id of the first operator, with EMAIL and PASSWORD."""
    runtime: Runtime = app.state.runtime
    async with runtime.database.transaction() as tx:
        user = await users.create_first_operator(tx, EMAIL, _hash_once(PASSWORD), now=runtime.now())
    assert user is not None
    return str(user.id)


async def make_user(app: FastAPI, role: Role, organization_id: str | None = None, **fields: Any) -> User:
    """A user with PASSWORD, and an e-mail address of its own unless one is given."""
    runtime: Runtime = app.state.runtime
    given: dict[str, Any] = {
        "email": f"{role.lower()}-{next(_numbers)}@acme.example",
        "name": role.title(),
        "role": role,
        "organization_id": UUID(organization_id) if organization_id else None,
        "password_hash": _hash_once(PASSWORD),
        **fields,
    }
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


async def sign_in(
    client: httpx.AsyncClient, email: str = EMAIL, password: str = PASSWORD, **fields: Any
) -> httpx.Response:
    """The answer to a login."""
    return await client.post("/api/auth/login", json={"email": email, "password": password, **fields})


async def session(client: httpx.AsyncClient, email: str = EMAIL, **fields: Any) -> dict[str, str]:
    """The headers of a new session, which begins with a login."""
    response = await sign_in(client, email, **fields)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['token']}"}


@dataclass
class Device:
    """What shows codes, in step with the server's clock, and the recovery codes that came with it."""

    secret: str
    clock: Clock
    recovery_codes: list[str]

    def code(self, *, steps: int = 0) -> str:
        """The code that is shown now, or some steps of half a minute later."""
        return pyotp.TOTP(self.secret).at(self.clock.now, counter_offset=steps)

    def next_code(self) -> str:
        """The code that is shown half a minute from now, when that has passed."""
        self.clock.forward(seconds=30)
        return self.code()


async def set_up_device(client: httpx.AsyncClient, headers: dict[str, str], clock: Clock) -> Device:
    """A second factor for the person of this session, in force; its code of this moment is used up."""
    begun = await client.post("/api/auth/second-factor", headers=headers)
    assert begun.status_code == 201, begun.text
    device = Device(begun.json()["secret"], clock, [])
    confirmed = await client.post("/api/auth/second-factor/confirm", json={"code": device.code()}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    device.recovery_codes = confirmed.json()["recoveryCodes"]
    return device
