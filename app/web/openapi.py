"""The OpenAPI document: every route answers failures with a problem, which is said here once for all."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.web.problems import MEDIA_TYPE

_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}

FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is refused; `code` says why.", **_PROBLEM},
    "5XX": {"description": "The server can't answer now (503, with Retry-After) or has a defect (500).", **_PROBLEM},
}

_TEXT = {"type": "string"}
_FIELD_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": _TEXT, "message": _TEXT},
}
_PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "A failure (RFC 9457) with a stable `code`; `requestId` is that of the log line.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail"), _TEXT),
        "status": {"type": "integer"},
        "code": {"type": "string", "pattern": "^[A-Z][A-Z_]*$"},
        "requestId": _TEXT,
        "errors": {"type": "array", "items": _FIELD_ERROR},
    },
}
_SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "A session token or an API key."},
}


class DescribedApplication(FastAPI):
    """A FastAPI application whose document also holds the schema of problems and the ways to sign in."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = _PROBLEM_SCHEMA
        components["securitySchemes"] = _SECURITY_SCHEMES
        document["security"] = [{}, {"apiKey": []}, {"bearer": []}]
        return document
