"""Every route x every kind of caller: who gets in, who is told to sign in, who is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from app.domain.permissions import ORGANIZATION_SCOPES, ROLE_PERMISSIONS, Permission, Role
from tests.conftest import make_client
from tests.factories.store import make_organization
from tests.web.people import make_user, session_of
from tests.web.routes import ACCESS, FOR_OPERATORS, PUBLIC, SIGNED_IN

ROLES_WITH = {
    "licenses:read": {"OPERATOR", "ADMIN", "MEMBER", "VIEWER"},
    "licenses:write": {"OPERATOR"},
    "machines:write": {"OPERATOR", "ADMIN", "MEMBER"},
    "organizations:read": {"OPERATOR", "ADMIN", "MEMBER", "VIEWER"},
    "organizations:write": {"OPERATOR"},
    "products:read": {"OPERATOR", "ADMIN", "MEMBER", "VIEWER"},
    "products:write": {"OPERATOR"},
    "plans:read": {"OPERATOR", "ADMIN", "MEMBER", "VIEWER"},
    "plans:write": {"OPERATOR"},
    "api-keys:read": {"OPERATOR", "ADMIN"},
    "api-keys:write": {"OPERATOR", "ADMIN"},
    "users:read": {"OPERATOR", "ADMIN"},
    "users:write": {"OPERATOR", "ADMIN"},
    "audit:read": {"OPERATOR", "ADMIN"},
    "ops:read": {"OPERATOR"},
    "ops:maintain": {"OPERATOR"},
    "ops:backup": {"OPERATOR"},
    "ops:restore": {"OPERATOR"},
}


@dataclass(frozen=True)
class Callers:
    """One client for every role, and one without a credential."""

    anonymous: httpx.AsyncClient
    of: dict[Role, httpx.AsyncClient]


@pytest.fixture(scope="session")
async def callers(refusing_app: FastAPI) -> AsyncIterator[Callers]:
    async with refusing_app.state.runtime.database.transaction() as tx:
        organization = await make_organization(tx)
    clients = {}
    for role in Role:
        place = None if role is Role.OPERATOR else str(organization.id)
        clients[role] = await session_of(refusing_app, await make_user(refusing_app, role, place))
    async with make_client(refusing_app) as anonymous:
        yield Callers(anonymous, clients)


def routes(app: FastAPI) -> set[str]:
    return {
        f"{method} {context.path}" for context in iter_route_contexts(app.routes) for method in context.methods or ()
    }


async def ask(client: httpx.AsyncClient, route: str) -> int:
    """The status of an empty request; ids in the path are those of nothing."""
    method, _, template = route.partition(" ")
    path = "/".join(str(UUID(int=7)) if part.startswith("{") else part for part in template.split("/"))
    response = await client.request(method, path, json=None if method in ("GET", "HEAD", "DELETE") else {})
    return response.status_code


def test_every_route_is_in_the_matrix(refusing_app: FastAPI) -> None:
    assert routes(refusing_app) == set(ACCESS)


def test_every_permission_is_given_to_the_roles_of_the_matrix() -> None:
    given = {
        permission.value: {role for role in Role if permission in ROLE_PERMISSIONS[role]} for permission in Permission
    }

    assert given == ROLES_WITH


def test_keys_of_an_organization_never_carry_what_only_operators_may_do() -> None:
    assert ROLE_PERMISSIONS[Role.ADMIN] >= ORGANIZATION_SCOPES


@pytest.mark.parametrize("route", sorted(ACCESS))
async def test_whoever_shows_no_credential_gets_in_only_where_it_is_public(callers: Callers, route: str) -> None:
    status = await ask(callers.anonymous, route)

    assert (status == 401) == (ACCESS[route] != PUBLIC)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", sorted(set(ACCESS) - {"POST /api/auth/logout"}))
async def test_each_role_gets_in_where_it_may_and_is_refused_elsewhere(
    callers: Callers, route: str, role: Role
) -> None:
    status = await ask(callers.of[role], route)

    is_elsewhere = FOR_OPERATORS in route and role is not Role.OPERATOR
    if ACCESS[route] in (PUBLIC, SIGNED_IN) or (role in ROLES_WITH[ACCESS[route]] and not is_elsewhere):
        assert status not in (401, 403, 405, 500)
    else:
        assert status == 403
