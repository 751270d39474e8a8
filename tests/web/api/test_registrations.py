"""Registration: not there unless it is enabled, confirmed by mail, silent about who is here, and never a license."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission, Role
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization
from tests.mail_server import MailServer
from tests.web.people import PASSWORD, deliver, mailing_app, make_user, sign_in
from tests.web.problem import read_problem

EMAIL = "anna@new.example"
ORGANIZATION = {"name": "New Corp", "domain": "New.example", "email": "it@new.example"}


@pytest.fixture
async def open_app(
    fresh_database: str, tmp_path: Path, clock: Clock, mail_server: MailServer
) -> AsyncIterator[FastAPI]:
    async with mailing_app(fresh_database, tmp_path, clock, mail_server, registration_enabled=True) as application:
        yield application


@pytest.fixture
async def stranger(open_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(open_app) as client:
        yield client


async def register(client: httpx.AsyncClient, email: str = EMAIL, **organization: Any) -> httpx.Response:
    body = {"organization": {**ORGANIZATION, **organization}, "user": {"email": email, "name": "Anna"}}
    return await client.post("/api/auth/register", json=body)


async def confirm(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/auth/confirm-registration", json={"token": token, "password": PASSWORD})


async def test_where_it_is_not_enabled_it_is_not_there(client: httpx.AsyncClient) -> None:
    for answer in (
        await register(client),
        await confirm(client, "itsr_x"),
        await client.post("/api/auth/register", json={}),
    ):
        read_problem(answer, 404, "NOT_FOUND")


async def test_a_registration_makes_nothing_until_it_is_confirmed(
    open_app: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, fresh_database: str
) -> None:
    asked = await register(stranger, "Anna@NEW.example", country="DE")
    await deliver(open_app)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM organizations").fetchone() == (0,)

        confirmed = await confirm(stranger, mail_server.token_to(EMAIL))

        assert (asked.status_code, confirmed.status_code) == (202, 201)
        assert (confirmed.json()["email"], confirmed.json()["role"]) == (EMAIL, "ADMIN")
        organization = connection.execute("SELECT id::text, name, domain, email, country FROM organizations").fetchone()
        assert organization == (confirmed.json()["organizationId"], "New Corp", "new.example", "it@new.example", "DE")
        assert connection.execute("SELECT count(*) FROM licenses").fetchone() == (0,)
        query = "SELECT event, data->'after' FROM audit_events WHERE event LIKE '%.created' ORDER BY id"
        assert connection.execute(query).fetchall() == [
            ("organization.created", {**ORGANIZATION, "domain": "new.example", "country": "DE"}),
            ("user.created", {"email": EMAIL, "role": "ADMIN"}),
        ]
    assert (await sign_in(stranger, EMAIL, PASSWORD)).status_code == 200
    read_problem(await confirm(stranger, mail_server.token_to(EMAIL)), 422, "INVALID_TOKEN")


async def test_strangers_do_not_learn_which_accounts_and_organizations_there_are(
    open_app: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer
) -> None:
    async with make_client(open_app, await make_api_key(open_app, frozenset(Permission))) as api:
        organization = await create_organization(api, domain="new.example")
    known = await make_user(open_app, Role.MEMBER, organization["id"], email="known@new.example")

    answers = [await register(stranger, email) for email in (known.email, EMAIL)]
    await deliver(open_app)

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (202, '{"message":"A mail with the next step is on its way."}')
    }
    [text] = mail_server.texts_to(known.email)
    assert "already" in text
    assert "itsr_" not in text
    read_problem(await confirm(stranger, mail_server.token_to(EMAIL)), 409, "ALREADY_EXISTS")


async def test_only_an_address_of_the_domain_registers_it(stranger: httpx.AsyncClient) -> None:
    document = read_problem(await register(stranger, "anna@elsewhere.example"), 422, "INVALID")

    assert "user.email" in document["detail"]


async def test_nobody_is_sent_more_than_three_mails_in_a_day(
    open_app: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer, clock: Clock
) -> None:
    answers = [await register(stranger) for _ in range(5)]
    await deliver(open_app)
    assert len(mail_server.messages) == 3
    late = mail_server.token_to(EMAIL)
    clock.forward(hours=24)
    await register(stranger)
    await deliver(open_app)

    assert {answer.status_code for answer in answers} == {202}
    assert len(mail_server.messages) == 4
    read_problem(await confirm(stranger, late), 422, "INVALID_TOKEN")


async def test_of_six_that_confirm_two_registrations_at_once_exactly_one_wins(
    open_app: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer
) -> None:
    tokens = []
    for _ in range(2):
        await register(stranger)
        await deliver(open_app)
        tokens.append(mail_server.token_to(EMAIL))

    answers = await asyncio.gather(*(confirm(stranger, token) for token in tokens * 3))

    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1
    assert set(statuses) == {201, 409, 422}


async def test_a_mail_to_a_stranger_holds_no_word_of_who_registers(
    open_app: FastAPI, stranger: httpx.AsyncClient, mail_server: MailServer
) -> None:
    await register(stranger, name="Click http://evil.example now")
    await deliver(open_app)

    assert "evil" not in mail_server.texts_to(EMAIL)[0]
