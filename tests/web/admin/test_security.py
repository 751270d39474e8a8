"""The security summary: what happened, who leads, what is odd, for callers of the installation alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from app.db.models.base import new_id
from app.db.queries import security as queries
from app.domain.errors import WindowTooLarge
from app.domain.permissions import Permission
from app.domain.security import Thresholds, Window
from app.jobs.security_events import store_security_events
from app.runtime import Runtime
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import issue_license
from tests.web.logs import LogLines
from tests.web.problem import read_problem

SUMMARY = "/admin/security/summary"


async def _summary(api: httpx.AsyncClient, query: str = "") -> Any:
    response = await api.get(SUMMARY + query)
    assert response.status_code == 200, response.text
    return response.json()


def _kind(summary: Any, kind: str) -> Any:
    [found] = [one for one in summary["kinds"] if one["kind"] == kind]
    return found


def _validations(url: str, license_id: str | None, count: int, *, at: str, ip: str, machine: str = "x") -> None:
    """Rows as validations write them; `{}` in an address or machine is the number of the row."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO validation_events (id, occurred_at, license_id, code, fingerprint_hash, ip)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (new_id(), at, license_id, "VALID" if license_id else "NOT_FOUND", machine.format(n), ip.format(n))
                for n in range(count)
            ],
        )


async def test_totals_and_leaders_of_a_window(
    api: httpx.AsyncClient, app: FastAPI, client: httpx.AsyncClient, clock: Clock
) -> None:
    runtime: Runtime = app.state.runtime
    weak = await make_api_key(app, frozenset({Permission.PRODUCTS_READ}))
    async with make_client(app, weak) as denied:
        for _ in range(3):
            await denied.get("/api/licenses")
    await client.get("/api/products", headers={"X-API-Key": "itsk_wrong"})
    await client.post("/api/auth/login", json={"email": "nobody@acme.example", "password": "wrong"})
    await store_security_events(runtime)
    clock.forward(minutes=10)

    summary = await _summary(api)

    assert (summary["since"], summary["until"]) == ("2026-02-28T12:10:00.000Z", "2026-03-01T12:10:00.000Z")
    assert {one["event"]: one["count"] for one in summary["events"]} == {
        "authz_fail": 3,
        "authn_token_fail": 1,
        "authn_login_fail": 1,
        "sys_startup": 1,
    }
    denied_callers = _kind(summary, "authorization_failures")
    [account] = denied_callers["accounts"]
    assert (account["account"].partition(":")[0], account["name"], account["count"]) == ("api_key", "tests", 3)
    assert denied_callers["addresses"] == [
        {"address": "192.0.2.7", "count": 3, "lastSeenAt": "2026-03-01T12:00:00.000Z"}
    ]
    assert _kind(summary, "failed_logins")["count"] == 1
    assert _kind(summary, "lockouts") == {
        "kind": "lockouts",
        "count": 0,
        "addresses": [],
        "accounts": [],
        "licenses": [],
    }
    assert (await _summary(api, "?window=5m"))["events"] == []
    assert (await _summary(api, "?since=2026-03-01T12:00:00Z&until=2026-03-01T12:05:00Z"))["events"] != []


async def test_leaders_are_at_most_ten_and_licenses_have_their_organization(
    api: httpx.AsyncClient, fresh_database: str
) -> None:
    license = await issue_license(api)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.cursor().executemany(
            "INSERT INTO security_event_counts (id, minute, event, address, license_id, count)"
            " VALUES (%s, '2026-03-01 11:00Z', 'excess_rate_limit_exceeded', %s, %s, %s)",
            [(new_id(), f"192.0.2.{number}", license["id"], number) for number in range(1, 21)],
        )

    limits = _kind(await _summary(api), "rate_limits")

    assert limits["count"] == 210
    assert [one["address"] for one in limits["addresses"]] == [f"192.0.2.{number}" for number in range(20, 10, -1)]
    assert [(one["licenseId"], one["organization"], one["count"]) for one in limits["licenses"]] == [
        (license["id"], "Acme Corp", 210)
    ]


async def test_odd_validations_are_found_and_ordinary_ones_are_not(api: httpx.AsyncClient, fresh_database: str) -> None:
    shared, roaming, risen, quiet, roomy = [
        (await issue_license(api, **fields))["id"] for fields in ({"maxMachines": 5}, {}, {}, {}, {"maxMachines": 500})
    ]
    now = "2026-03-01 11:59Z"
    _validations(fresh_database, shared, 20, at=now, ip="192.0.2.1", machine="m{}")
    _validations(fresh_database, roomy, 20, at=now, ip="192.0.2.1", machine="m{}")
    _validations(fresh_database, roaming, 10, at=now, ip="198.51.{}.1")
    _validations(fresh_database, roaming, 3, at=now, ip="2001:db8:1:{}::1")
    _validations(fresh_database, risen, 100, at=now, ip="192.0.2.1")
    _validations(fresh_database, risen, 20, at="2026-02-28 11:59Z", ip="192.0.2.1")
    _validations(fresh_database, quiet, 99, at=now, ip="192.0.2.1")
    _validations(fresh_database, None, 20, at=now, ip="192.0.2.66")
    _validations(fresh_database, None, 19, at=now, ip="192.0.2.67")
    _validations(fresh_database, None, 25, at=now, ip="2001:db8::{}")

    summary = await _summary(api)

    patterns = summary["patterns"]
    assert [(one["licenseId"], one["count"]) for one in patterns["manyMachines"]] == [(shared, 20)]
    assert [(one["licenseId"], one["count"]) for one in patterns["manyNetworks"]] == [(roaming, 11)]
    assert [(one["licenseId"], one["count"], one["countBefore"]) for one in patterns["suddenRise"]] == [
        (risen, 100, 20)
    ]
    assert [(one["address"], one["count"]) for one in patterns["manyUnknownKeys"]] == [
        ("2001:db8::/64", 25),
        ("192.0.2.66", 20),
    ]
    assert summary["thresholds"] == {
        "machinesOfOneLicense": 20,
        "networksOfOneLicense": 10,
        "unknownKeysOfOneAddress": 20,
        "validationsOfARise": 100,
        "riseFactor": 5,
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?window=4m", "VALIDATION_FAILED"),
        ("?window=8d", "VALIDATION_FAILED"),
        ("?window=1y", "VALIDATION_FAILED"),
        ("?window=-1h", "VALIDATION_FAILED"),
        ("?window=86400", "VALIDATION_FAILED"),
        ("?window=999999d", "VALIDATION_FAILED"),
        ("?since=yesterday", "VALIDATION_FAILED"),
        ("?since=2026-02-28T12:00:00Z&window=1h", "INVALID"),
        ("?since=2026-03-01T12:00:00Z", "INVALID"),
        ("?since=2026-01-01T12:00:00Z", "INVALID"),
    ],
)
async def test_a_window_that_is_none_is_refused(refused_api: httpx.AsyncClient, query: str, code: str) -> None:
    read_problem(await refused_api.get(SUMMARY + query), 422, code)


async def test_a_summary_that_takes_too_long_says_so(app: FastAPI, clock: Clock) -> None:
    runtime: Runtime = app.state.runtime
    window = Window(clock.now.replace(day=1, hour=1), clock.now)
    with psycopg.connect(runtime.database_url) as connection:
        connection.execute("LOCK TABLE validation_events")
        with pytest.raises(WindowTooLarge):
            async with runtime.database.transaction() as tx:
                await queries.limit_statements(tx, 0.2)
                await queries.find_odd_licenses(tx, window, Thresholds())


async def test_administration_is_told_in_the_log_unless_it_was_refused(
    api: httpx.AsyncClient, app: FastAPI, log_lines: LogLines
) -> None:
    await _summary(api)
    weak = await make_api_key(app, frozenset({Permission.PRODUCTS_READ}))
    async with make_client(app, weak) as denied:
        read_problem(await denied.get(SUMMARY), 403, "FORBIDDEN")

    [line] = [line for line in log_lines.read() if line["event"] == "authz_admin"]
    assert (line["level"], line["action"], line["ip"]) == ("INFO", "show_security_summary", "192.0.2.7")
    assert line["caller_id"] == str(UUID(line["caller_id"]))
    [refused] = [line for line in log_lines.read() if line["event"] == "authz_fail"]
    assert (refused["permission"], refused["caller_kind"], refused["code"]) == ("ops:read", "api_key", "FORBIDDEN")
