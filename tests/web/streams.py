"""A client that reads an answer while it is being sent, and hangs up when it likes; httpx would wait for the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ServerSent:
    """An event with its data, or a comment."""

    event: str | None
    data: Any
    comment: str | None = None


def read_event(block: bytes) -> ServerSent:
    """What one block of a stream says."""
    lines = dict(line.split(": ", 1) for line in block.decode().strip().split("\n"))
    if "" in lines:
        return ServerSent(None, None, lines[""])
    assert set(lines) == {"event", "data"}, block
    return ServerSent(lines["event"], json.loads(lines["data"]))


class Stream:
    """An answer under way."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._to_app.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.receive = self._to_app.get
        self.send = self.messages.put

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers."""
        start = await asyncio.wait_for(self.messages.get(), SECONDS)
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}

    async def next(self) -> ServerSent | None:
        """The next event or comment; None at the end of the stream."""
        message = await asyncio.wait_for(self.messages.get(), SECONDS)
        return read_event(message["body"]) if message["body"] else None

    def hang_up(self) -> None:
        """Close the connection."""
        self._to_app.put_nowait({"type": "http.disconnect"})


@asynccontextmanager
async def streaming(app: FastAPI, path: str, api_key: str, **headers: str) -> AsyncIterator[Stream]:
    """An answer that is read while it comes; at the end the client hangs up, and the server has noticed."""
    stream = Stream()
    given = {"host": "license-server", "x-api-key": api_key, **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("192.0.2.7", 50000),
        "server": ("license-server", 80),
        "state": {},
    }
    answering = asyncio.create_task(app(scope, stream.receive, stream.send))
    try:
        yield stream
    finally:
        stream.hang_up()
        await asyncio.wait_for(answering, SECONDS)
