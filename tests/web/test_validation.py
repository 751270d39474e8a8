"""The hot path through the door."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import Clock
from tests.factories.http import create_organization, create_product, issue_license, validate


async def test_a_valid_license_is_answered_as_the_contract_says(api: httpx.AsyncClient) -> None:
    await create_product(api, "itechsmart-ninja")
    organization = await create_organization(api, name="Acme Corp")
    license = await issue_license(
        api,
        organizationId=organization["id"],
        tier="PROFESSIONAL",
        maxMachines=5,
        allowedProducts=["itechsmart-ninja"],
    )

    answer = await validate(api, license["licenseKey"], productId="itechsmart-ninja", anything="else")

    assert answer == {
        "valid": True,
        "code": "VALID",
        "reason": None,
        "license": {
            "id": license["id"],
            "tier": "PROFESSIONAL",
            "status": "ACTIVE",
            "organization": "Acme Corp",
            "maxUsers": 100,
            "maxProducts": 15,
            "maxMachines": 5,
            "allowedProducts": ["itechsmart-ninja"],
            "products": ["itechsmart-ninja"],
            "features": {"priority_support": True, "custom_branding": True},
            "expiresAt": None,
            "isTrial": False,
            "trialEndsAt": None,
        },
    }


async def test_an_unknown_license_key_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await validate(client, "AAAA-BBBB-CCCC-DDDD-EEEE")

    assert answer == {"valid": False, "code": "NOT_FOUND", "reason": "Invalid license key", "license": None}


async def test_twenty_machines_on_five_seats_give_exactly_five_valid(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=5)

    answers = await asyncio.gather(
        *(validate(api, license["licenseKey"], machineId=f"machine-{number}") for number in range(20))
    )

    codes = sorted(answer["code"] for answer in answers)
    assert codes == ["TOO_MANY_MACHINES"] * 15 + ["VALID"] * 5


async def test_an_answer_given_is_a_row_written(api: httpx.AsyncClient, fresh_database: str) -> None:
    license = await issue_license(api, maxMachines=1)

    await validate(api, license["licenseKey"])
    await validate(api, license["licenseKey"], machineId="one")
    await validate(api, license["licenseKey"], machineId="two")
    await validate(api, "WRONG-KEY-OF-ANOTHER-SHAPE")

    with psycopg.connect(fresh_database) as connection:
        rows: list[Any] = connection.execute("SELECT code, host(ip) FROM validation_events ORDER BY id").fetchall()
    assert rows == [
        ("VALID", "192.0.2.7"),
        ("VALID", "192.0.2.7"),
        ("TOO_MANY_MACHINES", "192.0.2.7"),
        ("NOT_FOUND", "192.0.2.7"),
    ]


async def test_a_suspension_is_seen_by_the_next_validation(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    assert (await validate(api, license["licenseKey"]))["code"] == "VALID"

    await api.post(f"/api/licenses/{license['id']}/suspend")

    assert (await validate(api, license["licenseKey"]))["reason"] == "License is suspended"


async def test_a_license_expires_at_its_moment(api: httpx.AsyncClient, clock: Clock) -> None:
    license = await issue_license(api, expiresAt="2026-03-02T12:00:00Z")

    clock.forward(hours=23, minutes=59)
    before = await validate(api, license["licenseKey"])
    clock.forward(minutes=1)
    after = await validate(api, license["licenseKey"])

    assert (before["code"], after["code"], after["reason"]) == ("VALID", "EXPIRED", "License expired")


@pytest.mark.parametrize("empty", [{"productId": ""}, {"machineId": " "}, {"entitlements": None}, {"productId": None}])
async def test_what_a_client_leaves_empty_was_not_asked(api: httpx.AsyncClient, empty: dict[str, Any]) -> None:
    license = await issue_license(api)

    assert (await validate(api, license["licenseKey"], **empty))["code"] == "VALID"


async def test_an_empty_license_key_is_unknown(client: httpx.AsyncClient) -> None:
    assert (await validate(client, ""))["reason"] == "Invalid license key"


async def test_a_machine_id_may_hold_line_breaks(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, maxMachines=1)

    first = await validate(api, license["licenseKey"], machineId="SerialNumber\r\r\n4711")
    again = await validate(api, license["licenseKey"], machineId="SerialNumber\r\r\n4711 ")

    assert (first["code"], again["code"]) == ("VALID", "VALID")
