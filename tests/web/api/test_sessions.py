"""Sessions: people see theirs, end them at once, and prove again that it is they."""

from __future__ import annotations

import json

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission, Role
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization, issue_license
from tests.web.logs import LogLines
from tests.web.people import EMAIL, PASSWORD, make_operator, make_user, session, sign_in
from tests.web.problem import read_problem

NOBODY = "019a0000-0000-7000-8000-0000000000ff"


@pytest.fixture
async def operator(app: FastAPI) -> str:
    return await make_operator(app)


async def test_people_see_their_sessions_newest_first(client: httpx.AsyncClient, operator: str, clock: Clock) -> None:
    old = await session(client)
    clock.forward(minutes=5)
    client.headers["User-Agent"] = "a browser \x7f with\tbells" + "!" * 300
    new = await session(client)

    items = (await client.get("/api/auth/sessions", headers=old)).json()["items"]

    assert [item["isCurrent"] for item in items] == [False, True]
    shown = dict(items[0])
    assert shown.pop("id")
    assert shown == {
        "createdAt": "2026-03-01T12:05:00.000Z",
        "lastUsedAt": None,
        "expiresAt": "2026-03-02T00:05:00.000Z",
        "ip": "192.0.2.7",
        "userAgent": ("a browser  with" + "bells" + "!" * 300)[:198],
        "isCurrent": False,
    }
    assert items[1]["lastUsedAt"] == "2026-03-01T12:05:00.000Z"
    assert (await client.get("/api/auth/sessions", headers=new)).json()["items"][0]["isCurrent"]


async def test_the_use_of_a_session_is_noted_once_a_minute(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    headers = await session(client)
    noted = []
    for _ in range(3):
        [item] = (await client.get("/api/auth/sessions", headers=headers)).json()["items"]
        noted.append(item["lastUsedAt"])
        clock.forward(seconds=40)

    assert noted == ["2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00.000Z", "2026-03-01T12:01:20.000Z"]


async def test_a_session_that_is_ended_ends_at_once_and_no_other(client: httpx.AsyncClient, operator: str) -> None:
    lost = await session(client)
    kept = await session(client)
    items = (await client.get("/api/auth/sessions", headers=kept)).json()["items"]
    [lost_id] = [item["id"] for item in items if not item["isCurrent"]]

    ended = await client.delete(f"/api/auth/sessions/{lost_id}", headers=kept)
    again = await client.delete(f"/api/auth/sessions/{lost_id}", headers=kept)

    assert ended.status_code == 204
    read_problem(again, 404, "SESSION_NOT_FOUND")
    read_problem(await client.get("/api/auth/me", headers=lost), 401, "UNAUTHENTICATED")
    assert (await client.get("/api/auth/me", headers=kept)).status_code == 200


async def test_all_other_sessions_are_ended_at_once(client: httpx.AsyncClient, operator: str) -> None:
    others = [await session(client), await session(client)]
    kept = await session(client)

    assert (await client.delete("/api/auth/sessions", headers=kept)).status_code == 204

    assert [(await client.get("/api/auth/me", headers=other)).status_code for other in others] == [401, 401]
    assert len((await client.get("/api/auth/sessions", headers=kept)).json()["items"]) == 1


async def test_nobody_ends_a_strangers_session(client: httpx.AsyncClient, app: FastAPI, operator: str) -> None:
    await make_user(app, Role.OPERATOR, email="other@acme.example")
    own, stranger = await session(client), await session(client, "other@acme.example")
    [item] = (await client.get("/api/auth/sessions", headers=stranger)).json()["items"]

    read_problem(await client.delete(f"/api/auth/sessions/{item['id']}", headers=own), 404, "SESSION_NOT_FOUND")

    assert (await client.get("/api/auth/me", headers=stranger)).status_code == 200


async def test_a_session_ends_after_twelve_hours_of_use(client: httpx.AsyncClient, operator: str, clock: Clock) -> None:
    headers = await session(client)
    statuses = []
    for _ in range(12):
        statuses.append((await client.get("/api/auth/me", headers=headers)).status_code)
        clock.forward(hours=1)
    statuses.append((await client.get("/api/auth/me", headers=headers)).status_code)

    assert statuses == [200] * 12 + [401]


async def test_a_session_that_nobody_used_for_two_hours_has_ended(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    idle, used = await session(client), await session(client)

    clock.forward(hours=1, minutes=59)
    in_time = await client.get("/api/auth/me", headers=used)
    clock.forward(minutes=1)

    assert in_time.status_code == 200
    assert (await client.get("/api/auth/me", headers=used)).status_code == 200
    read_problem(await client.get("/api/auth/me", headers=idle), 401, "UNAUTHENTICATED")
    assert len((await client.get("/api/auth/sessions", headers=used)).json()["items"]) == 1


async def test_administrators_look_after_the_sessions_of_their_own_people_only(
    client: httpx.AsyncClient, app: FastAPI, api: httpx.AsyncClient
) -> None:
    own, foreign = await create_organization(api), await create_organization(api)
    await make_user(app, Role.ADMIN, own["id"], email="admin@own.example")
    member = await make_user(app, Role.MEMBER, own["id"], email="member@own.example")
    stranger = await make_user(app, Role.MEMBER, foreign["id"], email="member@foreign.example")
    admin = await session(client, "admin@own.example")
    theirs = await session(client, "member@own.example")
    strangers = await session(client, "member@foreign.example")

    listed = await client.get(f"/api/users/{member.id}/sessions", headers=admin)
    ended = await client.delete(f"/api/users/{member.id}/sessions", headers=admin)
    hidden = [
        await client.request(method, f"/api/users/{stranger.id}/sessions", headers=admin)
        for method in ("GET", "DELETE")
    ]

    assert [item["ip"] for item in listed.json()["items"]] == ["192.0.2.7"]
    assert ended.status_code == 204
    assert (await client.get("/api/auth/me", headers=theirs)).status_code == 401
    for response in hidden:
        read_problem(response, 404, "USER_NOT_FOUND")
    assert (await client.get("/api/auth/me", headers=strangers)).status_code == 200
    assert len((await api.get(f"/api/users/{stranger.id}/sessions")).json()["items"]) == 1


async def test_an_api_key_has_no_sessions(api: httpx.AsyncClient) -> None:
    read_problem(await api.get("/api/auth/sessions"), 403, "SESSION_REQUIRED")
    read_problem(await api.post("/api/auth/step-up", json={"password": "x"}), 403, "SESSION_REQUIRED")
    read_problem(await api.post("/api/auth/second-factor"), 403, "SESSION_REQUIRED")


async def test_people_see_who_they_are_and_what_they_may(client: httpx.AsyncClient, operator: str) -> None:
    headers = await session(client)

    me = (await client.get("/api/auth/me", headers=headers)).json()

    assert set(me.pop("permissions")) == set(Permission)
    assert me == {
        "kind": "user",
        "id": operator,
        "organization": None,
        "user": {"id": operator, "email": EMAIL, "name": "Operator", "role": "OPERATOR", "organizationId": None},
        "secondFactor": {"isSetUp": False, "confirmedAt": None, "recoveryCodesLeft": 0, "isMissing": False},
        "provenAt": "2026-03-01T12:00:00.000Z",
    }


async def test_an_api_key_sees_what_it_is(app: FastAPI) -> None:
    async with make_client(app, await make_api_key(app, frozenset({Permission.PRODUCTS_READ}))) as client:
        me = (await client.get("/api/auth/me")).json()

    assert me.pop("id")
    assert me == {
        "kind": "api_key",
        "organization": None,
        "permissions": ["products:read"],
        "user": None,
        "secondFactor": None,
        "provenAt": None,
    }


async def test_what_cannot_be_taken_back_wants_a_proof_of_the_last_ten_minutes(
    client: httpx.AsyncClient, api: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    license_id = (await issue_license(api))["id"]
    path = f"/api/licenses/{license_id}/show-key"
    headers = await session(client)
    clock.forward(minutes=10)
    in_time = await client.post(path, headers=headers)
    clock.forward(seconds=1)
    late = await client.post(path, headers=headers)

    stepped_up = await client.post("/api/auth/step-up", json={"password": PASSWORD}, headers=headers)

    assert in_time.status_code == 200
    read_problem(late, 403, "STEP_UP_REQUIRED")
    assert stepped_up.json() == {"provenAt": "2026-03-01T12:10:01.000Z"}
    assert (await client.post(path, headers=headers)).status_code == 200
    assert (await api.post(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/api-keys", {"name": "mine", "scopes": ["licenses:write"]}),
        ("POST", f"/api/api-keys/{NOBODY}/rotate", {}),
        ("POST", "/api/users", {"email": "mine@acme.example", "name": "Mine", "role": "OPERATOR"}),
        ("POST", "/api/invitations", {"email": "mine@acme.example", "role": "OPERATOR"}),
        ("PATCH", f"/api/users/{NOBODY}", {"role": "OPERATOR"}),
        ("PATCH", f"/api/users/{NOBODY}", {"organizationId": NOBODY}),
        ("PATCH", f"/api/users/{NOBODY}", {"isDisabled": False}),
        ("POST", "/api/auth/second-factor/confirm", {"code": "123456"}),
        ("POST", f"/api/licenses/{NOBODY}/revoke", {}),
    ],
)
async def test_a_stolen_session_makes_nothing_that_outlives_it_and_nothing_that_stays(
    client: httpx.AsyncClient, operator: str, clock: Clock, method: str, path: str, body: dict[str, object]
) -> None:
    headers = await session(client)
    clock.forward(minutes=11)

    late = await client.request(method, path, json=body, headers=headers)
    await client.post("/api/auth/step-up", json={"password": PASSWORD}, headers=headers)
    proven = await client.request(method, path, json=body, headers=headers)

    read_problem(late, 403, "STEP_UP_REQUIRED")
    assert proven.status_code in (201, 404, 409)


async def test_who_must_be_kept_out_is_disabled_without_another_proof(
    client: httpx.AsyncClient, app: FastAPI, operator: str, clock: Clock
) -> None:
    user = await make_user(app, Role.OPERATOR)
    headers = await session(client)
    clock.forward(minutes=11)

    disabled = await client.patch(f"/api/users/{user.id}", json={"isDisabled": True}, headers=headers)

    assert disabled.status_code == 200


async def test_a_step_up_counts_for_its_own_session_alone(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    proven, other = await session(client), await session(client)
    clock.forward(minutes=11)

    await client.post("/api/auth/step-up", json={"password": PASSWORD}, headers=proven)

    assert (await client.post("/api/auth/second-factor", headers=proven)).status_code == 201
    read_problem(await client.post("/api/auth/second-factor", headers=other), 403, "STEP_UP_REQUIRED")


async def test_a_wrong_step_up_is_told_as_a_failed_login_and_the_session_goes_on(
    client: httpx.AsyncClient, operator: str, clock: Clock, log_lines: LogLines
) -> None:
    headers = await session(client)
    clock.forward(minutes=11)

    wrong = await client.post("/api/auth/step-up", json={"password": "wrong-password-1"}, headers=headers)
    no_factor = await client.post("/api/auth/step-up", json={"code": "123456"}, headers=headers)

    read_problem(wrong, 403, "STEP_UP_FAILED")
    read_problem(no_factor, 403, "STEP_UP_FAILED")
    assert (await client.get("/api/auth/me", headers=headers)).json()["provenAt"] == "2026-03-01T12:00:00.000Z"
    failures = [line for line in log_lines.read() if line["event"] == "authn_login_fail"]
    assert [(line["message"], line["user_id"]) for line in failures] == [("Failed login attempt", operator)] * 2
    assert "wrong-password-1" not in log_lines.text()


@pytest.mark.parametrize("body", [{}, {"password": PASSWORD, "code": "123456"}, {"code": ""}, {"code": "\ud800"}])
async def test_a_step_up_takes_exactly_one_proof(
    client: httpx.AsyncClient, operator: str, body: dict[str, str]
) -> None:
    headers = await session(client)

    response = await client.post(
        "/api/auth/step-up", content=json.dumps(body), headers={**headers, "Content-Type": "application/json"}
    )

    read_problem(response, 422, "VALIDATION_FAILED")


async def test_an_operator_who_signs_in_from_a_new_address_is_told_of_as_a_warning(
    client: httpx.AsyncClient, app: FastAPI, operator: str, log_lines: LogLines
) -> None:
    transport = httpx.ASGITransport(app, client=("198.51.100.9", 50000))
    async with httpx.AsyncClient(transport=transport, base_url="http://license-server") as elsewhere:
        for asking in (client, client, elsewhere, elsewhere, client):
            assert (await sign_in(asking)).status_code == 200

    [line] = [line for line in log_lines.read() if line["event"] == "authn_login_new_address"]
    assert (line["level"], line["user_id"], line["ip"]) == ("WARN", operator, "198.51.100.9")


async def test_addresses_are_remembered_as_neighbourhoods(
    app: FastAPI, operator: str, log_lines: LogLines, fresh_database: str
) -> None:
    for ip in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"):
        transport = httpx.ASGITransport(app, client=(ip, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://license-server") as client:
            await sign_in(client)

    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT address FROM user_addresses").fetchall() == [("2001:db8:0:1::/64",)]
    assert [line for line in log_lines.read() if line["event"] == "authn_login_new_address"] == []


async def test_ended_sessions_are_in_the_audit_trail(
    client: httpx.AsyncClient, operator: str, fresh_database: str
) -> None:
    headers = await session(client)
    await session(client)
    await client.delete("/api/auth/sessions", headers=headers)
    await client.post("/api/auth/step-up", json={"password": PASSWORD}, headers=headers)

    with psycopg.connect(fresh_database) as connection:
        query = "SELECT event, subject_id, data FROM audit_events WHERE event ~ 'session|stepped' ORDER BY id"
        rows = connection.execute(query).fetchall()

    assert rows == [
        ("session.revoked", operator, {"session": "all others"}),
        ("user.stepped_up", operator, {}),
    ]
