"""Every route asks for its permission; tenants see only what is theirs."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import issue_license
from tests.web.problem import read_problem
from tests.web.routes import ACCESS, PUBLIC, SIGNED_IN

NOBODY = "00000000-0000-0000-0000-000000000000"
SCOPES = {
    (method, path): access
    for (method, _, path), access in ((route.partition(" "), access) for route, access in ACCESS.items())
    if access not in (PUBLIC, SIGNED_IN)
}
GUARDED = sorted(tuple(route.split(" ")) for route, access in ACCESS.items() if access != PUBLIC)
TENANT_SCOPES = ["licenses:read", "organizations:read", "products:read", "plans:read", "machines:write"]


@pytest.mark.parametrize(("method", "route"), GUARDED)
async def test_without_a_credential_a_guarded_route_is_401(
    refused_client: httpx.AsyncClient, method: str, route: str
) -> None:
    response = await refused_client.request(method, _path(route))

    read_problem(response, 401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "route"), sorted(SCOPES))
async def test_a_key_with_every_scope_but_the_needed_one_is_403(refusing_app: FastAPI, method: str, route: str) -> None:
    needed = SCOPES[method, route]
    secret = await make_api_key(refusing_app, frozenset(Permission) - {Permission(needed)})

    async with make_client(refusing_app, secret) as client:
        response = await client.request(method, _path(route))

    document = read_problem(response, 403, "FORBIDDEN")
    assert document["detail"] == f"This needs the permission {needed}, which the caller does not have."


@pytest.mark.parametrize(("method", "route"), sorted(SCOPES))
async def test_a_key_with_only_the_needed_scope_is_let_in(refusing_app: FastAPI, method: str, route: str) -> None:
    secret = await make_api_key(refusing_app, frozenset({Permission(SCOPES[method, route])}))

    async with make_client(refusing_app, secret) as client:
        response = await client.request(method, _path(route))

    assert response.status_code in (200, 202, 404, 409, 422)


async def test_a_key_is_also_taken_as_a_bearer_token(app: FastAPI) -> None:
    secret = await make_api_key(app, frozenset({Permission.PRODUCTS_READ}))

    async with make_client(app) as client:
        answers = [
            await client.get("/api/products", headers={"Authorization": f"{scheme} {secret}"})
            for scheme in ("Bearer", "bearer")
        ]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_a_created_key_shows_its_secret_only_once(api: httpx.AsyncClient) -> None:
    wish = {"name": "CI", "scopes": ["products:read", "licenses:read"], "expiresAt": "2026-04-01T00:00:00Z"}

    response = await api.post("/api/api-keys", json=wish)

    created = response.json()
    secret = created.pop("apiKey")
    assert response.status_code == 201
    assert secret.startswith("itsk_")
    assert created == {
        "id": created["id"],
        "organizationId": None,
        "name": "CI",
        "prefix": secret[:12],
        "scopes": ["licenses:read", "products:read"],
        "expiresAt": "2026-04-01T00:00:00.000Z",
        "revokedAt": None,
        "lastUsedAt": None,
        "lastUsedIp": None,
        "replacedById": None,
        "createdAt": "2026-03-01T12:00:00.000Z",
    }
    listed = (await api.get("/api/api-keys")).json()["items"]
    assert listed[0] == created
    assert secret not in str(listed)


async def test_a_created_key_is_found_at_its_location(api: httpx.AsyncClient) -> None:
    response = await api.post("/api/api-keys", json={"name": "CI", "scopes": ["products:read"]})

    shown = await api.get(response.headers["location"])

    assert shown.status_code == 200
    assert shown.json()["name"] == "CI"


async def test_a_key_ends_when_it_expires(api: httpx.AsyncClient, app: FastAPI, clock: Clock) -> None:
    created = await _create_key(api, ["products:read"], expiresAt="2026-03-01T13:00:00Z")
    async with make_client(app, created["apiKey"]) as client:
        clock.forward(minutes=59)
        before = await client.get("/api/products")
        clock.forward(minutes=1)
        after = await client.get("/api/products")

    assert before.status_code == 200
    read_problem(after, 401, "UNAUTHENTICATED")


async def test_a_key_ends_at_once_when_it_is_revoked(api: httpx.AsyncClient, app: FastAPI) -> None:
    created = await _create_key(api, ["products:read"])
    async with make_client(app, created["apiKey"]) as client:
        assert (await client.get("/api/products")).status_code == 200

        first = await api.delete(f"/api/api-keys/{created['id']}")
        second = await api.delete(f"/api/api-keys/{created['id']}")

        read_problem(await client.get("/api/products"), 401, "UNAUTHENTICATED")
    assert (first.status_code, second.status_code) == (204, 204)


async def test_a_rotated_key_and_its_successor_both_work_until_the_overlap_ends(
    api: httpx.AsyncClient, app: FastAPI, clock: Clock
) -> None:
    old = await _create_key(api, ["products:read"])

    response = await api.post(f"/api/api-keys/{old['id']}/rotate", json={"overlapHours": 2})

    new = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/api-keys/{new['id']}"
    async with make_client(app, old["apiKey"]) as before, make_client(app, new["apiKey"]) as after:
        assert [(await one.get("/api/products")).status_code for one in (before, after)] == [200, 200]
        clock.forward(hours=2)
        assert [(await one.get("/api/products")).status_code for one in (before, after)] == [401, 200]
    shown = (await api.get(f"/api/api-keys/{old['id']}")).json()
    assert (shown["replacedById"], shown["expiresAt"]) == (new["id"], "2026-03-01T14:00:00.000Z")
    assert (shown["lastUsedAt"], shown["lastUsedIp"]) == ("2026-03-01T12:00:00.000Z", "192.0.2.7")
    again = await api.post(f"/api/api-keys/{old['id']}/rotate", json={})
    read_problem(again, 409, "API_KEY_STATE_CONFLICT")


@pytest.mark.parametrize("hours", [-1, 721, 1.5, "1", None])
async def test_an_overlap_that_is_none_is_refused(refused_api: httpx.AsyncClient, hours: object) -> None:
    response = await refused_api.post(f"/api/api-keys/{NOBODY}/rotate", json={"overlapHours": hours})

    document = read_problem(response, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in document["errors"]] == ["overlapHours"]


async def test_nobody_gives_away_scopes_that_they_do_not_have(app: FastAPI) -> None:
    secret = await make_api_key(app, frozenset({Permission.API_KEYS_WRITE}))

    async with make_client(app, secret) as client:
        response = await client.post("/api/api-keys", json={"name": "more", "scopes": ["licenses:write"]})

    document = read_problem(response, 403, "FORBIDDEN")
    assert document["detail"] == "Nobody can give away scopes that they do not have: licenses:write."


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"scopes": []}, 422, "VALIDATION_FAILED"),
        ({"scopes": ["everything"]}, 422, "VALIDATION_FAILED"),
        ({"scopes": ["products:read"], "expiresAt": "2026-03-01T12:00:00Z"}, 422, "INVALID"),
        ({"scopes": ["products:read"], "organizationId": NOBODY}, 404, "ORGANIZATION_NOT_FOUND"),
        ({"scopes": ["licenses:write"], "organizationId": NOBODY}, 422, "INVALID"),
    ],
)
async def test_a_key_that_cannot_be_made_is_refused(
    refused_api: httpx.AsyncClient, wish: dict[str, Any], status: int, code: str
) -> None:
    read_problem(await refused_api.post("/api/api-keys", json={"name": "x", **wish}), status, code)


async def test_a_tenant_sees_only_its_own(api: httpx.AsyncClient, app: FastAPI) -> None:
    own = await issue_license(api)
    foreign = await issue_license(api)
    created = await _create_key(
        api, ["licenses:read", "organizations:read", "products:read", "plans:read"], own["organizationId"]
    )

    async with make_client(app, created["apiKey"]) as tenant:
        licenses = (await tenant.get("/api/licenses")).json()["items"]
        filtered = await tenant.get(f"/api/licenses?organizationId={foreign['organizationId']}")
        organizations = (await tenant.get("/api/organizations")).json()["items"]
        strangers = [
            await tenant.get(f"/api/licenses/{foreign['id']}{part}") for part in ("", "/machines", "/validations")
        ]
        stranger = await tenant.get(f"/api/organizations/{foreign['organizationId']}")
        shown = await tenant.get(f"/api/licenses/{own['id']}")

    assert [item["id"] for item in licenses] == [own["id"]]
    assert [item["id"] for item in organizations] == [own["organizationId"]]
    assert filtered.json()["items"] == []
    for response in strangers:
        read_problem(response, 404, "LICENSE_NOT_FOUND")
    read_problem(stranger, 404, "ORGANIZATION_NOT_FOUND")
    assert shown.status_code == 200


@pytest.mark.parametrize(
    ("method", "route"),
    sorted(route for route, scope in SCOPES.items() if route[0] != "GET" and scope not in TENANT_SCOPES),
)
async def test_a_tenants_key_changes_nothing_but_machines(
    api: httpx.AsyncClient, app: FastAPI, method: str, route: str
) -> None:
    license = await issue_license(api)
    created = await _create_key(api, TENANT_SCOPES, license["organizationId"])

    async with make_client(app, created["apiKey"]) as tenant:
        response = await tenant.request(method, _path(route, license["id"]))

    read_problem(response, 403, "FORBIDDEN")


async def _create_key(
    api: httpx.AsyncClient, scopes: list[str], organization_id: str | None = None, **fields: Any
) -> dict[str, Any]:
    wish = {"name": "key", "scopes": scopes, "organizationId": organization_id, **fields}
    response = await api.post("/api/api-keys", json=wish)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def _path(template: str, license_id: str = NOBODY) -> str:
    """The address with this license, and with nothing for everything else."""
    return re.sub(r"{\w+}", NOBODY, template.replace("{license_id}", license_id))
