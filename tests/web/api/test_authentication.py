"""Signing in and out."""

from __future__ import annotations

from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from tests.web.logs import LogLines
from tests.web.people import EMAIL, make_operator, sign_in
from tests.web.problem import read_problem


@pytest.fixture
async def operator(app: FastAPI) -> str:
    """The id of an operator."""
    return await make_operator(app)


async def _ask(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get("/api/licenses", headers={"Authorization": f"Bearer {token}"})).status_code


async def test_a_login_opens_a_session_that_may_do_everything(client: httpx.AsyncClient, operator: str) -> None:
    response = await sign_in(client, "Operator@ACME.example")

    answer = response.json()
    token = answer.pop("token")
    assert response.status_code == 200
    assert token.startswith("itss_")
    assert answer == {
        "expiresAt": "2026-03-02T00:00:00.000Z",
        "user": {"id": operator, "email": EMAIL, "name": "Operator", "role": "OPERATOR", "organizationId": None},
        "organization": None,
    }
    assert await _ask(client, token) == 200


async def test_a_wrong_password_an_unknown_and_a_disabled_account_get_the_same_answer(
    client: httpx.AsyncClient, operator: str, fresh_database: str
) -> None:
    wrong = await sign_in(client, password="wrong password")
    unknown = await sign_in(client, email="nobody@acme.example")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET disabled_at = now()")
    disabled = await sign_in(client)

    documents = [read_problem(response, 401, "INVALID_CREDENTIALS") for response in (wrong, unknown, disabled)]
    assert {document["detail"] for document in documents} == {"The e-mail address or the password is wrong."}
    assert {response.headers["www-authenticate"] for response in (wrong, unknown, disabled)} == {"Bearer"}


async def test_a_failed_login_is_told_in_the_log(client: httpx.AsyncClient, operator: str, log_lines: LogLines) -> None:
    await sign_in(client, password="wrong-password-1")

    [line] = [line for line in log_lines.read() if line["event"] == "authn_login_fail"]
    assert line["message"] == "Failed login attempt"
    assert (line["level"], line["user_id"], line["ip"]) == ("WARN", operator, "192.0.2.7")
    assert "wrong-password-1" not in log_lines.text()


async def test_a_logout_ends_this_session_at_once_and_no_other(client: httpx.AsyncClient, operator: str) -> None:
    token = (await sign_in(client)).json()["token"]
    other = (await sign_in(client)).json()["token"]

    response = await client.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"})

    assert (response.status_code, response.content) == (204, b"")
    assert await _ask(client, token) == 401
    assert await _ask(client, other) == 200


async def test_a_logout_with_an_api_key_changes_nothing(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/auth/logout")).status_code == 204
    assert (await api.get("/api/licenses")).status_code == 200


async def test_a_session_of_a_disabled_user_ends(client: httpx.AsyncClient, operator: str, fresh_database: str) -> None:
    token = (await sign_in(client)).json()["token"]

    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET disabled_at = now()")

    assert await _ask(client, token) == 401


async def test_tokens_and_passwords_are_stored_only_as_hashes(
    client: httpx.AsyncClient, operator: str, fresh_database: str
) -> None:
    token = (await sign_in(client)).json()["token"]

    with psycopg.connect(fresh_database) as connection:
        stored = connection.execute("SELECT token_hash, password_hash FROM sessions, users").fetchone()

    assert stored is not None
    assert len(stored[0]) == 32
    assert stored[1].startswith("$argon2id$")
    assert token.encode() not in stored[0]


async def test_signing_in_and_out_is_in_the_audit_trail(
    client: httpx.AsyncClient, operator: str, fresh_database: str
) -> None:
    token = (await sign_in(client)).json()["token"]
    await client.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"})

    with psycopg.connect(fresh_database) as connection:
        query = "SELECT event, actor_id, host(ip) FROM audit_events WHERE event LIKE 'user.signed%' ORDER BY id"
        rows = connection.execute(query).fetchall()

    assert rows == [
        ("user.signed_in", UUID(operator), "192.0.2.7"),
        ("user.signed_out", UUID(operator), "192.0.2.7"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "not-an-address", "password": "x"}, "email"),
        ({"email": EMAIL, "password": ""}, "password"),
        ({"email": EMAIL, "password": "x" * 1025}, "password"),
        ({"email": EMAIL}, "password"),
        ({"email": EMAIL, "password": "x", "otp": "1"}, "otp"),
    ],
)
async def test_a_login_that_is_none_is_422_and_names_the_member(
    refused_client: httpx.AsyncClient, body: dict[str, str], field: str
) -> None:
    document = read_problem(await refused_client.post("/api/auth/login", json=body), 422, "VALIDATION_FAILED")

    assert [error["field"] for error in document["errors"]] == [field]


async def test_a_password_with_nul_is_only_a_wrong_one(client: httpx.AsyncClient, operator: str) -> None:
    read_problem(await sign_in(client, password="nul\0inside"), 401, "INVALID_CREDENTIALS")
