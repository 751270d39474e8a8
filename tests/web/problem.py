"""What every failure must look like."""

from __future__ import annotations

from typing import Any

import httpx


def read_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, which must have this status and code and all members."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert list(document)[:6] == ["type", "title", "status", "detail", "code", "requestId"]
    assert document["status"] == status
    assert document["code"] == code
    assert document["requestId"] == response.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return document
