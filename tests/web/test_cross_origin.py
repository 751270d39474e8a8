"""Pages of other origins: none may call, but those that were named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Clock, make_client, make_settings, running_app
from tests.web.problem import read_problem

ORIGIN = "https://console.example.com"


@pytest.fixture
async def shared(fresh_database: str, tmp_path: Path, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that lets one origin in."""
    settings = make_settings(fresh_database, tmp_path, cors_origin=(ORIGIN,), max_body_bytes=2000)
    async with running_app(settings, clock) as application, make_client(application) as client:
        yield client


def preflight(origin: str) -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}


async def test_a_page_of_the_named_origin_may_call(shared: httpx.AsyncClient) -> None:
    response = await shared.options("/api/licenses", headers=preflight(ORIGIN))

    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, ORIGIN)


async def test_a_page_of_another_origin_is_refused_with_a_problem(shared: httpx.AsyncClient) -> None:
    response = await shared.options("/api/licenses", headers=preflight("https://evil.example.com"))

    read_problem(response, 400, "CORS_REFUSED")


async def test_a_page_can_read_why_its_body_was_refused(shared: httpx.AsyncClient) -> None:
    response = await shared.post("/api/licenses/validate", content=b"x" * 3000, headers={"Origin": ORIGIN})

    read_problem(response, 413, "BODY_TOO_LARGE")
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_without_the_setting_no_page_may_call(refused_client: httpx.AsyncClient) -> None:
    response = await refused_client.get("/livez", headers={"Origin": ORIGIN})

    assert "access-control-allow-origin" not in response.headers
