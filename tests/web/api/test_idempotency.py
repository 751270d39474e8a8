"""A creation that is sent twice with one Idempotency-Key happens once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission
from tests.conftest import Clock, make_api_key, make_client
from tests.factories.http import create_organization, issue_license
from tests.web.problem import read_problem

KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


async def _issue(api: httpx.AsyncClient, organization_id: str, **fields: Any) -> httpx.Response:
    wish = {"organizationId": organization_id, "tier": "TRIAL", **fields}
    return await api.post("/api/licenses", json=wish, headers=KEY)


async def _count(api: httpx.AsyncClient, path: str) -> int:
    return len((await api.get(path)).json()["items"])


async def test_the_same_request_gets_the_same_answer_with_its_secrets(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)

    first = await _issue(api, organization["id"])
    second = await _issue(api, organization["id"])

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert first.json()["licenseKey"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert await _count(api, "/api/licenses") == 1


async def test_an_api_key_is_answered_again_with_its_secret(api: httpx.AsyncClient) -> None:
    wish = {"name": "CI", "scopes": ["products:read"]}

    answers = [(await api.post("/api/api-keys", json=wish, headers=KEY)).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["apiKey"].startswith("itsk_")


async def test_another_body_with_the_same_key_is_409(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)
    await _issue(api, organization["id"])

    response = await _issue(api, organization["id"], maxUsers=7)

    read_problem(response, 409, "IDEMPOTENCY_KEY_REUSED")
    assert await _count(api, "/api/licenses") == 1


async def test_two_at_the_same_time_create_once(api: httpx.AsyncClient) -> None:
    organization = await create_organization(api)

    answers = await asyncio.gather(*(_issue(api, organization["id"]) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await _count(api, "/api/licenses") == 1


async def test_after_a_day_the_key_is_new(api: httpx.AsyncClient, clock: Clock) -> None:
    organization = await create_organization(api)
    first = await _issue(api, organization["id"])

    clock.forward(hours=24)
    within = await _issue(api, organization["id"])
    clock.forward(seconds=1)
    after = await _issue(api, organization["id"])

    assert first.content == within.content
    assert after.json()["id"] != first.json()["id"]
    assert await _count(api, "/api/licenses") == 2


async def test_keys_of_different_callers_never_meet(api: httpx.AsyncClient, app: FastAPI) -> None:
    organization = await create_organization(api)
    async with make_client(app, await make_api_key(app, frozenset(Permission))) as other:
        answers = [await _issue(caller, organization["id"]) for caller in (api, other)]

    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_a_creation_that_failed_is_tried_again(api: httpx.AsyncClient) -> None:
    wish = {"organizationId": (await create_organization(api))["id"], "tier": "TRIAL", "allowedProducts": ["late"]}
    failed = await api.post("/api/licenses", json=wish, headers=KEY)
    await api.post("/api/products", json={"id": "late", "name": "Late"})

    response = await api.post("/api/licenses", json=wish, headers=KEY)

    assert (failed.status_code, response.status_code) == (422, 201)


async def test_the_same_key_on_another_route_is_409(api: httpx.AsyncClient) -> None:
    await api.post("/api/products", json={"id": "a", "name": "A"}, headers=KEY)

    response = await api.post("/api/plans", json={"name": "A", "tier": "A"}, headers=KEY)

    read_problem(response, 409, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("action", ["suspend", "revoke", "renew"])
async def test_a_change_of_state_that_is_sent_twice_is_answered_alike(api: httpx.AsyncClient, action: str) -> None:
    license = await issue_license(api)
    path = f"/api/licenses/{license['id']}/{action}"
    body = {"expiresAt": "2030-01-01T00:00:00Z"} if action == "renew" else None

    answers = [await api.post(path, json=body, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
