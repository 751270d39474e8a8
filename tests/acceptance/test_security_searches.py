"""The guide's security searches, run as they are printed on the lines of a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import REPOSITORY, LiveServer

pytestmark = pytest.mark.acceptance

INJECTIONS = ("x'; DROP TABLE licenses; --", "' OR '1'='1", "admin'--", "1 UNION SELECT 1", "x; delete from users")


@pytest.fixture
def attacked_server(stopped_server: LiveServer) -> LiveServer:
    """A server that has seen failed logins, suspicious input and validations."""
    server = stopped_server
    server.environment |= {"TRUSTED_PROXIES": "127.0.0.0/8"}
    server.start()
    server.wait_until_ready()
    for number in (4, 4, 5):
        login = {"email": "nobody@acme.example", "password": "drop it like an insert"}
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        assert server.client.post("/api/auth/login", json=login, headers=headers).status_code == 401
    for injection in INJECTIONS:
        server.client.post("/api/auth/login", json={"email": injection, "password": "x"})
    for _ in range(4):
        server.client.post("/api/licenses/validate", json={"licenseKey": "AAAA-BBBB-CCCC-DDDD-EEEE"})
    server.client.get("/../../etc/passwd")
    server.client.get("/.env")
    return server


REFUSALS = """
from app.telemetry.logging import configure_logging
from app.telemetry.security_log import record_rate_limit

configure_logging("info", "json")
for address in ("192.0.2.4", "2001:db8::1", "192.0.2.4"):
    record_rate_limit("validate", ip=address)
"""


def test_the_searches_for_rate_limits_find_every_refusal(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run([sys.executable, "-c", REFUSALS], env=environment, capture_output=True, text=True, check=True)
    (tmp_path / "server.log").write_text(ran.stdout)

    assert len(_lines(tmp_path, 'grep "Rate limit exceeded"')) == 3
    assert _lines(tmp_path, "grep \"Rate limit\" | awk '{print $NF}' | sort | uniq -c | sort -rn") == [
        '2 "192.0.2.4"}',
        '1 "2001:db8::1"}',
    ]


def _lines(folder: Path, command: str) -> list[str]:
    """The lines that the command prints for the server's log."""
    ran = subprocess.run(["bash", "-c", f"cat server.log | {command}"], cwd=folder, capture_output=True, text=True)
    return [line.strip() for line in ran.stdout.splitlines()]


def test_every_search_of_the_guides_security_section_finds_its_lines(attacked_server: LiveServer) -> None:
    server = attacked_server

    assert len(_lines(server.folder, 'grep "Failed login attempt"')) == 3
    assert _lines(server.folder, "grep \"Failed login\" | awk '{print $NF}' | sort | uniq -c | sort -rn") == [
        '2 "192.0.2.4"}',
        '1 "192.0.2.5"}',
    ]
    suspicious = _lines(server.folder, 'grep -i "drop\\|delete\\|truncate\\|insert"')
    assert len(suspicious) == len(INJECTIONS)
    assert all('"event": "malicious_extraneous"' in line for line in suspicious)
    assert _lines(server.folder, "grep \"License validation\" | awk '{print $NF}' | sort | uniq -c | sort -rn") == [
        '4 "127.0.0.1"}'
    ]
    events = {line["event"] for line in server.lines()}
    assert {"malicious_direct_reference", "malicious_attack_tool"} <= events
