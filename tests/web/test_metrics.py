"""The metrics after real requests, and that no client can make new series."""

from __future__ import annotations

import random
import re

import httpx
import pytest

from tests.factories.http import issue_license, validate

NUMBER = r" ([0-9.e+]+)$"


async def _read(client: httpx.AsyncClient) -> str:
    return (await client.get("/metrics")).text


def _value(text: str, series: str) -> float:
    found = re.search(f"^{re.escape(series)}{NUMBER}", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _series(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def _growth(client: httpx.AsyncClient, before: str, series: str) -> float:
    return _value(await _read(client), series) - _value(before, series)


async def test_validations_are_counted_by_their_code(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=1)
    before = await _read(api)

    for machine in ("one", "one", "two"):
        await validate(api, license["licenseKey"], machineId=machine)
    await validate(api, "no such key")

    counted = {
        code: await _growth(api, before, f'license_server_validations_total{{code="{code}"}}')
        for code in ("VALID", "TOO_MANY_MACHINES", "NOT_FOUND", "EXPIRED")
    }
    assert counted == {"VALID": 2, "TOO_MANY_MACHINES": 1, "NOT_FOUND": 1, "EXPIRED": 0}
    assert await _growth(api, before, "license_server_validation_trip_seconds_count") == 4


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        (
            "GET",
            "/api/licenses/00000000-0000-0000-0000-000000000000",
            'handler="/api/licenses/{license_id}",status="404"',
        ),
        ("GET", "/api/licenses?limit=0", 'handler="/api/licenses",status="422"'),
        ("DELETE", "/api/licenses", 'handler="/api/licenses",status="405"'),
        ("GET", "/nowhere/at/all", 'handler="none",status="404"'),
        ("BREW", "/nowhere", 'handler="none",status="404"'),
    ],
)
async def test_requests_are_counted_by_the_template_of_their_route(
    refused_api: httpx.AsyncClient, method: str, path: str, labels: str
) -> None:
    counted = method if method != "BREW" else "_OTHER"
    handler, _, status = labels.partition(",")
    before = await _read(refused_api)

    await refused_api.request(method, path)

    series = f'http_requests_total{{{handler},method="{counted}",{status}}}'
    assert await _growth(refused_api, before, series) == 1


async def test_a_failed_login_is_counted(refused_client: httpx.AsyncClient) -> None:
    before = await _read(refused_client)

    await refused_client.post("/api/auth/login", json={"email": "a@acme.example", "password": "x"})

    assert await _growth(refused_client, before, "license_server_login_failures_total") == 1
    series = 'license_server_security_events_total{event="authn_login_fail"}'
    assert await _growth(refused_client, before, series) == 1


async def test_statements_are_timed_by_operation(refused_api: httpx.AsyncClient) -> None:
    before = await _read(refused_api)

    await refused_api.get("/api/products")

    assert await _growth(refused_api, before, 'license_server_db_query_duration_seconds_count{operation="select"}') == 2


async def test_ten_thousand_random_paths_and_methods_add_no_series(refused_client: httpx.AsyncClient) -> None:
    dice = random.Random(7)
    await refused_client.get("/nowhere")
    await refused_client.request("BREW", "/nowhere")
    methods = ["GET", *("".join(dice.choices("ABCDEFGH", k=6)) for _ in range(50))]
    await _read(refused_client)  # reading counts, too
    before = _series(await _read(refused_client))

    for number in range(10_000):
        await refused_client.request(dice.choice(methods), f"/{dice.random()}/{number}")

    assert _series(await _read(refused_client)) - before == set()
