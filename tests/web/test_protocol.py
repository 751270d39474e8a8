"""The port itself: what is no request, too much of one, or never becomes one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.web.protocol import BoundedProtocol
from tests.live import free_port

END_SECONDS = 5.0


class ImpatientProtocol(BoundedProtocol):
    """As patient as a test can wait."""

    head_seconds = 0.2


class StartedServer(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        self.has_started.set()


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers everything."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a server with the protocol."""
    number = free_port()
    config = uvicorn.Config(hello, port=number, http=ImpatientProtocol, log_config=None, lifespan="off")
    server = StartedServer(config)
    serving = asyncio.create_task(server.serve())
    await server.has_started.wait()
    yield number
    server.should_exit = True
    await serving


async def answer_to(port: int, *parts: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(END_SECONDS):
        answer = await reader.read()
    writer.close()
    return answer


async def test_what_is_no_request_is_answered_with_a_problem(port: int) -> None:
    head, _, body = (await answer_to(port, b"\x00garbage\r\n\r\n")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n")
    assert json.loads(body)["code"] == "MALFORMED_REQUEST"


async def test_headers_without_end_are_refused(port: int) -> None:
    head, _, body = (
        await answer_to(port, b"GET / HTTP/1.1\r\n", *[b"x-header: " + b"y" * 1000 + b"\r\n"] * 70)
    ).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == "HEADERS_TOO_LARGE"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="says nothing"),
        pytest.param((b"GET / HTTP/1.1\r\nhost: x\r\n",), id="half a head"),
        pytest.param((b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT",), id="half a second head"),
    ],
)
async def test_a_connection_that_never_becomes_a_request_is_closed(port: int, parts: tuple[bytes, ...]) -> None:
    answer = await answer_to(port, *parts)

    assert answer.count(b"HTTP/1.1 200 OK") == b"".join(parts).count(b"\r\n\r\n")


async def test_a_connection_is_kept_for_the_next_request(port: int) -> None:
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"

    answer = await answer_to(port, request, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200 OK") == 2
