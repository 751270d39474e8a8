"""Refused requests are told in the log: attacks as warnings, honest mistakes below, and never what was sent."""

from __future__ import annotations

import httpx
import pytest

from tests.web.logs import LogLines
from tests.web.problem import read_problem

JSON = {"Content-Type": "application/json"}


def events(lines: LogLines, *prefixes: str) -> list[tuple[str, str]]:
    """Event and level of the lines of security events that begin so."""
    return [(line["event"], line["level"]) for line in lines.read() if line["event"].startswith(prefixes)]


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/.env", "malicious_attack_tool"),
        ("/wp-login.php", "malicious_attack_tool"),
        ("/static/%2e%2e/%2e%2e/etc/passwd", "malicious_direct_reference"),
        ("/search?q=1%27%20OR%201=1--", "malicious_extraneous"),
        ("/api/products/..%2f..%2fetc%2fpasswd", "malicious_direct_reference"),
        ("/api/licenses?status='%20OR%20'1'='1", "malicious_extraneous"),
    ],
)
async def test_a_request_that_looks_like_an_attack_is_a_warning(
    refused_api: httpx.AsyncClient, log_lines: LogLines, path: str, event: str
) -> None:
    response = await refused_api.get(path)

    assert response.status_code in (404, 422)
    assert events(log_lines, "malicious", "input") == [(event, "WARN")]


async def test_a_scanner_is_known_by_its_name(refused_client: httpx.AsyncClient, log_lines: LogLines) -> None:
    await refused_client.get("/anything", headers={"User-Agent": "sqlmap/1.8#stable"})

    [line] = [line for line in log_lines.read() if line["event"] == "malicious_attack_tool"]
    assert (line["attack"], line["pattern"], line["ip"]) == ("probe", "sqlmap", "192.0.2.7")


async def test_a_typing_error_is_told_below_the_warnings_by_the_names_of_its_members(
    refused_api: httpx.AsyncClient, log_lines: LogLines
) -> None:
    response = await refused_api.post("/api/products", json={"id": "UPPER", "name": ""})

    read_problem(response, 422, "VALIDATION_FAILED")
    [line] = [line for line in log_lines.read() if line["event"] == "input_validation_fail"]
    assert (line["level"], line["input_names"], line["caller_kind"]) == ("INFO", ["id", "name"], "api_key")
    assert "UPPER" not in line.values()


@pytest.mark.parametrize("path", ["/favicon.ico", "/api/licences", "/robots.txt", "/api/v1/licenses"])
async def test_a_wrong_address_is_no_event(refused_client: httpx.AsyncClient, log_lines: LogLines, path: str) -> None:
    await refused_client.get(path)

    assert events(log_lines, "malicious", "input") == []


async def test_an_attack_in_a_body_that_is_no_json_is_seen(
    refused_client: httpx.AsyncClient, log_lines: LogLines
) -> None:
    body = b'{"licenseKey": "x\' UNION SELECT secret_hash FROM api_keys --'

    await refused_client.post("/api/licenses/validate", content=body, headers=JSON)

    [line] = [line for line in log_lines.read() if line["event"] == "malicious_extraneous"]
    assert (line["attack"], line["pattern"]) == ("sql", "select union")
    assert "api_keys" not in log_lines.text()


async def test_an_attack_beside_the_member_that_is_wrong_is_seen(
    refused_api: httpx.AsyncClient, log_lines: LogLines
) -> None:
    await refused_api.post("/api/products", json={"name": "<script>alert(1)</script>"})

    [line] = [line for line in log_lines.read() if line["event"] == "malicious_extraneous"]
    assert (line["attack"], line["input_names"]) == ("script", ["id"])


async def test_what_is_accepted_is_never_looked_at(api: httpx.AsyncClient, log_lines: LogLines) -> None:
    response = await api.post("/api/products", json={"id": "a", "name": "'; DROP TABLE users; --"})

    assert response.status_code == 201
    assert events(log_lines, "malicious", "input") == []


async def test_a_refused_password_stays_out_of_the_log(refused_client: httpx.AsyncClient, log_lines: LogLines) -> None:
    body = {"email": "hunter1' OR '1'='1", "password": "hunter2", "more": "hunter4"}

    await refused_client.post("/api/auth/login", json=body)

    assert events(log_lines, "malicious") == [("malicious_extraneous", "WARN")]
    assert "hunter2" not in log_lines.text()
    assert "hunter4" not in log_lines.text()


async def test_a_huge_refused_body_costs_little(refused_client: httpx.AsyncClient, log_lines: LogLines) -> None:
    body = {"entitlements": [{"a": "' or "} for _ in range(20_000)]}

    response = await refused_client.post("/api/licenses/validate", json=body)

    read_problem(response, 422, "VALIDATION_FAILED")
    assert len(events(log_lines, "malicious", "input")) == 1
