"""The guide's security searches, run as they are printed on the lines of a real server."""

from __future__ import annotations

import subprocess

import pytest

from tests.live import LiveServer

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


def _count(server: LiveServer, command: str) -> list[str]:
    """The lines that the command prints for the server's log."""
    ran = subprocess.run(
        ["bash", "-c", f"cat server.log | {command}"], cwd=server.folder, capture_output=True, text=True
    )
    return [line.strip() for line in ran.stdout.splitlines()]


def test_every_search_of_the_guides_security_section_finds_its_lines(attacked_server: LiveServer) -> None:
    server = attacked_server

    assert len(_count(server, 'grep "Failed login attempt"')) == 3
    assert _count(server, "grep \"Failed login\" | awk '{print $NF}' | sort | uniq -c | sort -rn") == [
        '2 "192.0.2.4"}',
        '1 "192.0.2.5"}',
    ]
    suspicious = _count(server, 'grep -i "drop\\|delete\\|truncate\\|insert"')
    assert len(suspicious) == len(INJECTIONS)
    assert all('"event": "malicious_extraneous"' in line for line in suspicious)
    assert _count(server, "grep \"License validation\" | awk '{print $NF}' | sort | uniq -c | sort -rn") == [
        '4 "127.0.0.1"}'
    ]
    events = {line["event"] for line in server.lines()}
    assert {"malicious_direct_reference", "malicious_attack_tool"} <= events
