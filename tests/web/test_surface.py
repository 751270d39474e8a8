"""What anybody can reach gives nothing away and believes nothing: hosts, redirects, origins, names of programs."""

from __future__ import annotations

import httpx
import pytest

from tests.factories.http import create_organization
from tests.web.routes import ACCESS

EVIL = "evil.example"
CLAIMS = {
    "Host": EVIL,
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Proto": "gopher",
    "Forwarded": f"host={EVIL}",
    "X-Original-URL": "/api/api-keys",
    "X-Rewrite-URL": "/api/api-keys",
    "X-HTTP-Method-Override": "DELETE",
}
PATHS = sorted({route.split(" ")[1].replace("{", "").replace("}", "") for route in ACCESS})


@pytest.mark.parametrize("path", PATHS)
async def test_no_answer_repeats_a_host_that_a_client_claims(refused_client: httpx.AsyncClient, path: str) -> None:
    response = await refused_client.get(path, headers=CLAIMS)

    assert EVIL not in response.text
    assert EVIL not in str(response.headers)
    assert not 300 <= response.status_code < 400 or response.headers["location"].startswith("/")


async def test_the_location_of_a_creation_is_a_path_of_this_server(api: httpx.AsyncClient) -> None:
    api.headers.update(CLAIMS)

    made = await create_organization(api)
    response = await api.post("/api/products", json={"id": "ninja", "name": "Ninja"})

    assert made["id"]
    assert response.headers["location"] == "/api/products/ninja"


@pytest.mark.parametrize(
    "path", ["//evil.example", "/api//evil.example/", "/health/", "/%2f%2fevil.example", "/\\evil.example"]
)
async def test_no_path_is_redirected(refused_client: httpx.AsyncClient, path: str) -> None:
    response = await refused_client.get(f"http://license-server{path}")

    assert response.status_code in (401, 404)
    assert "location" not in response.headers


@pytest.mark.parametrize("path", ["/health", "/api/licenses", "/nowhere"])
async def test_pages_of_other_origins_are_told_nothing(refused_client: httpx.AsyncClient, path: str) -> None:
    asked = await refused_client.get(path, headers={"Origin": f"https://{EVIL}"})
    before = await refused_client.options(
        path, headers={"Origin": f"https://{EVIL}", "Access-Control-Request-Method": "GET"}
    )

    for response in (asked, before):
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "DEBUG", "PROPFIND"])
async def test_methods_that_nobody_needs_are_refused_without_an_echo(
    refused_client: httpx.AsyncClient, method: str
) -> None:
    response = await refused_client.request(method, "/api/licenses", headers={"X-Secret": "do-not-echo"})

    assert response.status_code == 405
    assert "do-not-echo" not in response.text


async def test_no_answer_names_the_programs_behind_it(refused_client: httpx.AsyncClient) -> None:
    for path in ("/health", "/nowhere", "/api/licenses"):
        response = await refused_client.get(path)

        assert not {"server", "x-powered-by", "via"} & set(response.headers)
        for name in ("uvicorn", "starlette", "fastapi", "python", "postgres"):
            assert name not in f"{response.text} {response.headers}".lower()
