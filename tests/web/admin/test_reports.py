"""Reports over HTTP: JSON, text and a page that may do nothing but be looked at."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape

import httpx
import pytest

from tests.web.problem import read_problem


async def test_a_report_is_json_unless_asked_for_otherwise(api: httpx.AsyncClient) -> None:
    found = (await api.get("/admin/reports/weekly")).json()

    assert {name: found[name] for name in ("period", "since", "until")} == {
        "period": "weekly",
        "since": "2026-02-22T12:00:00.000Z",
        "until": "2026-03-01T12:00:00.000Z",
    }
    assert found["subject"].startswith("Weekly report: ")
    assert [one["name"] for one in found["sections"]] == [
        *("health", "errors", "resources", "database", "backups"),
        *("vacuum", "slow_queries", "growth", "security"),
    ]
    assert found["sections"][0] == {
        "name": "health",
        "title": "Health",
        "level": "good",
        "findings": [
            {
                "check": "readiness",
                "level": "good",
                "sentence": "The database answers, and its schema is the one of this release.",
                "action": None,
            }
        ],
        "tables": [],
    }


async def test_as_text_it_is_a_mail_and_as_html_a_page(api: httpx.AsyncClient) -> None:
    text = await api.get("/admin/reports/daily?format=text")
    page = await api.get("/admin/reports/quarterly?format=html")

    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith("Daily report: ")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith("<!DOCTYPE html>")
    assert {one.headers["cache-control"] for one in (text, page)} == {"no-store"}


async def test_the_policy_of_the_page_allows_its_own_styles_and_nothing_else(api: httpx.AsyncClient) -> None:
    page = await api.get("/admin/reports/quarterly?format=html")

    [policy] = page.headers.get_list("content-security-policy")
    directives = {name: rest.split() for name, _, rest in (part.strip().partition(" ") for part in policy.split(";"))}
    styles = directives.pop("style-src")
    assert directives == {name: ["'none'"] for name in ("default-src", "base-uri", "form-action", "frame-ancestors")}
    used = {unescape(style) for style in re.findall(r'style="([^"]*)"', page.text)}
    hashes = {base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in used}
    assert len(used) > 5
    assert styles[0] == "'unsafe-hashes'"
    assert {f"'sha256-{one}'" for one in hashes} <= set(styles)
    assert [one for one in styles[1:] if not one.startswith("'sha256-")] == []


@pytest.mark.parametrize("path", ["yearly", "daily?format=pdf", "Daily"])
async def test_what_is_no_report_is_refused(refused_api: httpx.AsyncClient, path: str) -> None:
    read_problem(await refused_api.get(f"/admin/reports/{path}"), 422, "VALIDATION_FAILED")
