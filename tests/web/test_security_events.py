"""Every event of the closed list is told by what really happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission
from app.telemetry.security_log import SecurityEvent
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization, issue_license
from tests.web.logs import LogLines
from tests.web.people import EMAIL, NEW_PASSWORD, PASSWORD, make_operator, sign_in

HOUSE = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "sys_startup": "tests/acceptance/test_log_lines.py",
    "sys_shutdown": "tests/acceptance/test_log_lines.py",
    "sys_crash": "tests/acceptance/test_workers.py",
    "authn_login_lock": "tests/web/test_login_limits.py",
    "excess_rate_limit_exceeded": "tests/web/test_rate_limits.py",
}
"""Events of the process and of limits, and the tests that look for them."""


class World:
    """An application, somebody who may do everything in it, and somebody without a credential."""

    def __init__(self, app: FastAPI, api: httpx.AsyncClient, client: httpx.AsyncClient, clock: Clock) -> None:
        self.app = app
        self.api = api
        self.client = client
        self.clock = clock

    async def create_key(self) -> dict[str, str]:
        """A new API key, with its secret."""
        made = await self.api.post("/api/api-keys", json={"name": "x", "scopes": ["products:read"]})
        key: dict[str, str] = made.json()
        return key

    async def revoke_key(self) -> str:
        """The secret of a key that was revoked."""
        key = await self.create_key()
        await self.api.delete(f"/api/api-keys/{key['id']}")
        return key["apiKey"]

    async def ask_with(self, credential: str) -> httpx.Response:
        """Ask for something with this credential."""
        return await self.client.get("/api/licenses", headers={"Authorization": f"Bearer {credential}"})

    async def sign_in(self, password: str = PASSWORD) -> str:
        """The token of an operator's session, if the password is right."""
        answer = await sign_in(self.client, EMAIL, password)
        return str(answer.json().get("token"))


async def _use_revoked_key(world: World) -> None:
    await world.ask_with(await world.revoke_key())


async def _use_ended_session(world: World) -> None:
    token = await world.sign_in()
    world.clock.forward(hours=13)
    await world.ask_with(token)


async def _ask_without_permission(world: World) -> None:
    secret = await make_api_key(world.app, frozenset({Permission.PRODUCTS_READ}))
    async with make_client(world.app, secret) as weak:
        await weak.get("/api/licenses")


async def _show_license_key(world: World) -> None:
    license = await issue_license(world.api)
    await world.api.post(f"/api/licenses/{license['id']}/show-key")


async def _change_password(world: World, current: str = PASSWORD) -> None:
    headers = {"Authorization": f"Bearer {await world.sign_in()}"}
    wish = {"currentPassword": current, "newPassword": NEW_PASSWORD}
    await world.client.post("/api/auth/change-password", json=wish, headers=headers)


async def _sign_in_from_elsewhere(world: World) -> None:
    await world.sign_in()
    async with make_client(world.app, ip="198.51.100.9") as elsewhere:
        await sign_in(elsewhere)


async def _create_user(world: World) -> str:
    organization = await create_organization(world.api)
    wish = {"email": "bert@acme.example", "name": "Bert", "role": "MEMBER", "organizationId": organization["id"]}
    made = await world.api.post("/api/users", json=wish)
    return f"/api/users/{made.json()['id']}"


async def _change_user(world: World, **changes: object) -> None:
    await world.api.patch(await _create_user(world), json=changes)


async def _delete_user(world: World) -> None:
    await world.api.delete(await _create_user(world))


CAUSES: dict[str, Callable[[World], Awaitable[object]]] = {
    "authn_login_success": lambda world: world.sign_in(),
    "authn_login_fail": lambda world: world.sign_in("wrong password"),
    "authn_login_new_address": _sign_in_from_elsewhere,
    "authn_password_change": _change_password,
    "authn_password_change_fail": lambda world: _change_password(world, "wrong password"),
    "privilege_permissions_changed": lambda world: _change_user(world, role="ADMIN"),
    "user_created": _create_user,
    "user_updated": lambda world: _change_user(world, isDisabled=True),
    "user_archived": _delete_user,
    "authn_token_created": lambda world: world.create_key(),
    "authn_token_revoked": lambda world: world.revoke_key(),
    "authn_token_fail": lambda world: world.ask_with("itsk_unknown"),
    "authn_token_reuse": _use_revoked_key,
    "authz_fail": _ask_without_permission,
    "authz_admin": lambda world: world.api.get("/admin/security/summary"),
    "input_validation_fail": lambda world: world.client.post("/api/licenses/validate", json={}),
    "malicious_attack_tool": lambda world: world.client.get("/.git/config"),
    "malicious_extraneous": lambda world: world.client.get("/?q=<script>"),
    "malicious_direct_reference": lambda world: world.client.get("/..%2f..%2fetc/passwd"),
    "session_created": lambda world: world.sign_in(),
    "session_expired": _use_ended_session,
    "sensitive_read": _show_license_key,
}


@pytest.fixture
async def world(app: FastAPI, api: httpx.AsyncClient, client: httpx.AsyncClient, clock: Clock) -> World:
    await make_operator(app)
    return World(app, api, client, clock)


@pytest.mark.parametrize("event", CAUSES)
async def test_what_happens_is_told_with_the_clients_address(event: str, world: World, log_lines: LogLines) -> None:
    await CAUSES[event](world)

    lines = [line for line in log_lines.read() if line["event"] == event]
    assert len(lines) == 1
    assert lines[0]["ip"] == ("198.51.100.9" if event == "authn_login_new_address" else "192.0.2.7")
    is_attack = event.startswith("malicious_") or event.endswith(("_fail", "_reuse", "_new_address"))
    assert lines[0]["level"] == ("WARN" if is_attack and event != "input_validation_fail" else "INFO")


def test_every_event_has_a_cause() -> None:
    assert {*CAUSES, *ELSEWHERE} == set(SecurityEvent)
    for event, test in ELSEWHERE.items():
        assert event in (HOUSE / test).read_text()


def test_every_router_of_the_administration_tells_what_was_done() -> None:
    rooms = [path for path in (HOUSE / "app" / "web" / "admin").glob("*.py") if path.name != "__init__.py"]

    assert rooms
    assert [path.name for path in rooms if "dependencies=[Administration]" not in path.read_text()] == []


@pytest.mark.parametrize(
    ("reason", "event"),
    [("unknown", "authn_token_fail"), ("expired", "authn_token_fail"), ("revoked", "authn_token_reuse")],
)
async def test_the_log_knows_why_a_key_is_refused_and_the_client_does_not(
    world: World, log_lines: LogLines, reason: str, event: str
) -> None:
    wish = {"name": "x", "scopes": ["licenses:read"], "expiresAt": "2026-03-01T13:00:00Z"}
    key = (await world.api.post("/api/api-keys", json=wish)).json()
    if reason == "revoked":
        await world.api.delete(f"/api/api-keys/{key['id']}")
    if reason == "expired":
        world.clock.forward(hours=1)
    answer = await world.ask_with("itsk_x" if reason == "unknown" else key["apiKey"])
    expected = await world.ask_with("itsk_y")

    line = next(line for line in log_lines.read() if line["event"] == event)
    assert (line["reason"], line.get("caller_id")) == (reason, None if reason == "unknown" else key["id"])
    assert key["apiKey"] not in log_lines.text()
    assert {**answer.json(), "requestId": ""} == {**expected.json(), "requestId": ""}
