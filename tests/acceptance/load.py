"""Clients of our own: a crowd that remembers everything that went wrong, and one that stops in mid-sentence."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass, field

VALIDATE = (
    b"POST /api/licenses/validate HTTP/1.1\r\nHost: licenses\r\nContent-Type: application/json\r\n"
    b'Content-Length: 42\r\n\r\n{"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"}'
)
ASK_SECONDS = 20.0


@dataclass
class Load:
    """What a crowd of clients saw; `is_refused` turns true when nobody listens on the port any more."""

    port: int
    statuses: Counter[int] = field(default_factory=Counter)
    told_to_close: int = 0
    lost: list[str] = field(default_factory=list)
    is_refused: bool = False

    async def run(self, clients: int) -> None:
        """Ask until the port is closed."""
        await asyncio.gather(*(self._client() for _ in range(clients)))

    async def _client(self) -> None:
        while not self.is_refused:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionRefusedError:
                self.is_refused = True
                return
            try:
                await self._ask_until_told_to_close(reader, writer)
            finally:
                writer.close()

    async def _ask_until_told_to_close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(VALIDATE)
            try:
                status, is_last = await asyncio.wait_for(_read_answer(reader), ASK_SECONDS)
            except (OSError, EOFError, TimeoutError) as error:
                self.lost.append(repr(error))
                return
            self.statuses[status] += 1
            if is_last:
                self.told_to_close += 1
                return
            await asyncio.sleep(0.02)


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    [length] = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(length))
    return int(head.split()[1]), b"connection: close" in head


def half_asked(port: int) -> socket.socket:
    """A connection whose request is under way: its head has arrived, most of its body has not."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(
        b"POST /api/licenses/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 42\r\nExpect: 100-continue\r\n\r\n"
    )
    assert connection.recv(1000).startswith(b"HTTP/1.1 100")
    connection.sendall(b"{")
    return connection
