"""Licenses over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.conftest import Clock
from tests.factories.http import create_organization, create_product, issue_license, validate
from tests.web.pages import read_all_pages
from tests.web.problem import read_problem

NOBODY = "00000000-0000-0000-0000-000000000000"
TIERS = [
    ("TRIAL", 5, 3, {"demo_watermark": True}),
    ("STARTER", 25, 5, {"email_support": True}),
    ("PROFESSIONAL", 100, 15, {"priority_support": True, "custom_branding": True}),
    (
        "ENTERPRISE",
        1000,
        None,
        {"dedicated_support": True, "custom_branding": True, "sla": True, "audit_logs": True},
    ),
    (
        "UNLIMITED",
        None,
        None,
        {
            "white_label": True,
            "custom_integrations": True,
            "dedicated_support": True,
            "sla": True,
            "audit_logs": True,
            "custom_development": True,
        },
    ),
]


async def test_an_issued_license_is_answered_with_its_key_and_found_at_its_location(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    wish = {"organizationId": organization["id"], "tier": "STARTER", "expiresAt": "2027-01-01T00:00:00+02:00"}

    response = await api.post("/api/licenses", json=wish)

    issued = response.json()
    license_key = issued.pop("licenseKey")
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/licenses/{issued['id']}"
    assert len(license_key) == 24
    assert issued == {
        "id": issued["id"],
        "organizationId": organization["id"],
        "planId": "019a0000-0000-7000-8000-000000000002",
        "tier": "STARTER",
        "status": "ACTIVE",
        "maxUsers": 25,
        "maxProducts": 5,
        "maxMachines": None,
        "allowedProducts": [],
        "features": {"email_support": True},
        "machineBinding": "AUTOMATIC",
        "startsAt": None,
        "expiresAt": "2026-12-31T22:00:00.000Z",
        "isTrial": False,
        "trialEndsAt": None,
        "createdAt": "2026-03-01T12:00:00.000Z",
        "updatedAt": "2026-03-01T12:00:00.000Z",
    }
    assert (await api.get(response.headers["location"])).json() == issued
    assert UUID(issued["id"]).version == 7


@pytest.mark.parametrize(("tier", "max_users", "max_products", "features"), TIERS)
async def test_a_tier_brings_its_defaults(
    api: httpx.AsyncClient, tier: str, max_users: int | None, max_products: int | None, features: dict[str, bool]
) -> None:
    license = await issue_license(api, tier=tier)

    assert license["maxUsers"] == max_users
    assert license["maxProducts"] == max_products
    assert license["features"] == features
    assert license["isTrial"] is (tier == "TRIAL")


async def test_a_trial_lasts_thirty_days(api: httpx.AsyncClient, clock: Clock) -> None:
    license = await issue_license(api, tier="TRIAL")
    assert license["trialEndsAt"] == "2026-03-31T12:00:00.000Z"

    clock.forward(days=29, hours=23, minutes=59)
    before = await validate(api, license["licenseKey"])
    clock.forward(minutes=1)
    after = await validate(api, license["licenseKey"])

    assert (before["code"], after["code"], after["reason"]) == ("VALID", "TRIAL_EXPIRED", "Trial period expired")


async def test_a_license_for_all_products_holds_the_full_list_and_later_ones_too(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, tier="ENTERPRISE")
    await create_product(api, "itechsmart-ninja")
    await create_product(api, "itechsmart-forge")

    answer = await validate(api, license["licenseKey"], productId="itechsmart-forge")

    assert answer["code"] == "VALID"
    assert answer["license"]["products"] == ["itechsmart-forge", "itechsmart-ninja"]
    assert answer["license"]["allowedProducts"] == ["itechsmart-forge", "itechsmart-ninja"]


async def test_a_product_that_is_not_included_is_refused(api: httpx.AsyncClient) -> None:
    await create_product(api, "itechsmart-ninja")
    await create_product(api, "itechsmart-forge")
    license = await issue_license(api, tier="STARTER", allowedProducts=["itechsmart-ninja"])

    answer = await validate(api, license["licenseKey"], productId="itechsmart-forge")

    assert (answer["code"], answer["reason"]) == ("PRODUCT_SCOPE_MISMATCH", "Product not included in license")


async def test_limits_that_are_given_override_and_null_is_no_limit(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, tier="TRIAL", maxUsers=None, maxProducts=None, maxMachines=7, isTrial=False)

    assert (license["maxUsers"], license["maxProducts"], license["maxMachines"]) == (None, None, 7)
    assert (license["isTrial"], license["trialEndsAt"], license["allowedProducts"]) == (False, None, None)


async def test_features_are_added_to_those_of_the_tier(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, tier="STARTER", features={"beta": True, "email_support": False})

    assert license["features"] == {"email_support": False, "beta": True}


async def test_unknown_products_are_named(api: httpx.AsyncClient) -> None:
    await create_product(api, "known")
    organization = await create_organization(api)
    wish = {"organizationId": organization["id"], "tier": "STARTER", "allowedProducts": ["known", "b", "a"]}

    document = read_problem(await api.post("/api/licenses", json=wish), 422, "UNKNOWN_PRODUCTS")

    assert document["detail"] == "There are no products with these ids: a, b."


async def test_more_products_than_allowed_are_refused_when_issued_and_when_changed(api: httpx.AsyncClient) -> None:
    for product in "abcd":
        await create_product(api, product)
    license = await issue_license(api, tier="TRIAL", allowedProducts=["a", "b", "c"])
    wish = {"organizationId": license["organizationId"], "tier": "TRIAL", "allowedProducts": ["a", "b", "c", "d"]}

    issued = await api.post("/api/licenses", json=wish)
    changed = await api.patch(f"/api/licenses/{license['id']}", json={"maxProducts": 2})

    read_problem(issued, 422, "TOO_MANY_PRODUCTS")
    assert read_problem(changed, 422, "TOO_MANY_PRODUCTS")["detail"] == (
        "`allowedProducts` names 3 products, but `maxProducts` is 2."
    )


async def test_a_product_that_is_named_twice_counts_once(api: httpx.AsyncClient) -> None:
    await create_product(api, "a")
    license = await issue_license(api, tier="TRIAL", maxProducts=1, allowedProducts=["a", "a"])

    changed = await api.patch(f"/api/licenses/{license['id']}", json={"allowedProducts": ["a", "a"]})

    assert license["allowedProducts"] == ["a"]
    assert changed.json()["allowedProducts"] == ["a"]


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"organizationId": NOBODY, "tier": "TRIAL"}, 404, "ORGANIZATION_NOT_FOUND"),
        ({"tier": "NO_SUCH_TIER"}, 404, "PLAN_NOT_FOUND"),
        ({"planId": NOBODY}, 404, "PLAN_NOT_FOUND"),
        ({}, 422, "VALIDATION_FAILED"),
        ({"tier": "TRIAL", "planId": NOBODY}, 422, "VALIDATION_FAILED"),
        ({"tier": "TRIAL", "expiresAt": "2026-03-01T12:00:00Z"}, 422, "INVALID_PERIOD"),
        (
            {"tier": "TRIAL", "startsAt": "2027-01-01T00:00:00Z", "expiresAt": "2026-12-31T00:00:00Z"},
            422,
            "INVALID_PERIOD",
        ),
    ],
)
async def test_a_license_that_cannot_be_issued_is_refused(
    api: httpx.AsyncClient, wish: dict[str, Any], status: int, code: str
) -> None:
    organization = await create_organization(api)

    response = await api.post("/api/licenses", json={"organizationId": organization["id"], **wish})

    read_problem(response, status, code)


@pytest.mark.parametrize("license_key", ["OLD-2019/0000.1", "customer:acme#7", "ünïcödé kéy", "x" * 200, "00000000"])
async def test_an_imported_key_of_any_shape_is_found(api: httpx.AsyncClient, license_key: str) -> None:
    license = await issue_license(api, licenseKey=license_key)

    assert license["licenseKey"] == license_key
    assert (await validate(api, f"  {license_key} "))["code"] == "VALID"


@pytest.mark.parametrize(
    "typed",
    ["abcd-efgh-jklm-npqr-stuv", "ABCDEFGHJKLMNPQRSTUV", "abcdefghjklmnpqrstuv", " abcd efgh jklm npqr stuv "],
)
async def test_a_key_is_found_however_it_is_typed(api: httpx.AsyncClient, typed: str) -> None:
    await issue_license(api, licenseKey="ABCD-EFGH-JKLM-NPQR-STUV")

    assert (await validate(api, typed))["code"] == "VALID"


async def test_a_license_key_exists_once(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, licenseKey="ABCD-EFGH-JKLM-NPQR-STUV")
    wish = {"organizationId": license["organizationId"], "tier": "TRIAL", "licenseKey": "abcdefghjklmnpqrstuv"}

    read_problem(await api.post("/api/licenses", json=wish), 409, "LICENSE_KEY_TAKEN")


async def test_members_that_are_left_out_stay_and_null_means_no_limit(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, tier="STARTER", maxMachines=3, expiresAt="2027-01-01T00:00:00Z")
    path = f"/api/licenses/{license['id']}"

    first = (await api.patch(path, json={"maxUsers": 0})).json()
    second = (await api.patch(path, json={"maxMachines": None, "expiresAt": None})).json()
    third = await api.patch(path, json={"allowedProducts": None})
    fourth = (await api.patch(path, json={"maxProducts": None, "allowedProducts": None})).json()

    assert (first["maxUsers"], first["maxMachines"], first["expiresAt"]) == (0, 3, "2027-01-01T00:00:00.000Z")
    assert (second["maxUsers"], second["maxMachines"], second["expiresAt"]) == (0, None, None)
    assert read_problem(third, 422, "TOO_MANY_PRODUCTS")["detail"].startswith(
        "`allowedProducts` null means every product"
    )
    assert (fourth["maxProducts"], fourth["allowedProducts"]) == (None, None)
    assert (await api.patch(path, json={})).json()["maxUsers"] == 0


@pytest.mark.parametrize("member", ["features", "machineBinding"])
async def test_what_every_license_has_cannot_be_null(api: httpx.AsyncClient, member: str) -> None:
    license = await issue_license(api)

    response = await api.patch(f"/api/licenses/{license['id']}", json={member: None})

    document = read_problem(response, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in document["errors"]] == [member]


@pytest.mark.parametrize("member", ["status", "tier", "licenseKey", "organizationId", "isTrial"])
async def test_what_cannot_be_changed_is_refused_and_named(api: httpx.AsyncClient, member: str) -> None:
    license = await issue_license(api)

    response = await api.patch(f"/api/licenses/{license['id']}", json={member: license[member]})

    document = read_problem(response, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in document["errors"]] == [member]


ACTIONS = {"suspend": {}, "reinstate": {}, "revoke": {}, "renew": {"expiresAt": "2030-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ([], "suspend", "SUSPENDED"),
        ([], "reinstate", None),
        ([], "revoke", "REVOKED"),
        ([], "renew", "ACTIVE"),
        (["suspend"], "suspend", None),
        (["suspend"], "reinstate", "ACTIVE"),
        (["suspend"], "revoke", "REVOKED"),
        (["suspend"], "renew", "SUSPENDED"),
        (["revoke"], "suspend", None),
        (["revoke"], "reinstate", None),
        (["revoke"], "revoke", None),
        (["revoke"], "renew", None),
    ],
)
async def test_a_license_goes_only_where_its_state_allows(
    api: httpx.AsyncClient, before: list[str], action: str, after: str | None
) -> None:
    license = await issue_license(api)
    path = f"/api/licenses/{license['id']}"
    for earlier in before:
        assert (await api.post(f"{path}/{earlier}")).status_code == 200

    response = await api.post(f"{path}/{action}", json=ACTIONS[action] or None)

    if after is None:
        read_problem(response, 409, "LICENSE_STATE_CONFLICT")
    else:
        assert (response.status_code, response.json()["status"]) == (200, after)
        assert (await api.get(path)).json()["status"] == after


async def test_each_state_is_seen_by_the_next_validation(api: httpx.AsyncClient, clock: Clock) -> None:
    license = await issue_license(api, tier="TRIAL")
    path = f"/api/licenses/{license['id']}"
    reasons = []

    for action in ("suspend", "reinstate", "revoke"):
        await api.post(f"{path}/{action}")
        reasons.append((await validate(api, license["licenseKey"]))["reason"])

    assert reasons == ["License is suspended", None, "License is cancelled"]


async def test_a_renewed_trial_is_a_full_license(api: httpx.AsyncClient, clock: Clock) -> None:
    license = await issue_license(api, tier="TRIAL")
    clock.forward(days=31)

    renewed = await api.post(f"/api/licenses/{license['id']}/renew", json={"expiresAt": "2027-04-01T12:00:00Z"})

    assert (renewed.json()["isTrial"], renewed.json()["trialEndsAt"]) == (False, None)
    assert (await validate(api, license["licenseKey"]))["code"] == "VALID"


async def test_a_renewal_needs_an_end_that_lies_ahead(api: httpx.AsyncClient) -> None:
    license = await issue_license(api, expiresAt="2026-06-01T00:00:00Z")
    path = f"/api/licenses/{license['id']}/renew"

    nothing = await api.post(path, json={})
    past = await api.post(path, json={"expiresAt": "2026-03-01T12:00:00Z"})
    endless = await api.post(path, json={"expiresAt": None})

    read_problem(nothing, 422, "VALIDATION_FAILED")
    read_problem(past, 422, "INVALID_PERIOD")
    assert endless.json()["expiresAt"] is None


async def test_a_suspended_organization_stops_all_its_licenses_at_once(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    first = await issue_license(api, organizationId=organization["id"])
    second = await issue_license(api, organizationId=organization["id"])
    other = await issue_license(api)
    path = f"/api/organizations/{organization['id']}"
    keys = [first["licenseKey"], second["licenseKey"], other["licenseKey"]]

    await api.patch(path, json={"isSuspended": True})
    suspended = [(await validate(api, key))["code"] for key in keys]
    await api.patch(path, json={"isSuspended": False})
    reinstated = [(await validate(api, key))["code"] for key in keys]

    assert suspended == ["ORGANIZATION_SUSPENDED", "ORGANIZATION_SUSPENDED", "VALID"]
    assert reinstated == ["VALID", "VALID", "VALID"]


async def test_the_license_key_is_shown_again_and_never_with_the_license(api: httpx.AsyncClient) -> None:
    license = await issue_license(api)
    path = f"/api/licenses/{license['id']}"

    shown = await api.post(f"{path}/show-key")

    assert shown.json() == {"licenseKey": license["licenseKey"]}
    assert license["licenseKey"] not in (await api.get(path)).text
    assert license["licenseKey"] not in (await api.get("/api/licenses")).text


async def test_filters_find_only_what_fits(api: httpx.AsyncClient) -> None:
    trial = await issue_license(api, tier="TRIAL")
    starter = await issue_license(api, tier="STARTER")
    await api.post(f"/api/licenses/{starter['id']}/suspend")

    async def find(query: str) -> list[str]:
        return [item["id"] for item in (await api.get(f"/api/licenses?{query}")).json()["items"]]

    assert await find("tier=TRIAL") == [trial["id"]]
    assert await find("status=SUSPENDED") == [starter["id"]]
    assert await find(f"organizationId={trial['organizationId']}") == [trial["id"]]
    assert await find("tier=TRIAL&status=SUSPENDED") == []
    assert await find("") == [starter["id"], trial["id"]]


async def test_pages_hold_every_license_exactly_once_newest_first(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    issued = [(await issue_license(api, organizationId=organization["id"]))["id"] for _ in range(7)]

    listed = await read_all_pages(api, "/api/licenses", limit=3)

    assert [item["id"] for item in listed] == issued[::-1]


@pytest.mark.parametrize("path", ["", "/machines", "/validations"])
async def test_an_unknown_license_is_404(api: httpx.AsyncClient, path: str) -> None:
    read_problem(await api.get(f"/api/licenses/{NOBODY}{path}"), 404, "LICENSE_NOT_FOUND")


@pytest.mark.parametrize("action", ["suspend", "reinstate", "revoke", "renew", "show-key"])
async def test_nothing_can_be_done_to_an_unknown_license(api: httpx.AsyncClient, action: str) -> None:
    response = await api.post(f"/api/licenses/{NOBODY}/{action}", json=ACTIONS.get(action) or None)

    read_problem(response, 404, "LICENSE_NOT_FOUND")
