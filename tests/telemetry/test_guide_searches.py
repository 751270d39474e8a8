"""The operations guide's own grep and awk lines count the right things, whatever clients send."""

import logging
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.telemetry.security_log import INJECTION_SUSPECTED, LOGIN_FAILED, RATE_LIMIT_EXCEEDED
from tests.telemetry.lines import write_line


def access(request: str, status: int, ip: str, **fields: object) -> str:
    """One access line."""
    extra = {"event": fields.pop("event", "http_request"), "fields": {**fields, "ip": ip}}
    return write_line(f"{request} HTTP/1.1 {status}", name="app.access", extra=extra)


def security(event: str, message: str, ip: str, **fields: object) -> str:
    """One line of a security event."""
    extra = {"event": event, "fields": {**fields, "ip": ip}}
    return write_line(message, level=logging.WARNING, name="app.security", extra=extra)


VALIDATION = {"event": "license validation", "outcome": "License validation EXPIRED"}
LOG = "".join(
    [
        write_line("Invalid HTTP request received.", name="uvicorn.error", level=logging.WARNING),
        write_line("Uvicorn running on http://127.0.0.1:3001", name="uvicorn.error"),
        access("GET /api/licenses", 200, "192.0.2.1"),
        access("POST /api/licenses/validate", 200, "192.0.2.2", **VALIDATION),
        access("POST /api/licenses/validate", 200, "192.0.2.2", **VALIDATION),
        access("GET /api/users", 403, "192.0.2.3", outcome="Forbidden"),
        security("authn_login_fail", LOGIN_FAILED, "192.0.2.4", user_agent='a "b" HTTP c\n'),
        security("authn_login_fail", LOGIN_FAILED, "192.0.2.4"),
        security("excess_rate_limit_exceeded", RATE_LIMIT_EXCEEDED, "2001:db8::1", policy="login"),
        security("malicious_extraneous", INJECTION_SUSPECTED, "192.0.2.5", pattern="drop"),
        write_line("Database is away", level=logging.ERROR, exc_info=OSError("HTTP refused")),
    ]
)


def shell(command: str, text: str = LOG) -> list[str]:
    """The lines that the command prints for the log on its standard input."""
    run = subprocess.run(["bash", "-c", command], input=text, capture_output=True, text=True, timeout=30)
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ('grep "POST\\|GET\\|PUT\\|DELETE" | tail -100', 4),
        ("grep ERROR", 1),
        ('grep "license validation"', 2),
        ('grep "Failed login attempt"', 2),
        ('grep "Rate limit exceeded"', 1),
        ('grep -i "failed\\|unauthorized\\|forbidden"', 3),
        ('grep -i "drop\\|delete\\|truncate\\|insert"', 1),
    ],
)
def test_search_finds_its_lines_and_no_others(command: str, count: int) -> None:
    assert len(shell(command)) == count


def test_request_count_is_the_number_of_access_lines() -> None:
    assert shell('grep -c "HTTP"') == ["4"]


@pytest.mark.parametrize(
    ("search", "counted"),
    [
        ("Failed login", ['2 "192.0.2.4"}']),
        ("Rate limit", ['1 "2001:db8::1"}']),
        ("License validation", ['2 "192.0.2.2"}']),
    ],
)
def test_last_field_of_the_line_is_the_client(search: str, counted: list[str]) -> None:
    lines = shell(f"grep \"{search}\" | awk '{{print $NF}}' | sort | uniq -c | sort -rn")

    assert [line.strip() for line in lines] == counted


@settings(max_examples=20, deadline=None)
@given(hostile=st.lists(st.text(max_size=50), min_size=20, max_size=20))
def test_hostile_text_neither_adds_requests_nor_moves_the_client(hostile: list[str]) -> None:
    text = "".join(
        security("authn_login_fail", LOGIN_FAILED, "192.0.2.4", user_agent=f"{agent} HTTP") for agent in hostile
    )

    assert shell('grep -c "HTTP"', text) == ["0"]
    assert shell("grep 'Failed login' | awk '{print $NF}' | uniq -c", text)[0].split() == [
        "20",
        '"192.0.2.4"}',
    ]
