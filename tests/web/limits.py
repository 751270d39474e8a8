"""What tests of rate limits share: a server with limits, and requests that spend them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from app.settings import RateLimitPolicy
from tests.conftest import Clock, make_settings, running_app
from tests.web.people import EMAIL, sign_in
from tests.web.problem import read_problem

VALIDATE = "/api/licenses/validate"
UNKNOWN = {"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}

Server = Callable[..., AbstractAsyncContextManager[FastAPI]]


def limited_server(database_url: str, data_dir: Path, clock: Clock) -> Server:
    """A server with the limits that are given: `server(validate="3/minute")`; other settings by their full name."""

    @asynccontextmanager
    async def start(**given: object) -> AsyncIterator[FastAPI]:
        limits = {f"rate_limit_{name}": given.pop(name) for name in list(given) if name in set(RateLimitPolicy)}
        async with running_app(make_settings(database_url, data_dir, **given, **limits), clock) as app:
            yield app

    return start


async def validate(client: httpx.AsyncClient, license_key: str = UNKNOWN["licenseKey"]) -> httpx.Response:
    return await client.post(VALIDATE, json={"licenseKey": license_key})


async def try_password(
    client: httpx.AsyncClient, password: str = "wrong password", email: str = EMAIL
) -> httpx.Response:
    """The answer to a login, with a wrong password unless another is given."""
    return await sign_in(client, email, password)


async def statuses(*answers: Any) -> list[int]:
    return [answer.status_code for answer in await asyncio.gather(*answers)]


def limited(response: httpx.Response) -> None:
    """It is the refusal that everybody gets."""
    problem = read_problem(response, 429, "RATE_LIMITED")
    assert 1 <= int(response.headers["retry-after"]) <= 86_400
    assert problem["detail"].endswith(f"try again in {response.headers['retry-after']} s.")
