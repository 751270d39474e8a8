"""Things made over HTTP, for tests of the doors."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

_numbers = itertools.count(1)


async def create_organization(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """An organization with a domain of its own."""
    number = next(_numbers)
    body = {"name": "Acme Corp", "domain": f"acme-{number}.example", "email": "it@acme.example", **fields}
    return _created(await api.post("/api/organizations", json=body))


async def create_product(api: httpx.AsyncClient, product_id: str) -> dict[str, Any]:
    """A product."""
    return _created(await api.post("/api/products", json={"id": product_id, "name": product_id.title()}))


async def issue_license(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """An UNLIMITED license of a new organization, with its license key."""
    if "organizationId" not in fields:
        fields["organizationId"] = (await create_organization(api))["id"]
    body = {"tier": "UNLIMITED", **fields}
    if "planId" in body:
        del body["tier"]
    return _created(await api.post("/api/licenses", json=body))


async def validate(client: httpx.AsyncClient, license_key: str, **fields: Any) -> dict[str, Any]:
    """The answer to a validation."""
    response = await client.post("/api/licenses/validate", json={"licenseKey": license_key, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body
