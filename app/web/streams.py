"""Answers that are sent piece by piece, for as long as somebody takes them."""

from __future__ import annotations

import asyncio

from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send


class BoundedStream(StreamingResponse):
    """An answer in pieces; a client that stops reading is given up, so that it does not keep its place."""

    send_seconds = 30.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until all is sent or the client hangs up.

        Starlette's own way cancels again and again, which costs a connection of the pool when it hits a statement.
        """
        sending = asyncio.create_task(self.stream_response(send))
        hanging_up = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait((sending, hanging_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            hanging_up.cancel()
            await asyncio.gather(sending, hanging_up, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def stream_response(self, send: Send) -> None:
        """Send everything."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self.send_seconds):
                    await send(message)
            except TimeoutError as error:
                raise ClientDisconnect from error

        await super().stream_response(send_in_time)
