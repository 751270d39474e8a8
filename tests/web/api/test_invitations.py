"""Invitations: mailed or handed over, accepted once, within three days, and only into places of the inviter."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission, Role
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization
from tests.mail_server import MailServer
from tests.web.logs import LogLines
from tests.web.people import PASSWORD, deliver, make_user, session_of, sign_in
from tests.web.problem import read_problem

EMAIL = "anna@acme.example"


async def invite(api: httpx.AsyncClient, **fields: object) -> httpx.Response:
    return await api.post("/api/invitations", json={"email": EMAIL, "role": "OPERATOR", **fields})


async def accept(client: httpx.AsyncClient, token: str, password: str = PASSWORD) -> httpx.Response:
    body = {"token": token, "name": "Anna", "password": password}
    return await client.post("/api/auth/accept-invitation", json=body)


async def test_an_invitation_is_mailed_accepted_and_signed_in_with(mailing: FastAPI, mail_server: MailServer) -> None:
    secret = await make_api_key(mailing, frozenset(Permission))
    async with make_client(mailing, secret) as api, make_client(mailing) as client:
        organization = await create_organization(api)

        response = await invite(api, email="Anna@ACME.example", role="MEMBER", organizationId=organization["id"])
        await deliver(mailing)

        invitation = response.json()
        assert response.status_code == 201
        assert (invitation["isMailed"], invitation["token"]) == (True, None)
        assert invitation["expiresAt"] == "2026-03-04T12:00:00.000Z"
        [text] = mail_server.texts_to(EMAIL)
        token = mail_server.token_to(EMAIL)
        assert f"\nhttps://licenses.example/account/accept-invitation#token={token}\n" in text
        assert "Acme Corp" in text
        accepted = await accept(client, token)
        assert accepted.status_code == 201
        assert accepted.json() == {
            "id": accepted.headers["location"].removeprefix("/api/users/"),
            "email": EMAIL,
            "name": "Anna",
            "role": "MEMBER",
            "organizationId": organization["id"],
        }
        assert (await sign_in(client, EMAIL, PASSWORD)).status_code == 200
        shown = (await api.get(response.headers["location"])).json()
        assert shown["acceptedAt"] == "2026-03-01T12:00:00.000Z"
        assert "token" not in shown


async def test_without_a_mail_server_the_token_is_in_the_answer(
    api: httpx.AsyncClient, client: httpx.AsyncClient, fresh_database: str
) -> None:
    invitation = (await invite(api)).json()

    assert invitation["isMailed"] is False
    with psycopg.connect(fresh_database) as connection:
        stored = str(
            connection.execute("SELECT invitations.*, audit_events.* FROM invitations, audit_events").fetchall()
        )
    assert invitation["token"] not in stored
    assert (await accept(client, invitation["token"])).json()["role"] == "OPERATOR"


async def test_a_token_that_was_used_revoked_replaced_has_expired_or_never_was_gets_one_answer(
    api: httpx.AsyncClient, client: httpx.AsyncClient, clock: Clock
) -> None:
    used = (await invite(api, email="used@acme.example")).json()
    revoked = (await invite(api, email="revoked@acme.example")).json()
    replaced = (await invite(api, email="replaced@acme.example")).json()
    expired = (await invite(api, email="expired@acme.example")).json()
    assert (await accept(client, used["token"])).status_code == 201
    for _ in range(2):
        assert (await api.delete(f"/api/invitations/{revoked['id']}")).status_code == 204
    again = (await invite(api, email="replaced@acme.example")).json()
    answers = [await accept(client, token) for token in (used["token"], revoked["token"], replaced["token"], "itsi_x")]
    assert (await accept(client, again["token"])).status_code == 201

    clock.forward(hours=72)
    answers.append(await accept(client, expired["token"]))

    documents = [read_problem(answer, 422, "INVALID_TOKEN") for answer in answers]
    assert len({document["detail"] for document in documents}) == 1


async def test_of_five_that_accept_at_once_exactly_one_does(api: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    token = (await invite(api)).json()["token"]

    answers = await asyncio.gather(*(accept(client, token) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]
    assert len((await api.get("/api/users")).json()["items"]) == 1


async def test_an_admin_invites_into_the_own_organization_alone(app: FastAPI, api: httpx.AsyncClient) -> None:
    own, other = await create_organization(api), await create_organization(api)
    admin = await session_of(app, await make_user(app, Role.ADMIN, own["id"]))
    foreign = (await invite(api, role="MEMBER", organizationId=other["id"])).json()

    invited = await invite(admin, role="MEMBER")

    assert invited.json()["organizationId"] == own["id"]
    read_problem(await invite(admin, role="OPERATOR"), 403, "FORBIDDEN")
    read_problem(await invite(admin, role="MEMBER", organizationId=other["id"]), 403, "FORBIDDEN")
    assert [item["id"] for item in (await admin.get("/api/invitations")).json()["items"]] == [invited.json()["id"]]
    assert (await admin.get(f"/api/invitations?organizationId={other['id']}")).json()["items"] == []
    for method in ("GET", "DELETE"):
        response = await admin.request(method, f"/api/invitations/{foreign['id']}")
        read_problem(response, 404, "INVITATION_NOT_FOUND")


async def test_an_admin_mails_nobody_without_end(
    app: FastAPI, api: httpx.AsyncClient, clock: Clock, fresh_database: str
) -> None:
    organization = await create_organization(api)
    admin = await session_of(app, await make_user(app, Role.ADMIN, organization["id"]))
    wish = {"email": "victim@other.example", "role": "VIEWER"}
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO invitations (id, organization_id, email, role, token_hash, expires_at, created_at)"
            " SELECT gen_random_uuid(), %(place)s, n || '@other.example', 'VIEWER', n::text::bytea, %(now)s, %(now)s"
            " FROM generate_series(1, 194) AS n",
            {"place": organization["id"], "now": clock.now},
        )

    of_one = [(await admin.post("/api/invitations", json=wish)).status_code for _ in range(6)]
    of_others = [
        (await admin.post("/api/invitations", json={**wish, "email": f"{name}@other.example"})).status_code
        for name in ("anna", "bert")
    ]

    assert (of_one, of_others) == ([201] * 5 + [429], [201, 429])
    placed = {**wish, "organizationId": organization["id"]}
    assert (await api.post("/api/invitations", json=placed)).status_code == 201
    clock.forward(days=1)
    again = await session_of(app, await make_user(app, Role.ADMIN, organization["id"]))
    assert (await again.post("/api/invitations", json=wish)).status_code == 201


async def test_a_key_that_may_write_users_makes_nobody_more_than_itself(app: FastAPI) -> None:
    secret = await make_api_key(app, frozenset({Permission.USERS_WRITE}))

    async with make_client(app, secret) as program:
        document = read_problem(await invite(program), 403, "FORBIDDEN")

    assert "licenses:write" in document["detail"]


async def test_whoever_may_see_a_user_is_told_that_there_is_one(app: FastAPI, api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    user = await make_user(app, Role.MEMBER, organization["id"])
    admin = await session_of(app, await make_user(app, Role.ADMIN, organization["id"]))

    for inviter in (admin, api):
        response = await invite(inviter, email=user.email, role="VIEWER", organizationId=organization["id"])
        read_problem(response, 409, "ALREADY_EXISTS")


async def test_who_has_an_account_elsewhere_learns_it_and_who_invites_does_not(
    mailing: FastAPI, mail_server: MailServer
) -> None:
    secret = await make_api_key(mailing, frozenset(Permission))
    async with make_client(mailing, secret) as api:
        organization = await create_organization(api)
    admin = await session_of(mailing, await make_user(mailing, Role.ADMIN, organization["id"]))
    stranger = await make_user(mailing, Role.OPERATOR)

    known = (await invite(admin, email=stranger.email, role="VIEWER")).json()
    unknown = (await invite(admin, email="new@acme.example", role="VIEWER")).json()
    await deliver(mailing)

    assert known.keys() == unknown.keys()
    assert (known["isMailed"], known["token"]) == (unknown["isMailed"], unknown["token"])
    [text] = mail_server.texts_to(stranger.email)
    assert "has an account" in text
    assert "itsi_" not in text


async def test_an_address_that_got_an_account_meanwhile_accepts_no_invitation(
    app: FastAPI, api: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    token = (await invite(api)).json()["token"]
    await make_user(app, Role.OPERATOR, email=EMAIL)

    read_problem(await accept(client, token), 409, "ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "VALIDATION_FAILED"), ("x" * 201, "VALIDATION_FAILED"), ("anna@acme.example", "WEAK_PASSWORD")],
)
async def test_a_bad_password_is_refused_and_the_token_stays_good(
    api: httpx.AsyncClient, client: httpx.AsyncClient, password: str, code: str
) -> None:
    token = (await invite(api)).json()["token"]

    read_problem(await accept(client, token, password), 422, code)

    assert (await accept(client, token)).status_code == 201


async def test_a_name_or_password_that_cannot_be_stored_is_refused(
    api: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    token = (await invite(api)).json()["token"]
    body = f'{{"token": "{token}", "name": "Anna", "password": "long enough \\ud800 but broken"}}'

    response = await client.post(
        "/api/auth/accept-invitation", content=body, headers={"Content-Type": "application/json"}
    )

    read_problem(response, 422, "VALIDATION_FAILED")


async def test_the_trail_tells_who_invited_and_who_accepted(
    api: httpx.AsyncClient, client: httpx.AsyncClient, fresh_database: str, log_lines: LogLines
) -> None:
    token = (await invite(api)).json()["token"]
    user_id = (await accept(client, token)).json()["id"]

    with psycopg.connect(fresh_database) as connection:
        query = "SELECT event, actor_kind, data FROM audit_events WHERE event NOT LIKE 'api%' ORDER BY id"
        rows = connection.execute(query).fetchall()
        [actor] = connection.execute("SELECT actor_id::text FROM audit_events WHERE event = 'user.created'").fetchall()
    assert rows == [
        (
            "invitation.created",
            "api_key",
            {"after": {"email": EMAIL, "role": "OPERATOR", "expiresAt": "2026-03-04T12:00:00Z"}},
        ),
        ("invitation.accepted", "user", {"email": EMAIL}),
        ("user.created", "user", {"after": {"email": EMAIL, "role": "OPERATOR"}}),
    ]
    assert actor == (user_id,)
    [line] = [line for line in log_lines.read() if line["event"] == "user_created"]
    assert (line["user_id"], line["ip"]) == (user_id, "192.0.2.7")
    assert token not in log_lines.text()
