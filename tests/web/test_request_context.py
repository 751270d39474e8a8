"""Around every request: its id, its one log line, the headers of every answer."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from tests.conftest import Clock, make_client, make_settings, running_app
from tests.factories.http import issue_license, validate
from tests.web.logs import LogLines

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["\r\n{}", '"}\n{"level": "ERROR"}', "HTTP/1.1 200", "\u2028\x85", "\x1b[2J", "%s%d", "\ud800", "Failed login"]
)
SECRET = "hunter2-do-not-tell"
LICENSE_KEY = "ABCD-EFGH-JKLM-NPQR-STUV"


async def test_a_request_id_is_kept_and_given_back(refused_client: httpx.AsyncClient) -> None:
    response = await refused_client.get("/livez", headers={"X-Request-ID": "a.B-c_1"})

    assert response.headers["x-request-id"] == "a.B-c_1"


@pytest.mark.parametrize("given", [b"", b"with space", b"x" * 65, b'"', b"\xff", b"a\nb", b"a,b"])
async def test_a_bad_request_id_is_replaced(refused_client: httpx.AsyncClient, given: bytes) -> None:
    response = await refused_client.get("/livez", headers={b"X-Request-ID": given})

    assert len(response.headers["x-request-id"]) == 32
    int(response.headers["x-request-id"], 16)


@pytest.mark.parametrize(
    ("traceparent", "is_believed"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", True),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", False),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", False),
    ],
)
async def test_a_traceparent_gives_the_request_its_id(
    refused_client: httpx.AsyncClient, log_lines: LogLines, traceparent: str, is_believed: bool
) -> None:
    response = await refused_client.get("/nowhere", headers={"traceparent": traceparent})

    [line] = log_lines.access()
    assert (response.headers["x-request-id"] == TRACE) is is_believed
    assert (line.get("trace_id") == TRACE) is is_believed


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/livez"), ("GET", "/nowhere"), ("PUT", "/health"), ("GET", "/api/licenses"), ("GET", "/openapi.json")],
)
async def test_every_answer_has_the_security_headers(refused_client: httpx.AsyncClient, method: str, path: str) -> None:
    response = await refused_client.request(method, path)

    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


async def test_an_access_line_is_as_the_contract_says(api: httpx.AsyncClient, log_lines: LogLines) -> None:
    response = await api.get("/api/licenses?limit=7")

    [line] = log_lines.access()
    assert line["message"] == "GET /api/licenses HTTP/1.1 200"
    assert list(line)[:5] == ["timestamp", "level", "message", "event", "request_id"]
    assert (line["level"], line["method"], line["path"], line["status"]) == ("INFO", "GET", "/api/licenses", 200)
    assert line["request_id"] == response.headers["x-request-id"]
    assert (line["caller_kind"], line["ip"]) == ("api_key", "192.0.2.7")
    assert line["duration_ms"] > 0


async def test_a_validation_is_one_line_with_both_spellings(api: httpx.AsyncClient, log_lines: LogLines) -> None:
    license = await issue_license(api, expiresAt="2026-03-01T12:00:01Z", startsAt="2026-02-01T00:00:00Z")
    log_lines.forget()

    await validate(api, license["licenseKey"])

    [line] = log_lines.read()
    assert line["event"] == "license validation"
    assert line["outcome"] == "License validation VALID"
    assert line["license_id"] == license["id"]
    assert line["message"] == "POST /api/licenses/validate HTTP/1.1 200"


async def test_the_address_behind_a_trusted_proxy_is_in_the_line(
    fresh_database: str, tmp_path: Any, clock: Clock, log_lines: LogLines
) -> None:
    behind_proxy = make_settings(fresh_database, tmp_path, trusted_proxies=["192.0.2.0/24"])
    async with running_app(behind_proxy, clock) as application, make_client(application) as client:
        await client.get("/nowhere", headers={"X-Forwarded-For": "203.0.113.1, 198.51.100.1"})

    assert log_lines.access()[-1]["ip"] == "198.51.100.1"


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=HOSTILE, query=HOSTILE, agent=HOSTILE, name=HOSTILE)
async def test_whatever_is_sent_each_request_is_one_line(
    refused_client: httpx.AsyncClient, log_lines: LogLines, path: str, query: str, agent: str, name: str
) -> None:
    log_lines.forget()
    headers = {b"User-Agent": _bytes(agent), b"X-Request-ID": _bytes(agent), b"X-API-Key": _bytes(name)}
    url = f"/api/{quote(_bytes(path))}?q={quote(_bytes(query))}"

    await refused_client.get(url, headers=headers)
    question = json.dumps({"licenseKey": f"no such key {name}", "machineId": path, "other": query})
    await refused_client.post("/api/licenses/validate", content=question, headers={"Content-Type": "application/json"})

    assert len(log_lines.access()) == 2
    assert log_lines.text().count("HTTP/1.1") >= 2
    assert all(line["ip"] == "192.0.2.7" for line in log_lines.access())


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", f"/api/licenses/{LICENSE_KEY}", None, {}),
        ("GET", f"/api/licenses/{LICENSE_KEY.lower()}", None, {}),
        ("GET", f"/api/licenses?licenseKey={LICENSE_KEY}&password={SECRET}", None, {}),
        ("GET", "/api/auth/itsk_" + SECRET, None, {}),
        ("GET", "/api/licenses", None, {"X-API-Key": "itsk_" + SECRET}),
        ("GET", "/api/licenses", None, {"Authorization": "Bearer itss_" + SECRET}),
        ("GET", "/api/licenses", None, {"Cookie": "session=" + SECRET, "X-Request-ID": "password=" + SECRET}),
        ("POST", "/api/auth/login", {"email": "a@acme.example", "password": SECRET}, {}),
        ("POST", "/api/auth/login", {"email": SECRET, "password": SECRET}, {}),
        ("POST", "/api/licenses/validate", {"licenseKey": LICENSE_KEY, "machineId": SECRET}, {}),
        ("POST", "/api/licenses/validate", {"licenseKey": LICENSE_KEY, "productId": [SECRET]}, {}),
    ],
)
async def test_no_secret_is_in_any_line(
    refused_client: httpx.AsyncClient,
    log_lines: LogLines,
    method: str,
    path: str,
    body: object,
    headers: dict[str, str],
) -> None:
    await refused_client.request(method, path, json=body, headers=headers)

    assert len(log_lines.access()) == 1
    assert SECRET not in log_lines.text()
    assert LICENSE_KEY not in log_lines.text().upper()


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ('grep -c "HTTP"', 5),
        ('grep "license validation" | wc -l', 1),
        ('grep "License validation" | wc -l', 1),
        ('grep "Failed login attempt" | wc -l', 1),
        ('grep -i "failed\\|unauthorized\\|forbidden" | wc -l', 3),
        ("grep ERROR | wc -l", 0),
        ("grep \"Failed login\" | awk '{print $NF}' | grep -c '^\"192.0.2.7\"}$'", 1),
    ],
)
async def test_the_guides_searches_count_right(
    refused_client: httpx.AsyncClient, log_lines: LogLines, search: str, count: int
) -> None:
    await refused_client.get("/livez")
    await refused_client.get("/api/licenses")
    await refused_client.get("/nowhere")
    await refused_client.post("/api/auth/login", json={"email": "a@acme.example", "password": "x"})
    await validate(refused_client, LICENSE_KEY)

    assert _shell(search, log_lines.text()) == count


def _shell(search: str, text: str) -> int:
    found = subprocess.run(["bash", "-c", search], input=text, capture_output=True, text=True, timeout=30)
    return int(found.stdout)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


async def test_a_traced_request_is_answered_with_our_own_span_of_the_trace(refused_client: httpx.AsyncClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"

    response = await refused_client.get("/nowhere", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})

    version, answered_id, span_id, flags = response.headers["traceparent"].split("-")
    assert (version, answered_id, flags) == ("00", trace_id, "01")
    assert len(span_id) == 16
    assert span_id != "00f067aa0ba902b7"


async def test_nobody_writes_the_phrases_of_the_searches_into_a_path(
    refused_client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await refused_client.get("/Failed login attempt/ERROR")

    [line] = log_lines.access()
    assert line["path"] == "/Failed%20login%20attempt/error"
    assert "ERROR" not in log_lines.text()
    assert "Failed login" not in log_lines.text()


async def test_a_client_that_hangs_up_is_no_defect(refusing_app: FastAPI, log_lines: LogLines) -> None:
    parts: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/licenses/validate",
        "raw_path": b"/api/licenses/validate",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("192.0.2.7", 50000),
    }
    await refusing_app(scope, receive, send)

    [line] = log_lines.read()
    assert (line["level"], line["message"]) == ("INFO", "POST /api/licenses/validate HTTP/1.1 aborted")


async def test_refused_input_that_looks_like_injection_is_an_event_of_its_own(
    refused_client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await refused_client.post("/api/auth/login", json={"email": "x'; DROP TABLE users; --", "password": "y"})

    events = [line for line in log_lines.read() if line["event"] == "malicious_extraneous"]
    assert [(line["pattern"], line["ip"]) for line in events] == [("drop", "192.0.2.7")]
    assert "TABLE users" not in log_lines.text()


async def test_a_secret_as_the_method_of_a_fixed_route_is_covered(
    refused_client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await refused_client.request("ITSK_AAAABBBBCCCCDDDDEEEEFFFF", "/api/products")

    [line] = [line for line in log_lines.access() if line["event"] == "request"]
    assert line["status"] == 405
    assert "AAAABBBB" not in json.dumps(line)
