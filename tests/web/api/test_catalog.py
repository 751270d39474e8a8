"""Organizations, products and plans over HTTP."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from tests.factories.http import create_organization, create_product, issue_license
from tests.web.pages import read_all_pages
from tests.web.problem import read_problem

NOBODY = "00000000-0000-0000-0000-000000000000"
MOMENT = "2026-03-01T12:00:00.000Z"
GIB = 1_073_741_824
LISTS = ["/api/organizations", "/api/products", "/api/plans", "/api/licenses", "/api/api-keys"]


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def test_a_created_organization_is_found_at_its_location(api: httpx.AsyncClient) -> None:
    wish = {"name": " Acme Corp ", "domain": "ACME.example", "email": "it@acme.example", "country": "DE"}

    response = await api.post("/api/organizations", json=wish)

    organization = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/organizations/{organization['id']}"
    assert organization == {
        "id": organization["id"],
        "name": "Acme Corp",
        "domain": "acme.example",
        "email": "it@acme.example",
        "phone": None,
        "address": None,
        "country": "DE",
        "suspendedAt": None,
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
    }
    assert (await api.get(response.headers["location"])).json() == organization


async def test_a_change_of_an_organization_leaves_out_what_it_leaves_out(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api, phone="123", address="Main Street 1")
    path = f"/api/organizations/{organization['id']}"

    changed = (await api.patch(path, json={"name": "New", "phone": None, "domain": "NEW.example"})).json()

    assert (changed["name"], changed["phone"], changed["address"]) == ("New", None, "Main Street 1")
    assert (changed["domain"], changed["email"]) == ("new.example", "it@acme.example")


@pytest.mark.parametrize(
    "change", [{"name": None}, {"domain": None}, {"email": None}, {"isSuspended": None}, {"id": 1}]
)
async def test_what_every_organization_has_cannot_be_null(api: httpx.AsyncClient, change: dict[str, Any]) -> None:
    organization = await create_organization(api)

    response = await api.patch(f"/api/organizations/{organization['id']}", json=change)

    document = read_problem(response, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in document["errors"]] == list(change)


async def test_a_domain_belongs_to_one_organization(api: httpx.AsyncClient) -> None:
    first = await create_organization(api)
    second = await create_organization(api)

    taken = await api.patch(f"/api/organizations/{second['id']}", json={"domain": first["domain"].upper()})

    read_problem(taken, 409, "ALREADY_EXISTS")


async def test_an_organization_is_found_by_its_domain(api: httpx.AsyncClient) -> None:
    await create_organization(api)
    wanted = await create_organization(api, domain="wanted.example")

    found = (await api.get("/api/organizations?domain=WANTED.example")).json()

    assert found == {"items": [wanted], "nextCursor": None}


async def test_suspending_twice_keeps_the_first_moment(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    path = f"/api/organizations/{organization['id']}"

    first = (await api.patch(path, json={"isSuspended": True})).json()
    second = (await api.patch(path, json={"isSuspended": True})).json()
    third = (await api.patch(path, json={"isSuspended": False})).json()

    assert (first["suspendedAt"], second["suspendedAt"], third["suspendedAt"]) == (MOMENT, MOMENT, None)


async def test_a_product_is_created_renamed_and_found(api: httpx.AsyncClient) -> None:
    response = await api.post("/api/products", json={"id": "itechsmart-ninja", "name": "Ninja"})
    renamed = await api.patch("/api/products/itechsmart-ninja", json={"name": "Ninja 2"})

    assert response.status_code == 201
    assert response.headers["location"] == "/api/products/itechsmart-ninja"
    assert response.json() == {
        "id": "itechsmart-ninja",
        "name": "Ninja",
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
    }
    assert renamed.json()["name"] == "Ninja 2"
    assert (await api.get(response.headers["location"])).json() == renamed.json()
    read_problem(await api.post("/api/products", json={"id": "itechsmart-ninja", "name": "N"}), 409, "ALREADY_EXISTS")


async def test_a_plan_is_created_changed_and_used(api: httpx.AsyncClient) -> None:
    wish = {"name": "Campus", "tier": "CAMPUS", "maxUsers": 7, "maxStorageBytes": 10**15, "trialDays": 14}

    response = await api.post("/api/plans", json=wish)
    path = response.headers["location"]
    changed = (await api.patch(path, json={"maxUsers": 8, "maxStorageBytes": None})).json()
    license = await issue_license(api, planId=response.json()["id"])

    plan = response.json()
    assert plan == {
        "id": plan["id"],
        "name": "Campus",
        "tier": "CAMPUS",
        "isTierDefault": True,
        "maxUsers": 7,
        "maxProducts": None,
        "maxMachines": None,
        "maxApiCallsPerDay": None,
        "maxStorageBytes": 10**15,
        "features": {},
        "trialDays": 14,
        "machineBinding": "AUTOMATIC",
        "createdAt": MOMENT,
        "updatedAt": MOMENT,
    }
    assert (changed["maxUsers"], changed["maxStorageBytes"], changed["trialDays"]) == (8, None, 14)
    assert (await api.get(path)).json() == changed
    assert (license["maxUsers"], license["isTrial"], license["trialEndsAt"]) == (8, True, "2026-03-15T12:00:00.000Z")
    assert (await api.patch(path, json={"trialDays": None})).json()["trialDays"] is None


async def test_the_five_tiers_are_plans(api: httpx.AsyncClient) -> None:
    plans = (await api.get("/api/plans")).json()["items"]

    terms = [(plan["tier"], plan["maxApiCallsPerDay"], plan["maxStorageBytes"], plan["trialDays"]) for plan in plans]
    assert terms == [
        ("TRIAL", 1_000, 10 * GIB, 30),
        ("STARTER", 10_000, 100 * GIB, None),
        ("PROFESSIONAL", 50_000, 500 * GIB, None),
        ("ENTERPRISE", 1_000_000, 2048 * GIB, None),
        ("UNLIMITED", None, 10_240 * GIB, None),
    ]


async def test_pages_hold_everything_exactly_once(api: httpx.AsyncClient) -> None:
    products = [f"p{number}" for number in range(7)]
    for product in products:
        await create_product(api, product)
    organizations = [(await create_organization(api))["id"] for _ in range(4)]

    listed_products = await read_all_pages(api, "/api/products", limit=2)
    listed_organizations = await read_all_pages(api, "/api/organizations", limit=2)
    listed_plans = await read_all_pages(api, "/api/plans", limit=1)

    assert [product["id"] for product in listed_products] == products
    assert [organization["id"] for organization in listed_organizations] == organizations[::-1]
    assert len(listed_plans) == 5


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("cursor", ["%20", "x", "=", "é", "%00", "%FF", "!!!!", _cursor("\0"), _cursor("a\0b"), "gICA"])
async def test_a_cursor_that_was_never_given_is_422(refused_api: httpx.AsyncClient, path: str, cursor: str) -> None:
    read_problem(await refused_api.get(f"{path}?cursor={cursor}"), 422, "INVALID_CURSOR")


@pytest.mark.parametrize(
    "position",
    [
        "",
        " ",
        "2026-03-01T12:00:00+00:00",
        f"2026-03-01 {NOBODY}",
        f"x {NOBODY}",
        f"0001-01-01T00:00:00+23:59 {NOBODY} ",
    ],
)
async def test_a_validation_cursor_that_was_never_given_is_422(api: httpx.AsyncClient, position: str) -> None:
    license = await issue_license(api)

    response = await api.get(f"/api/licenses/{license['id']}/validations?cursor={_cursor(position)}")

    read_problem(response, 422, "INVALID_CURSOR")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/api/organizations/{NOBODY}", "ORGANIZATION_NOT_FOUND"),
        ("/api/products/none", "PRODUCT_NOT_FOUND"),
        (f"/api/plans/{NOBODY}", "PLAN_NOT_FOUND"),
    ],
)
async def test_what_does_not_exist_is_404(refused_api: httpx.AsyncClient, path: str, code: str) -> None:
    read_problem(await refused_api.get(path), 404, code)
    read_problem(await refused_api.patch(path, json={"name": "x"}), 404, code)


async def test_plans_of_a_new_tier_made_at_once_are_all_made_and_one_is_its_default(api: httpx.AsyncClient) -> None:
    wishes = [{"name": f"Gold {number}", "tier": "GOLD"} for number in range(4)]

    made = [response.json() for response in await asyncio.gather(*(api.post("/api/plans", json=w) for w in wishes))]

    assert sorted(plan["isTierDefault"] for plan in made) == [False, False, False, True]
