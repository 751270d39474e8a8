"""CORS: pages of the origins in CORS_ORIGIN may call; a refused preflight is a problem like every failure."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from app.web import problems

REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Traceparent",
    "X-API-Key",
    "X-Request-ID",
)
ANSWER_HEADERS = (
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Traceparent",
    "X-Request-ID",
)


class CrossOrigin(CORSMiddleware):
    """Starlette's CORS middleware with our headers and problems."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PATCH", "PUT", "DELETE"),
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Say yes, or refuse with a problem."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == HTTPStatus.OK:
            return answer
        return problems.problem(answer.status_code, "CORS_REFUSED", bytes(answer.body).decode() + "; see CORS_ORIGIN.")
