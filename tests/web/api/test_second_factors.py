"""Second factors: set up once, shown at every login, each code taken once, and lost without losing the account."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.domain.permissions import Role
from tests.conftest import Clock, make_client, make_settings, running_app
from tests.factories.http import create_organization
from tests.web.logs import LogLines
from tests.web.people import EMAIL, PASSWORD, make_operator, make_user, session, set_up_device, sign_in
from tests.web.problem import read_problem


@pytest.fixture
async def operator(app: FastAPI) -> str:
    return await make_operator(app)


async def test_a_login_needs_the_code_from_when_it_was_confirmed(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    headers = await session(client)
    await client.post("/api/auth/second-factor", headers=headers)
    while_pending = await sign_in(client)
    device = await set_up_device(client, headers, clock)

    without = await sign_in(client)
    wrong = await sign_in(client, code="000000")
    right = await sign_in(client, code=device.next_code())

    assert while_pending.status_code == 200
    read_problem(without, 401, "SECOND_FACTOR_REQUIRED")
    read_problem(wrong, 401, "INVALID_SECOND_FACTOR")
    assert right.status_code == 200
    me = await client.get("/api/auth/me", headers={"Authorization": f"Bearer {right.json()['token']}"})
    assert me.json()["secondFactor"] == {
        "isSetUp": True,
        "confirmedAt": "2026-03-01T12:00:00.000Z",
        "recoveryCodesLeft": 10,
        "isMissing": False,
    }


async def test_only_who_knows_the_password_learns_that_there_is_a_second_factor(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    device = await set_up_device(client, await session(client), clock)

    for fields in ({}, {"code": "000000"}, {"code": device.next_code()}):
        read_problem(await sign_in(client, password="wrong password", **fields), 401, "INVALID_CREDENTIALS")


async def test_a_code_is_taken_only_once_however_many_show_it_at_once(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    device = await set_up_device(client, await session(client), clock)
    code = device.next_code()

    statuses = [answer.status_code for answer in await asyncio.gather(*(sign_in(client, code=code) for _ in range(5)))]
    later = await sign_in(client, code=code)
    clock.forward(seconds=30)
    before = await sign_in(client, code=device.code(steps=-1))

    assert sorted(statuses) == [200, 401, 401, 401, 401]
    read_problem(later, 401, "INVALID_SECOND_FACTOR")
    read_problem(before, 401, "INVALID_SECOND_FACTOR")


async def test_the_code_that_confirmed_is_used_up(client: httpx.AsyncClient, operator: str, clock: Clock) -> None:
    device = await set_up_device(client, await session(client), clock)

    read_problem(await sign_in(client, code=device.code()), 401, "INVALID_SECOND_FACTOR")


async def test_each_recovery_code_stands_in_once_however_many_show_it_at_once(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    device = await set_up_device(client, await session(client), clock)
    assert len(set(device.recovery_codes)) == 10
    typed = device.recovery_codes[3].lower().replace("-", " ")

    answers = await asyncio.gather(*(sign_in(client, code=typed) for _ in range(4)))

    [signed_in] = [answer for answer in answers if answer.status_code == 200]
    headers = {"Authorization": f"Bearer {signed_in.json()['token']}"}
    me = (await client.get("/api/auth/me", headers=headers)).json()
    assert me["secondFactor"]["recoveryCodesLeft"] == 9
    assert (await sign_in(client, code=device.recovery_codes[4])).status_code == 200


async def test_new_recovery_codes_end_the_old_ones(client: httpx.AsyncClient, operator: str, clock: Clock) -> None:
    headers = await session(client)
    device = await set_up_device(client, headers, clock)

    renewed = await client.post("/api/auth/second-factor/recovery-codes", headers=headers)

    assert renewed.status_code == 201
    read_problem(await sign_in(client, code=device.recovery_codes[0]), 401, "INVALID_SECOND_FACTOR")
    assert (await sign_in(client, code=renewed.json()["recoveryCodes"][0])).status_code == 200


async def test_wrong_codes_are_failed_logins(
    client: httpx.AsyncClient, operator: str, clock: Clock, log_lines: LogLines
) -> None:
    headers = await session(client)
    device = await set_up_device(client, headers, clock)
    await sign_in(client, code="000000")
    await sign_in(client)
    await client.post("/api/auth/step-up", json={"code": device.code()}, headers=headers)

    failures = [line for line in log_lines.read() if line["event"] == "authn_login_fail"]
    assert [line["user_id"] for line in failures] == [operator, operator]
    assert device.code() not in log_lines.text()


async def test_confirming_ends_the_other_sessions(client: httpx.AsyncClient, operator: str, clock: Clock) -> None:
    other, own = await session(client), await session(client)

    await set_up_device(client, own, clock)

    assert (await client.get("/api/auth/me", headers=other)).status_code == 401
    assert (await client.get("/api/licenses", headers=own)).status_code == 200


async def test_a_new_device_replaces_the_old_one_only_when_it_is_confirmed(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    headers = await session(client)
    old = await set_up_device(client, headers, clock)
    await client.post("/api/auth/second-factor", headers=headers)
    with_old = await sign_in(client, code=old.next_code())
    new = await set_up_device(client, headers, clock)

    assert with_old.status_code == 200
    read_problem(await sign_in(client, code=old.next_code()), 401, "INVALID_SECOND_FACTOR")
    assert (await sign_in(client, code=new.next_code())).status_code == 200


async def test_a_wrong_code_confirms_nothing(client: httpx.AsyncClient, operator: str) -> None:
    headers = await session(client)
    path = "/api/auth/second-factor/confirm"
    read_problem(await client.post(path, json={"code": "123456"}, headers=headers), 409, "NO_SECOND_FACTOR")
    await client.post("/api/auth/second-factor", headers=headers)

    read_problem(await client.post(path, json={"code": "not-it"}, headers=headers), 422, "WRONG_SECOND_FACTOR_CODE")

    assert (await sign_in(client)).status_code == 200
    renewed = await client.post("/api/auth/second-factor/recovery-codes", headers=headers)
    read_problem(renewed, 409, "NO_SECOND_FACTOR")


async def test_setting_up_and_removing_want_a_recent_proof_by_password_or_code(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    headers = await session(client)
    device = await set_up_device(client, headers, clock)
    clock.forward(minutes=11)

    refused = [
        await client.post("/api/auth/second-factor", headers=headers),
        await client.post("/api/auth/second-factor/recovery-codes", headers=headers),
        await client.delete("/api/auth/second-factor", headers=headers),
    ]
    stepped_up = await client.post("/api/auth/step-up", json={"code": device.code()}, headers=headers)
    removed = await client.delete("/api/auth/second-factor", headers=headers)

    for response in refused:
        read_problem(response, 403, "STEP_UP_REQUIRED")
    assert (stepped_up.status_code, removed.status_code) == (200, 204)
    assert (await sign_in(client)).status_code == 200


async def test_somebody_who_lost_everything_is_helped_by_an_administrator(
    client: httpx.AsyncClient, app: FastAPI, api: httpx.AsyncClient, operator: str, clock: Clock, log_lines: LogLines
) -> None:
    organization, foreign = await create_organization(api), await create_organization(api)
    member = await make_user(app, Role.MEMBER, organization["id"], email="member@acme.example")
    await make_user(app, Role.ADMIN, organization["id"], email="admin@acme.example")
    await make_user(app, Role.ADMIN, foreign["id"], email="admin@foreign.example")
    theirs = await session(client, "member@acme.example")
    await set_up_device(client, theirs, clock)
    path = f"/api/users/{member.id}/second-factor"

    hidden = await client.delete(path, headers=await session(client, "admin@foreign.example"))
    refused = await client.delete(path, headers=theirs)
    helped = await client.delete(path, headers=await session(client, "admin@acme.example"))

    read_problem(hidden, 404, "USER_NOT_FOUND")
    read_problem(refused, 403, "FORBIDDEN")
    assert helped.status_code == 204
    assert (await client.get("/api/auth/me", headers=theirs)).status_code == 401
    assert (await sign_in(client, "member@acme.example")).status_code == 200
    told = [line for line in log_lines.read() if line["event"] == "user_updated"]
    assert [line["user_id"] for line in told] == [str(member.id)] * 2


async def test_secrets_and_recovery_codes_are_not_in_the_database(
    client: httpx.AsyncClient, operator: str, clock: Clock, fresh_database: str
) -> None:
    device = await set_up_device(client, await session(client), clock)

    with psycopg.connect(fresh_database) as connection:
        [user] = connection.execute("SELECT totp_secret_encrypted, totp_pending_encrypted FROM users").fetchall()
        hashes = connection.execute("SELECT code_hash FROM recovery_codes").fetchall()
        events = connection.execute("SELECT event, data::text FROM audit_events ORDER BY id").fetchall()

    assert user[0].startswith(b"gAAAA")
    assert user[1] is None
    assert [len(row[0]) for row in hashes] == [32] * 10
    assert ("second_factor.set_up", "{}") in events
    assert not any(code.encode() in row[0] for row in hashes for code in device.recovery_codes)


async def test_operators_do_nothing_before_they_have_a_second_factor_where_that_is_required(
    fresh_database: str, tmp_path: Path, clock: Clock
) -> None:
    settings = make_settings(fresh_database, tmp_path, operator_second_factor_required=True)
    async with running_app(settings, clock) as app, make_client(app) as client:
        await make_operator(app)
        headers = await session(client)

        refused = [await client.get(path, headers=headers) for path in ("/api/licenses", "/api/api-keys")]
        listed = await client.get("/api/auth/sessions", headers=headers)
        me = (await client.get("/api/auth/me", headers=headers)).json()
        device = await set_up_device(client, headers, clock)
        allowed = await client.get("/api/licenses", headers=headers)
        kept = await client.delete("/api/auth/second-factor", headers=headers)
        replaced = await client.post("/api/auth/second-factor", headers=headers)
        signed_in = await session(client, code=device.next_code())

        for response in refused:
            read_problem(response, 403, "SECOND_FACTOR_SETUP_REQUIRED")
        assert (listed.status_code, me["permissions"], me["secondFactor"]["isMissing"]) == (200, [], True)
        assert (allowed.status_code, replaced.status_code) == (200, 201)
        read_problem(kept, 409, "SECOND_FACTOR_MANDATORY")
        assert (await client.get("/api/licenses", headers=signed_in)).status_code == 200


async def test_api_keys_and_people_of_organizations_go_on_where_operators_need_a_second_factor(
    fresh_database: str, tmp_path: Path, clock: Clock, api: httpx.AsyncClient
) -> None:
    organization = await create_organization(api)
    settings = make_settings(fresh_database, tmp_path, operator_second_factor_required=True)
    async with running_app(settings, clock) as app, make_client(app) as client:
        await make_user(app, Role.VIEWER, organization["id"], email="viewer@acme.example")
        headers = await session(client, "viewer@acme.example")

        assert (await client.get("/api/licenses", headers=headers)).status_code == 200
        assert (await client.get("/api/licenses", headers=dict(api.headers))).status_code == 200


async def test_a_login_with_everything_right_but_a_disabled_account_is_refused_like_a_wrong_password(
    client: httpx.AsyncClient, operator: str, clock: Clock, fresh_database: str
) -> None:
    device = await set_up_device(client, await session(client), clock)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET disabled_at = now()")

    answer = await client.post(
        "/api/auth/login", json={"email": EMAIL, "password": PASSWORD, "code": device.next_code()}
    )

    read_problem(answer, 401, "INVALID_CREDENTIALS")


async def test_nobody_takes_their_own_second_factor_by_the_way_of_the_administrators(
    client: httpx.AsyncClient, operator: str, clock: Clock
) -> None:
    headers = await session(client)
    device = await set_up_device(client, headers, clock)

    answer = await client.delete(f"/api/users/{operator}/second-factor", headers=headers)

    read_problem(answer, 409, "OWN_ACCOUNT")
    assert (await sign_in(client, code=device.next_code())).status_code == 200
