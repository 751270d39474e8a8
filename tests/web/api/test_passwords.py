"""Passwords: chosen anew by mail once and within an hour, changed with the present one, renewed at sign-in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import bcrypt
import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Role
from tests.conftest import Clock, make_client
from tests.mail_server import MailServer
from tests.web.logs import LogLines
from tests.web.people import NEW_PASSWORD, PASSWORD, deliver, make_user, session_of, sign_in
from tests.web.problem import read_problem


@pytest.fixture
async def stranger(mailing: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(mailing) as client:
        yield client


async def forget(client: httpx.AsyncClient, email: str) -> httpx.Response:
    return await client.post("/api/auth/forgot-password", json={"email": email})


async def reset(client: httpx.AsyncClient, token: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/reset-password", json={"token": token, "password": password})


async def change(client: httpx.AsyncClient, current: str = PASSWORD, new: str = NEW_PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/change-password", json={"currentPassword": current, "newPassword": new})


async def test_a_lost_password_is_chosen_anew_by_mail_and_all_sessions_end(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, log_lines: LogLines
) -> None:
    user = await make_user(mailing, Role.OPERATOR)
    session = await session_of(mailing, user)

    asked = await forget(stranger, user.email.upper())
    await deliver(mailing)
    token = mail_server.token_to(user.email)
    chosen = await reset(stranger, token)

    assert (asked.status_code, chosen.status_code) == (202, 204)
    assert f"https://licenses.example/account/reset-password#token={token}" in mail_server.texts_to(user.email)[0]
    assert (await session.get("/api/users")).status_code == 401
    assert (await sign_in(stranger, user.email, PASSWORD)).status_code == 401
    assert (await sign_in(stranger, user.email, NEW_PASSWORD)).status_code == 200
    [line] = [line for line in log_lines.read() if line["event"] == "authn_password_change"]
    assert line["user_id"] == str(user.id)
    assert token not in log_lines.text()


async def test_the_answer_and_its_time_do_not_tell_whether_there_is_an_account(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer
) -> None:
    user = await make_user(mailing, Role.OPERATOR)
    disabled = await make_user(mailing, Role.OPERATOR, disabled_at=mailing.state.runtime.now())

    bodies, seconds = set(), []
    for email in (user.email, disabled.email, "nobody@acme.example"):
        began = time.perf_counter()
        bodies.add((await forget(stranger, email)).text)
        seconds.append(time.perf_counter() - began)
    await deliver(mailing)

    assert len(bodies) == 1
    assert min(seconds) >= 0.25
    assert [message["To"] for message in mail_server.messages] == [user.email]


async def test_nobody_is_sent_more_than_three_mails_in_an_hour(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, clock: Clock
) -> None:
    user = await make_user(mailing, Role.OPERATOR)

    answers = await asyncio.gather(*(forget(stranger, user.email) for _ in range(6)))
    await deliver(mailing)
    assert len(mail_server.messages) == 3
    clock.forward(hours=1)
    await forget(stranger, user.email)
    await deliver(mailing)

    assert {answer.status_code for answer in answers} == {202}
    assert len(mail_server.messages) == 4


async def test_without_a_mail_server_the_answer_says_what_else_to_do(app: FastAPI, client: httpx.AsyncClient) -> None:
    user = await make_user(app, Role.OPERATOR)

    documents = [
        read_problem(await forget(client, email), 503, "MAIL_NOT_CONFIGURED")
        for email in (user.email, "nobody@acme.example")
    ]

    assert {document["detail"] for document in documents} == {
        "This server sends no mail; ask its operator, who can run: license-server reset-password"
    }


async def test_a_token_works_once_within_an_hour_and_ends_all_others(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, clock: Clock
) -> None:
    user = await make_user(mailing, Role.OPERATOR)
    tokens = []
    for _ in range(2):
        await forget(stranger, user.email)
        await deliver(mailing)
        tokens.append(mail_server.token_to(user.email))

    assert (await reset(stranger, tokens[0])).status_code == 204
    used = [await reset(stranger, token) for token in (tokens[0], tokens[1], "itsp_x", "nul\u0000")]
    await forget(stranger, user.email)
    await deliver(mailing)
    clock.forward(hours=1)
    late = await reset(stranger, mail_server.token_to(user.email))

    for answer in (*used[:3], late):
        read_problem(answer, 422, "INVALID_TOKEN")
    read_problem(used[3], 422, "VALIDATION_FAILED")


async def test_of_six_that_use_two_tokens_at_once_exactly_one_wins(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer
) -> None:
    user = await make_user(mailing, Role.OPERATOR)
    tokens = []
    for _ in range(2):
        await forget(stranger, user.email)
        await deliver(mailing)
        tokens.append(mail_server.token_to(user.email))

    answers = await asyncio.gather(*(reset(stranger, token) for token in tokens * 3))

    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422, 422, 422]


async def test_a_token_of_somebody_disabled_meanwhile_is_none(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, fresh_database: str
) -> None:
    user = await make_user(mailing, Role.OPERATOR)
    await forget(stranger, user.email)
    await deliver(mailing)

    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET disabled_at = now()")

    read_problem(await reset(stranger, mail_server.token_to(user.email)), 422, "INVALID_TOKEN")


async def test_who_signs_in_through_a_provider_alone_gets_no_password_by_mail(
    mailing: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, fresh_database: str
) -> None:
    linked = await make_user(mailing, Role.OPERATOR, password_hash=None)
    waiting = await make_user(mailing, Role.OPERATOR, password_hash=None)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO identities VALUES (gen_random_uuid(), %s, 'https://id.example', '7', now())", [linked.id]
        )

    for user in (linked, waiting):
        await forget(stranger, user.email)
    await deliver(mailing)

    assert [message["To"] for message in mail_server.messages] == [waiting.email]
    assert (await sign_in(stranger, waiting.email, PASSWORD)).status_code == 401


async def test_a_changed_password_ends_the_other_sessions_and_counts_as_proof(
    app: FastAPI, client: httpx.AsyncClient, clock: Clock, log_lines: LogLines
) -> None:
    await make_user(app, Role.OPERATOR)
    user, other = await make_user(app, Role.OPERATOR), await make_user(app, Role.OPERATOR)
    session, elsewhere = await session_of(app, user), await session_of(app, user)
    clock.forward(minutes=11)

    assert (await change(session)).status_code == 204

    assert (await elsewhere.get("/api/users")).status_code == 401
    assert (await session.delete(f"/api/users/{other.id}")).status_code == 204
    assert (await sign_in(client, user.email, PASSWORD)).status_code == 401
    assert (await sign_in(client, user.email, NEW_PASSWORD)).status_code == 200
    assert "authn_password_change" in [line["event"] for line in log_lines.read()]


async def test_a_wrong_present_password_changes_nothing_and_is_told(
    app: FastAPI, client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    user = await make_user(app, Role.OPERATOR)
    session = await session_of(app, user)

    read_problem(await change(session, current="wrong"), 403, "WRONG_PASSWORD")

    assert (await sign_in(client, user.email, PASSWORD)).status_code == 200
    [line] = [line for line in log_lines.read() if line["event"] == "authn_password_change_fail"]
    assert (line["level"], line["user_id"], line["ip"]) == ("WARN", str(user.id), "192.0.2.7")


@pytest.mark.parametrize(("new", "code"), [("short", "VALIDATION_FAILED"), ("password12345", "WEAK_PASSWORD")])
async def test_a_bad_new_password_is_refused(app: FastAPI, new: str, code: str) -> None:
    session = await session_of(app, await make_user(app, Role.OPERATOR))

    read_problem(await change(session, new=new), 422, code)


async def test_an_api_key_has_no_password(api: httpx.AsyncClient) -> None:
    read_problem(await change(api), 403, "SESSION_REQUIRED")


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
async def test_an_imported_bcrypt_hash_is_taken_and_renewed_at_the_first_sign_in(
    app: FastAPI, client: httpx.AsyncClient, fresh_database: str, prefix: bytes
) -> None:
    long = "x" * 71 + "yz and more than bcrypt ever looked at"
    imported = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).replace(b"2b", prefix, 1).decode()
    user = await make_user(app, Role.OPERATOR, password_hash=imported)

    answers = [await sign_in(client, user.email, password) for password in ("wrong password", long, long)]

    assert [answer.status_code for answer in answers] == [401, 200, 200]
    with psycopg.connect(fresh_database) as connection:
        stored = connection.execute("SELECT password_hash FROM users").fetchone()
    assert stored is not None
    assert stored[0].startswith("$argon2id$")
