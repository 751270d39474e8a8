"""People are made, looked up, changed, disabled and deleted by those who may; nobody shuts everybody out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission, Role
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization
from tests.web.logs import LogLines
from tests.web.pages import read_all_pages
from tests.web.people import PASSWORD, make_user, session_of, sign_in
from tests.web.problem import read_problem


async def test_without_a_mail_server_the_owner_of_a_new_account_is_handed_a_token(
    api: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    organization = await create_organization(api)
    wish = {"email": "Anna@Acme.example", "name": "Anna", "role": "ADMIN", "organizationId": organization["id"]}

    response = await api.post("/api/users", json=wish)

    created = response.json()
    token = created.pop("token")
    assert response.status_code == 201
    assert token.startswith("itsp_")
    assert created == {
        "id": created["id"],
        "email": "anna@acme.example",
        "name": "Anna",
        "role": "ADMIN",
        "organizationId": organization["id"],
        "disabledAt": None,
        "createdAt": "2026-03-01T12:00:00.000Z",
        "updatedAt": "2026-03-01T12:00:00.000Z",
        "isMailed": False,
    }
    assert (await api.get(response.headers["location"])).json()["name"] == "Anna"
    assert (await sign_in(client, "anna@acme.example", PASSWORD)).status_code == 401
    chosen = await client.post("/api/auth/reset-password", json={"token": token, "password": PASSWORD})
    assert chosen.status_code == 204
    assert (await sign_in(client, "anna@acme.example", PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"role": "OPERATOR", "organizationId": str(UUID(int=7))}, 422, "INVALID"),
        ({"role": "ADMIN"}, 422, "INVALID"),
        ({"role": "ADMIN", "organizationId": str(UUID(int=7))}, 404, "ORGANIZATION_NOT_FOUND"),
        ({"role": "KING"}, 422, "VALIDATION_FAILED"),
        ({"role": "OPERATOR", "email": "no address"}, 422, "VALIDATION_FAILED"),
        ({"role": "OPERATOR", "password": PASSWORD}, 422, "VALIDATION_FAILED"),
    ],
)
async def test_an_account_that_cannot_be_made_is_refused(
    refused_api: httpx.AsyncClient, wish: dict[str, Any], status: int, code: str
) -> None:
    body = {"email": "x@acme.example", "name": "X", **wish}

    read_problem(await refused_api.post("/api/users", json=body), status, code)


async def test_an_address_has_one_account(api: httpx.AsyncClient) -> None:
    wish = {"email": "op@acme.example", "name": "Op", "role": "OPERATOR"}
    assert (await api.post("/api/users", json=wish)).status_code == 201

    read_problem(await api.post("/api/users", json={**wish, "email": "OP@acme.example"}), 409, "ALREADY_EXISTS")


async def test_an_admin_makes_no_account_and_so_learns_of_no_stranger(app: FastAPI, api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    admin = await session_of(app, await make_user(app, Role.ADMIN, organization["id"]))
    stranger = await make_user(app, Role.OPERATOR)

    for email in (stranger.email, "new@acme.example"):
        wish = {"email": email, "name": "X", "role": "VIEWER", "organizationId": organization["id"]}
        read_problem(await admin.post("/api/users", json=wish), 403, "FORBIDDEN")


async def test_lists_are_filtered_and_an_admin_sees_only_the_own_organization(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    own, other = await create_organization(api), await create_organization(api)
    admin = await make_user(app, Role.ADMIN, own["id"])
    member = await make_user(app, Role.MEMBER, own["id"])
    stranger = await make_user(app, Role.MEMBER, other["id"])
    operator = await make_user(app, Role.OPERATOR)
    tenant = await session_of(app, admin)

    async def ids(client: httpx.AsyncClient, query: str) -> list[str]:
        response = await client.get(f"/api/users{query}")
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    everybody = [str(user.id) for user in (operator, stranger, member, admin)]
    assert [item["id"] for item in await read_all_pages(api, "/api/users", limit=3)] == everybody
    assert await ids(api, f"?organizationId={own['id']}") == [str(member.id), str(admin.id)]
    assert await ids(api, "?role=MEMBER") == [str(stranger.id), str(member.id)]
    assert await ids(api, f"?email={stranger.email.upper()}") == [str(stranger.id)]
    assert await ids(tenant, "") == [str(member.id), str(admin.id)]
    assert await ids(tenant, f"?organizationId={other['id']}") == []
    assert await ids(tenant, f"?email={stranger.email}") == []
    for method in ("GET", "PATCH", "DELETE"):
        for user in (stranger, operator):
            response = await tenant.request(method, f"/api/users/{user.id}", json={"name": "X"})
            read_problem(response, 404, "USER_NOT_FOUND")


async def test_disabling_ends_all_sessions_at_once_and_enabling_brings_none_back(
    app: FastAPI, api: httpx.AsyncClient, client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await make_user(app, Role.OPERATOR)
    user = await make_user(app, Role.OPERATOR)
    session = await session_of(app, user)

    disabled = await api.patch(f"/api/users/{user.id}", json={"isDisabled": True})

    assert disabled.json()["disabledAt"] == "2026-03-01T12:00:00.000Z"
    assert (await session.get("/api/users")).status_code == 401
    assert (await sign_in(client, user.email, PASSWORD)).status_code == 401
    enabled = await api.patch(f"/api/users/{user.id}", json={"isDisabled": False})
    assert enabled.json()["disabledAt"] is None
    assert (await session.get("/api/users")).status_code == 401
    assert (await sign_in(client, user.email, PASSWORD)).status_code == 200
    events = [line["event"] for line in log_lines.read()]
    assert events.count("user_updated") == 2


async def test_another_role_ends_the_sessions_and_is_told_with_before_and_after(
    app: FastAPI, api: httpx.AsyncClient, fresh_database: str, log_lines: LogLines
) -> None:
    organization = await create_organization(api)
    user = await make_user(app, Role.MEMBER, organization["id"])
    session = await session_of(app, user)

    response = await api.patch(f"/api/users/{user.id}", json={"role": "ADMIN"})

    assert response.json()["role"] == "ADMIN"
    assert (await session.get("/api/licenses")).status_code == 401
    assert "privilege_permissions_changed" in [line["event"] for line in log_lines.read()]
    with psycopg.connect(fresh_database) as connection:
        query = "SELECT event, data FROM audit_events WHERE subject_id = %s"
        rows = connection.execute(query, [str(user.id)]).fetchall()
    assert rows == [("user.changed", {"changed": ["role"], "before": {"role": "MEMBER"}, "after": {"role": "ADMIN"}})]


async def test_a_new_name_ends_no_session(app: FastAPI, api: httpx.AsyncClient) -> None:
    user = await make_user(app, Role.OPERATOR)
    session = await session_of(app, user)

    assert (await session.patch(f"/api/users/{user.id}", json={"name": "Anna"})).json()["name"] == "Anna"
    assert (await session.get(f"/api/users/{user.id}")).status_code == 200


async def test_an_operator_becomes_a_member_of_an_organization_and_back(app: FastAPI, api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    await make_user(app, Role.OPERATOR)
    user = await make_user(app, Role.OPERATOR)

    nowhere = await api.patch(f"/api/users/{user.id}", json={"role": "MEMBER"})
    wish = {"role": "MEMBER", "organizationId": organization["id"]}
    member = await api.patch(f"/api/users/{user.id}", json=wish)
    operator = await api.patch(f"/api/users/{user.id}", json={"role": "OPERATOR"})

    read_problem(nowhere, 422, "INVALID")
    assert (member.json()["role"], member.json()["organizationId"]) == ("MEMBER", organization["id"])
    assert (operator.json()["role"], operator.json()["organizationId"]) == ("OPERATOR", None)


async def test_an_admin_makes_nobody_an_operator_and_moves_nobody_away(app: FastAPI, api: httpx.AsyncClient) -> None:
    own, other = await create_organization(api), await create_organization(api)
    admin = await session_of(app, await make_user(app, Role.ADMIN, own["id"]))
    member = await make_user(app, Role.MEMBER, own["id"])

    for wish in ({"role": "OPERATOR"}, {"organizationId": other["id"]}, {"organizationId": None}):
        read_problem(await admin.patch(f"/api/users/{member.id}", json=wish), 403, "FORBIDDEN")
    promoted = await admin.patch(f"/api/users/{member.id}", json={"role": "ADMIN"})

    assert promoted.json()["role"] == "ADMIN"


async def test_a_key_of_few_scopes_has_no_power_over_operators_and_lets_nobody_in_again(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    organization = await create_organization(api)
    operator = await make_user(app, Role.OPERATOR, disabled_at=app.state.runtime.now())
    admin = await make_user(app, Role.ADMIN, organization["id"])
    key = make_client(app, await make_api_key(app, frozenset({Permission.USERS_WRITE})))
    path = f"/api/users/{operator.id}"

    for refused in (
        await key.patch(path, json={"isDisabled": False}),
        await key.patch(path, json={"name": "Mine"}),
        await key.delete(f"{path}/second-factor"),
        await key.delete(f"{path}/sessions"),
        await key.delete(path),
    ):
        read_problem(refused, 403, "FORBIDDEN")
    assert (await key.patch(f"/api/users/{admin.id}", json={"isDisabled": True})).status_code == 200
    read_problem(await key.patch(f"/api/users/{admin.id}", json={"isDisabled": False}), 403, "FORBIDDEN")
    assert (await key.delete(f"/api/users/{admin.id}/second-factor")).status_code == 204
    assert (await api.patch(path, json={"isDisabled": False})).status_code == 200


async def test_nobody_changes_the_own_role_disables_or_deletes_the_own_account(app: FastAPI) -> None:
    await make_user(app, Role.OPERATOR)
    user = await make_user(app, Role.OPERATOR)
    session = await session_of(app, user)

    for wish in ({"role": "ADMIN"}, {"isDisabled": True}):
        read_problem(await session.patch(f"/api/users/{user.id}", json=wish), 409, "OWN_ACCOUNT")
    read_problem(await session.delete(f"/api/users/{user.id}"), 409, "OWN_ACCOUNT")
    same = await session.patch(f"/api/users/{user.id}", json={"role": "OPERATOR", "isDisabled": False})
    assert same.status_code == 200


async def test_the_last_operator_who_can_sign_in_stays(app: FastAPI, api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    last = await make_user(app, Role.OPERATOR)
    await make_user(app, Role.OPERATOR, password_hash=None)
    demotion = {"role": "ADMIN", "organizationId": organization["id"]}

    for wish in (demotion, {"isDisabled": True}):
        read_problem(await api.patch(f"/api/users/{last.id}", json=wish), 409, "LAST_OPERATOR")
    read_problem(await api.delete(f"/api/users/{last.id}"), 409, "LAST_OPERATOR")

    await make_user(app, Role.OPERATOR)
    assert (await api.patch(f"/api/users/{last.id}", json={"isDisabled": True})).status_code == 200


async def test_a_deleted_user_is_gone_with_sessions_and_stays_in_the_audit_trail(
    app: FastAPI, api: httpx.AsyncClient, fresh_database: str, log_lines: LogLines
) -> None:
    user = await make_user(app, Role.MEMBER, (await create_organization(api))["id"])
    session = await session_of(app, user)

    response = await api.delete(f"/api/users/{user.id}")

    assert response.status_code == 204
    assert (await session.get("/api/licenses")).status_code == 401
    read_problem(await api.get(f"/api/users/{user.id}"), 404, "USER_NOT_FOUND")
    read_problem(await api.delete(f"/api/users/{user.id}"), 404, "USER_NOT_FOUND")
    assert "user_archived" in [line["event"] for line in log_lines.read()]
    with psycopg.connect(fresh_database) as connection:
        query = "SELECT event FROM audit_events WHERE subject_id = %s"
        assert connection.execute(query, [str(user.id)]).fetchall() == [("user.deleted",)]


async def test_a_person_proves_anew_before_deleting(app: FastAPI, clock: Clock) -> None:
    await make_user(app, Role.OPERATOR)
    user = await make_user(app, Role.OPERATOR)
    session = await session_of(app, await make_user(app, Role.OPERATOR))

    clock.forward(minutes=11)

    read_problem(await session.delete(f"/api/users/{user.id}"), 403, "STEP_UP_REQUIRED")
