"""Who guesses passwords is slowed, and cannot lock anybody out."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import psycopg

from app.domain.addresses import neighbourhood
from tests.conftest import make_client
from tests.web.limits import Server, limited, statuses, try_password
from tests.web.logs import LogLines
from tests.web.people import EMAIL, PASSWORD, make_operator


async def test_a_hundred_parallel_wrong_passwords_are_no_more_than_the_limit(
    server: Server, log_lines: LogLines
) -> None:
    async with server(login="5/hour") as app, make_client(app) as client:
        operator = await make_operator(app)
        found = await statuses(*(try_password(client) for _ in range(100)))
        right = await try_password(client, PASSWORD)

    assert found.count(401) == 5
    assert set(found) <= {401, 429, 503}  # 503: a slow machine gives no connection in time to look the account up
    limited(right)
    lines = log_lines.read()
    assert [line["user_id"] for line in lines if line["event"] == "authn_login_lock"] == [operator]
    assert sum(line["event"] == "authn_login_fail" for line in lines) == 5
    assert sum(line["message"] == "Rate limit exceeded" for line in lines) == found.count(429) + 1


async def test_an_address_that_has_failed_too_often_is_refused_before_the_account_is_looked_up(
    server: Server, fresh_database: str
) -> None:
    async with server(login_address="1/hour") as app, make_client(app) as client:
        assert [(await try_password(client)).status_code for _ in range(2)] == [401, 429]
        with psycopg.connect(fresh_database) as connection:
            connection.execute("LOCK TABLE users")

            async with asyncio.timeout(2.5):
                limited(await try_password(client))


async def test_an_address_is_limited_on_all_accounts_together_and_one_account_hurts_no_other_behind_it(
    server: Server,
) -> None:
    async with server(login="2/hour", login_address="4/hour") as app, make_client(app) as client:
        await make_operator(app)
        found = [(await try_password(client, email="nobody@acme.example")).status_code for _ in range(3)]
        colleague = (await try_password(client, PASSWORD)).status_code
        others = [(await try_password(client, email=f"{n}@acme.example")).status_code for n in range(3)]

    assert (found, colleague, others) == ([401, 401, 429], 200, [401, 401, 429])


async def test_right_passwords_cost_nothing_also_when_many_sign_in_at_once(server: Server) -> None:
    async with server(login="2/hour", login_address="2/hour") as app, make_client(app) as client:
        await make_operator(app)
        found = await statuses(*(try_password(client, PASSWORD) for _ in range(8)))
        wrong = await statuses(*(try_password(client) for _ in range(3)))

    assert found == [200] * 8
    assert sorted(wrong) == [401, 401, 429]


async def test_a_right_password_between_wrong_ones_does_not_start_the_count_anew(server: Server) -> None:
    async with server(login_address="3/hour") as app, make_client(app) as client:
        await make_operator(app)
        tries = ["wrong password", "wrong password", PASSWORD, "wrong password", PASSWORD]
        found = [(await try_password(client, password)).status_code for password in tries]

    assert found == [401, 401, 200, 401, 429]


async def test_an_account_is_limited_from_all_unknown_addresses_together(server: Server) -> None:
    async with server(login="3/hour") as app:
        await make_operator(app)
        found = []
        for number in range(5):
            async with make_client(app, ip=f"198.51.100.{number}") as stranger:
                found.append((await try_password(stranger)).status_code)

    assert found == [401, 401, 401, 429, 429]


async def test_who_guesses_a_password_elsewhere_cannot_lock_the_owner_out(server: Server, fresh_database: str) -> None:
    async with server(login="3/hour") as app:
        operator = await make_operator(app)
        _remember_address(fresh_database, operator, neighbourhood("2001:db8:1:2::1"))
        for number in range(6):
            async with make_client(app, ip=f"198.51.100.{number}") as stranger:
                await try_password(stranger)
        async with make_client(app, ip="198.51.100.77") as stranger:
            limited(await try_password(stranger, PASSWORD))
        async with make_client(app, ip="2001:db8:1:2::9") as owner:
            found = [
                (await try_password(owner, password)).status_code for password in (PASSWORD, *["wrong password"] * 4)
            ]

    assert found == [200, 401, 401, 401, 429]


async def test_an_unknown_account_is_limited_like_a_known_one(server: Server) -> None:
    async with server(login="2/hour") as app:
        await make_operator(app)
        answers: dict[str, list[dict[str, Any]]] = {}
        for number, email in enumerate((EMAIL, "nobody@acme.example")):
            async with make_client(app, ip=f"198.51.100.{number}") as stranger:
                answers[email] = [_shown(await try_password(stranger, email=email)) for _ in range(3)]

    assert answers[EMAIL] == answers["nobody@acme.example"]
    assert [answer["status"] for answer in answers[EMAIL]] == [401, 401, 429]


async def test_logins_that_cannot_be_read_are_charged_to_their_address(server: Server) -> None:
    async with server(anonymous="2/hour", login="9/hour") as app, make_client(app) as client:
        found = [(await client.post("/api/auth/login", json={})).status_code for _ in range(3)]
        readable = (await try_password(client)).status_code

    assert (found, readable) == ([422, 422, 429], 401)


def _shown(response: httpx.Response) -> dict[str, Any]:
    shown: dict[str, Any] = response.json()
    del shown["requestId"]
    shown["detail"] = re.sub(r"\d+ s\.", "", shown["detail"])
    return {**shown, "policy": response.headers["ratelimit-policy"], "left": response.headers["ratelimit"][:12]}


def _remember_address(database_url: str, user_id: str, address: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO user_addresses VALUES (%s, %s, now(), now())", (user_id, address))
