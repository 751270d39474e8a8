"""uvicorn's HTTP protocol with bounds: how long a request's head may take, and how large it may be."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.web import problems

MAX_HEAD_BYTES = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections that say nothing, stop in the middle of a head, or send a head without end.

    The head is counted by chunks, so up to one chunk (256 KiB) more than the limit may have been read.
    """

    head_seconds = 20.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._is_in_head = True
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = self.loop.call_later(self.head_seconds, self._lose_patience)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is complete within one chunk, as nearly all are, costs no timer."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._is_in_head:
            self._be_patient()
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._patience is None:
            self._patience = self.loop.call_later(self.head_seconds, self._lose_patience)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete; its body may take longer, see `app.web.middleware.body_limit`."""
        super().on_headers_complete()
        self._is_in_head = False
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """What is no request at all is answered with a problem, too."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _refuse(self, status: HTTPStatus) -> None:
        body = bytes(problems.from_status(status).body)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {problems.MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _lose_patience(self) -> None:
        self._patience = None
        has_answered = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        if has_answered:
            self.transport.close()

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
