"""Problems: every failure as application/problem+json (RFC 9457) with a stable code."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from app.domain.errors import (
    Conflict,
    Denied,
    DomainError,
    FieldError,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from app.telemetry import security_log
from app.telemetry.logging import request_id_var
from app.telemetry.security_log import SecurityEvent
from app.web import rate_limits, suspicion
from app.web.client_address import client_ip
from app.web.log_fields import caller_fields

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20

STATUS_BY_FAMILY: Mapping[type[DomainError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Denied: HTTPStatus.FORBIDDEN,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
}

CODE_BY_STATUS: Mapping[int, tuple[str, str]] = {
    400: ("MALFORMED_REQUEST", "The request can't be read; send a JSON body with the right Content-Type."),
    404: ("ROUTE_NOT_FOUND", "There is nothing at this address; see /openapi.json."),
    405: ("METHOD_NOT_ALLOWED", "This address does not take this method; see the Allow header."),
    408: ("BODY_TIMEOUT", "The body did not arrive in time; send the request again."),
    413: ("BODY_TOO_LARGE", "The body is larger than MAX_BODY_BYTES allows."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "Send the body as application/json."),
    431: ("HEADERS_TOO_LARGE", "The request line and headers are larger than 64 KiB."),
}

logger = logging.getLogger(__name__)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, str] | None = None,
) -> Response:
    """A problem document; `requestId` is the one of the request's log line."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id_var.get(),
        **(members or {}),
    }
    if errors:
        document["errors"] = [{"field": error.field, "message": error.message} for error in errors]
    return Response(json.dumps(document), status, dict(headers or {}), MEDIA_TYPE)


def from_status(status: int, *, headers: Mapping[str, str] | None = None) -> Response:
    """The problem that a bare HTTP status stands for."""
    code, detail = CODE_BY_STATUS.get(status, (HTTPStatus(status).name, HTTPStatus(status).description))
    return problem(status, code, detail, headers=headers)


def internal_error() -> Response:
    """The answer to a defect of ours: it says nothing but where to look in the logs."""
    detail = "Something went wrong on our side; the log line with this requestId says what."
    return problem(500, "INTERNAL_ERROR", detail)


def install(app: FastAPI) -> None:
    """Translate every kind of failure."""
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)


def from_domain(error: DomainError) -> Response:
    """The problem that a domain error stands for."""
    status = next(status for family, status in STATUS_BY_FAMILY.items() if isinstance(error, family))
    headers: dict[str, str] = {}
    if isinstance(error, Unavailable | TooMany):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status, error.code, error.message, errors=error.errors, headers=headers, members=error.members)


async def _domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError), "registered for it"
    if isinstance(error, Denied):
        _tell_denial(request, error)
    elif isinstance(error, Invalid):
        suspicion.tell_refused_input(request, [one.field for one in error.errors], [])
    elif isinstance(error, NotFound):
        suspicion.tell_refused_target(request)
    return from_domain(error)


def _tell_denial(request: Request, error: Denied) -> None:
    security_log.record(
        SecurityEvent.AUTHZ_FAIL,
        "Access was forbidden",
        ip=client_ip(request.scope),
        code=error.code,
        permission=error.permission,
        **caller_fields(request.scope),
    )


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for it"
    if refusal := await _too_many(request):
        return refusal
    if isinstance(error.body, bytes):
        suspicion.tell_refused_target(request)
        return from_status(415)
    found = error.errors()
    errors = tuple(FieldError(_field(item["loc"]), _sentence(item)) for item in found[:MAX_ERRORS])
    suspicion.tell_refused_input(request, [error.field for error in errors], _refused_values(error, found))
    if any(item["type"] == "json_invalid" for item in found):
        return problem(400, "MALFORMED_JSON", "The body is not JSON.")
    return problem(422, "VALIDATION_FAILED", "Some of what was sent is wrong; see `errors`.", errors=errors)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for it"
    if refusal := await _too_many(request):
        return refusal
    suspicion.tell_refused_target(request)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return from_status(405, headers={"Allow": ", ".join(sorted(_allowed_methods(request)))})
    return from_status(error.status_code, headers=error.headers)


async def _too_many(request: Request) -> Response | None:
    """The refusal of somebody who has sent too much that can't be read."""
    try:
        await rate_limits.charge_unreadable(request)
    except DomainError as error:
        return from_domain(error)
    return None


def _allowed_methods(request: Request) -> set[str]:
    """The methods of all routes at this path; the router itself tells only those of the first one."""
    matching = (
        route.methods or set()
        for route in iter_route_contexts(request.app.routes)
        if route.path_regex.match(request.scope["path"])
    )
    return set().union(*matching)


def _refused_values(error: RequestValidationError, found: Sequence[Mapping[str, Any]]) -> list[object]:
    """What was sent and refused, each thing once; of a body that is no JSON its text."""
    inputs = {id(item["input"]): item["input"] for item in found[:MAX_ERRORS] if "input" in item}
    return [*inputs.values(), error.body] if isinstance(error.body, str) else list(inputs.values())


def _field(location: tuple[int | str, ...]) -> str:
    parts = [str(part)[:100] for part in location]
    return ".".join(parts[1:]) if len(parts) > 1 else ".".join(parts)


def _sentence(item: Mapping[str, Any]) -> str:
    if item["type"] == "missing" and len(item["loc"]) == 1:
        return "A JSON body is required, with Content-Type: application/json."
    return str(item["msg"]).removeprefix("Value error, ")
