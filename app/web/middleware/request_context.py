"""Around every request: its id, its client, its one log line, the headers of every answer, a net for defects."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.runtime import Runtime
from app.telemetry.logging import access_logger, log, request_id_var
from app.telemetry.values import Own
from app.web import client_address, problems, rate_limits
from app.web.client_address import Network
from app.web.log_fields import SCOPE_FIELDS

QUIET_PATHS = frozenset({"/health", "/livez", "/readyz", "/metrics"})
MAX_LOGGED_PATH = 500

_SHOWN_AS_IT_IS = "/-._~!$&'()*+,;=:@"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")

_HEADERS_OF_EVERY_ANSWER = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]

logger = logging.getLogger(__name__)


class RequestContext:
    """Plain ASGI middleware: nothing a client sends can end in a traceback, a broken line or a missing one."""

    def __init__(self, app: ASGIApp, *, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = perf_counter()
        request_id, trace = _request_id(scope)
        token = request_id_var.set(request_id)
        ip = client_address.resolve(scope, self._trusted_proxies)
        answer = _Answer(scope, send, request_id, trace)
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            """Nobody is left to answer; the line says `aborted`."""
        except Exception:
            logger.exception("A request failed because of a defect", extra={"event": "defect"})
            if answer.status is None:
                await problems.internal_error()(scope, receive, answer.send)
        finally:
            _write_line(scope, answer.status, perf_counter() - started_at, ip, trace)
            request_id_var.reset(token)


def add_log_fields(scope: Scope, **fields: object) -> None:
    """Add members to the request's one log line; `event` and others given here win over the line's own."""
    scope.setdefault(SCOPE_FIELDS, {}).update(fields)


@dataclass(frozen=True, slots=True)
class _Trace:
    """The trace that a request belongs to (W3C Trace Context)."""

    id: str
    flags: str

    def of_our_span(self) -> bytes:
        """The traceparent that tells the caller which span of the trace this answer is."""
        return f"00-{self.id}-{secrets.token_hex(8)}-{self.flags}".encode()


class _Answer:
    """Passes an answer on, adds the headers that every answer has, and remembers its status."""

    def __init__(self, scope: Scope, send: Send, request_id: str, trace: _Trace | None) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._trace = trace
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            names = {name.lower() for name, _ in headers}
            headers.extend(header for header in _HEADERS_OF_EVERY_ANSWER if header[0] not in names)
            headers.append((b"x-request-id", self._request_id.encode()))
            headers.extend(rate_limits.headers(self._scope))
            if self._trace is not None:
                headers.append((b"traceparent", self._trace.of_our_span()))
            if _is_draining(self._scope):
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


def _is_draining(scope: Scope) -> bool:
    runtime: Runtime | None = getattr(scope["app"].state, "runtime", None) if "app" in scope else None
    return runtime is not None and runtime.is_draining


def _request_id(scope: Scope) -> tuple[str, _Trace | None]:
    given, trace = None, None
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            given = value.decode()
        elif name == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            trace = _Trace(match[1].decode(), match[2].decode())
    return given or (trace.id if trace else secrets.token_hex(16)), trace


def _shown(path: str) -> str:
    """The path so that nobody can write the phrases into it which the guide's searches look for."""
    return quote(path[:MAX_LOGGED_PATH], safe=_SHOWN_AS_IT_IS).replace("ERROR", "error")


def _is_fixed_route(scope: Scope, status: int | None) -> bool:
    """Whether the request found a route without parameters: then method and path are our own words."""
    return "endpoint" in scope and not scope.get("path_params") and status != HTTPStatus.METHOD_NOT_ALLOWED


def _write_line(scope: Scope, status: int | None, seconds: float, ip: str | None, trace: _Trace | None) -> None:
    """One line a request; `HTTP`, and the status in words for refusals, are what the guide's searches find."""
    is_own = _is_fixed_route(scope, status)
    path = Own(scope["path"]) if is_own else _shown(scope["path"])
    is_quiet = path in QUIET_PATHS and status != HTTPStatus.UNAUTHORIZED
    level = logging.DEBUG if is_quiet else logging.INFO
    if not access_logger.isEnabledFor(level):
        return
    fields = {"event": "request", **scope.get(SCOPE_FIELDS, {})}
    if status is not None and status >= HTTPStatus.BAD_REQUEST:
        fields["status_text"] = HTTPStatus(status).phrase
    if trace is not None:
        fields["trace_id"] = trace.id
    message = f"{scope['method']} {path} HTTP/{scope['http_version']} {status or 'aborted'}"
    if is_own:
        message = Own(message)
    log(
        access_logger,
        level,
        message,
        method=Own(scope["method"]) if is_own else scope["method"],
        path=path,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        ip=ip,
        **fields,
    )
