"""The audit trail over HTTP: what operators see of all, tenants of their own; filters, pages and exports."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from app.db import events
from app.domain.events import EventName
from app.domain.permissions import COMMAND_LINE, Role
from app.ops import audit_chain
from app.runtime import Runtime
from app.services.audit_events import EXPORTED_AT_ONCE
from tests.conftest import Clock
from tests.factories.http import create_organization, create_product
from tests.web.logs import LogLines
from tests.web.pages import read_all_pages
from tests.web.people import make_user, session_of
from tests.web.problem import read_problem

TRAIL = "/admin/audit-events"


async def items(client: httpx.AsyncClient, **parameters: str) -> list[dict[str, Any]]:
    response = await client.get(TRAIL, params=parameters)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["items"]
    return found


async def subjects(client: httpx.AsyncClient, **parameters: str) -> list[str]:
    return [item["subjectId"] for item in await items(client, event="product.created", **parameters)]


async def admin_of(app: FastAPI, organization_id: str) -> httpx.AsyncClient:
    """A client that an admin of the organization has signed in to."""
    return await session_of(app, await make_user(app, Role.ADMIN, organization_id))


async def test_an_event_says_who_what_before_after_from_where_and_in_which_request(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    await create_product(api, "ninja")
    await api.patch("/api/products/ninja", json={"name": "Shuriken"}, headers={"X-Request-ID": "wish-1"})

    [event, _] = await items(api, subjectId="ninja")

    assert event == {
        "id": event["id"],
        "occurredAt": "2026-03-01T12:00:00.000Z",
        "event": "product.changed",
        "subjectId": "ninja",
        "organizationId": None,
        "actor": {"kind": "api_key", "id": event["actor"]["id"], "name": "tests"},
        "ip": "192.0.2.7",
        "requestId": "wish-1",
        "data": {"changed": ["name"], "before": {"name": "Ninja"}, "after": {"name": "Shuriken"}},
        "position": None,
        "isSealed": False,
    }
    await audit_chain.seal(app.state.runtime.database, app.state.runtime.vault, now=app.state.runtime.now())
    sealed = (await api.get(f"{TRAIL}/{event['id']}")).json()
    assert (sealed["position"], sealed["isSealed"]) == (3, True)
    assert {**sealed, "position": None, "isSealed": False} == event


async def test_each_filter_finds_what_it_names(api: httpx.AsyncClient, clock: Clock) -> None:
    await create_product(api, "one")
    clock.forward(hours=1)
    response = await api.post("/api/products", json={"id": "two", "name": "Two"}, headers={"X-Request-ID": "r-two"})
    assert response.status_code == 201
    organization = await create_organization(api)
    actor = (await items(api, subjectId="one"))[0]["actor"]["id"]

    assert await subjects(api) == ["two", "one"]
    assert await subjects(api, subjectId="one") == ["one"]
    assert await subjects(api, requestId="r-two") == ["two"]
    assert await subjects(api, actorId=actor) == ["two", "one"]
    assert await subjects(api, actorId=str(uuid4())) == []
    assert await subjects(api, ip="192.0.2.7") == ["two", "one"]
    assert await subjects(api, ip="2001:db8::1") == []
    assert await subjects(api, since="2026-03-01T13:00:00Z") == ["two"]
    assert await subjects(api, until="2026-03-01T13:00:00Z") == ["one"]
    assert [item["event"] for item in await items(api, organizationId=organization["id"])] == ["organization.created"]


async def test_the_list_is_newest_first_and_whole_over_all_pages(api: httpx.AsyncClient) -> None:
    for number in range(7):
        await create_product(api, f"product-{number}")

    *found, first = await read_all_pages(api, TRAIL, limit=3)

    assert [item["subjectId"] for item in found] == [f"product-{number}" for number in reversed(range(7))]
    assert first["event"] == "api_key.created"


@pytest.mark.parametrize(
    "query", ["event=unheard.of", "actorId=x", "ip=300.0.0.1", "since=yesterday", "until=2026-01-01", "format=xml"]
)
async def test_a_filter_that_makes_no_sense_is_told(refused_api: httpx.AsyncClient, query: str) -> None:
    document = read_problem(await refused_api.get(f"{TRAIL}/export?{query}"), 422, "VALIDATION_FAILED")

    assert document["errors"][0]["field"] == query.split("=")[0]


async def test_an_event_that_is_not_there_is_404(refused_api: httpx.AsyncClient) -> None:
    read_problem(await refused_api.get(f"{TRAIL}/{uuid4()}"), 404, "AUDIT_EVENT_NOT_FOUND")


async def test_an_admin_sees_the_own_organization_under_api_and_nothing_under_admin(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    own, other = await create_organization(api), await create_organization(api)
    await api.patch(f"/api/organizations/{own['id']}", json={"name": "New"})

    async with await admin_of(app, own["id"]) as admin:
        found = (await admin.get("/api/audit-events")).json()["items"]
        refused = await admin.get(TRAIL)
        strange = (await admin.get("/api/audit-events", params={"subjectId": other["id"]})).json()["items"]

    assert [item["event"] for item in found] == ["organization.changed", "organization.created"]
    assert (found[0]["actor"], found[0]["ip"]) == ({"kind": "api_key", "id": None, "name": "Operator"}, None)
    assert {item["organizationId"] for item in found} == {own["id"]}
    assert "operators of the installation" in read_problem(refused, 403, "FORBIDDEN")["detail"]
    assert strange == []


async def test_an_export_is_the_whole_trail_in_order_and_recorded(app: FastAPI, api: httpx.AsyncClient) -> None:
    runtime: Runtime = app.state.runtime
    async with runtime.database.transaction() as tx:
        for number in range(EXPORTED_AT_ONCE + 7):
            await events.record(tx, COMMAND_LINE, EventName.LICENSE_CHANGED, f"license {number}", now=runtime.now())

    response = await api.get(f"{TRAIL}/export", params={"event": "license.changed"})

    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["subjectId"] for line in lines] == [f"license {number}" for number in range(EXPORTED_AT_ONCE + 7)]
    assert lines[0] == (await api.get(f"{TRAIL}/{lines[0]['id']}")).json()
    assert response.headers["content-type"] == "application/jsonl"
    disposition = response.headers["content-disposition"]
    assert disposition == 'attachment; filename="audit-events-20260301T120000Z.jsonl"'
    [recorded] = await items(api, event="audit.exported")
    assert recorded["data"] == {"format": "jsonl", "filter": {"event": "license.changed"}}


async def test_an_export_in_csv_can_be_read_by_a_spreadsheet(api: httpx.AsyncClient) -> None:
    await create_product(api, "ninja")

    response = await api.get(f"{TRAIL}/export", params={"format": "csv", "subjectId": "ninja"})

    [row] = csv.DictReader(io.StringIO(response.text, newline=""))
    assert (row["event"], row["actorName"], json.loads(row["data"])) == (
        "product.created",
        "tests",
        {"after": {"name": "Ninja"}},
    )
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].endswith('.csv"')


async def test_reading_the_trail_is_a_security_event(api: httpx.AsyncClient, log_lines: LogLines) -> None:
    await items(api)
    await api.get(f"{TRAIL}/export")

    told = [line for line in log_lines.read() if line["event"] == "sensitive_read"]
    assert [(line["message"], line["caller_kind"], line["ip"]) for line in told] == [
        ("Audit trail was read", "api_key", "192.0.2.7")
    ] * 2
