"""The pages that mails link to load nothing from elsewhere and keep their token to themselves."""

from __future__ import annotations

import re

import httpx
import pytest

PAGES = ("accept-invitation", "reset-password", "confirm-registration")


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_has_a_policy_that_allows_its_own_files_alone(
    refused_client: httpx.AsyncClient, page: str
) -> None:
    response = await refused_client.get(f"/account/{page}")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers.get_list("content-security-policy") == [
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
    ]
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in response.text
    assert "style=" not in response.text
    assert "://" not in response.text


@pytest.mark.parametrize("page", PAGES)
async def test_every_field_of_a_page_has_a_label_and_every_file_is_there(
    refused_client: httpx.AsyncClient, page: str
) -> None:
    text = (await refused_client.get(f"/account/{page}")).text

    labels = re.findall(r'<label[^>]* for="(\w+)"', text)
    assert sorted(re.findall(r'<input id="(\w+)"', text)) == sorted(labels)
    files = re.findall(r'(?:href|src)="([^"]+)"', text)
    assert files == ["account.css", "account.js"]
    for file, kind in zip(files, ("text/css", "text/javascript"), strict=True):
        answer = await refused_client.get(f"/account/{file}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_talks_to_a_route_that_exists(refused_client: httpx.AsyncClient, page: str) -> None:
    text = (await refused_client.get(f"/account/{page}")).text
    [api] = re.findall(r'data-api="\.\.(/api/[^"]+)"', text)

    assert "post" in (await refused_client.get("/openapi.json")).json()["paths"][api]
