"""What belongs to another organization is not there: every route that names something by its id, asked by an admin."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.domain.permissions import ROLE_PERMISSIONS, Permission, Role
from tests.factories.http import create_organization, issue_license
from tests.web.people import make_user, session_of
from tests.web.routes import ACCESS, PUBLIC, SIGNED_IN

EVERYBODYS = ("/api/products/", "/api/plans/")
"""What the installation offers to all organizations."""
ROUTES = sorted(
    route
    for route, access in ACCESS.items()
    if "{" in route
    and not any(place in route for place in EVERYBODYS)
    and not route.split(" ")[1].startswith("/admin/")
    and access != PUBLIC
    and (access == SIGNED_IN or Permission(access) in ROLE_PERMISSIONS[Role.ADMIN])
)
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/licenses/{license_id}/machines": {"machineId": "m"},
    "PATCH /api/users/{user_id}": {"name": "Mallory"},
}


async def _own_things(app: FastAPI, api: httpx.AsyncClient) -> tuple[httpx.AsyncClient, dict[str, str]]:
    """An admin of a new organization, and the ids of what that organization has."""
    organization_id = (await create_organization(api))["id"]
    license = await issue_license(api, organizationId=organization_id)
    machine = await api.post(f"/api/licenses/{license['id']}/machines", json={"machineId": "m"})
    admin = await session_of(app, await make_user(app, Role.ADMIN, organization_id))
    member = await make_user(app, Role.MEMBER, organization_id)
    api_key = await admin.post("/api/api-keys", json={"name": "x", "scopes": ["licenses:read"]})
    invitation = await admin.post("/api/invitations", json={"email": "new@acme.example", "role": "VIEWER"})
    sessions = await admin.get("/api/auth/sessions")
    return admin, {
        "organization_id": organization_id,
        "license_id": license["id"],
        "machine_id": machine.json()["id"],
        "user_id": str(member.id),
        "api_key_id": api_key.json()["id"],
        "invitation_id": invitation.json()["id"],
        "session_id": sessions.json()["items"][0]["id"],
    }


async def _ask(client: httpx.AsyncClient, route: str, ids: dict[str, str]) -> int:
    method, _, template = route.partition(" ")
    body = BODIES.get(route, {} if method == "POST" else None)
    return (await client.request(method, template.format(**ids), json=body)).status_code


@pytest.mark.parametrize("route", ROUTES)
async def test_a_strangers_row_is_404_and_the_own_one_is_there(
    app: FastAPI, api: httpx.AsyncClient, route: str
) -> None:
    admin, own = await _own_things(app, api)
    _, foreign = await _own_things(app, api)

    assert await _ask(admin, route, foreign) == 404
    assert 200 <= await _ask(admin, route, own) < 300


def test_there_are_routes_to_ask() -> None:
    assert len(ROUTES) >= 15
