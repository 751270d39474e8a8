"""People who sign in over HTTP, and the devices that show their codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pyotp
from fastapi import FastAPI

from app.db.models import User
from app.domain.permissions import Role
from app.runtime import Runtime
from app.services import users
from tests.conftest import Clock

EMAIL = "operator@acme.example"
PASSWORD = "correct horse battery staple"


async def make_operator(app: FastAPI) -> str:
    """The id of an operator with EMAIL and PASSWORD."""
    runtime: Runtime = app.state.runtime
    async with runtime.database.transaction() as tx:
        user = await users.create_first_operator(tx, EMAIL, await runtime.passwords.hash(PASSWORD), now=runtime.now())
    assert user is not None
    return str(user.id)


async def make_user(app: FastAPI, email: str, role: Role, organization_id: str | None = None) -> str:
    """The id of a person with PASSWORD."""
    runtime: Runtime = app.state.runtime
    password_hash = await runtime.passwords.hash(PASSWORD)
    async with runtime.database.transaction() as tx:
        organization = None if organization_id is None else UUID(organization_id)
        user = User(email=email, name="Person", role=role, password_hash=password_hash, organization_id=organization)
        tx.add(user)
    return str(user.id)


async def sign_in(client: httpx.AsyncClient, email: str = EMAIL, **fields: Any) -> httpx.Response:
    """The answer to a login; the password is PASSWORD when none is given."""
    return await client.post("/api/auth/login", json={"email": email, "password": PASSWORD, **fields})


async def session(client: httpx.AsyncClient, email: str = EMAIL, **fields: Any) -> dict[str, str]:
    """The headers of a new session."""
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
