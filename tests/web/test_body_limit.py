"""Bodies: only so much of them, and only for so long."""

from __future__ import annotations

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from app.web.middleware.body_limit import BodyLimit


async def read_body(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that wants the whole body."""
    await Request(scope, receive).body()


async def test_a_body_that_never_ends_is_given_up() -> None:
    async def stall() -> Message:
        never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await never

    async def nowhere(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "http", "headers": [(b"content-length", b"10")]}

    with pytest.raises(HTTPException) as refusal:
        await BodyLimit(read_body, max_bytes=100, seconds=0.05)(scope, stall, nowhere)

    assert refusal.value.status_code == 408
